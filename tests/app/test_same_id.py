"""The same id is the same run: now, later, at once, after its end, and from two processes."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import ManualClock
from stepladder.errors import RunConflict, RunOwned, WrongDefinition
from stepladder.events import RunResumed
from stepladder.journal import LEASE_S
from stepladder.journal.sqlite import SqliteJournal
from tests.app.cast import OWLS, Cast, talk
from tests.drivers.desk import ONE, TALK, go, of, turns, until, workflow


def test_the_same_input_is_the_same_run() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            first = await orchestrator.run(OWLS, run_id="r")
            for again in (await orchestrator.run(OWLS, run_id="r"), await orchestrator.start(OWLS, run_id="r")):
                assert again.entries == first.entries
            assert cast.count("writer") == 1

    go(body())


def test_another_input_is_a_conflict() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            await orchestrator.run(OWLS, run_id="r")
            for verb in (orchestrator.run, orchestrator.start):
                with pytest.raises(RunConflict, match="another input; choose another id") as caught:
                    await verb({"topic": "bats"}, run_id="r")
                assert caught.value.run_id == "r"
            with pytest.raises(RunConflict):
                async with orchestrator.stream({"topic": "bats"}, run_id="r"):
                    pass
            assert orchestrator._runs._streams == {}
            assert cast.count("writer") == 1

    go(body())


def test_at_once_they_are_one_run() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            found = await asyncio.gather(*(orchestrator.run(OWLS, run_id="r") for _ in range(20)))
            assert {run.status for run in found} == {"waiting"}
            assert cast.count("writer") == 1
            mixed = await asyncio.gather(
                *(orchestrator.run({"topic": topic}, run_id="s") for topic in ("a", "b")), return_exceptions=True
            )
            assert isinstance(mixed[1], RunConflict)

    go(body())


def test_after_its_end_it_is_found_as_it_ended() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.failing = [ValueError("x")]
            ended = await orchestrator.run(OWLS, run_id="r")
            again = await orchestrator.run(OWLS, run_id="r")
            assert (again.end, again.entries) == ("dropped", ended.entries)
            assert cast.count("writer") == 1

    go(body())


def test_defaults_and_secrets_belong_to_the_input() -> None:
    changes = {"input": {"topic": "string", "size": {"type": "integer", "default": 3}}}

    async def body() -> None:
        async with talk(changes=changes, secrets={"S": "a-known-secret"}) as (orchestrator, cast, _):
            given = {"topic": "a-known-secret"}
            await orchestrator.run(given, run_id="r")
            await orchestrator.run({**given, "size": 3}, run_id="r")
            with pytest.raises(RunConflict):
                await orchestrator.run({**given, "size": 4}, run_id="r")
            assert cast.count("writer") == 1

    go(body())


def test_a_later_process_takes_it_up_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talk(journal=file) as (orchestrator, first, _):
            await orchestrator.run(OWLS, run_id="r")
        async with talk(journal=file) as (orchestrator, second, _):
            run = await orchestrator.run(OWLS, run_id="r")
            assert (run.status, run.waiting and run.waiting.about) == ("waiting", "question")
            assert (first.count("writer"), second.count("writer")) == (1, 0)
            assert of(run, RunResumed) == []
            assert (await orchestrator.answer("r", {"text": "a"})).step == "embargo"
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_the_id_of_another_workflow(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talk(journal=file) as (orchestrator, _, _clock):
            await orchestrator.run(OWLS, run_id="r")
        async with Orchestrator(workflow(ONE), agents={"worker": dict}, journal=file) as other:
            for verb in (other.wait, other.cancel, other.retry, other.resume):
                with pytest.raises(WrongDefinition, match="pinned to workflow talk"):
                    await verb("r")
            with pytest.raises(WrongDefinition):
                await other.run({"x": 1}, run_id="r")
            for look in (other.get, other.replay):
                with pytest.raises(WrongDefinition):
                    look("r")
            assert other.runs() == []
            assert other._runs._runners == {}

    go(body())


def test_a_changed_workflow_is_not_the_one_it_is_pinned_to(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    changes = {"phases": {"work": {"steps": {"cooling": {"wait": {"seconds": 61}}}}}}

    async def body() -> None:
        async with talk(journal=file) as (orchestrator, _, _clock):
            before = (await orchestrator.run(OWLS, run_id="r")).entries
        async with talk(journal=file, changes=changes) as (orchestrator, _, _clock):
            with pytest.raises(WrongDefinition) as caught:
                await orchestrator.resume("r")
            assert workflow(TALK).hash in str(caught.value)
            assert workflow(TALK, changes).hash in str(caught.value)
        async with talk(journal=file) as (orchestrator, _, _clock):
            assert orchestrator.get("r").entries == before

    go(body())


def test_two_handles_on_one_file_take_turns(tmp_path: Path) -> None:
    """What one process does the other sees, and the chain of digests holds."""
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talk(journal=file) as (first, cast, _), talk(journal=file) as (second, other, _clock):
            await first.run(OWLS, run_id="r")
            await second.answer("r", {"text": "a"})
            run = await first.cancel("r")
            assert run.end == "cancelled"
            assert (cast.count("writer"), other.count("writer")) == (1, 1)
            assert second.get("r").end == "cancelled"
            assert first.replay("r").divergence is None
            assert second.replay("r").divergence is None

    go(body())


def test_a_run_at_work_elsewhere_is_refused_by_name_and_takes_what_is_put(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talk(journal=file) as (first, cast, _), talk(journal=file) as (second, other, _clock):
            cast.let_go.clear()
            working = asyncio.create_task(first.run(OWLS, run_id="r"))
            await until(lambda: cast.called)
            for verb in (second.resume("r"), second.wait("r"), second.run(OWLS, run_id="r")):
                with pytest.raises(RunOwned, match=f"process {os.getpid()} on"):
                    await verb
            cancelled = await second.cancel("r", reason="enough")
            assert cancelled.status == "working", "the process that has it takes it"
            assert (await working).end == "cancelled"
            assert other.called == []
            assert second.replay("r").divergence is None

    go(body())


def test_whoever_gave_no_sign_for_a_lease_is_overtaken_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    late = SqliteJournal(file, now=lambda: time.time() + LEASE_S + 1)

    async def body() -> None:
        async with talk(journal=file) as (first, cast, _), talk(journal=late) as (second, _, _clock):
            cast.let_go.clear()
            working = asyncio.create_task(first.run(OWLS, run_id="r"))
            await until(lambda: cast.called)
            run = await second.resume("r")
            assert run.status == "waiting"
            cast.let_go.set()
            with pytest.raises(RunConflict, match="another process"):
                await working
            assert first._runs._runners == {}
            assert first.get("r").entries == run.entries
            assert (await first.answer("r", {"text": "a"})).step == "embargo", "it looks again and goes on"
            assert second.replay("r").divergence is None

    go(body())
    late.close()


def test_a_deadline_that_another_process_has_overtaken_is_left_to_it(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with talk(journal=file) as (first, _, clock), talk(journal=file) as (second, cast, _clock):
            await first.run(OWLS, run_id="r")
            cast.let_go.clear()
            answering = asyncio.create_task(second.answer("r", {"text": "a"}))
            await until(lambda: cast.called)
            clock.move(600.0)
            await turns()
            assert first._runs._runners == {}
            cast.let_go.set()
            assert (await answering).step == "embargo"
            assert second.replay("r").divergence is None
        assert failures == []

    go(body())


def test_a_run_at_rest_belongs_to_nobody_though_an_agent_of_it_still_hangs(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    let_go, calls = threading.Event(), itertools.count()

    def writer(**_: Any) -> dict[str, Any]:
        if next(calls) == 0:
            assert let_go.wait(10)
        return {"text": "t"}

    drafting = {"timeout_s": 5, "retry": {"attempts": 2, "backoff_s": 0}}
    changes = {"phases": {"work": {"steps": {"drafting": drafting}}}}
    agents = {"writer": writer, "printer": Cast().printer}

    async def body() -> None:
        clock = ManualClock()
        first = Orchestrator(workflow(TALK, changes), agents=agents, journal=file, clock=clock)
        async with first, talk(journal=file, changes=changes) as (second, _, _clock):
            await first.start(OWLS, run_id="r")
            await until(lambda: first.get("r").waiting, clock, 1.0)
            first.journal.put("r", "message", {"name": "early", "payload": {}}, 0.0)
            await first.resume("r")
            assert not first._runs._runners["r"].idle
            assert (await second.answer("r", {"text": "a"})).state.taken["REVISE"] == 1
            let_go.set()

    go(body())


SAME = """
import asyncio, sys, time
from pathlib import Path
from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.errors import RunConflict
from tests.drivers.desk import ONE, workflow

file, keys, at = sys.argv[1:]

async def worker(x, call):
    with open(keys, "a") as lines:
        lines.write(call.key + "\\n")
    await asyncio.sleep(0.05)
    return {}

async def main():
    async with Orchestrator(workflow(ONE), agents={"worker": worker}, journal=file) as orchestrator:
        time.sleep(max(0.0, float(at) - time.time()))
        try:
            print((await orchestrator.run({"x": 1}, run_id="r")).end)
        except RunConflict:
            print("conflict")

asyncio.run(main())
"""


def test_two_processes_with_the_same_id_at_once(tmp_path: Path) -> None:
    file, keys = tmp_path / "runs.db", tmp_path / "keys"
    SqliteJournal(file).close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SAME, str(file), str(keys), str(time.time() + 1.5)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for _ in "ab"
    ]
    said = sorted(each.communicate(timeout=30)[0].strip() for each in both)
    assert said in (["conflict", "done"], ["done", "done"]), said
    assert len(set(keys.read_text().split())) == 1, "the same call, under the same key"

    async def body() -> None:
        async with Orchestrator(workflow(ONE), agents={"worker": dict}, journal=file) as orchestrator:
            assert orchestrator.get("r").end == "done"
            assert orchestrator.replay("r").divergence is None

    go(body())
