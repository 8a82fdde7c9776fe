"""`check --against`: every run of a journal under a new file; and going on with runs of an old one."""

from __future__ import annotations

import sqlite3

import pytest

from stepladder.app.loading import Workflow
from tests.cli.desk import Desk
from tests.example_workflows import TEXT_TO_SQL

OLD, NEW = "text_to_sql.yaml", "new.yaml"
STRICT = TEXT_TO_SQL.replace("guard: [taken.RETRY_PLANNING < 2]", "guard: [taken.RETRY_PLANNING < 1]")
RENAMED = TEXT_TO_SQL.replace("clarifying", "asking_back")
MIGRATES = f"\nmigrates: {{from: {Workflow.parse(TEXT_TO_SQL).hash}, steps: {{clarifying: asking_back}}}}\n"


@pytest.fixture
def runs(sql: Desk) -> Desk:
    """good and failing have ended, waiting waits for a person."""
    sql("run", OLD, "-i", "question=How many?", "--id", "good")
    sql("run", OLD, "-i", "question=How many?", "--id", "failing", "--option", "fail=4")
    sql("run", OLD, "-i", "question=best", "--id", "waiting")
    return sql


def test_the_same_file_changes_nothing(runs: Desk) -> None:
    told = runs("check", OLD, "--against", "stepladder.db")
    assert told.code == 0
    assert told.out.splitlines()[-4:] == [
        "good  ended  same, 4 decisions",
        "failing  ended  same, 6 decisions",
        "waiting  waiting  same, 2 decisions",
        "3 runs: 3 the same, 0 diverge",
    ]


def test_ended_runs_may_diverge_and_others_may_not(runs: Desk) -> None:
    runs.write(new__yaml=STRICT)
    told = runs("check", NEW, "--against", "stepladder.db")
    assert (told.code, told.out.splitlines()[-1]) == (0, "3 runs: 2 the same, 1 diverge")
    assert "failing  ended  diverges at decision 3 in planning: was RETRY_PLANNING -> planning" in told.out
    runs.write(new__yaml=RENAMED)
    told = runs("check", NEW, "--against", "stepladder.db")
    assert told.code == 1
    assert "waiting  waiting  cannot be compared: step or end clarifying is gone (decision 2 in planning)" in told.out
    assert told.out.splitlines()[-1].endswith("1 cannot be compared; 1 run that could not go on")
    runs.write(new__yaml=RENAMED + MIGRATES)
    assert runs("check", NEW, "--against", "stepladder.db").code == 0


def test_as_json(runs: Desk) -> None:
    runs.write(new__yaml=STRICT)
    said = runs.json("check", NEW, "--against", "stepladder.db")["against"]
    assert {key: said[key] for key in ("same", "diverges", "incomparable", "stopped")} == {
        "same": 2,
        "diverges": 1,
        "incomparable": 0,
        "stopped": 0,
    }
    (diverging,) = (each for each in said["runs"] if each["outcome"] == "diverges")
    assert diverging == {
        "run": "failing",
        "status": "ended",
        "outcome": "diverges",
        "decision": 3,
        "step": "planning",
        "recorded": "RETRY_PLANNING -> planning (asked supervisor)",
        "decided": "GIVE_UP -> given_up",
        "cause": "",
    }


def test_a_run_that_cannot_be_read_stops_no_other(runs: Desk) -> None:
    with sqlite3.connect("stepladder.db") as db:
        db.execute("UPDATE turns SET body = 'x' WHERE run = 1 AND seq > 1")
    told = runs("check", OLD, "--against", "stepladder.db")
    assert told.code == 0, "it has ended"
    assert "good  ended  cannot be compared: " in told.out
    assert told.out.splitlines()[-1] == "3 runs: 2 the same, 0 diverge, 1 cannot be compared"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("check", OLD, OLD, "--against", "stepladder.db"), 2, "--against takes one FILE"),
        (("check", OLD, "--against", "nothing.db"), 4, "no journal nothing.db"),
        (("check", "agents.py", "--against", "stepladder.db"), 1, ""),
    ],
)
def test_what_cannot_be_compared_at_all(runs: Desk, args: tuple[str, ...], code: int, said: str) -> None:
    told = runs(*args)
    assert told.code == code
    assert said in told.err


# --- going on


def test_a_changed_file_is_refused_with_the_difference(runs: Desk) -> None:
    runs.write(text_to_sql__yaml=RENAMED)
    told = runs("answer", "waiting", "--text", "by revenue")
    assert told.code == 2
    assert "  step clarifying: removed" in told.err
    assert "  step asking_back: added" in told.err


def test_pinned(runs: Desk) -> None:
    runs.write(text_to_sql__yaml=RENAMED)
    told = runs("answer", "waiting", "--text", "by revenue", "--on-changed", "pin")
    assert told.code == 0, told.err
    assert "done   waiting in done" in told.out
    assert runs.json("show", "waiting")["workflow_hash"] == Workflow.parse(TEXT_TO_SQL).hash
    assert runs("resume", "--all", "--on-changed", "pin").code == 0


def test_migrated(runs: Desk) -> None:
    runs.write(text_to_sql__yaml=RENAMED + MIGRATES)
    told = runs("answer", "waiting", "--text", "by revenue", env={"STEPLADDER_ON_CHANGED": "migrate"})
    assert told.code == 0, told.err
    new = Workflow.parse(RENAMED).hash
    assert f"workflow {new} decides from here on" in told.out
    assert "asking_back" in told.out
    assert runs.json("show", "waiting")["workflow_hash"] == new
    assert runs("replay", "--all").out == "3 runs: 16 decisions, 0 divergences\n"
    assert runs("replay", "waiting", "--workflow", OLD).code == 0
    log = runs("show", "waiting", "--log").out
    assert "asking_back" in log
    assert "clarifying" not in log
    assert log.count("decides from here on") == 1
    assert runs("diagram", "--run", "waiting").code == 0
    exported = runs.json("export", "waiting")
    assert exported["workflow"]["hash"] == new
    assert len(exported["policies"]) == 2
    assert runs("outcome", "waiting", "--success").code == 0


def test_not_migrated(runs: Desk) -> None:
    runs.write(text_to_sql__yaml=STRICT)
    told = runs("resume", "waiting", "--on-changed", "migrate")
    assert told.code == 2
    assert "no `migrates` section" in told.err
    assert runs("resume", "waiting", "--on-changed", "ask").code == 2
