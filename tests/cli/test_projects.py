"""init and play."""

from __future__ import annotations

import pytest

from tests.cli.desk import Desk
from tests.example_workflows import TEXT_TO_SQL


def test_the_first_project_runs_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told = desk("init", "my project")
    assert told.code == 0
    assert told.out.splitlines()[-1].startswith("now: cd 'my project' && stepladder run workflow.yaml --input ticket=")
    monkeypatch.chdir(desk.folder / "my project")
    assert desk("run", "workflow.yaml", "--input", "ticket=My invoice is wrong").code == 0
    assert desk("run", "workflow.yaml", "--input", "ticket=It does not look right").code == 3
    assert desk("answer", "last", "--text", "the invoice").code == 0
    assert desk("check", "workflow.yaml", "--strict").out == "1 file: 0 errors, 0 warnings\n"
    assert desk("replay", "--all").code == 0
    assert desk("play", "scenarios/unclear.yaml").code == 0


def test_init_says_what_it_wrote(desk: Desk) -> None:
    said = desk.json("init")
    assert said["files"] == ["workflow.yaml", "agents.py", "scenarios/unclear.yaml", "README.md"]
    assert all((desk.folder / name).is_file() for name in said["files"])


def test_init_overwrites_nothing(desk: Desk) -> None:
    desk.write(README__md="mine")
    told = desk("init")
    assert told.code == 2
    assert "README.md there already" in told.err
    assert sorted(path.name for path in desk.folder.iterdir()) == ["README.md"]
    desk.write(place="a file")
    assert desk("init", "place").code == 2
    assert desk("init", "place/inside").code == 2


SCENARIO = """
scenario: a question is answered
workflow: text_to_sql.yaml
input: {question: "How many?"}
script:
  planner: [{status: answerable, sql: "SELECT 1"}]
  executor: [{success: true, rows: [[1]]}]
  responder: [{text: one}]
expect: {end: done, asked: 0}
"""
WITH_A_MODEL = (
    SCENARIO.replace("planner: [", "planner: [{$raise: away}, {$raise: away}, ").replace("asked: 0", "asked: 1")
    + """
"""
).replace(
    "  responder:",
    "  models: {'google:gemini-2.5-flash-lite': [{action: GIVE_UP, reason: enough, confidence: 0.9}]}\n  responder:",
)


def test_two_workflows_share_an_agents_file(sql: Desk) -> None:
    agents = (sql.folder / "agents.py").read_text()
    sql.write(
        agents__py=agents.replace('return {"planner"', 'return {"worker": planner, "planner"'),
        own__yaml=TEXT_TO_SQL.replace("planner", "worker").replace("CALL_WORKER", "CALL_PLANNER"),
        s__yaml=SCENARIO.replace('  planner: [{status: answerable, sql: "SELECT 1"}]\n', ""),
    )
    assert sql("run", "text_to_sql.yaml", "-i", "question=How many?").code == 0
    assert sql("run", "own.yaml", "-i", "question=How many?").code == 0
    assert sql("play", "s.yaml").code == 0


def test_an_agent_that_the_file_lacks_is_still_told_of(sql: Desk) -> None:
    sql.write(own__yaml=TEXT_TO_SQL.replace("planner", "worker"))
    told = sql("run", "own.yaml", "-i", "question=How many?")
    assert told.code == 2
    assert "agents: worker: found nothing" in told.err


def test_play_says_what_was_decided_by_whom_and_at_what_cost(sql: Desk) -> None:
    sql.write(s__yaml=SCENARIO)
    told = sql("play", "s.yaml")
    assert "rule plan_first" in told.out
    assert "by rule), 0 model calls, $0" in told.out
    assert "ok  end" not in told.out


def test_play_prints_every_expectation(sql: Desk) -> None:
    sql.write(s__yaml=SCENARIO)
    told = sql("play", "s.yaml", "--checks")
    assert told.code == 0
    lines = [line.rstrip() for line in told.out.splitlines()]
    assert lines[0] == "passed  a question is answered  s.yaml"
    assert "        ok  end: done" in lines
    assert not (sql.folder / "stepladder.db").exists()


def test_a_failed_expectation_says_what_was_found(sql: Desk) -> None:
    sql.write(s__yaml=SCENARIO.replace("end: done", "end: given_up"), good__yaml=SCENARIO)
    told = sql("play", "s.yaml", "good.yaml")
    assert told.code == 1
    assert "no  end: given_up" in told.out
    assert "found done" in told.out
    assert told.out.splitlines()[-1] == "1 passed, 1 failed"
    said = sql.json("play", "s.yaml", "good.yaml")
    assert (said["passed"], said["failed"]) == (1, 1)
    (failed,) = [check for check in said["scenarios"][0]["checks"] if not check["held"]]
    assert (failed["what"], failed["expected"], failed["found"]) == ("end", "given_up", "done")


def test_a_scripted_model_is_called_one(sql: Desk) -> None:
    sql.write(s__yaml=WITH_A_MODEL)
    told = sql("play", "s.yaml", "--log", "--journal", "kept.db")
    assert "says    supervisor accepted GIVE_UP, confidence 0.9" in told.out
    assert "GIVE_UP -> given_up   scripted model, over rule plan_again" in told.out
    shown = sql("show", "last", "--journal", "kept.db", columns=140).out
    assert "scripted model, over rule plan_again" in shown
    assert "1 over the rule)" in shown
