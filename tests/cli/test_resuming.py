"""resume --all: what crashed processes left is taken up, many at a time; what is worked on elsewhere is skipped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.decision_point import DecisionPoint
from stepladder.app.loading import load_agents
from stepladder.app.orchestrator import Orchestrator
from stepladder.decision import Route, Rung
from stepladder.journal import gone, new_owner
from stepladder.journal.sqlite import SqliteJournal
from stepladder.rules import rule
from tests.cli.desk import Desk
from tests.cli.test_process import ROOT, START

FILE = "text_to_sql.yaml"
WORKING = ("--workflow", FILE)


def left_at_work(desk: Desk, names: list[str], file: str = FILE) -> None:
    """Runs in the middle of their first call, as a process leaves them that is gone."""

    async def body() -> None:
        agents = load_agents(desk.folder / "agents.py", {"slow": "0.3"})[0]
        async with Orchestrator(desk.folder / file, agents=agents, journal=desk.folder / "stepladder.db") as sql:
            for name in names:
                await sql.start({"question": f"How many {name}?"}, run_id=name)

    asyncio.run(body())


def ends(desk: Desk) -> dict[str, str]:
    return {each["run"]: each["end"] or each["status"] for each in desk.json("runs", "-n", "1000")["runs"]}


def test_many_are_taken_up_at_a_time(sql: Desk) -> None:
    names = [f"r-{number}" for number in range(12)]
    left_at_work(sql, names)
    assert set(ends(sql).values()) == {"working"}
    began = time.monotonic()
    told = sql("resume", "--all", *WORKING, "--option", "slow=0.2", "--json")
    assert time.monotonic() - began < 12 * 0.2
    assert told.code == 0
    assert [each["run"] for each in told.json["runs"]] == names, "oldest first"
    assert {each["end"] for each in told.json["runs"]} == {"done"}
    assert sql("verify").code == 0
    assert sql("replay", "--all").code == 0
    assert sql("answer", "r-3", "--text", "x").code == 2, "its files are remembered now"


def test_no_more_than_so_many_at_once(sql: Desk) -> None:
    left_at_work(sql, ["a", "b", "c"])
    began = time.monotonic()
    assert sql("resume", "--all", "--at-once", "1", *WORKING, "--option", "slow=0.15").code == 0
    assert time.monotonic() - began > 3 * 0.15
    assert sql("resume", "--all", "--at-once", "0").code == 2


def test_runs_of_several_workflows_each_with_their_own(sql: Desk) -> None:
    other = (sql.folder / FILE).read_text().replace("workflow: text_to_sql", "workflow: other_sql")
    sql.write(other__yaml=other)
    for name, file in (("a", FILE), ("b", "other.yaml"), ("c", FILE)):
        assert sql("run", file, "-i", "question=best", "--id", name).code == 3
    (sql.folder / "other.yaml").write_text("workflow: [")
    told = sql("resume", "--all", "--json")
    assert told.code == 2
    assert [(each["run"], "error" in each) for each in told.json["runs"]] == [("a", False), ("b", True), ("c", False)]
    (sql.folder / "other.yaml").write_text(other)
    told = sql("resume", "--all", "--json")
    assert (told.code, [each["status"] for each in told.json["runs"]]) == (3, ["waiting"] * 3)


@pytest.mark.parametrize("as_json", [True, False])
def test_what_a_living_process_works_on_is_skipped_by_name(sql: Desk, as_json: bool) -> None:
    left_at_work(sql, ["mine", "free"])
    journal = SqliteJournal(sql.folder / "stepladder.db")
    journal.enroll(new_owner("somebody"))
    journal.claim("mine", "somebody")
    told = sql("resume", "--all", *WORKING, *(["--json"] if as_json else []))
    assert told.code == 0
    assert "run 'mine': is being worked on by process" in told.err
    if as_json:
        assert [("skipped" in each, each["run"]) for each in told.json["runs"]] == [(True, "mine"), (False, "free")]
    assert ends(sql) == {"mine": "working", "free": "done"}
    gone("somebody")  # it died, and did not say so
    assert sql("resume", "--all", *WORKING).code == 0
    assert set(ends(sql).values()) == {"done"}
    journal.close()


def test_lone_decisions_are_left_alone_and_a_failure_is_told(sql: Desk) -> None:
    left_at_work(sql, ["a"])

    async def body() -> None:
        async with DecisionPoint(
            "next",
            signals={},
            rules=[rule("GO"), rule("STAY")],
            mode="llm",
            rungs={"person": Rung("person")},
            routes={"complex": Route(("person",))},
            journal=sql.folder / "stepladder.db",
        ) as point:
            assert (await point.decide({}, legal=["GO", "STAY"], decision_id="alone")).waiting

    asyncio.run(body())
    told = sql("resume", "--all", *WORKING, "--option", "fail=9", "--json")
    assert (told.code, [(each["run"], each["success"]) for each in told.json["runs"]]) == (1, [("a", False)])


def started(*args: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*START, *args], env=environment, text=True, **pipes)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_lets_what_is_in_flight_come_to_its_end(sql: Desk, number: signal.Signals, code: int) -> None:
    names = [f"r-{number}" for number in range(6)]
    left_at_work(sql, names)
    child = started("resume", "--all", "--at-once", "2", *WORKING, "--option", "slow=2", "--json")
    resumed = 0
    end = time.monotonic() + 20
    while resumed < 2 and time.monotonic() < end:
        time.sleep(0.05)
        journal = SqliteJournal(sql.folder / "stepladder.db")
        resumed = sum(len(journal.turns(name)) > 1 for name in names)
        journal.close()
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (code, "")
    assert json.loads(err)["error"]["message"].startswith("stopped, with 6 runs left; go on with: stepladder resume")
    kinds = {name: [each["kind"] for each in sql.json("show", name, "--entries")["entries"]] for name in names}
    assert [kinds[name].count("agent_returned") for name in names] == [1, 1, 0, 0, 0, 0]
    assert [kinds[name].count("run_resumed") for name in names] == [1, 1, 0, 0, 0, 0]
    assert sql("resume", "--all", *WORKING, "--option", "slow=0").code == 0
    assert sql("verify").code == 0


def test_a_second_signal_cuts_off(sql: Desk) -> None:
    left_at_work(sql, ["a"])
    child = started("resume", "--all", *WORKING, "--option", "slow=60")
    journal, end = SqliteJournal(sql.folder / "stepladder.db"), time.monotonic() + 20
    while len(journal.turns("a")) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    began = time.monotonic()
    child.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=30)
    assert (child.returncode, time.monotonic() - began < 8) == (143, True)
    assert "stopped, with 1 run left" in err
    journal.close()
    assert sql("resume", "a", *WORKING).code == 0


def test_many_notes_are_read_once(sql: Desk) -> None:
    left_at_work(sql, [f"r-{number}" for number in range(5)])
    with Path("stepladder.db.started.jsonl").open("a") as notes:
        for number in range(5_000):
            said = {"run": f"x-{number}", "workflow": "gone.yaml", "agents": None, "options": {}, "base_url": ""}
            notes.write(json.dumps(said) + "\n")
    began = time.monotonic()
    assert sql("resume", "--all", *WORKING).code == 0
    assert time.monotonic() - began < 3
