"""Entering a step: its effect as a command, or the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from stepladder.commands import AnyCommand, AskModel, AskPerson, CallAgent, Wait
from stepladder.orchestrator.facts import facts_of
from stepladder.orchestrator.machine import Machine
from stepladder.state import RunState
from stepladder.values import digest
from stepladder.workflow.definition import CallEffect, PersonEffect, WaitEffect


def enter(machine: Machine, state: RunState, to: str) -> RunState:
    """The state on arrival in the step or end `to`."""
    if to in machine.definition.ends:
        return ended(state, to, str(state.decision.get("because", "")))
    visits = {**state.visits, to: state.visits[to] + 1}
    if state.opened and (judges := machine.judged_by.get(to)):
        led_here = dict.fromkeys(judges, (state.opened, state.decided_at))
        state = replace(state, unjudged={**state.unjudged, **led_here})
    return begin(machine, state, to, visits)


def ended(state: RunState, end: str, reason: str) -> RunState:
    """The state at its end; only shadows stay outstanding."""
    left = {number: command for number, command in state.outstanding.items() if number in state.shadows}
    return replace(
        state,
        status="ended",
        end=end,
        end_reason=reason,
        ended_at=state.now,
        outstanding=left,
        interrupted=any(_is_effect(command) for command in state.outstanding.values()),
        cut_off=next(calls_in_flight(state), state.cut_off),
        asking=None,
        approving=None,
        choosing=False,
        resting=False,
    )


def calls_in_flight(state: RunState) -> Iterator[CallAgent]:
    """The calls that may have been made and whose outcome is not known, also where a person is asked about one."""
    for command in state.outstanding.values():
        call = command.call if isinstance(command, AskPerson) else command
        if isinstance(call, CallAgent):
            yield call


def _is_effect(command: AnyCommand) -> bool:
    about = command.about if isinstance(command, AskPerson) else ""
    return isinstance(command, (CallAgent, Wait)) or about in ("question", "effect")


def begin(machine: Machine, state: RunState, step: str, visits: dict[str, int]) -> RunState:
    """The state on entering a step: its arguments resolved, its effect outstanding."""
    effect = machine.definition.steps[step].effect
    if effect is None:
        return replace(state, step=step, visits=visits, refused={}, last={}, returned=None, called=step)
    arguments: dict[str, Any] = {}
    if effect.arguments:
        facts = facts_of(machine, state) | {
            "step": step,
            "phase": machine.definition.steps[step].phase,
            "visits": visits,
        }
        arguments = effect.arguments.resolve(facts)
    return perform(machine, replace(state, step=step, visits=visits, refused={}, arguments=arguments))


def perform(machine: Machine, state: RunState) -> RunState:
    """The state with the effect of its step outstanding, on the arguments it was entered with."""
    effect = machine.definition.steps[state.step].effect
    match effect:
        case CallEffect():
            if len(effect.agents) > 1:
                return replace(state, choosing=True, returned=None)
            return call(state, effect, *effect.agents)
        case PersonEffect():
            question = state.arguments.get("question")
            asked = question if isinstance(question, str) else ""
            deadline = _after(state, effect.deadline_s)
            return issue(
                state,
                AskPerson(
                    state.next_command, "question", state.step, asked, arguments=state.arguments, deadline=deadline
                ),
            )
        case WaitEffect():
            return issue(state, Wait(state.next_command, state.step, effect.message, _after(state, effect.seconds)))
        case None:
            return state


def call(state: RunState, effect: CallEffect, agent: str) -> RunState:
    """The state with a call of this agent outstanding.

    The key is made of what the call is (run, step by its first name, agent, arguments) and of how often this very call
    has already had a known outcome: not of its place in the run, which would charge twice after a cut-off call.
    """
    step = state.first_known.get(state.step, state.step)
    name = digest(state.run_id, step, agent, state.arguments)
    key = f"{name}-{state.calls.get(name, 0)}"
    deadline = _after(state, effect.timeout_s)
    return issue(state, CallAgent(state.next_command, state.step, agent, state.arguments, name, key, deadline=deadline))


def _after(state: RunState, seconds: float | None) -> float | None:
    return None if seconds is None else state.now + seconds


def issue(state: RunState, command: AnyCommand) -> RunState:
    """The state with one more command outstanding."""
    outstanding = {**state.outstanding, command.number: command}
    return replace(
        state,
        outstanding=outstanding,
        next_command=max(state.next_command, command.number + 1),
        resting=rests(outstanding),
        choosing=False,
    )


def rests(outstanding: dict[int, AnyCommand]) -> bool:
    """Whether a run with these commands waits for the world: a person, a message or a time."""
    waits = False
    for command in outstanding.values():
        if isinstance(command, CallAgent) or (isinstance(command, AskModel) and not command.shadow):
            return False
        waits = waits or not isinstance(command, AskModel)
    return waits


def without(outstanding: dict[int, Any], number: int) -> dict[int, Any]:
    """The commands without one."""
    if len(outstanding) == 1:
        return {}
    return {key: command for key, command in outstanding.items() if key != number}
