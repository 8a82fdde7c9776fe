"""The verbs, one after the other: what each does, and what it refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import ManualClock
from stepladder.errors import InputError, RunConflict, RunEnded, RunNotFound, RunNotWaiting
from stepladder.events import (
    AgentReturned,
    MessageReceived,
    OutcomeAttached,
    PersonAnswered,
    RunCancelled,
    RunResumed,
    RunRetried,
    RunStarted,
)
from stepladder.journal import MemoryJournal
from stepladder.record import Settled
from tests.app.cast import OWLS, Cast, talk
from tests.drivers.desk import ONE, go, of, path, turns, until, workflow


def test_a_whole_run_through_every_kind_of_wait() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, clock):
            run = await orchestrator.run(OWLS, run_id="r")
            assert (run.status, run.step, run.phase, run.success, run.output) == (
                "waiting",
                "asking",
                "work",
                None,
                None,
            )
            assert run.waiting is not None
            assert (run.waiting.about, run.waiting.question) == ("question", "What is missing?")
            assert run.waiting.deadline == clock.now() + 600
            run = await orchestrator.answer("r", {"text": "feathers"}, by="ada")
            assert run.waiting is not None
            assert (run.waiting.about, run.waiting.question) == ("message", "released")
            working = asyncio.create_task(orchestrator.send("r", "released", {"note": "by bob"}))
            await until(lambda: orchestrator.runs()[0].waiting == "time")
            clock.move(60.0)
            run = await working
            assert (run.status, run.end, run.success) == ("ended", "printed", True)
            assert run.output == {"sheets": 2, "text": "on owls, feathers", "notes": ["feathers"]}
            assert cast.called[-1] == ("printer", {"text": "on owls, feathers", "note": "by bob"})
            assert path(run) == ["ASK", "REVISE", "HOLD", "COOL", "PRINT", "FINISH"]
            assert orchestrator.replay("r").divergence is None
            assert orchestrator.replay("r").decisions == 6
            assert "decision 1 in drafting: ASK -> asking, by rule question" in run.explain()

    go(body())


def test_a_run_without_an_id_gets_one() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            first, second = await orchestrator.run(OWLS), await orchestrator.run(OWLS)
            assert first.id != second.id
            assert orchestrator.get(first.id).id == first.id

    go(body())


@pytest.mark.parametrize("run_id", ["", " a", "a ", "a\nb", "a\x00", "a" * 201, 3, b"a"])
def test_an_id_that_is_none(run_id: Any) -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            with pytest.raises(InputError, match="run_id"):
                await orchestrator.run(OWLS, run_id=run_id)

    go(body())


@pytest.mark.parametrize(
    "given", [{}, {"topic": 3}, {"topic": "a", "more": 1}, ["topic"], "topic", None, {"topic": b"a"}]
)
def test_an_input_that_does_not_fit_starts_nothing(given: Any) -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            for verb in (orchestrator.run, orchestrator.start):
                with pytest.raises(InputError):
                    await verb(given, run_id="r")
            with pytest.raises(InputError):
                async with orchestrator.stream(given, run_id="r"):
                    pass
            assert orchestrator.runs() == []
            assert cast.called == []
            assert orchestrator._runs._streams == {}

    go(body())


def test_no_such_run() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            for verb in (
                orchestrator.wait,
                orchestrator.resume,
                orchestrator.cancel,
                orchestrator.retry,
                orchestrator.outcome,
            ):
                with pytest.raises(RunNotFound, match="'no'"):
                    await verb("no")
            with pytest.raises(RunNotFound):
                await orchestrator.answer("no", {})
            with pytest.raises(RunNotFound):
                await orchestrator.send("no", "released")
            for look in (orchestrator.get, orchestrator.replay):
                with pytest.raises(RunNotFound):
                    look("no")

    go(body())


# --- start, wait, resume


def test_start_comes_back_at_once_and_wait_for_it_later() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.let_go.clear()
            run = await orchestrator.start(OWLS, run_id="r")
            assert (run.status, cast.called) == ("working", [])
            waiting = asyncio.create_task(orchestrator.wait("r"))
            await until(lambda: cast.called)
            assert orchestrator.get("r").status == "working"
            assert not waiting.done()
            cast.let_go.set()
            assert (await waiting).status == "waiting"
            assert cast.count("writer") == 1
            assert [type(each) for each in orchestrator.get("r").entries if isinstance(each, RunResumed)] == []

    go(body())


def test_a_started_run_works_on_when_nobody_waits() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            await orchestrator.start(OWLS, run_id="r")
            await until(lambda: orchestrator.get("r").status == "waiting")
            assert orchestrator.runs()[0].waiting == "question"

    go(body())


def test_wait_and_resume_leave_a_resting_run_as_it_is() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            run = await orchestrator.run(OWLS, run_id="r")
            for verb in (orchestrator.wait, orchestrator.resume):
                assert (await verb("r")).entries == run.entries
            assert cast.count("writer") == 1

    go(body())


def test_several_may_wait_for_the_same_run() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            waits = [
                orchestrator.run(OWLS, run_id="r"),
                orchestrator.wait("r"),
                orchestrator.resume("r"),
                orchestrator.wait("r"),
            ]
            found = await asyncio.gather(*waits)
            assert {run.status for run in found} == {"waiting"}
            assert cast.count("writer") == 1

    go(body())


def test_giving_up_on_waiting_does_not_stop_the_run() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.let_go.clear()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await orchestrator.run(OWLS, run_id="r")
            cast.let_go.set()
            assert (await orchestrator.wait("r")).status == "waiting"
            assert (cast.count("writer"), cast.cancelled) == (1, [])

    go(body())


# --- stream


def test_a_stream_gives_every_entry_in_order() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            seen = []
            async with orchestrator.stream(OWLS, run_id="r") as entries:
                async for run, entry in entries:
                    assert entry in run.entries, "it is durable already"
                    seen.append(entry)
            run = orchestrator.get("r")
            assert tuple(seen) == run.entries
            assert isinstance(seen[0], RunStarted)
            assert run.status == "waiting"
            assert orchestrator._runs._streams == {}

    go(body())


def test_a_consumer_that_stops_early_leaves_a_run_that_rests() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            async with orchestrator.stream(OWLS, run_id="r") as entries:
                async for _, entry in entries:
                    assert isinstance(entry, RunStarted)
                    break
            assert orchestrator.get("r").status == "waiting"
            assert orchestrator._runs._streams == {}

    go(body())


def test_a_consumer_that_fails_leaves_a_run_that_rests() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            with pytest.raises(ZeroDivisionError):
                async with orchestrator.stream(OWLS, run_id="r") as entries:
                    async for _ in entries:
                        _ = 1 / 0
            assert orchestrator.get("r").status == "waiting"

    go(body())


def test_two_streams_of_the_same_run_both_see_it() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.let_go.clear()

            async def kinds() -> list[str]:
                async with orchestrator.stream(OWLS, run_id="r") as entries:
                    return [type(entry).__name__ async for _, entry in entries]

            both = asyncio.gather(kinds(), kinds())
            await until(lambda: cast.called)
            cast.let_go.set()
            first, second = await both
            assert first == ["RunStarted", *second]
            assert second == ["AgentReturned", "Opened", "Settled"]

    go(body())


def test_a_stream_of_a_run_that_rests_already_ends_at_once() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            await orchestrator.run(OWLS, run_id="r")
            async with orchestrator.stream(OWLS, run_id="r") as entries:
                assert [entry async for _, entry in entries] == []

    go(body())


# --- answer


@pytest.mark.parametrize("wrong", [{}, {"text": 3}, {"txt": "a"}, [], "feathers", None, {"text": float("nan")}])
def test_a_wrong_answer_is_refused_and_the_question_stays_open(wrong: Any) -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            before = await orchestrator.run(OWLS, run_id="r")
            with pytest.raises(InputError, match="answer"):
                await orchestrator.answer("r", wrong)
            run = orchestrator.get("r")
            assert (run.entries, run.waiting) == (before.entries, before.waiting)
            assert list(orchestrator.journal.inbox("r")) == []
            assert (await orchestrator.answer("r", {"text": "feathers"})).state.results["notes"] == {"text": "feathers"}

    go(body())


@pytest.mark.parametrize("by", [3, None, "\ud800", ["a"]])
def test_texts_must_be_texts_everywhere(by: Any) -> None:
    """Anything else would be written down and could not be read again."""

    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            await orchestrator.run(OWLS, run_id="r")
            for refused in (
                orchestrator.answer("r", {"text": "a"}, by=by),
                orchestrator.cancel("r", by=by),
                orchestrator.cancel("r", reason=by),
                orchestrator.send("r", by),
                orchestrator.outcome("r", by=by),
                orchestrator.outcome("r", note=by),
            ):
                with pytest.raises(InputError):
                    await refused
            assert list(orchestrator.journal.inbox("r")) == []
            assert orchestrator.get("r").status == "waiting"

    go(body())


def test_an_answer_nobody_asked_for() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, clock):
            cast.let_go.clear()
            await orchestrator.start(OWLS, run_id="r")
            with pytest.raises(RunNotWaiting, match="it is at work"):
                await orchestrator.answer("r", {"text": "a"})
            cast.let_go.set()
            await orchestrator.wait("r")
            await orchestrator.answer("r", {"text": "a"})
            with pytest.raises(RunNotWaiting, match="message 'released'"):
                await orchestrator.answer("r", {"text": "a"})
            await orchestrator.cancel("r")
            with pytest.raises(RunNotWaiting, match="nobody"):
                await orchestrator.answer("r", {"text": "a"})
            assert clock.next_at is None, "an ended run has no alarm"

    go(body())


def test_two_answers_at_once_one_counts_and_the_other_is_told() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            await orchestrator.run(OWLS, run_id="r")
            found = await asyncio.gather(
                orchestrator.answer("r", {"text": "first"}),
                orchestrator.answer("r", {"text": "second"}),
                return_exceptions=True,
            )
            assert isinstance(found[1], RunNotWaiting)
            assert "it waits for message 'released' by now" in str(found[1])
            run = orchestrator.get("r")
            assert [answered.value["text"] for answered in of(run, PersonAnswered)] == ["first"]
            assert list(orchestrator.journal.inbox("r")) == [], "the loser never answers a later question"
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_an_answer_is_for_the_question_it_was_given_to() -> None:
    """An old answer that lies in the inbox does not answer the next question."""

    async def body() -> None:
        async with talk(changes={"rules": {"drafting": {"question": {"when": ["taken.ASK < 2"]}}}}) as (
            orchestrator,
            _,
            _clock,
        ):
            run = await orchestrator.run(OWLS, run_id="r")
            (asked,) = run.state.outstanding
            for text in ("one", "again one"):
                orchestrator.journal.put("r", "answer", {"command": asked, "value": {"text": text}, "by": ""}, 1.0)
            run = await orchestrator.resume("r")
            assert run.waiting is not None
            assert run.waiting.about == "question"
            assert [answered.value["text"] for answered in of(run, PersonAnswered)] == ["one"]

    go(body())


def test_a_question_that_nobody_answers_in_time() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, clock):
            await orchestrator.run(OWLS, run_id="r")
            clock.move(599.0)
            await turns()
            assert orchestrator.get("r").step == "asking"
            clock.move(1.0)
            await turns()
            run = orchestrator.get("r")
            assert run.step == "embargo", "the process that lives keeps the deadline"
            assert run.decisions[-1].reason == "nobody has notes"
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_a_deadline_is_kept_once_however_often_the_run_was_looked_at() -> None:
    async def body() -> None:
        failures: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with talk() as (orchestrator, cast, clock):
            await orchestrator.run(OWLS, run_id="r")
            for _ in range(5):
                await orchestrator.wait("r")
            clock.move(600.0)
            await turns()
            run = orchestrator.get("r")
            assert run.step == "embargo"
            assert orchestrator.replay("r").divergence is None
            assert cast.count("writer") == 1
        assert failures == []

    go(body())


def test_an_approval_that_nobody_gives_in_time() -> None:
    async def body() -> None:
        clock = ManualClock()
        made = workflow(ONE, {"policy": {"approvals": {"boss": {"entering": "done", "deadline_s": 60}}}})
        async with Orchestrator(made, agents={"worker": lambda x: {}}, clock=clock) as orchestrator:
            run = await orchestrator.run({"x": 1}, run_id="r")
            assert run.waiting is not None
            assert (run.waiting.about, run.waiting.deadline) == ("approval", clock.now() + 60)
            clock.move(60.0)
            await turns()
            run = orchestrator.get("r")
            assert (run.end, run.reason) == ("failed", "it could not be made")
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_whoever_waits_while_a_deadline_moved_the_run_on_does_not_call_twice() -> None:
    """The alarm and the verbs work on the same runner."""
    changes = {"rules": {"asking": {"revise": {"when": ["returned == late"]}}}}

    async def body() -> None:
        async with talk(changes=changes) as (orchestrator, cast, clock):
            await orchestrator.run(OWLS, run_id="r")
            cast.let_go.clear()
            clock.move(600.0)
            await until(lambda: cast.count("writer") == 2)
            waiting = asyncio.create_task(orchestrator.wait("r"))
            await turns()
            cast.let_go.set()
            run = await waiting
            assert cast.count("writer") == 2
            assert of(run, RunResumed) == []

    go(body())


def test_an_old_alarm_does_not_disturb_a_run_that_went_on() -> None:
    async def body() -> None:
        failures: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with talk() as (orchestrator, cast, clock):
            await orchestrator.run(OWLS, run_id="r")
            cast.let_go.clear()
            answering = asyncio.create_task(orchestrator.answer("r", {"text": "a"}))
            await until(lambda: cast.count("writer") == 2)
            clock.move(700.0)
            await turns()
            cast.let_go.set()
            run = await answering
            assert run.step == "embargo"
            assert orchestrator.replay("r").divergence is None
        assert failures == []

    go(body())


# --- send


def test_a_message_is_kept_until_the_run_waits_for_it() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, clock):
            await orchestrator.run(OWLS, run_id="r")
            run = await orchestrator.send("r", "released", {"by": "bob"})
            assert run.waiting is not None
            assert run.waiting.about == "question"
            assert [item.kind for item in orchestrator.journal.inbox("r")] == ["message"]
            answering = asyncio.create_task(orchestrator.answer("r", {"text": "a"}))
            await until(lambda: orchestrator.runs()[0].waiting == "time")
            clock.move(60.0)
            run = await answering
            assert run.end == "printed"
            assert of(run, MessageReceived)[0].payload == {"by": "bob"}
            assert list(orchestrator.journal.inbox("r")) == []

    go(body())


def test_a_message_sent_while_an_agent_works_is_kept_too() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.let_go.clear()
            await orchestrator.start(OWLS, run_id="r")
            sending = asyncio.create_task(orchestrator.send("r", "released"))
            await until(lambda: cast.called)
            cast.let_go.set()
            assert (await sending).step == "asking"
            assert len(orchestrator.journal.inbox("r")) == 1

    go(body())


def test_of_two_messages_the_older_is_taken() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, clock):
            await orchestrator.run(OWLS, run_id="r")
            for who in ("first", "second"):
                await orchestrator.send("r", "released", {"by": who})
            answering = asyncio.create_task(orchestrator.answer("r", {"text": "a"}))
            await until(lambda: orchestrator.runs()[0].waiting == "time")
            clock.move(60.0)
            run = await answering
            assert [message.payload for message in of(run, MessageReceived)] == [{"by": "first"}]

    go(body())


def test_a_message_that_no_step_waits_for_is_refused_and_not_kept() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _):
            await orchestrator.run(OWLS, run_id="r")
            with pytest.raises(InputError, match="found 'relesed'; expected one that a step waits for: released"):
                await orchestrator.send("r", "relesed")
            assert not orchestrator.journal.inbox("r")

    go(body())


def test_another_message_is_not_the_one_it_waits_for() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, clock):
            await orchestrator.run(OWLS, run_id="r")
            await orchestrator.answer("r", {"text": "a"})
            orchestrator.journal.put("r", "message", {"name": "other", "payload": {}}, 0.0)
            assert (await orchestrator.resume("r")).step == "embargo"
            clock.move(3600.0)
            await turns()
            assert orchestrator.get("r").output == {"reason": "nobody released it"}
            with pytest.raises(RunEnded, match="dropped"):
                await orchestrator.send("r", "released")

    go(body())


@pytest.mark.parametrize("payload", [["a"], "text", {"a": {1, 2}}, {"a": float("inf")}])
def test_a_payload_that_is_none(payload: Any) -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            await orchestrator.run(OWLS, run_id="r")
            with pytest.raises(InputError, match="message"):
                await orchestrator.send("r", "released", payload)
            assert list(orchestrator.journal.inbox("r")) == []

    go(body())


# --- cancel


async def to_question(orchestrator: Orchestrator, cast: Cast, clock: ManualClock) -> None:
    await orchestrator.run(OWLS, run_id="r")


async def to_message(orchestrator: Orchestrator, cast: Cast, clock: ManualClock) -> None:
    await orchestrator.run(OWLS, run_id="r")
    await orchestrator.answer("r", {"text": "a"})


async def to_time(orchestrator: Orchestrator, cast: Cast, clock: ManualClock) -> None:
    await to_message(orchestrator, cast, clock)
    orchestrator.journal.put("r", "message", {"name": "released", "payload": {}}, 1.0)
    waiting = asyncio.create_task(orchestrator.wait("r"))
    await until(lambda: orchestrator.get("r").step == "cooling")
    assert not waiting.done()


async def to_agent(orchestrator: Orchestrator, cast: Cast, clock: ManualClock) -> None:
    cast.let_go.clear()
    await orchestrator.start(OWLS, run_id="r")
    await until(lambda: cast.called)


async def to_doubt(orchestrator: Orchestrator, cast: Cast, clock: ManualClock) -> None:
    await to_time(orchestrator, cast, clock)
    cast.let_go.clear()
    clock.move(60.0)
    await until(lambda: cast.count("printer"))
    clock.move(30.0)
    await until(lambda: orchestrator.get("r").waiting)
    assert orchestrator.runs()[0].waiting == "effect"


@pytest.mark.parametrize("reach", [to_question, to_message, to_time, to_agent, to_doubt])
def test_cancel_ends_a_run_wherever_it_is(reach: Any) -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, clock):
            await reach(orchestrator, cast, clock)
            run = await orchestrator.cancel("r", reason="enough", by="ada")
            assert (run.end, run.success, run.reason, run.output) == (
                "cancelled",
                False,
                "enough",
                {"reason": "enough"},
            )
            assert of(run, RunCancelled) == [RunCancelled(clock.now(), "ada", "enough")]
            assert cast.cancelled == {to_agent: ["writer"], to_doubt: ["printer"]}.get(reach, [])
            assert orchestrator.runs()[0].status == "ended"
            with pytest.raises(RunEnded, match="cancelled"):
                await orchestrator.cancel("r")
            await turns()
            assert (orchestrator._runs._runners, clock.next_at) == ({}, None)
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_cancel_while_a_sync_agent_works_lets_it_land_late() -> None:
    import threading

    let_go, called = threading.Event(), threading.Event()

    def agent(x: Any) -> dict[str, Any]:
        called.set()
        assert let_go.wait(10)
        return {"a": 1}

    async def body() -> None:
        async with Orchestrator(workflow(ONE), agents={"worker": agent}) as orchestrator:
            await orchestrator.start({"x": 1}, run_id="r")
            await until(called.is_set)
            run = await orchestrator.cancel("r")
            assert run.end == "cancelled"
            let_go.set()
            await until(lambda: len(orchestrator.get("r").entries) > len(run.entries))
            late = orchestrator.get("r")
            assert isinstance(late.entries[-1], AgentReturned)
            assert (late.end, late.state.results) == ("cancelled", {})
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_whoever_waits_sees_the_cancelled_end() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.let_go.clear()
            running = asyncio.create_task(orchestrator.run(OWLS, run_id="r"))
            await until(lambda: cast.called)
            found = await asyncio.gather(running, orchestrator.cancel("r"), orchestrator.cancel("r"))
            assert {run.end for run in found} == {"cancelled"}

    go(body())


def test_a_cancellation_right_after_an_answer_does_not_wait_for_the_agent() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            await orchestrator.run(OWLS, run_id="r")
            cast.let_go.clear()
            answered, cancelled = await asyncio.gather(
                orchestrator.answer("r", {"text": "a"}), orchestrator.cancel("r")
            )
            assert (answered.end, cancelled.end) == ("cancelled", "cancelled")

    go(body())


# --- retry


def test_a_failed_run_is_taken_up_in_the_step_it_failed_in() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.failing = [ValueError("no ink")]
            run = await orchestrator.run(OWLS, run_id="r")
            assert (run.end, run.reason) == ("dropped", "the writer failed")
            run = await orchestrator.retry("r", by="ada")
            assert (run.status, run.step) == ("waiting", "asking")
            assert of(run, RunRetried)[0].by == "ada"
            assert cast.count("writer") == 2
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_a_cancelled_run_is_taken_up_and_asks_again() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            await orchestrator.run(OWLS, run_id="r")
            await orchestrator.cancel("r")
            run = await orchestrator.retry("r")
            assert run.waiting is not None
            assert run.waiting.about == "question"
            assert (await orchestrator.answer("r", {"text": "a"})).step == "embargo"

    go(body())


def test_what_cannot_be_retried() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, clock):
            await orchestrator.run(OWLS, run_id="r")
            with pytest.raises(RunEnded, match="no end: it is waiting"):
                await orchestrator.retry("r")
            await orchestrator.send("r", "released")
            answering = asyncio.create_task(orchestrator.answer("r", {"text": "a"}))
            await until(lambda: orchestrator.runs()[0].waiting == "time")
            clock.move(60.0)
            assert (await answering).success
            with pytest.raises(RunEnded, match="printed"):
                await orchestrator.retry("r")

    go(body())


def test_two_retries_at_once_are_one() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, _):
            cast.failing = [ValueError("no ink")]
            await orchestrator.run(OWLS, run_id="r")
            await asyncio.gather(orchestrator.retry("r"), orchestrator.retry("r"))
            assert cast.count("writer") == 2

    go(body())


# --- outcome


def test_outcomes_of_a_run_and_of_a_decision() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, clock):
            await orchestrator.run(OWLS, run_id="r")
            run = await orchestrator.outcome(
                "r", decision=1, success=True, quality=0.75, elapsed_s=4, note="good", by="ada"
            )
            assert run.decisions[0].outcomes == (OutcomeAttached(clock.now(), 1, True, 0.75, 4, "good", "ada"),)
            assert run.status == "waiting"
            await orchestrator.cancel("r")
            run = await orchestrator.outcome("r", success=False)
            assert of(run, OutcomeAttached)[-1] == OutcomeAttached(clock.now(), 0, False)
            assert orchestrator.replay("r").divergence is None

    go(body())


@pytest.mark.parametrize(
    "said",
    [
        {"decision": 2},
        {"decision": -1},
        {"decision": "1"},
        {"quality": 1.5},
        {"quality": float("nan")},
        {"quality": "good"},
        {"success": "yes"},
        {"elapsed_s": -1},
        {"note": 3},
    ],
    ids=str,
)
def test_an_outcome_that_is_none(said: dict[str, Any]) -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            before = await orchestrator.run(OWLS, run_id="r")
            with pytest.raises(InputError, match="outcome"):
                await orchestrator.outcome("r", **said)
            assert orchestrator.get("r").entries == before.entries

    go(body())


# --- looking


def test_runs_lists_those_of_this_workflow_newest_first() -> None:
    journal = MemoryJournal()

    async def body() -> None:
        async with talk(journal=journal) as (orchestrator, _, clock):
            for name in "abc":
                await orchestrator.run(OWLS, run_id=name)
                clock.move(1.0)
            await orchestrator.cancel("b")
            async with Orchestrator(workflow(ONE), agents={"worker": dict}, journal=journal) as other:
                await other.run({"x": 1}, run_id="other")
                assert [row.run_id for row in other.runs()] == ["other"]
            rows = orchestrator.runs()
            assert [row.run_id for row in rows] == ["c", "b", "a"]
            assert [(row.status, row.waiting, row.end, row.success) for row in rows[:2]] == [
                ("waiting", "question", "", None),
                ("ended", "", "cancelled", False),
            ]
            assert [row.run_id for row in orchestrator.runs(1)] == ["c"]

    go(body())


def test_a_run_is_seen_at_its_moment() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, _, _clock):
            before = await orchestrator.run(OWLS, run_id="r")
            after = await orchestrator.answer("r", {"text": "a"})
            assert (before.step, after.step) == ("asking", "embargo")
            assert repr(before) == "Run('r', waiting, step='asking', end='')"
            assert (len(before.decisions), len(after.decisions)) == (1, 3)
            assert after.entries[: len(before.entries)] == before.entries

    go(body())


# --- effects in doubt, approvals and decisions put to people


WRONG_OUTPUT = {"effect": "done", "output": {"sheets": "seven"}}


def test_a_doubt_is_answered_done_with_its_output() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, clock):
            await to_doubt(orchestrator, cast, clock)
            waiting = orchestrator.get("r").waiting
            assert waiting is not None
            assert (waiting.about, waiting.options) == ("effect", ("done", "redo", "unknown"))
            for wrong in ({"effect": "perhaps"}, {}, {"effect": "done", "output": 3}, WRONG_OUTPUT, {"text": "a"}):
                with pytest.raises(InputError):
                    await orchestrator.answer("r", wrong)
            run = await orchestrator.answer("r", {"effect": "done", "output": {"sheets": 7}})
            assert (run.end, run.output and run.output["sheets"]) == ("printed", 7)
            assert cast.count("printer") == 1
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_a_doubt_that_nobody_can_settle_is_for_the_rules() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, clock):
            await to_doubt(orchestrator, cast, clock)
            run = await orchestrator.answer("r", {"effect": "unknown"})
            assert (run.end, run.state.returned) == ("dropped", "in_doubt")
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_a_doubt_is_answered_redo_and_the_first_call_is_cut_off() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, clock):
            await to_doubt(orchestrator, cast, clock)
            cast.let_go = asyncio.Event()
            cast.let_go.set()
            run = await orchestrator.answer("r", {"effect": "redo", "output": {"sheets": "that of no call"}})
            assert run.end == "printed"
            assert (cast.count("printer"), cast.cancelled) == (2, ["printer"])
            assert orchestrator.replay("r").divergence is None

    go(body())


def test_a_call_in_doubt_that_comes_back_after_all_settles_the_doubt() -> None:
    async def body() -> None:
        async with talk() as (orchestrator, cast, clock):
            await to_doubt(orchestrator, cast, clock)
            cast.let_go.set()
            await until(lambda: orchestrator.get("r").status == "ended")
            assert orchestrator.get("r").end == "printed"
            with pytest.raises(RunNotWaiting):
                await orchestrator.answer("r", {"effect": "redo"})
            assert cast.count("printer") == 1
            assert orchestrator.replay("r").divergence is None

    go(body())


APPROVED = {"policy": {"approvals": {"print_it": {"entering": "printing", "when": ["taken.PRINT >= 0"]}}}}


@pytest.mark.parametrize(
    ("given", "end"), [({"approve": True}, "printed"), ({"approve": False, "reason": "too dear"}, "dropped")]
)
def test_an_approval(given: dict[str, Any], end: str) -> None:
    async def body() -> None:
        async with talk(changes=APPROVED) as (orchestrator, cast, clock):
            await to_time(orchestrator, cast, clock)
            clock.move(60.0)
            await until(lambda: orchestrator.get("r").waiting and orchestrator.runs()[0].waiting == "approval")
            for wrong in ({"approve": "yes"}, {}, {"effect": "done"}):
                with pytest.raises(InputError):
                    await orchestrator.answer("r", wrong)
            run = await orchestrator.answer("r", given, by="ada")
            assert run.end == end
            assert orchestrator.replay("r").divergence is None
            assert len(of(run, Settled)) >= 5

    go(body())


# --- a run that another process works on


def test_a_message_does_not_take_a_run_from_the_process_that_works_on_it() -> None:
    """Whoever only has something to say leaves the work to the one that does it."""

    async def told() -> None:
        journal = MemoryJournal()
        begun, go_on = asyncio.Event(), asyncio.Event()
        calls: list[str] = []

        async def slow(**_: Any) -> dict[str, Any]:
            calls.append("slow")
            begun.set()
            await go_on.wait()
            return {}

        workflow = Workflow.define(
            {
                "workflow": "slow",
                "start": "working",
                "agents": {"slow": {"idempotent": True}},
                "phases": {
                    "only": {"steps": {"working": {"agent": "slow"}, "waiting": {"wait": {"message": "ready"}}}}
                },
                "ends": {"done": {"success": True}, "failed": {"success": False}},
                "actions": {"WAIT": {"from": "working", "to": "waiting"}, "FINISH": {"from": "waiting", "to": "done"}},
                "rules": {"working": {"wait": {"do": "WAIT"}}, "waiting": {"go": {"do": "FINISH"}}},
            }
        )
        here = Orchestrator(workflow, agents={"slow": slow}, journal=journal)
        there = Orchestrator(workflow, agents={"slow": slow}, journal=journal)
        await here.start({}, run_id="r")
        await begun.wait()
        assert (await there.send("r", "ready", {"ok": True})).status == "working"
        with pytest.raises(RunConflict, match="at work"):
            await there.outcome("r", success=True)
        go_on.set()
        assert (await here.wait("r")).end == "done"
        assert calls == ["slow"]
        assert (await there.outcome("r", success=True)).outcomes[0].success is True

    asyncio.run(told())
