"""The verbs without await: from a plain thread, inside a running loop, from a sync agent, from many threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.sync import SyncOrchestrator
from stepladder.errors import InputError, RunConflict, RunEnded, RunNotFound, RunNotWaiting
from tests.drivers.desk import ONE, TALK, workflow

INSTANT = {"phases": {"work": {"steps": {"cooling": {"wait": {"seconds": 0.001}}}}}}


def writer(topic: str, notes: list[str] | None) -> dict[str, Any]:
    return {"text": f"on {topic}"}


async def printer(text: str, note: Any) -> dict[str, Any]:
    return {"sheets": 2}


def talking(**more: Any) -> SyncOrchestrator:
    return SyncOrchestrator(workflow(TALK, INSTANT), agents={"writer": writer, "printer": printer}, **more)


def whole(orchestrator: SyncOrchestrator, name: str) -> None:
    run = orchestrator.run({"topic": name}, run_id=name)
    assert run.waiting is not None
    assert run.waiting.about == "question"
    with pytest.raises(InputError):
        orchestrator.answer(name, {})
    assert orchestrator.answer(name, {"text": "a"}, by="ada").step == "embargo"
    with pytest.raises(RunNotWaiting):
        orchestrator.answer(name, {"text": "a"})
    run = orchestrator.send(name, "released", {"note": "n"})
    assert run.output == {"sheets": 2, "text": f"on {name}", "notes": ["a"]}
    assert orchestrator.outcome(name, success=True).entries[-1].success is True  # type: ignore[union-attr]
    assert orchestrator.get(name).end == "printed"
    assert orchestrator.wait(name).end == orchestrator.resume(name).end == "printed"
    assert orchestrator.replay(name).divergence is None
    with pytest.raises(RunEnded):
        orchestrator.cancel(name)
    with pytest.raises(RunEnded):
        orchestrator.retry(name)
    with pytest.raises(RunConflict):
        orchestrator.run({"topic": "other"}, run_id=name)


def test_every_verb() -> None:
    with talking() as orchestrator:
        whole(orchestrator, "owls")
        started = orchestrator.start({"topic": "bats"}, run_id="bats")
        assert started.id == "bats"
        assert orchestrator.wait("bats").status == "waiting"
        assert orchestrator.cancel("bats", reason="enough").end == "cancelled"
        assert orchestrator.retry("bats").status == "waiting"
        assert {row.run_id for row in orchestrator.runs()} == {"owls", "bats"}
        with pytest.raises(RunNotFound):
            orchestrator.get("no")


def test_inside_a_running_loop() -> None:
    async def body() -> None:
        with talking() as orchestrator:
            whole(orchestrator, "owls")

    asyncio.run(body())


def test_from_many_threads(tmp_path: Path) -> None:
    with talking(journal=tmp_path / "runs.db") as orchestrator, ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(whole, orchestrator, f"run {number}") for number in range(24)]:
            done.result()
        assert len(orchestrator.runs()) == 24


def test_a_sync_agent_may_use_it() -> None:
    """It runs in a thread of its own, so the loop is free for the inner run."""
    made: list[SyncOrchestrator] = []

    def agent(x: Any) -> dict[str, Any]:
        if x == 0:
            return {"inner": True}
        return {"got": made[0].run({"x": 0}, run_id="inner").end}

    with SyncOrchestrator(workflow(ONE), agents={"worker": agent}) as orchestrator:
        made.append(orchestrator)
        assert orchestrator.run({"x": 1}, run_id="outer").output == {"made": {"got": "done"}}


def test_an_async_agent_that_uses_it_is_told() -> None:
    made: list[SyncOrchestrator] = []

    async def agent(x: Any) -> dict[str, Any]:
        return {"got": made[0].run({"x": 0}).end}

    with SyncOrchestrator(workflow(ONE), agents={"worker": agent}) as orchestrator:
        made.append(orchestrator)
        output = orchestrator.run({"x": 1}).output
        assert output is not None
        assert "make that agent async" in output["error"]


def test_what_is_wrong_with_the_arguments_is_raised_at_once() -> None:
    before = threading.active_count()
    with pytest.raises(InputError):
        SyncOrchestrator(workflow(ONE))
    assert threading.active_count() == before


def test_close_ends_the_thread_and_may_be_called_twice() -> None:
    orchestrator = talking()
    orchestrator.run({"topic": "owls"})
    orchestrator.close()
    orchestrator.close()
    assert not orchestrator._thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        orchestrator.run({"topic": "owls"})


def test_close_cuts_off_what_is_in_flight(tmp_path: Path) -> None:
    called = threading.Event()

    async def hangs(x: Any) -> dict[str, Any]:
        called.set()
        await asyncio.sleep(60)
        return {}

    file = tmp_path / "runs.db"
    orchestrator = SyncOrchestrator(workflow(ONE), agents={"worker": hangs}, journal=file)
    orchestrator.start({"x": 1}, run_id="r")
    assert called.wait(5)
    orchestrator.close()
    with SyncOrchestrator(workflow(ONE), agents={"worker": dict}, journal=file) as later:
        assert later.resume("r").end == "done"


def test_an_agent_whose_thread_is_interrupted_does_not_end_the_loop() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt("mine")

    async def agent(x: Any) -> None:
        await asyncio.to_thread(interrupted)

    with SyncOrchestrator(workflow(ONE), agents={"worker": agent}) as orchestrator:
        run = orchestrator.run({"x": 1})
    assert (run.end, run.output["error_type"]) == ("failed", "KeyboardInterrupt")
