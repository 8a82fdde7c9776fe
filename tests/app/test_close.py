"""Closing, and what is left: a run that another process can take up."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import ManualClock
from stepladder.events import RunResumed, TimePassed
from tests.app.cast import OWLS, talk
from tests.app.test_verbs import to_agent, to_doubt, to_message, to_question, to_time
from tests.drivers.desk import ONE, TALK, go, of, turns, until, workflow


@pytest.mark.parametrize("reach", [to_question, to_message, to_time, to_agent, to_doubt])
def test_close_leaves_a_run_resumable_wherever_it_is(tmp_path: Path, reach: Any) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        failures: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with talk(journal=file) as (orchestrator, cast, clock):
            await reach(orchestrator, cast, clock)
            before = orchestrator.get("r").entries
        clock.move(10_000.0)  # an alarm that was left would ring now
        await turns()
        assert failures == []
        assert orchestrator._runs._runners == {}
        async with talk(journal=file, clock=ManualClock(clock.now())) as (later, other, now):
            assert later.get("r").entries == before
            waiting = asyncio.create_task(later.resume("r"))
            await turns()
            now.move(60.0)
            run = await waiting
            assert run.step in {"asking", "embargo", "printing"}
            assert later.replay("r").divergence is None
            assert len(of(run, RunResumed)) == (reach in (to_agent,))
            assert other.count("printer") == (reach is to_time)

    go(body())


def test_whoever_waits_when_it_is_closed_is_cancelled() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.let_go.clear()
            running = asyncio.create_task(orchestrator.run(OWLS, run_id="r"))
            await until(lambda: cast.called)
        assert cast.cancelled == ["writer"]
        with pytest.raises(asyncio.CancelledError):
            await running

    go(body())


def test_close_does_not_wait_for_a_sync_agent_that_hangs() -> None:
    let_go, called = threading.Event(), threading.Event()

    def agent(x: Any) -> dict[str, Any]:
        called.set()
        let_go.wait(10)
        return {}

    async def body() -> None:
        async with Orchestrator(workflow(ONE), agents={"worker": agent}) as orchestrator:
            await orchestrator.start({"x": 1}, run_id="r")
            await until(called.is_set)
        assert not let_go.is_set()

    go(body(), seconds=3.0)
    let_go.set()


def test_close_waits_for_agents_that_tidy_up() -> None:
    tidied: list[str] = []
    called: list[str] = []

    async def agent(x: Any) -> dict[str, Any]:
        called.append(x)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            tidied.append(x)
        return {}

    async def body() -> None:
        async with Orchestrator(workflow(ONE), agents={"worker": agent}) as orchestrator:
            for name in ("a", "b", "c"):
                await orchestrator.start({"x": name}, run_id=name)
            await until(lambda: len(called) == 3)

    go(body())
    assert sorted(tidied) == ["a", "b", "c"]


def test_close_twice_and_after_nothing() -> None:
    async def body() -> None:
        orchestrator = Orchestrator(workflow(ONE), agents={"worker": dict})
        await orchestrator.close()
        await orchestrator.close()

    go(body())


def test_one_orchestrator_over_several_loops(tmp_path: Path) -> None:
    """As scripts use it: one asyncio.run for each verb."""
    clock = ManualClock()
    from tests.app.cast import Cast
    from tests.drivers.desk import TALK

    async def made() -> Orchestrator:
        return Orchestrator(workflow(TALK), agents=Cast().agents, clock=clock, journal=tmp_path / "runs.db")

    orchestrator = go(made())
    assert go(orchestrator.run(OWLS, run_id="r")).status == "waiting"
    assert go(orchestrator.answer("r", {"text": "a"})).step == "embargo"
    assert go(orchestrator.cancel("r")).end == "cancelled"
    go(orchestrator.close())


def test_a_deadline_that_passed_while_nobody_lived(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talk(journal=file) as (orchestrator, _, clock):
            await orchestrator.run(OWLS, run_id="r")
        async with talk(journal=file, clock=ManualClock(clock.now() + 601.0)) as (later, _, _clock):
            run = await later.resume("r")
            assert run.step == "embargo"
            assert len(of(run, TimePassed)) == 1
            assert run.state.working_s == 0.0

    go(body())


def test_an_answer_that_was_kept_comes_before_a_deadline_that_passed_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        async with talk(journal=file) as (orchestrator, _, clock):
            run = await orchestrator.run(OWLS, run_id="r")
            (asked,) = run.state.outstanding
            orchestrator.journal.put("r", "answer", {"command": asked, "value": {"text": "a"}, "by": ""}, clock.now())
        async with talk(journal=file, clock=ManualClock(clock.now() + 601.0)) as (later, cast, _):
            run = await later.resume("r")
            assert run.state.results["notes"] == {"text": "a"}
            assert cast.count("writer") == 1

    go(body())


def test_agents_that_can_be_closed_are_closed_whatever_one_of_them_raises() -> None:
    closed: list[str] = []

    class Closing:
        def __init__(self, name: str) -> None:
            self.name = name

        def __call__(self) -> dict[str, Any]:
            return {}

        async def aclose(self) -> None:
            closed.append(self.name)
            if self.name == "writer":
                raise OSError("it is stuck")

    agents = {name: Closing(name) for name in ("writer", "printer")}
    with pytest.raises(OSError, match="stuck"):
        go(Orchestrator(workflow(TALK), agents=agents).close())
    assert sorted(closed) == ["printer", "writer"]
