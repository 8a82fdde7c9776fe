"""Many runs in one process: places for so many at once, first come first served, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import AgentCall, Runner
from stepladder.errors import Draining
from stepladder.journal import MemoryJournal
from stepladder.journal.sqlite import SqliteJournal
from tests.drivers.desk import ONE, TALK, go, turns, until, workflow


class Counted:
    """An agent that waits until it is let go, and knows how many were in it at once."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.inside = self.most = 0
        self.began: list[int] = []
        self.keys: list[str] = []

    async def __call__(self, x: int, call: AgentCall) -> dict[str, Any]:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.began.append(x)
        self.keys.append(call.key)
        try:
            await self.let_go.wait()
        finally:
            self.inside -= 1
        return {"a": x}


def test_so_many_at_once_and_first_come_first_served() -> None:
    async def body() -> None:
        agent = Counted()
        async with Orchestrator(workflow(ONE), agents={"worker": agent}, at_once=3) as orchestrator:
            running = [asyncio.create_task(orchestrator.run({"x": number}, run_id=str(number))) for number in range(10)]
            await turns(50)
            assert agent.began == [0, 1, 2]
            assert [row.run_id for row in orchestrator.runs()] == ["2", "1", "0"], "nobody else has begun"
            agent.let_go.set()
            assert all(run.success for run in await asyncio.gather(*running))
            assert (agent.most, agent.began) == (3, list(range(10)))

    go(body())


def test_a_run_that_waits_for_a_person_leaves_its_place() -> None:
    async def body() -> None:
        agents = {name: lambda **_: {} for name in workflow(TALK).definition.agents}
        async with Orchestrator(workflow(TALK), agents=agents, at_once=1) as orchestrator:
            runs = [await orchestrator.run({"topic": "owls"}) for _ in range(3)]
            assert [run.status for run in runs] == ["waiting"] * 3

    go(body())


def test_whoever_no_longer_waits_for_a_place_takes_none() -> None:
    async def body() -> None:
        agent = Counted()
        async with Orchestrator(workflow(ONE), agents={"worker": agent}, at_once=1) as orchestrator:
            first, gone, last = [asyncio.create_task(orchestrator.run({"x": number})) for number in range(3)]
            await turns(50)
            gone.cancel()
            await turns(5)
            agent.let_go.set()
            assert (await first).success
            assert (await last).success
            assert agent.began == [0, 2]

    go(body())


def test_closing_tells_whoever_waits_for_a_place() -> None:
    async def body() -> None:
        agent = Counted()
        orchestrator = Orchestrator(workflow(ONE), agents={"worker": agent}, at_once=1)
        first, second = [asyncio.create_task(orchestrator.run({"x": number})) for number in range(2)]
        await turns(50)
        await orchestrator.close()
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(Draining):
            await second

    go(body())


def test_draining_lets_what_is_in_flight_end_and_begins_nothing(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"

    async def body() -> None:
        agent = Counted()
        orchestrator = Orchestrator(workflow(ONE), agents={"worker": agent}, journal=file)
        running = [asyncio.create_task(orchestrator.run({"x": number}, run_id=str(number))) for number in range(40)]
        await until(lambda: agent.inside == 40)
        draining = asyncio.create_task(orchestrator.drain())
        await turns(5)
        with pytest.raises(Draining):
            await orchestrator.run({"x": 99}, run_id="late")
        agent.let_go.set()
        assert await draining is True
        await orchestrator.close()
        await asyncio.gather(*running, return_exceptions=True)
        keys = list(agent.keys)
        async with Orchestrator(workflow(ONE), agents={"worker": agent}, journal=file) as later:
            assert [later.get(str(number)).state.last for number in range(40)] == [
                {"a": number} for number in range(40)
            ]
            for number in range(40):
                assert (await later.resume(str(number))).success
        assert agent.keys == keys, "nothing was called again"

    go(body())


TWO = (
    ONE.replace("with: {x: input.x}}", "with: {x: input.x}}, again: {agent: worker, as: more, with: {x: input.x}}")
    .replace("FINISH:  {from: working,", "GO_ON: {from: working, to: again}\n  FINISH:  {from: again,")
    .replace("GIVE_UP: {from: working,", "GIVE_UP: {from: again,")
    .replace("  working:\n    finish", "  working:\n    go_on: {do: GO_ON, because: go on}\n  again:\n    finish")
)


def test_while_it_drains_nobody_turns_in_circles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is begun no more is not waited for with an alarm that rings again and again."""
    rung = 0
    come_back = Runner._come_back

    def counted(self: Runner) -> None:
        nonlocal rung
        rung += 1
        come_back(self)

    monkeypatch.setattr(Runner, "_come_back", counted)

    async def body() -> None:
        agent = Counted()
        orchestrator = Orchestrator(workflow(TWO), agents={"worker": agent})
        running = asyncio.create_task(orchestrator.run({"x": 1}, run_id="r"))
        await until(lambda: agent.inside)
        draining = asyncio.create_task(orchestrator.drain())
        await turns(5)
        agent.let_go.set()
        assert await draining is True
        await asyncio.sleep(0.05)
        assert orchestrator.get("r").state.step == "again"
        assert rung == 0
        await orchestrator.close()
        await asyncio.gather(running, return_exceptions=True)
        assert len(agent.keys) == 1

    go(body())


def test_draining_gives_up_in_time() -> None:
    async def body() -> None:
        agent = Counted()
        journal = MemoryJournal()
        orchestrator = Orchestrator(workflow(ONE), agents={"worker": agent}, journal=journal)
        running = asyncio.create_task(orchestrator.run({"x": 1}, run_id="r"))
        await until(lambda: agent.inside)
        assert await orchestrator.drain(within_s=0.05) is False
        await orchestrator.close()
        await asyncio.gather(running, return_exceptions=True)
        agent.let_go.set()
        async with Orchestrator(workflow(ONE), agents={"worker": agent}, journal=journal) as later:
            assert (await later.resume("r")).success
        assert len(set(agent.keys)) == 1

    go(body())


def test_a_thousand_runs_at_once_end_each_by_itself(tmp_path: Path) -> None:
    async def body() -> None:
        agent = Counted()
        journal = SqliteJournal(tmp_path / "runs.db", synchronous="normal")
        async with Orchestrator(workflow(ONE), agents={"worker": agent}, journal=journal) as orchestrator:
            running = [asyncio.create_task(orchestrator.run({"x": number})) for number in range(1000)]
            await until(lambda: agent.inside == 1000)
            agent.let_go.set()
            runs = await asyncio.gather(*running)
            assert [run.state.last["a"] for run in runs] == list(range(1000))
            assert all(turn.intact for run in runs[::100] for turn in journal.turns(run.id))
            assert len(orchestrator._runs) == 0
        journal.close()

    go(body())
