"""The local driver: time, retries, late results, listeners, and many runs at once; all on a manual clock."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import AgentCall, AgentResult, ManualClock
from stepladder.errors import JournalError, StepladderError
from stepladder.events import AgentFailed, AgentReturned, TimePassed
from stepladder.journal import MemoryJournal, Turn, entries_in
from stepladder.record import Settled
from tests.drivers.desk import ONE, TALK, go, of, one, turns, until, workflow

SLOW = {"phases": {"work": {"steps": {"working": {"timeout_s": 10}}}}}
RETRIED = {"phases": {"work": {"steps": {"working": {"timeout_s": 10, "retry": {"attempts": 3, "backoff_s": 4}}}}}}


class Calls:
    """An agent that notes when it is called, and does what the script says: an output, an error, or "hang"."""

    def __init__(self, clock: ManualClock, *script: Any) -> None:
        self.clock, self.script, self.at, self.keys = clock, list(script), list[float](), list[str]()
        self.attempts: list[int] = []
        self.cancelled = 0

    async def __call__(self, x: Any, call: AgentCall) -> Any:
        self.at.append(self.clock.now() - 1_700_000_000.0)
        self.keys.append(call.key)
        self.attempts.append(call.attempt)
        said = self.script.pop(0)
        if said == "hang":
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if isinstance(said, Exception):
            raise said
        return said


async def moved(clock: ManualClock, work: asyncio.Task[Any], step_s: float = 1.0) -> Any:
    """The result, with the clock moved on whenever nothing else can happen."""
    while not work.done():
        await turns()
        if clock.next_at is not None and not work.done():
            clock.move(min(step_s, max(0.0, clock.next_at - clock.now()) or step_s))
    return await work


def timed(changes: dict[str, Any], *script: Any) -> tuple[Any, Calls, float]:
    clock = ManualClock()
    calls = Calls(clock, *script)

    async def body() -> Any:
        return await moved(clock, asyncio.create_task(one(calls, changes=changes, clock=clock)))

    return go(body()), calls, clock.now() - 1_700_000_000.0


def test_a_timeout_cuts_an_agent_off() -> None:
    run, calls, seconds = timed(SLOW, "hang")
    assert (run.end, run.output["returned"], seconds) == ("failed", "late", 10.0)
    assert calls.cancelled == 1
    assert of(run, TimePassed) == [TimePassed(1_700_000_010.0, 1)]


def test_no_timeout_no_alarm() -> None:
    clock = ManualClock()

    async def body() -> None:
        calls = Calls(clock, {"a": 1})
        assert (await one(calls, clock=clock)).success
        assert clock.next_at is None

    go(body())


def test_retries_pause_twice_as_long_each_time_under_the_same_key() -> None:
    run, calls, _ = timed(RETRIED, ValueError("1"), ValueError("2"), {"a": 3})
    assert run.success
    assert calls.at == [0.0, 4.0, 12.0]
    assert calls.attempts == [1, 2, 3]
    assert len(set(calls.keys)) == 1


def test_spent_retries_are_a_failure_that_the_rules_see() -> None:
    run, _, _ = timed(RETRIED, ValueError("1"), ValueError("2"), ValueError("3"))
    assert (run.end, run.output["error"]) == ("failed", "3")
    assert [failed.attempt for failed in of(run, AgentFailed)] == [1, 2, 3]
    assert len(of(run, Settled)) == 1, "an attempt is no decision"


def test_each_attempt_has_its_own_timeout() -> None:
    run, calls, _ = timed(RETRIED, "hang", "hang", {"a": 1})
    assert run.success
    assert calls.at == [0.0, 14.0, 32.0]
    assert [(passed.at - 1_700_000_000.0, passed.attempt) for passed in of(run, TimePassed)] == [(10.0, 1), (24.0, 2)]


def test_a_result_that_does_not_fit_is_tried_again_too() -> None:
    run, calls, _ = timed({**RETRIED, "agents": {"worker": {"output": {"a": "integer"}}}}, {"a": "x"}, {"a": 1})
    assert run.success
    assert calls.attempts == [1, 2]


# --- what comes back late


class Stuck:
    """A synchronous agent that comes back when it is let go."""

    def __init__(self, result: Any, *then: Any) -> None:
        self.results, self.let_go, self.calls = [result, *then], threading.Event(), 0

    def __call__(self, x: Any) -> Any:
        result, self.calls = self.results[self.calls], self.calls + 1
        if self.calls == 1:
            assert self.let_go.wait(10)
        if isinstance(result, Exception):
            raise result
        return result


def test_a_sync_agent_that_comes_back_late_is_journaled_its_cost_counted_and_nothing_else() -> None:
    clock, stuck = ManualClock(), Stuck(AgentResult({"a": 1}, 100, 10, 0.5))

    async def body() -> None:
        async with Orchestrator(workflow(ONE, SLOW), agents={"worker": stuck}, clock=clock) as orchestrator:
            running = asyncio.create_task(orchestrator.run({"x": 1}, run_id="run"))
            await until(lambda: stuck.calls)
            clock.move(10.0)
            run = await running
            assert (run.end, run.usd) == ("failed", 0.0)
            stuck.let_go.set()
            await until(lambda: orchestrator.get("run").usd)
            late = orchestrator.get("run")
            assert late.usd == 0.5
            assert isinstance(late.entries[-1], AgentReturned)
            assert late.state.last == run.state.last
            assert late.state.results == {}
            assert late.end == "failed"
            assert orchestrator.replay("run").divergence is None

    go(body())


def test_a_late_failure_is_journaled_too() -> None:
    clock, stuck = ManualClock(), Stuck(ValueError("too late"))

    async def body() -> None:
        async with Orchestrator(workflow(ONE, SLOW), agents={"worker": stuck}, clock=clock) as orchestrator:
            running = asyncio.create_task(orchestrator.run({"x": 1}, run_id="run"))
            await until(lambda: stuck.calls)
            clock.move(10.0)
            run = await running
            stuck.let_go.set()
            await until(lambda: len(orchestrator.get("run").entries) > len(run.entries))
            late = orchestrator.get("run").entries[-1]
            assert isinstance(late, AgentFailed)
            assert late.error == "too late"

    go(body())


def test_a_late_first_attempt_answers_the_call_that_waits_for_its_second() -> None:
    """It is the same call under the same key; the second attempt is not made, or cut off."""
    clock, stuck = ManualClock(), Stuck({"a": "first"}, {"a": "second"})

    async def body() -> None:
        async with Orchestrator(workflow(ONE, RETRIED), agents={"worker": stuck}, clock=clock) as orchestrator:
            running = asyncio.create_task(orchestrator.run({"x": 1}, run_id="run"))
            await until(lambda: stuck.calls)
            clock.move(10.0)  # late; the second attempt begins 4 seconds later
            await turns()
            stuck.let_go.set()
            run = await running
            assert run.output == {"made": {"a": "first"}}
            assert stuck.calls == 1
            assert orchestrator.replay("run").divergence is None

    go(body())


def test_an_async_agent_that_refuses_to_be_cut_off_lands_late() -> None:
    clock = ManualClock()
    refused = asyncio.Event()

    async def stubborn(x: Any) -> Any:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            refused.set()
            await asyncio.sleep(0.01)
        return AgentResult({"a": 1}, cost_usd=0.25)

    async def body() -> None:
        async with Orchestrator(workflow(ONE, SLOW), agents={"worker": stubborn}, clock=clock) as orchestrator:
            running = asyncio.create_task(orchestrator.run({"x": 1}, run_id="run"))
            await turns()
            clock.move(10.0)
            run = await running
            assert run.end == "failed"
            gc.collect()
            await until(lambda: orchestrator.get("run").usd == 0.25)
            assert refused.is_set()

    go(body())


def test_a_result_between_the_deadline_and_its_ringing_counts() -> None:
    """The journal's order decides, not the clock's."""
    clock = ManualClock()

    async def agent(x: Any) -> Any:
        clock.move(11.0)  # rings; and the result is posted in the same turn of the loop
        return {"a": 1}

    run = go(one(agent, changes=SLOW, clock=clock))
    assert run.success


# --- listeners


def test_a_listener_that_raises_is_reported_and_the_run_goes_on() -> None:
    reported: list[dict[str, Any]] = []
    heard: list[str] = []

    def listener(run: Any, entries: Any) -> None:
        heard.append(run.status)
        raise RuntimeError("the telemetry is down")

    async def body() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        run = await one(lambda x: {"a": 1}, listen=listener)
        assert run.success

    go(body())
    assert heard == ["working", "ended"]
    assert [str(context["exception"]) for context in reported] == ["the telemetry is down"] * 2
    assert "run 'run'" in reported[0]["message"]


def test_a_listener_sees_what_is_durable_already() -> None:
    journal = MemoryJournal()

    def listener(run: Any, entries: Any) -> None:
        written = entries_in(journal.turns(run.id))
        assert tuple(written[-len(entries) :]) == tuple(entries)

    failures: list[Any] = []

    async def body() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        await one(lambda x: {"a": 1}, journal=journal, listen=listener)

    go(body())
    assert failures == []


# --- many at once


def test_two_hundred_runs_at_once() -> None:
    clock = ManualClock()

    async def writer(topic: str, notes: Any) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        return {"text": topic}

    def printer(text: str, note: Any) -> dict[str, Any]:
        return {"sheets": len(text)}

    async def whole(orchestrator: Orchestrator, name: str) -> Any:
        run = await orchestrator.run({"topic": name}, run_id=name)
        assert run.waiting.about == "question"
        run = await orchestrator.answer(name, {"text": f"notes on {name}"})
        assert run.waiting.about == "message"
        return await orchestrator.send(name, "released", {"by": name})

    async def body() -> None:
        agents = {"writer": writer, "printer": printer}
        async with Orchestrator(workflow(TALK), agents=agents, clock=clock) as orchestrator:
            work = asyncio.gather(*(whole(orchestrator, f"run {number}") for number in range(200)))
            while not work.done():
                await asyncio.sleep(0.005)
                if clock.next_at is not None and all(row.waiting == "time" for row in orchestrator.runs(200)):
                    clock.move(60.0)
            for run in await work:
                assert run.output == {"sheets": len(run.id), "text": run.id, "notes": [f"notes on {run.id}"]}
                assert orchestrator.replay(run.id).divergence is None
            await turns()
            assert orchestrator._runs._runners == {}

    go(body())


# --- a clock that goes wrong


def test_a_clock_that_goes_backwards_costs_no_time_and_breaks_nothing() -> None:
    clock = ManualClock()

    async def agent(x: Any) -> Any:
        clock.move(-3600.0)
        return {"a": 1}

    run = go(one(agent, changes=SLOW, clock=clock))
    assert run.success
    (returned,) = of(run, AgentReturned)
    assert returned.elapsed_s == 0.0
    assert run.state.working_s == 0.0
    assert run.state.now == 1_700_000_000.0


def test_a_clock_that_jumps_forward_makes_what_is_overdue_late_once() -> None:
    run, _, _ = timed(RETRIED, "hang", {"a": 1})
    assert run.success
    assert len(of(run, TimePassed)) == 1


# --- what happens when the journal fails


class Failing(MemoryJournal):
    """Refuses the turn that it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.refuse_from = 10_000

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        if any(turn.seq >= self.refuse_from for turn in turns):
            raise JournalError(self.name, "a full disk", "room")
        return super().write(turns)


def test_a_journal_that_cannot_write_stops_the_run_loudly_and_it_is_resumed_later() -> None:
    journal, keys = Failing(), list[str]()

    async def agent(x: Any, call: AgentCall) -> dict[str, Any]:
        keys.append(call.key)
        return {"a": 1}

    async def body() -> None:
        journal.refuse_from = 2
        async with Orchestrator(workflow(ONE), agents={"worker": agent}, journal=journal) as orchestrator:
            for _ in range(2):
                with pytest.raises(JournalError, match="a full disk"):
                    await orchestrator.run({"x": 1}, run_id="run")
            assert orchestrator._runs._runners == {}
            assert keys == keys[:1], "the resumption could not be written, so nothing was called again"
            journal.refuse_from = 10_000
            run = await orchestrator.run({"x": 1}, run_id="run")
            assert run.success
            assert orchestrator.replay("run").divergence is None

    go(body())
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_what_else_is_in_flight_is_cut_off_when_the_journal_fails() -> None:
    """A runner that could not append writes nothing any more."""
    journal, clock = Failing(), ManualClock()
    stuck = Stuck({"a": 1})

    async def body() -> None:
        async with Orchestrator(
            workflow(ONE, RETRIED), agents={"worker": stuck}, journal=journal, clock=clock
        ) as orchestrator:
            running = asyncio.create_task(orchestrator.run({"x": 1}, run_id="run"))
            await until(lambda: stuck.calls)
            journal.refuse_from = 2
            clock.move(10.0)
            with pytest.raises(JournalError):
                await running
            journal.refuse_from = 10_000
            before = len(orchestrator.get("run").entries)
            stuck.let_go.set()
            await asyncio.sleep(0.02)
            assert len(orchestrator.get("run").entries) == before

    go(body())


def test_a_run_that_has_ended_is_forgotten() -> None:
    async def body() -> None:
        async with Orchestrator(workflow(ONE), agents={"worker": lambda x: {}}) as orchestrator:
            await orchestrator.start({"x": 1}, run_id="run")
            runner = weakref.ref(orchestrator._runs._runners["run"])
            await until(lambda: orchestrator.get("run").status == "ended")
            await turns()
            gc.collect()
            assert orchestrator._runs._runners == {}
            assert runner() is None

    go(body())
