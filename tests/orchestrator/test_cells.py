"""Every kind of event in every state: it counts, or it is late. Nothing raises."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, get_args

import msgspec
import pytest
from msgspec.structs import replace

from stepladder.commands import AskModel, AskPerson, CallAgent, Wait
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    AnyEvent,
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
    Usage,
    WorkflowChanged,
)
from stepladder.orchestrator import advance, decide, fold
from stepladder.state import RunState
from tests.example_workflows import PAYMENT, REVIEW, TRIAGE, machine, merged
from tests.orchestrator.play import Play

SCORES: Final = {"alignment_score": 9.5, "standardization_score": 9.0}
APPROVAL: Final = {"policy": {"mode": "programmatic", "approvals": {"eyes": {"entering": "trying"}}}}
UNTIL: Final = {"policy": {"approvals": {"eyes": {"deadline_s": 600}}}}
ASKING: Final = {"policy": {"mode": "programmatic"}, "rules": {"arrived": {"first": {"do": "ASK"}}}}


def asking(*rungs: str, reconcile: str = "model_wins") -> Play:
    return Play(machine(TRIAGE, {"policy": {"routes": {"complex": {"ask": list(rungs), "reconcile": reconcile}}}}))


def before_it_starts() -> Play:
    play = Play(machine(TRIAGE))
    play.state, play.journal = RunState(), []
    return play


STATES: Final[dict[str, Callable[[], Play]]] = {
    "new": before_it_starts,
    "agent": lambda: Play(machine(TRIAGE, {"policy": {"mode": "programmatic"}})),
    "retried agent": lambda: Play(machine(PAYMENT)).fails(),
    "question": lambda: Play(machine(TRIAGE, ASKING)),
    "decision": lambda: asking("person"),
    "approval": lambda: Play(machine(TRIAGE, APPROVAL)),
    "approval until": lambda: Play(machine(TRIAGE, merged(APPROVAL, UNTIL))),
    "effect": lambda: Play(machine(PAYMENT)).overruns(),
    "message": lambda: Play(machine(REVIEW)).returns({}).returns(SCORES).overruns(),
    "timer": lambda: Play(machine(REVIEW)).returns({}).returns(SCORES),
    "model": lambda: asking("first", "second"),
    "panel": lambda: asking("panel"),
    "agent and shadow": lambda: asking("first", reconcile="shadow"),
    "agent and shadows": lambda: asking("panel", reconcile="shadow"),
    "failed": lambda: Play(machine(PAYMENT)).returns({"ok": False}).cancel(),
    "failed with shadow": lambda: asking("first", reconcile="shadow").cancel(),
    "succeeded": lambda: Play(machine(PAYMENT)).returns({"ok": True}),
}

EVENTS: Final[dict[str, Callable[[float, int], Event]]] = {
    "run_started": lambda at, _: RunStarted(at, "run", "triage", "w", "p", {}),
    "agent_returned": lambda at, n: AgentReturned(at, n, {"done": True, "ok": True}, usage=Usage(cost_usd=0.01)),
    "agent_failed raised": lambda at, n: AgentFailed(at, n, "raised", "boom", usage=Usage(cost_usd=0.01)),
    "agent_failed invalid": lambda at, n: AgentFailed(at, n, "invalid", "no", usage=Usage(cost_usd=0.01)),
    "agent_failed late": lambda at, n: AgentFailed(at, n, "late", usage=Usage(cost_usd=0.01)),
    "agent_failed cut_off": lambda at, n: AgentFailed(at, n, "cut_off", usage=Usage(cost_usd=0.01)),
    "person_answered": lambda at, n: PersonAnswered(
        at, n, {"approve": True, "effect": "done", "action": "TRY", "text": "x"}, "ada"
    ),
    "message_received": lambda at, n: MessageReceived(at, n, "released", {"note": "x"}),
    "time_passed": TimePassed,
    "model_answered": lambda at, n: ModelAnswered(at, n, json.dumps({"action": "TRY"}), usage=Usage(cost_usd=0.01)),
    "model_answered garbage": lambda at, n: ModelAnswered(at, n, "```", usage=Usage(cost_usd=0.01)),
    "model_failed": lambda at, n: ModelFailed(at, n, "unavailable", usage=Usage(cost_usd=0.01)),
    "run_cancelled": lambda at, _: RunCancelled(at, "ada"),
    "run_retried": lambda at, _: RunRetried(at, "ada"),
    "run_resumed": lambda at, _: RunResumed(at, "ada"),
    "policy_changed": lambda at, _: PolicyChanged(at, "another"),
    "workflow_changed": lambda at, _: WorkflowChanged(at, "another", "another"),
    "outcome": lambda at, _: OutcomeAttached(at, 1, success=True),
    "payloads_pruned": lambda at, _: PayloadsPruned(at, "0" * 32),
    "question_put": lambda at, _: QuestionPut(at, "triage", "p", {}, ("A", "B")),
}

CALL: Final = {
    "agent_returned",
    "agent_failed raised",
    "agent_failed invalid",
    "agent_failed late",
    "agent_failed cut_off",
    "time_passed",
}
MODEL: Final = {"model_answered", "model_answered garbage", "model_failed", "time_passed"}
CHANGES: Final = {"policy_changed", "workflow_changed"}
ALWAYS: Final = {"run_cancelled"} | CHANGES
"""While a run works."""

COUNTS: Final[dict[str, set[str]]] = {
    "new": {"run_started"} | CHANGES,
    "agent": CALL | ALWAYS | {"run_resumed"},
    "retried agent": CALL | ALWAYS | {"run_resumed"},
    "question": ALWAYS | {"person_answered", "time_passed"},
    "decision": ALWAYS | {"person_answered", "time_passed"},
    "approval": ALWAYS | {"person_answered"},
    "approval until": ALWAYS | {"person_answered", "time_passed"},
    "effect": ALWAYS | {"person_answered", "agent_returned"},
    "message": ALWAYS | {"message_received", "time_passed"},
    "timer": ALWAYS | {"time_passed"},
    "model": ALWAYS | MODEL | {"run_resumed"},
    "panel": ALWAYS | MODEL | {"run_resumed"},
    "agent and shadow": ALWAYS | CALL | MODEL | {"run_resumed"},
    "agent and shadows": ALWAYS | CALL | MODEL | {"run_resumed"},
    "failed": {"run_retried"} | CHANGES,
    "failed with shadow": MODEL | {"run_retried", "run_resumed"} | CHANGES,
    "succeeded": CHANGES,
}
"""What counts in which state; all the rest is late there."""

CELLS: Final = [(state, event) for state in STATES for event in EVENTS]


def test_the_table_is_whole() -> None:
    kinds = {kind.__struct_config__.tag for kind in get_args(AnyEvent)}
    assert {name.split()[0] for name in EVENTS} == kinds
    assert STATES.keys() == COUNTS.keys()


def numbers(state: RunState) -> list[int]:
    """Every outstanding command, in the order asked."""
    return list(state.outstanding) or [0]


def moment(state: RunState, number: int) -> float:
    """A time at which the command's deadline is over."""
    command = state.outstanding.get(number)
    deadline = None if command is None else command.deadline
    return state.now + 1.0 if deadline is None else deadline


def aimed(state: RunState, event: str, number: int) -> Event:
    """The event as an answer to this command, in its attempt; the command's time is up only where time is meant."""
    at = moment(state, number) if event == "time_passed" else state.now + 0.5
    told = EVENTS[event](at, number)
    attempt = getattr(state.outstanding.get(number), "attempt", 1)
    return replace(told, attempt=attempt) if hasattr(told, "attempt") else told


def cost(event: Event) -> float:
    usage = getattr(event, "usage", None)
    return usage.cost_usd if usage else 0.0


def only_time_and_money(before: RunState, after: RunState) -> bool:
    same = replace(after, now=before.now, working_s=before.working_s, usd=before.usd, agents_usd=before.agents_usd)
    return same == before


@pytest.mark.parametrize(("name", "event"), CELLS, ids=lambda value: value.replace(" ", "_"))
def test_a_cell(name: str, event: str) -> None:
    play = STATES[name]()
    counted = False
    for number in numbers(play.state):
        told = aimed(play.state, event, number)
        advanced = advance(play.machine, play.state, told)
        assert advanced.entries[0] == told
        assert advanced.state.usd == pytest.approx(play.state.usd + cost(told)) or name == "new"
        assert decide(play.machine, advanced.state) == ()
        assert fold(play.machine, [*play.journal, *advanced.entries]) == advanced.state
        if only_time_and_money(play.state, advanced.state):
            assert advanced.entries == (told,)
        else:
            counted = True
    assert counted is (event in COUNTS[name])


@pytest.mark.parametrize(("name", "event"), CELLS, ids=lambda value: value.replace(" ", "_"))
def test_an_answer_to_a_command_that_was_never_given_is_late(name: str, event: str) -> None:
    play = STATES[name]()
    told = EVENTS[event](play.state.now + 0.5, 999)
    advanced = advance(play.machine, play.state, told)
    if not hasattr(told, "command"):
        return
    assert advanced.entries == (told,)
    assert only_time_and_money(play.state, advanced.state)


@pytest.mark.parametrize(("name", "event"), CELLS, ids=lambda value: value.replace(" ", "_"))
def test_what_is_told_twice_counts_once(name: str, event: str) -> None:
    """The same answer again, in the same moment, is late; only a vote of a panel leaves others open."""
    play = STATES[name]()
    told = aimed(play.state, event, numbers(play.state)[0])
    once = advance(play.machine, play.state, told).state
    again = advance(play.machine, once, told)
    if hasattr(told, "command"):
        assert again.entries == (told,)
        assert only_time_and_money(once, again.state)
    assert msgspec.json.encode(once.memory) == msgspec.json.encode(again.state.memory)


@pytest.mark.parametrize("name", STATES)
def test_each_state_awaits_what_its_name_says(name: str) -> None:
    state = STATES[name]().state
    kinds = {
        "new": [],
        "agent": [CallAgent],
        "retried agent": [CallAgent],
        "question": [AskPerson],
        "decision": [AskPerson],
        "approval": [AskPerson],
        "approval until": [AskPerson],
        "effect": [AskPerson],
        "message": [Wait],
        "timer": [Wait],
        "model": [AskModel],
        "panel": [AskModel] * 3,
        "agent and shadow": [AskModel, CallAgent],
        "agent and shadows": [AskModel, AskModel, AskModel, CallAgent],
        "failed": [],
        "failed with shadow": [AskModel],
        "succeeded": [],
    }[name]
    assert [type(command) for command in state.outstanding.values()] == kinds
    about = name.removesuffix(" until")
    assert [c.about for c in state.outstanding.values() if isinstance(c, AskPerson)] == [about] * kinds.count(AskPerson)


def test_a_late_event_never_winds_the_clock_back() -> None:
    play = STATES["agent"]().later(100).tell(TimePassed(1100.0))
    play.tell(AgentFailed(1000.0, 999, "raised"))
    assert (play.state.now, play.state.working_s) == (1100.0, 100.0)
