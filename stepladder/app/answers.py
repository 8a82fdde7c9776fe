"""Whether an answer fits what a run waits for; looked at before the answer is kept."""

from __future__ import annotations

from typing import Any

from stepladder.commands import AskPerson, Wait
from stepladder.decision import Invalid, judge
from stepladder.errors import InputError, RunNotWaiting
from stepladder.orchestrator import Machine
from stepladder.orchestrator.decide import reopened
from stepladder.state import RunState
from stepladder.workflow.definition import PersonEffect


def check_answer(machine: Machine, state: RunState, value: dict[str, Any]) -> AskPerson:
    """The question that `value` answers.

    Raises:
        RunNotWaiting: no person is asked now.
        InputError: it does not fit the question.
    """
    command = next((each for each in state.outstanding.values() if isinstance(each, AskPerson)), None)
    if command is None:
        raise RunNotWaiting(state.run_id, "an answer", _waits_for(state))
    match command.about:
        case "question":
            effect = machine.definition.steps[command.step].effect
            wrong = effect.check(value) if isinstance(effect, PersonEffect) and effect.check else ""
            _refuse(wrong, value, "an answer that fits its `output`")
        case "decision":
            assert state.asking is not None, "a person is asked about an open decision"
            found = judge(value, reopened(machine, state, state.asking).options)
            _refuse(found.cause if isinstance(found, Invalid) else "", value, f"an action of {', '.join(command.options)}")
        case "approval":
            _refuse("" if isinstance(value.get("approve"), bool) else "no true or false", value, "{'approve': true or false}")
        case "effect":
            fits = value.get("effect") in command.options and isinstance(value.get("output", {}), dict)
            _refuse("" if fits else "neither done nor redo", value, "{'effect': 'done' or 'redo'}")
    return command


def waits_for_message(state: RunState, name: str) -> Wait | None:
    """The wait that a message of this name ends, or None."""
    waits = (command for command in state.outstanding.values() if isinstance(command, Wait))
    return next((command for command in waits if command.message == name), None)


def _refuse(wrong: str, value: dict[str, Any], expected: str) -> None:
    if wrong:
        raise InputError("answer", "", f"{str(value)[:200]} ({wrong})", expected)


def _waits_for(state: RunState) -> str:
    waiting = state.waiting
    if isinstance(waiting, Wait):
        return f"message {waiting.message!r}" if waiting.message else "a time"
    return "nobody (it has ended)" if state.status == "ended" else "no answer; it is at work"
