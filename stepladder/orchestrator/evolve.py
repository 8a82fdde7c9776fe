"""Applying what is in the journal: events and conclusions. No rule is run here, so that a resume is a fold.

The table at the foot names the handler of each kind of entry. An event that answers a command nobody awaits any more is
late: its time and its cost are counted, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from stepladder.commands import AskModel, AskPerson, CallAgent, Wait
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    OutcomeAttached,
    PersonAnswered,
    PolicyChanged,
    QuestionPut,
    RunCancelled,
    RunResumed,
    RunRetried,
    RunStarted,
    TimePassed,
    Usage,
)
from stepladder.orchestrator.effects import call, ended, enter, issue, perform, rests, without
from stepladder.orchestrator.machine import Machine
from stepladder.record import Answered, Asked, Entry, Opened, Settled, Shadowed
from stepladder.signals import Observation
from stepladder.state import CANCELLED, Answer, Asking, Returned, RunState
from stepladder.workflow.definition import CallEffect, PersonEffect, WaitEffect


def evolve(machine: Machine, state: RunState, entry: Event | Entry) -> RunState:
    """The state after this entry."""
    return TURNS[type(entry)](machine, state, entry)


def _passed(state: RunState, event: Event, usage: Usage | None = None) -> RunState:
    """Time and money, which count whatever else the event means."""
    at = max(event.at, state.now)
    working = state.working_s if state.resting or state.status != "working" else state.working_s + at - state.now
    spent = (usage.cost_usd or 0.0) if usage is not None else 0.0
    return replace(state, now=at, working_s=working, usd=state.usd + spent)


# --- runs


def _on_started(machine: Machine, state: RunState, event: RunStarted) -> RunState:
    if state.status != "new":
        return _passed(state, event)
    state = RunState(
        run_id=event.run_id,
        status="working",
        policy_hash=event.policy_hash,
        started_at=event.at,
        now=event.at,
        input=event.input,
        taken=machine.none_taken,
        visits=machine.no_visits,
        memory=machine.fold.start(),
        signals=machine.starting_signals,
    )
    return enter(machine, replace(state, step=machine.definition.start), machine.definition.start)


def _on_cancelled(_: Machine, state: RunState, event: RunCancelled) -> RunState:
    state = _passed(state, event)
    return ended(state, CANCELLED, event.reason or "cancelled") if state.status == "working" else state


def _on_retried(machine: Machine, state: RunState, event: RunRetried) -> RunState:
    state = _passed(state, event)
    end = machine.definition.ends.get(state.end)
    if state.status != "ended" or (end is not None and end.success):
        return state
    again = replace(
        state,
        status="working",
        end="",
        end_reason="",
        ended_at=0.0,
        decisions=0,
        working_s=0.0,
        refused={},
        approving=None,
    )
    if state.end == CANCELLED and not state.interrupted:  # its effect is done; it was the decision that did not come
        return again
    return perform(machine, again)


def _on_resumed(machine: Machine, state: RunState, event: RunResumed) -> RunState:
    away = max(0.0, event.at - state.now)
    state = replace(state, now=state.now + away)
    for command in state.outstanding.values():
        if isinstance(command, CallAgent) and not machine.definition.agents[command.agent].idempotent:
            state = _in_doubt(state, command, "cut_off")
        elif isinstance(command, (CallAgent, AskModel)) and command.deadline is not None:
            later = replace(command, deadline=command.deadline + away)
            state = replace(state, outstanding={**state.outstanding, command.number: later})
    return state


def _on_policy(_: Machine, state: RunState, event: PolicyChanged) -> RunState:
    """Whoever appends this event folds the run anew under the new policy, so that its signals have their memories.

    A decision that is open is left unsettled; the new policy decides anew.
    """
    state = replace(_passed(state, event), policy_hash=event.policy_hash)
    asked = state.asking.asked.commands if state.asking and state.asking.asked else ()
    outstanding = {number: command for number, command in state.outstanding.items() if number not in asked}
    return replace(state, asking=None, outstanding=outstanding, resting=rests(outstanding))


def _on_noted(_: Machine, state: RunState, __: OutcomeAttached | QuestionPut) -> RunState:
    return state


# --- effects


def _on_agent_returned(machine: Machine, state: RunState, event: AgentReturned) -> RunState:
    state = _passed(state, event, event.usage)
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


def _on_agent_failed(machine: Machine, state: RunState, event: AgentFailed) -> RunState:
    state = _passed(state, event, event.usage)
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
        return _in_doubt(state, command, reason)
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


def _in_doubt(state: RunState, command: CallAgent, reason: str) -> RunState:
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


def _on_person_answered(machine: Machine, state: RunState, event: PersonAnswered) -> RunState:
    state = _passed(state, event)
    command = state.outstanding.get(event.command)
    if not isinstance(command, AskPerson):
        return state
    state = replace(state, decisions=0)
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


def _on_message(machine: Machine, state: RunState, event: MessageReceived) -> RunState:
    state = _passed(state, event)
    command = state.outstanding.get(event.command)
    if not isinstance(command, Wait) or not command.message or command.message != event.name:
        return state
    return _waited(machine, state, command, "ok", event.payload)


def _waited(machine: Machine, state: RunState, command: Wait, returned: Returned, value: dict[str, Any]) -> RunState:
    effect = machine.definition.steps[command.step].effect
    assert isinstance(effect, WaitEffect), "only a waiting step waits"
    seen = Observation("result", command.step, command.message, "", returned, value, at=state.now)
    return _returned(machine, state, command.number, effect.name, returned, value, seen)


def _on_time_passed(machine: Machine, state: RunState, event: TimePassed) -> RunState:
    state = _passed(state, event)
    command = state.outstanding.get(event.command)
    if command is None or command.deadline is None or event.at < command.deadline:
        return state
    match command:
        case CallAgent():
            if command.attempt != event.attempt:
                return state
            return _failed(machine, state, command, "late", "no result in time")
        case AskPerson(about="question"):
            return _answered_question(machine, state, command, "late", {"error": "nobody answered in time"})
        case Wait():
            over: Returned = "late" if command.message else "ok"
            return _waited(machine, state, command, over, {"error": "no message in time"} if command.message else {})
        case _:
            return _received(state, event)


# --- answers of models


def _on_model(_: Machine, state: RunState, event: ModelAnswered | ModelFailed) -> RunState:
    state = _passed(state, event, event.usage)
    return _received(state, event) if isinstance(state.outstanding.get(event.command), AskModel) else state


def _received(state: RunState, event: Answer) -> RunState:
    """An answer to an open decision, or a shadow's; it is judged by `decide`."""
    outstanding = without(state.outstanding, event.command)
    if event.command in state.shadows:
        return replace(state, outstanding=outstanding, shadow_answers=(*state.shadow_answers, event))
    assert state.asking is not None, "a rung is asked only while a decision is open"
    asking = replace(state.asking, received=(*state.asking.received, event))
    return replace(state, outstanding=outstanding, asking=asking, resting=bool(outstanding) and rests(outstanding))


# --- conclusions


def _on_opened(_: Machine, state: RunState, entry: Opened) -> RunState:
    signals = {**state.signals, **entry.signals} if entry.signals else state.signals
    return replace(state, asking=Asking(entry), opened=entry.n, signals=signals)


def _on_asked(machine: Machine, state: RunState, entry: Asked) -> RunState:
    assert state.asking is not None, "a decision is open when its rung is asked"
    asking = state.asking.with_asked(entry)
    if not entry.shadow:  # what is left of the rung below is late from here on
        left = {number: command for number, command in state.outstanding.items() if number in state.shadows}
        state = replace(state, outstanding=left)
    if entry.models:
        for number, model in zip(entry.commands, entry.models, strict=True):
            state = issue(state, AskModel(number, entry.n, entry.rung, model, entry.deadline, entry.shadow))
    else:
        legal = asking.opened.legal
        question = f"decision {entry.n} in step {asking.opened.step}: which action?"
        state = issue(
            state,
            AskPerson(entry.commands[0], "decision", asking.opened.step, question, legal, deadline=entry.deadline),
        )
    if entry.shadow:
        return replace(state, shadows={**state.shadows, **dict.fromkeys(entry.commands, asking)})
    return replace(state, asking=asking)


def _on_answered(_: Machine, state: RunState, entry: Answered) -> RunState:
    assert state.asking is not None, "an answer belongs to an open decision"
    return replace(state, asking=state.asking.with_answered(entry))


def _on_settled(machine: Machine, state: RunState, entry: Settled) -> RunState:
    opened = state.asking.opened if state.asking else None
    left = {number: command for number, command in state.outstanding.items() if number in state.shadows}
    if opened is not None and opened.point == "select_agent":
        effect = machine.definition.steps[state.step].effect
        assert isinstance(effect, CallEffect), "agents are chosen for a calling step"
        return call(machine, replace(state, asking=None), effect, entry.action)
    decision = {**entry.parameters, "action": entry.action, "because": entry.reason, "source": entry.source}
    taken = {**state.taken, entry.action: state.taken[entry.action] + 1}
    memory, broken = state.memory, state.broken
    if machine.fold.listens("decision"):
        memory, broken = machine.fold.update(
            memory, broken, Observation("decision", state.step, entry.action, at=state.now)
        )
    state = replace(
        state,
        asking=None,
        outstanding=left,
        resting=False,
        decision=decision,
        taken=taken,
        decisions=state.decisions + 1,
        memory=memory,
        broken=broken,
        approving=entry if entry.approval else None,
    )
    if not entry.approval:
        return enter(machine, state, entry.to)
    question = f"{entry.action} ({entry.reason}) leads to {entry.to}: approve?"
    return issue(state, AskPerson(state.next_command, "approval", state.step, question, ("approve", "refuse")))


def _on_shadowed(_: Machine, state: RunState, entry: Shadowed) -> RunState:
    shadows = {number: asking for number, asking in state.shadows.items() if number != entry.command}
    answers = tuple(event for event in state.shadow_answers if event.command != entry.command)
    return replace(state, shadows=shadows, shadow_answers=answers)


TURNS: Final[dict[type, Callable[[Machine, RunState, Any], RunState]]] = {
    RunStarted: _on_started,
    AgentReturned: _on_agent_returned,
    AgentFailed: _on_agent_failed,
    PersonAnswered: _on_person_answered,
    MessageReceived: _on_message,
    TimePassed: _on_time_passed,
    ModelAnswered: _on_model,
    ModelFailed: _on_model,
    RunCancelled: _on_cancelled,
    RunRetried: _on_retried,
    RunResumed: _on_resumed,
    PolicyChanged: _on_policy,
    OutcomeAttached: _on_noted,
    QuestionPut: _on_noted,
    Opened: _on_opened,
    Asked: _on_asked,
    Answered: _on_answered,
    Settled: _on_settled,
    Shadowed: _on_shadowed,
}
