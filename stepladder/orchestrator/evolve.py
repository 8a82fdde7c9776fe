"""Applying what is in the journal: events and conclusions. No rule is run here, so that a resume is a fold.

The table at the foot names the handler of each kind of entry. An event that answers a command nobody awaits any more is
late: its time and its cost are counted, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from stepladder.commands import AskModel, AskPerson, CallAgent
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    OutcomeAttached,
    PayloadsPruned,
    PersonAnswered,
    PolicyChanged,
    QuestionPut,
    RunCancelled,
    RunResumed,
    RunRetried,
    RunStarted,
    TimePassed,
    WorkflowChanged,
)
from stepladder.orchestrator.effects import call, calls_in_flight, ended, enter, issue, perform, rests
from stepladder.orchestrator.machine import Machine
from stepladder.orchestrator.progress import with_taken
from stepladder.orchestrator.results import (
    in_doubt,
    on_agent_failed,
    on_agent_returned,
    on_message,
    on_model,
    on_person_answered,
    on_time_passed,
    passed,
)
from stepladder.record import Answered, Asked, Entry, Judged, Opened, Settled, Shadowed
from stepladder.signals import Observation
from stepladder.state import CANCELLED, Asking, RunState
from stepladder.workflow.definition import CallEffect
from stepladder.workflow.schemas import with_defaults


def evolve(machine: Machine, state: RunState, entry: Event | Entry) -> RunState:
    """The state after this entry."""
    return TURNS[type(entry)](machine, state, entry)


# --- runs


def _on_started(machine: Machine, state: RunState, event: RunStarted) -> RunState:
    if state.status != "new":
        return passed(state, event)
    state = RunState(
        run_id=event.run_id,
        status="working",
        workflow_hash=event.workflow_hash,
        policy_hash=event.policy_hash,
        started_at=event.at,
        now=event.at,
        input=with_defaults(machine.definition.input, event.input),
        taken=machine.none_taken,
        visits=machine.no_visits,
        memory=machine.fold.start(),
        signals=machine.starting_signals,
        first_known=state.first_known,
    )
    return enter(machine, replace(state, step=machine.definition.start), machine.definition.start)


def _on_cancelled(_: Machine, state: RunState, event: RunCancelled) -> RunState:
    state = passed(state, event)
    return ended(state, CANCELLED, event.reason or "cancelled") if state.status == "working" else state


def _on_retried(machine: Machine, state: RunState, event: RunRetried) -> RunState:
    state = passed(state, event)
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
        tries=(),
        working_s=0.0,
        refused={},
        approving=None,
        cut_off=None,
    )
    if state.end == CANCELLED and not state.interrupted:  # its effect is done; it was the decision that did not come
        return again
    call = state.cut_off
    if call is not None and not machine.definition.agents[call.agent].idempotent:
        return in_doubt(again, call, "cut_off")
    return perform(machine, again)


def _on_resumed(machine: Machine, state: RunState, event: RunResumed) -> RunState:
    away = max(0.0, event.at - state.now)
    state = replace(state, now=state.now + away)
    for command in state.outstanding.values():
        if isinstance(command, CallAgent) and not machine.definition.agents[command.agent].idempotent:
            state = in_doubt(state, command, "cut_off")
        elif isinstance(command, (CallAgent, AskModel)) and command.deadline is not None:
            later = replace(command, deadline=command.deadline + away)
            state = replace(state, outstanding={**state.outstanding, command.number: later})
    return state


def _on_policy(_: Machine, state: RunState, event: PolicyChanged | WorkflowChanged) -> RunState:
    """Whoever appends this event folds the run anew under the new policy, so that its signals have their memories.

    A decision that is open is left unsettled; the new policy decides anew.
    """
    state = replace(passed(state, event), policy_hash=event.policy_hash)
    asked = state.asking.asked.commands if state.asking and state.asking.asked else ()
    outstanding = {number: command for number, command in state.outstanding.items() if number not in asked}
    return replace(state, asking=None, outstanding=outstanding, resting=rests(outstanding))


def _on_workflow(machine: Machine, state: RunState, event: WorkflowChanged) -> RunState:
    """Whoever appends this event folds the run anew under the new workflow, `then` this event.

    What is asked in shadow was asked among other actions; its answers are late from here on.
    """
    left = {number: command for number, command in state.outstanding.items() if number not in state.shadows}
    state = replace(state, workflow_hash=event.workflow_hash, outstanding=left, shadows={})
    return _on_policy(machine, state, event)


def _on_noted(_: Machine, state: RunState, __: OutcomeAttached | PayloadsPruned | QuestionPut) -> RunState:
    return state


# --- conclusions


def _on_opened(_: Machine, state: RunState, entry: Opened) -> RunState:
    signals = {**state.signals, **entry.signals} if entry.signals else state.signals
    return replace(state, asking=Asking(entry), opened=entry.n, signals=signals)


def _on_asked(_: Machine, state: RunState, entry: Asked) -> RunState:
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
    left = state.outstanding and {n: command for n, command in state.outstanding.items() if n in state.shadows}
    if opened is not None and opened.point == "select_agent":
        effect = machine.definition.steps[state.step].effect
        assert isinstance(effect, CallEffect), "agents are chosen for a calling step"
        return call(replace(state, asking=None), effect, entry.action)
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
        decided_at=state.now,
        tries=with_taken(state, entry.action),
        memory=memory,
        broken=broken,
        approving=entry if entry.approval else None,
        cut_off=next(calls_in_flight(state), None) if state.outstanding else None,
    )
    if not entry.approval:
        return enter(machine, state, entry.to)
    question = f"{entry.action} ({entry.reason}) leads to {entry.to}: approve?"
    asked = AskPerson(
        state.next_command, "approval", state.step, question, ("approve", "refuse"), deadline=entry.approve_by
    )
    return issue(state, asked)


def _on_shadowed(_: Machine, state: RunState, entry: Shadowed) -> RunState:
    shadows = {number: asking for number, asking in state.shadows.items() if number != entry.command}
    answers = tuple(event for event in state.shadow_answers if event.command != entry.command)
    return replace(state, shadows=shadows, shadow_answers=answers)


def _on_judged(_: Machine, state: RunState, entry: Judged) -> RunState:
    unjudged = {step: led for step, led in state.unjudged.items() if step != entry.by}
    return replace(state, unjudged=unjudged, judging="")


TURNS: Final[dict[type, Callable[[Machine, RunState, Any], RunState]]] = {
    RunStarted: _on_started,
    AgentReturned: on_agent_returned,
    AgentFailed: on_agent_failed,
    PersonAnswered: on_person_answered,
    MessageReceived: on_message,
    TimePassed: on_time_passed,
    ModelAnswered: on_model,
    ModelFailed: on_model,
    RunCancelled: _on_cancelled,
    RunRetried: _on_retried,
    RunResumed: _on_resumed,
    PolicyChanged: _on_policy,
    WorkflowChanged: _on_workflow,
    OutcomeAttached: _on_noted,
    PayloadsPruned: _on_noted,
    QuestionPut: _on_noted,
    Opened: _on_opened,
    Asked: _on_asked,
    Answered: _on_answered,
    Settled: _on_settled,
    Shadowed: _on_shadowed,
    Judged: _on_judged,
}
