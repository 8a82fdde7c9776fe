"""What came of effects: the handlers of the events with which agents, people, messages and time answer commands.

`evolve` has the table that names them. An event that answers a command nobody awaits any more is late: its time and its
cost are counted, nothing else.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stepladder.commands import AskModel, AskPerson, CallAgent, Wait
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    PersonAnswered,
    TimePassed,
    Usage,
)
from stepladder.orchestrator.effects import enter, rests, without
from stepladder.orchestrator.machine import Machine
from stepladder.signals import Observation
from stepladder.state import Answer, Returned, RunState
from stepladder.workflow.definition import CallEffect, PersonEffect, WaitEffect


def passed(state: RunState, event: Event, usage: Usage | None = None) -> RunState:
    """Time and money, which count whatever else the event means."""
    at = max(event.at, state.now)
    working = state.working_s if state.resting or state.status != "working" else state.working_s + at - state.now
    spent = (usage.cost_usd or 0.0) if usage is not None else 0.0
    return replace(state, now=at, working_s=working, usd=state.usd + spent)


def _paid(state: RunState, usage: Usage) -> RunState:
    """What an agent cost: the ledger of models does not know of it."""
    return replace(state, agents_usd=state.agents_usd + usage.cost_usd) if usage.cost_usd else state


# --- effects


def on_agent_returned(machine: Machine, state: RunState, event: AgentReturned) -> RunState:
    """An agent's output: its effect is done."""
    state = _paid(passed(state, event, event.usage), event.usage)
    awaited = _awaited_call(state, event.command)
    if awaited is None:
        return state
    if event.artifacts:
        state = replace(state, artifacts={**state.artifacts, **event.artifacts})
    return _gave(machine, state, awaited, event.output)


def _gave(machine: Machine, state: RunState, command: CallAgent, output: dict[str, Any]) -> RunState:
    failed = machine.definition.agents[command.agent].fails
    returned: Returned = "failed" if failed and failed.holds(output) else "ok"
    return _outcome(machine, state, command, returned, output)


def _awaited_call(state: RunState, number: int) -> CallAgent | None:
    """The call that is awaited under this number, also where a person is asked what became of it."""
    command = state.outstanding.get(number)
    if isinstance(command, AskPerson):
        return command.call
    return command if isinstance(command, CallAgent) else None


def on_agent_failed(machine: Machine, state: RunState, event: AgentFailed) -> RunState:
    """No output: the call is made again, put to a person, or left to the rules."""
    state = _paid(passed(state, event, event.usage), event.usage)
    command = state.outstanding.get(event.command)
    if not isinstance(command, CallAgent) or command.attempt != event.attempt:
        return state
    return _failed(machine, state, command, event.reason, event.error, event.error_type)


def _failed(machine: Machine, state: RunState, command: CallAgent, reason: str, error: str, kind: str = "") -> RunState:
    """Make the same call again, put the doubt to a person, or let the rules see the failure."""
    effect = machine.definition.steps[command.step].effect
    assert isinstance(effect, CallEffect), "only a calling step has calls"
    unknown = reason in ("late", "cut_off")
    if unknown and not machine.definition.agents[command.agent].idempotent:
        return in_doubt(state, command, reason)
    if command.attempt < effect.retry.attempts:
        pause = effect.retry.pause_s(command.attempt)
        return _again(machine, state, command, pause)
    returned: Returned = "late" if unknown else "failed"
    output = {"error": error or reason, "error_type": kind or reason}
    return _outcome(machine, state, command, returned, output, known=not unknown)


def _again(machine: Machine, state: RunState, command: CallAgent, pause_s: float) -> RunState:
    """The same command once more: same number, same key."""
    effect = machine.definition.steps[command.step].effect
    assert isinstance(effect, CallEffect), "only a calling step has calls"
    start = state.now + pause_s
    deadline = None if effect.timeout_s is None else start + effect.timeout_s
    again = replace(command, attempt=command.attempt + 1, not_before=start, deadline=deadline)
    outstanding = {**state.outstanding, command.number: again}
    return replace(state, outstanding=outstanding, resting=rests(outstanding))


def in_doubt(state: RunState, command: CallAgent, reason: str) -> RunState:
    """The call as a question to a person: was it done?"""
    question = (
        f"{command.agent} in step {command.step} was {reason.replace('_', ' ')}: was it done, or shall it be redone?"
    )
    doubt = AskPerson(
        command.number, "effect", command.step, question, ("done", "redo", "unknown"), command.arguments, command
    )
    outstanding = {**state.outstanding, command.number: doubt}
    return replace(state, outstanding=outstanding, resting=rests(outstanding))


def _outcome(
    machine: Machine,
    state: RunState,
    command: CallAgent,
    returned: Returned,
    output: dict[str, Any],
    *,
    known: bool = True,
) -> RunState:
    """What a call came to, as facts and signals."""
    agent = machine.definition.agents[command.agent]
    effect = machine.definition.steps[command.step].effect
    assert isinstance(effect, CallEffect), "only a calling step has calls"
    scores = {name: output.get(name) for name in agent.scores} if agent.scores else {}
    seen = Observation(
        "result", command.step, command.agent, command.call, returned, output, scores, agent.scores, state.now
    )
    calls = {**state.calls, command.call: state.calls.get(command.call, 0) + 1} if known else state.calls
    if returned == "ok" and command.step in state.unjudged:
        state = replace(state, judging=command.agent)
    return _returned(machine, state, command.number, effect.name, returned, output, seen, calls)


def _returned(
    machine: Machine,
    state: RunState,
    number: int,
    name: str,
    returned: Returned,
    output: dict[str, Any],
    seen: Observation,
    calls: dict[str, int] | None = None,
) -> RunState:
    memory, broken = machine.fold.update(state.memory, state.broken, seen)
    outstanding = without(state.outstanding, number)
    results, collected = state.results, state.collected
    if returned == "ok":
        results = _newest_last(results, name, output)
        if name in machine.definition.collects:
            collected = {**collected, name: (*collected.get(name, ()), output)}
    return replace(
        state,
        last=output,
        returned=returned,
        called=seen.call or seen.step,
        results=results,
        collected=collected,
        memory=memory,
        broken=broken,
        outstanding=outstanding,
        calls=state.calls if calls is None else calls,
        resting=bool(outstanding) and rests(outstanding),
    )


def _newest_last(results: dict[str, Any], name: str, output: dict[str, Any]) -> dict[str, Any]:
    if name in results:
        results = {kept: value for kept, value in results.items() if kept != name}
    return {**results, name: output}


# --- people, messages, time


def on_person_answered(machine: Machine, state: RunState, event: PersonAnswered) -> RunState:
    """What a person said, by what it was asked about."""
    state = passed(state, event)
    command = state.outstanding.get(event.command)
    if not isinstance(command, AskPerson):
        return state
    state = replace(state, decisions=0, tries=())
    match command.about:
        case "question":
            return _answered_question(machine, state, command, "ok", event.value)
        case "decision":
            return _received(state, event)
        case "approval":
            given = event.value.get("approve") is True
            return _approval(
                machine, state, command, given, event.by or "a person", str(event.value.get("reason") or "")
            )
        case "effect":
            return _doubt_settled(machine, state, command, event.value)


def _answered_question(
    machine: Machine, state: RunState, command: AskPerson, returned: Returned, value: dict[str, Any]
) -> RunState:
    effect = machine.definition.steps[command.step].effect
    assert isinstance(effect, PersonEffect), "only an asking step asks questions"
    seen = Observation("answer", command.step, "person", "", returned, value, at=state.now)
    return _returned(machine, state, command.number, effect.name, returned, value, seen)


def _approval(machine: Machine, state: RunState, command: AskPerson, given: bool, by: str, reason: str) -> RunState:
    settled = state.approving
    outstanding = without(state.outstanding, command.number)
    state = replace(state, outstanding=outstanding, approving=None, resting=bool(outstanding) and rests(outstanding))
    assert settled is not None, "an approval is asked for a settled decision"
    if given:
        return enter(machine, state, settled.to)
    why = f"refused by {by}" + (f": {reason}" if reason else "")
    taken = {**state.taken, settled.action: state.taken[settled.action] - 1}
    decision = {**state.decision, "refused": True, "refusal": reason}
    return replace(state, refused={**state.refused, settled.action: why}, taken=taken, decision=decision)


def _doubt_settled(machine: Machine, state: RunState, command: AskPerson, value: dict[str, Any]) -> RunState:
    assert command.call is not None, "a doubt is about a call"
    match value.get("effect"):
        case "redo":
            return _again(machine, state, command.call, 0.0)
        case "done":
            output = value.get("output")
            return _gave(machine, state, command.call, output if isinstance(output, dict) else {})
        case "unknown":
            said = {"error": "nobody knows whether it was done", "error_type": "in_doubt"}
            return _outcome(machine, state, command.call, "in_doubt", said, known=False)
        case _:  # neither: it stays in doubt
            return state


def on_message(machine: Machine, state: RunState, event: MessageReceived) -> RunState:
    """A message that the step waits for."""
    state = passed(state, event)
    command = state.outstanding.get(event.command)
    if not isinstance(command, Wait) or not command.message or command.message != event.name:
        return state
    return _waited(machine, state, command, "ok", event.payload)


def _waited(machine: Machine, state: RunState, command: Wait, returned: Returned, value: dict[str, Any]) -> RunState:
    effect = machine.definition.steps[command.step].effect
    assert isinstance(effect, WaitEffect), "only a waiting step waits"
    seen = Observation("result", command.step, command.message, "", returned, value, at=state.now)
    return _returned(machine, replace(state, tries=()), command.number, effect.name, returned, value, seen)


def on_time_passed(machine: Machine, state: RunState, event: TimePassed) -> RunState:
    """A deadline has passed, or a wait is over; anything else is only time."""
    state = passed(state, event)
    command = state.outstanding.get(event.command)
    if command is None or command.deadline is None or event.at < command.deadline:
        return state
    match command:
        case CallAgent():
            if command.attempt != event.attempt:
                return state
            return _failed(machine, state, command, "late", "no result in time")
        case AskPerson(about="question"):
            state = replace(state, tries=())
            return _answered_question(machine, state, command, "late", {"error": "nobody answered in time"})
        case AskPerson(about="approval"):
            return _approval(machine, state, command, False, "nobody", "nobody answered in time")
        case Wait():
            over: Returned = "late" if command.message else "ok"
            return _waited(machine, state, command, over, {"error": "no message in time"} if command.message else {})
        case _:
            return _received(state, event)


# --- answers of models


def on_model(_: Machine, state: RunState, event: ModelAnswered | ModelFailed) -> RunState:
    """A model's answer or its failure, to be judged by `decide`."""
    state = passed(state, event, event.usage)
    return _received(state, event) if isinstance(state.outstanding.get(event.command), AskModel) else state


def _received(state: RunState, event: Answer) -> RunState:
    """An answer to an open decision, or a shadow's; it is judged by `decide`."""
    outstanding = without(state.outstanding, event.command)
    if event.command in state.shadows:
        return replace(state, outstanding=outstanding, shadow_answers=(*state.shadow_answers, event))
    assert state.asking is not None, "a rung is asked only while a decision is open"
    asking = replace(state.asking, received=(*state.asking.received, event))
    return replace(state, outstanding=outstanding, asking=asking, resting=bool(outstanding) and rests(outstanding))
