"""When a driver has to come back, and what it then tells; and a run that another process takes up."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stepladder.commands import AskModel
from stepladder.events import PolicyChanged, RunResumed, RunStarted, TimePassed
from stepladder.orchestrator import advance, due, fold, wake_at
from stepladder.record import Opened
from stepladder.state import RunState
from tests.example_workflows import PAYMENT, REVIEW, TRIAGE, machine
from tests.orchestrator.play import START, Play

NO_TIMEOUT = {"phases": {"work": {"steps": {"trying": {"timeout_s": None}}}}}


def limited(seconds: float | None, **changes: Any) -> Any:
    return machine(TRIAGE, {"policy": {"mode": "programmatic", "limits": {"working_s": seconds}}, **changes})


def test_it_wakes_for_the_nearest_deadline() -> None:
    play = Play(limited(None))
    assert wake_at(play.machine, play.state) == START + 10
    assert due(play.machine, play.state, START + 9.9) == ()
    assert due(play.machine, play.state, START + 10) == (TimePassed(START + 10, play.call.number),)


def test_a_deadline_is_told_with_its_attempt() -> None:
    play = Play(machine(PAYMENT)).fails()
    assert due(play.machine, play.state, START + 99) == (TimePassed(START + 99, play.call.number, 2),)


def test_it_wakes_for_the_end_of_the_working_time() -> None:
    play = Play(limited(7, **NO_TIMEOUT))
    assert wake_at(play.machine, play.state) == START + 7
    assert due(play.machine, play.state, START + 7) == (TimePassed(START + 7),)
    play.later(3).tell(TimePassed(START + 3))
    assert wake_at(play.machine, play.state) == START + 7


def test_deadlines_come_in_their_order() -> None:
    play = Play(machine(TRIAGE, {"policy": {"routes": {"complex": {"ask": ["panel"], "reconcile": "shadow"}}}}))
    shadows = [command.number for command in play.all(AskModel)]
    told = due(play.machine, play.state, START + 60)
    assert [event.command for event in told] == [*shadows, play.call.number]


def test_nothing_is_due_while_a_person_or_a_message_is_awaited_without_end() -> None:
    play = Play(machine(PAYMENT)).overruns()
    assert (play.asked.deadline, wake_at(play.machine, play.state)) == (None, None)
    assert due(play.machine, play.state, 1e12) == ()


def test_nothing_is_due_after_the_end() -> None:
    play = Play(limited(7)).cancel()
    assert wake_at(play.machine, play.state) is None


@given(st.floats(1.6e9, 2e9), st.floats(0.001, 1000), st.lists(st.floats(0, 1), max_size=6), st.floats(0.0, 1.0))
def test_the_working_time_ends_whatever_the_clock_rounds(
    start: float, limit: float, parts: list[float], last: float
) -> None:
    """Sums of times are not exact: waking just before the limit must not go on for ever."""
    definition = limited(limit, **NO_TIMEOUT)
    state = advance(definition, RunState(), RunStarted(start, "run", "triage", "w", "p", {})).state
    at = start
    for part in [*parts, last]:
        at += part * limit / (len(parts) + 2)
        state = advance(definition, state, TimePassed(at)).state
    for _ in range(3):
        if state.status == "ended":
            break
        wake = wake_at(definition, state)
        assert wake is not None
        for event in due(definition, state, wake):
            state = advance(definition, state, event).state
    assert (state.status, state.end) == ("ended", "closed")


# --- another process


def test_a_call_in_flight_is_made_again_with_what_time_it_had_left() -> None:
    play = Play(limited(100))
    before = play.call
    play.later(4).tell(TimePassed(play.at)).later(1000).tell(RunResumed(play.at, "b"))
    assert (play.call.key, play.call.attempt, play.call.deadline) == (
        before.key,
        before.attempt,
        before.deadline + 1000,
    )
    assert play.state.working_s == 4.0, "the time in between is not working time"


def test_a_call_that_must_not_be_made_twice_is_in_doubt() -> None:
    play = Play(machine(PAYMENT), amount=5)
    before = play.call
    play.later(10).tell(RunResumed(play.at, "b"))
    assert (play.asked.about, play.asked.call) == ("effect", before)
    play.says({"effect": "redo"})
    assert (play.call.key, play.call.attempt) == (before.key, 2)


def test_a_person_is_still_asked() -> None:
    play = Play(machine(PAYMENT)).overruns()
    before = play.asked
    assert play.later(50).tell(RunResumed(play.at)).asked == before


def test_a_timer_goes_on_while_nobody_is_there() -> None:
    play = Play(machine(REVIEW)).returns({}).returns({"alignment_score": 9.5, "standardization_score": 9.0})
    before = play.wait
    assert play.later(1000).tell(RunResumed(play.at)).wait == before
    assert play.overruns().where == "embargo"


def test_another_policy_decides_from_here_on() -> None:
    first = machine(TRIAGE, {"policy": {"mode": "programmatic"}})
    second = machine(TRIAGE, {"policy": {"mode": "programmatic", "limits": {"decisions": 2}}})
    assert first.definition.hash == second.definition.hash
    play = Play(first)
    play.tell(PolicyChanged(play.at, second.policy.hash))
    play.machine, play.state = second, fold(second, play.journal)
    assert play.state.policy_hash == second.policy.hash
    play.returns({}).returns({})
    assert (play.where, len(play.of(Opened))) == ("closed", 3)
