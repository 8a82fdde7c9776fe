"""Runs that rest at a decision a model is asked about, for tests of prompts."""

from __future__ import annotations

from typing import Any

from stepladder.commands import AskModel, CallAgent
from stepladder.events import AgentFailed, AgentReturned, RunStarted
from stepladder.orchestrator import Machine, advance
from stepladder.state import RunState
from tests.example_workflows import TEXT_TO_SQL, machine

QUESTION = "How many customers?"


def started(asked: Machine, **given: Any) -> RunState:
    definition = asked.definition
    event = RunStarted(0.0, "run-4711", definition.name, definition.hash, definition.policy.hash, given)
    return advance(asked, RunState(), event).state


def told(asked: Machine, state: RunState, output: dict[str, Any] | None = None, error: str = "") -> RunState:
    """The state after the outstanding call returned `output`, or failed in every attempt."""
    while any(isinstance(command, CallAgent) for command in state.outstanding.values()):
        (command,) = (each for each in state.outstanding.values() if isinstance(each, CallAgent))
        if output is not None:
            return advance(asked, state, AgentReturned(state.now + 1, command.number, output)).state
        failed = AgentFailed(state.now + 1, command.number, "raised", error, "ValueError", command.attempt)
        state = advance(asked, state, failed).state
    return state


def at_a_failed_query(
    asked: Machine | None = None, question: str = QUESTION, error: str = "no such table"
) -> tuple[Machine, RunState]:
    """The printed workflow after its SQL did not run: RETRY_PLANNING and GIVE_UP are legal, and the model is asked."""
    asked = asked or machine(TEXT_TO_SQL)
    state = started(asked, question=question)
    state = told(asked, state, {"status": "answerable", "sql": "SELECT count(*) FROM customer", "question": ""})
    state = told(asked, state, {"success": False, "rows": [], "error": error})
    assert state.asking is not None, "the model is asked"
    assert any(isinstance(command, AskModel) for command in state.outstanding.values())
    return asked, state


def at_a_failed_plan(asked: Machine | None = None, error: str = "the planner is down") -> tuple[Machine, RunState]:
    """The printed workflow after its planner raised."""
    asked = asked or machine(TEXT_TO_SQL)
    state = told(asked, started(asked, question=QUESTION), error=error)
    assert state.asking is not None, "the model is asked"
    return asked, state
