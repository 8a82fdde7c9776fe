"""`fork`: one run and all of them; under another policy, with another action, with live calls."""

from __future__ import annotations

import pytest

from tests.cli.desk import Desk

WORKFLOW = "text_to_sql.yaml"
PROGRAMMATIC = "policy: {mode: programmatic, limits: {then: given_up}}\n"


@pytest.fixture
def runs(sql: Desk) -> Desk:
    """good ended well; failing failed as often as it may."""
    sql("run", WORKFLOW, "-i", "question=How many?", "--id", "good")
    sql("run", WORKFLOW, "-i", "question=How many?", "--id", "failing", "--option", "fail=4")
    sql.write(bare__yaml=PROGRAMMATIC)
    return sql


def test_another_action(runs: Desk) -> None:
    before = runs.json("show", "good")
    told = runs("fork", "good", "--at", "2", "--action", "GIVE_UP")
    assert told.code == 0, told.err
    assert "good differs from decision 2 on, ends in given_up" in told.out
    said = runs.json("fork", "good", "--at", "2", "--action", "RETRY_PLANNING")
    assert [each["label"] for each in said["steps"]] == ["recorded", "recomputed", "unknown", "unknown"]
    assert said["missing"] == "what planner gives in planning"
    assert runs.json("show", "good") == before, "nothing is written"


def test_live_calls_of_idempotent_agents(runs: Desk) -> None:
    said = runs.json(
        "fork",
        "good",
        "--at",
        "2",
        "--action",
        "RETRY_PLANNING",
        "--policy",
        "bare.yaml",
        "--live",
        "--agents",
        "agents.py",
    )
    assert said["end"] == "done"
    assert [each["label"] for each in said["steps"]] == ["recorded", "recomputed", *["live"] * 3]


def test_a_population_under_another_policy(runs: Desk) -> None:
    said = runs.json("fork", "--all", "--policy", "bare.yaml")
    assert said["runs"] == 2
    ended = [each["success"] for each in runs.json("runs")["runs"]]
    assert said["was_success"] == sum(ended) / 2
    told = runs("fork", "--all", "--policy", "bare.yaml")
    assert told.code == 0
    assert told.out.startswith("2 runs: ")
    assert "% on record; from " in told.out


def test_runs_that_are_left_out_are_told(runs: Desk) -> None:
    told = runs("fork", "--all", "--at", "4", "--action", "COMPLETE")
    assert (told.code, "left out: 1 run: COMPLETE is not legal there" in told.err) == (0, True)
    assert told.out.startswith("1 runs: ")
    told = runs("fork", "--all", "--at", "99", "--action", "COMPLETE")
    assert "left out: 2 runs: no decision 99 about the next action" in told.err


def test_a_journal_of_two_workflows(runs: Desk) -> None:
    other = (runs.folder / WORKFLOW).read_text().replace("workflow: text_to_sql", "workflow: other")
    runs.write(other__yaml=other)
    runs("run", "other.yaml", "-i", "question=How many?", "--id", "another")
    told = runs("fork", "--all", "--policy", "bare.yaml")
    assert (told.code, "found runs of several workflows; expected one of: other, text_to_sql" in told.err) == (2, True)
    assert runs.json("fork", "--all", "--policy", "bare.yaml", "--workflow", "other")["runs"] == 1


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("fork", "good", "--at", "2"), 2, "--policy FILE or --action ACTION"),
        (("fork", "good", "--all", "--action", "GIVE_UP"), 2, "either a RUN or --all"),
        (("fork", "good", "--at", "99", "--action", "GIVE_UP"), 2, "a decision about the next action: 1, 2, 3, 4"),
        (("fork", "good", "--at", "2", "--action", "COMPLETE"), 2, "not legal there"),
        (("fork", "--all", "--action", "NOPE"), 2, "found 'NOPE', which is not legal there"),
        (("fork", "--all", "--action", "GIVE_UP", "--workflow", "no"), 2, "found no; expected one of: text_to_sql"),
        (("fork", "good", "--action", "GIVE_UP", "--workflow", "no"), 2, "which runs --all means"),
        (("fork", "nobody", "--action", "GIVE_UP"), 4, "nobody"),
        (("fork", "good", "--policy", "none.yaml"), 2, "none.yaml"),
        (("fork", "good", "--action", "GIVE_UP", "--live"), 2, "--agents FILE.py"),
    ],
)
def test_what_cannot_be_forked(runs: Desk, args: tuple[str, ...], code: int, said: str) -> None:
    told = runs(*args)
    assert (told.code, told.out) == (code, "")
    assert said in told.err
