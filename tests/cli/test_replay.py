from __future__ import annotations

import sqlite3

import pytest

from tests.cli.desk import Desk
from tests.example_workflows import TEXT_TO_SQL

FILE = "text_to_sql.yaml"


@pytest.fixture
def runs(sql: Desk) -> Desk:
    sql("run", FILE, "-i", "question=How many?", "--id", "one", "--option", "fail=2")
    sql("run", FILE, "-i", "question=best", "--id", "two")
    sql("answer", "two", "--text", "by revenue")
    return sql


def test_a_run_decides_alike_again(runs: Desk) -> None:
    told = runs("replay", "one")
    assert (told.code, told.out) == (0, "one: 5 decisions, 0 divergences\n")
    said = runs.json("replay", "one")
    assert (said["decisions"], said["divergences"], said["runs"][0]["divergence"]) == (5, 0, None)


def test_all_runs(runs: Desk) -> None:
    assert runs("replay", "--all").out == "2 runs: 11 decisions, 0 divergences\n"
    assert [each["run"] for each in runs.json("replay", "--all")["runs"]] == ["one", "two"]


def test_another_policy_diverges_and_shows_both_decisions(runs: Desk) -> None:
    text = TEXT_TO_SQL.replace(
        "when: [last.status == answerable], do: CALL_EXECUTOR", "when: [decisions > 50], do: CALL_EXECUTOR"
    )
    runs.write(changed__yaml=text)
    told = runs("replay", "two", "--workflow", "changed.yaml")
    assert told.code == 1
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    assert lines[0] == "two: 3 decisions, 1 divergence"
    assert lines[1].startswith(
        "run two, decision 4, entry 11: the rules said CALL_EXECUTOR by rule run_plan, and say GIVE_UP by"
    )
    assert "recorded decided now" in lines
    assert "* rule run_plan no_plan" in lines
    assert "step planning planning" in lines, "what is the same is shown, but not marked"
    divergence = runs.json("replay", "two", "--workflow", "changed.yaml")["runs"][0]["divergence"]
    assert (divergence["seq"], divergence["decision"]) == (11, 4)
    assert divergence["recorded"]["rule"] == "run_plan"
    assert divergence["decided"]["rule"] == "no_plan"


def test_a_policy_that_changes_nothing_here_does_not_diverge(runs: Desk) -> None:
    runs.write(changed__yaml=TEXT_TO_SQL.replace("error_count > 2", "error_count > 7"))
    assert runs("replay", "two", "--workflow", "changed.yaml").code == 0


OWN_SIGNAL = """
from stepladder import signal

@signal("loudness", start=0)
def loudness(memory, seen):
    return memory + 1

SIGNALS = [loudness]
"""


def test_all_goes_on_where_a_run_cannot_be_replayed(runs: Desk) -> None:
    text = TEXT_TO_SQL.replace("error_count > 2", "loudness > 2")
    runs.write(own__yaml=text, own__py=(runs.folder / "agents.py").read_text() + OWN_SIGNAL)
    args = ("-i", "question=How many?", "--agents", "own.py")
    assert runs("run", "own.yaml", *args, "--id", "loud").code == 0
    assert runs("run", FILE, "-i", "question=How many?", "--id", "last").code == 0
    told = runs("replay", "--all", columns=300)
    assert told.code == 1
    first, second = told.out.splitlines()
    assert first.startswith("run loud cannot be replayed: text_to_sql ")
    assert "found signal 'loudness'; expected its own signals, from its agents file (--agents)" in first
    assert second == "3 runs: 15 decisions, 0 divergences, 1 run not replayable"
    said = runs.json("replay", "--all")
    assert [each["run"] for each in said["runs"]] == ["one", "two", "last"]
    assert [each["run"] for each in said["not_replayable"]] == ["loud"]
    assert runs("replay", "loud").code == 2
    assert runs("replay", "--all", "--agents", "own.py").code == 0


def test_another_workflow_is_refused(runs: Desk) -> None:
    runs.write(changed__yaml=TEXT_TO_SQL.replace("taken.ASK_CLARIFICATION < 3", "taken.ASK_CLARIFICATION < 4"))
    told = runs("replay", "two", "--workflow", "changed.yaml")
    assert told.code == 2
    assert "is pinned to workflow" in told.err


def test_what_was_changed_in_the_journal_is_found(runs: Desk) -> None:
    with sqlite3.connect(runs.folder / "stepladder.db") as db:
        db.execute(
            "UPDATE turns SET body = replace(body, ?, ?) WHERE seq = 1",
            ('"question":"How many?"', '"question":"How much?"'),
        )
    told = runs("replay", "one")
    assert told.code == 1
    assert "was changed after it was written" in told.out


def test_all_stops_at_the_first_divergence(runs: Desk) -> None:
    runs.write(
        changed__yaml=TEXT_TO_SQL.replace(
            "do: CALL_PLANNER, because: a question", "do: CALL_PLANNER, because: any question"
        )
    )
    said = runs.json("replay", "--all", "--workflow", "changed.yaml")
    assert (said["divergences"], len(said["runs"])) == (1, 1)


@pytest.mark.parametrize("columns", [80, 120])
def test_both_decisions_fit_the_terminal(runs: Desk, columns: int) -> None:
    text = TEXT_TO_SQL.replace("because: a question needs a plan", "because: " + "a plan is good " * 20)
    runs.write(changed__yaml=text)
    out = runs("replay", "one", "--workflow", "changed.yaml", columns=columns).out
    assert max(map(len, out.splitlines()[2:])) <= columns
