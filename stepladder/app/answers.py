"""Whether an answer fits what a run waits for; looked at before the answer is kept."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from stepladder.commands import AskPerson, Wait
from stepladder.decision import Invalid, judge
from stepladder.errors import InputError, RunNotWaiting
from stepladder.events import OutcomeAttached
from stepladder.orchestrator import Machine
from stepladder.orchestrator.decide import reopened
from stepladder.state import RunState
from stepladder.values import plain
from stepladder.workflow.definition import PersonEffect, WaitEffect
from stepladder.workflow.problems import one_of


def check_answer(machine: Machine, state: RunState, value: dict[str, Any]) -> AskPerson:
    """The question that `value` answers.

    Raises:
        RunNotWaiting: no person is asked now.
        InputError: it does not fit the question.
    """
    command = next((each for each in state.outstanding.values() if isinstance(each, AskPerson)), None)
    if command is None:
        raise RunNotWaiting(state.run_id, "an answer", waits_for(state))
    match command.about:
        case "question":
            effect = machine.definition.steps[command.step].effect
            wrong = effect.check(value) if isinstance(effect, PersonEffect) and effect.check else ""
            _refuse(wrong, value, "an answer that fits its `output`")
        case "decision":
            assert state.asking is not None, "a person is asked about an open decision"
            found = judge(value, reopened(machine, state, state.asking).options)
            wrong = found.cause if isinstance(found, Invalid) else ""
            _refuse(wrong, value, f"an action of {', '.join(command.options)}")
        case "approval":
            wrong = "" if isinstance(value.get("approve"), bool) else "no true or false"
            _refuse(wrong, value, "{'approve': true or false}")
        case "effect":
            _check_effect(machine, command, value)
    return command


def _check_effect(machine: Machine, asked: AskPerson, value: dict[str, Any]) -> None:
    """What became of a call in doubt: what it gave, if it was done, is as if its agent had said so."""
    word, output = value.get("effect"), value.get("output", {})
    fits = word in asked.options and isinstance(output, dict)
    words = " or ".join(repr(each) for each in asked.options)
    _refuse("" if fits else "none of the options, or an output that is no mapping", value, f"{{'effect': {words}}}")
    if word == "done":
        assert asked.call is not None, "a doubt is about a call"
        agent = machine.definition.agents[asked.call.agent]
        _refuse(agent.check(output) if agent.check else "", output, f"what agent {agent.name} gives: its `output`")


def check_message(machine: Machine, name: str) -> None:
    """Raises InputError where no step waits for a message of this name: it would lie in the inbox for ever."""
    effects = (step.effect for step in machine.definition.steps.values())
    names = {effect.message for effect in effects if isinstance(effect, WaitEffect) and effect.message}
    if name not in names:
        raise InputError("message", "name", repr(name), f"one that a step waits for: {one_of(name, names)}")


def waits_for_message(state: RunState, name: str) -> Wait | None:
    """The wait that a message of this name ends, or None."""
    waits = (command for command in state.outstanding.values() if isinstance(command, Wait))
    return next((command for command in waits if command.message == name), None)


def waits_for(state: RunState) -> str:
    """What the run waits for, in words."""
    waiting = state.waiting
    if isinstance(waiting, Wait):
        return f"message {waiting.message!r}" if waiting.message else "a time"
    return "nobody (it has ended)" if state.status == "ended" else "no answer; it is at work"


def checked_outcome(said: OutcomeAttached, opened: int) -> OutcomeAttached:
    """The outcome, if it is one, of a run with `opened` decisions.

    Raises:
        InputError: there is no such decision, or a field is not what it should be.
    """
    try:
        outcome = msgspec.convert(plain(msgspec.structs.asdict(said), "outcome"), _Outcome)
    except msgspec.ValidationError as error:
        raise InputError("outcome", "", str(error), "success as flag, quality from 0 to 1, texts") from None
    if outcome.decision > opened:
        raise InputError("outcome", "decision", str(said.decision), f"a decision from 1 to {opened}, or 0 for the run")
    return said


class _Outcome(msgspec.Struct):
    decision: Annotated[int, msgspec.Meta(ge=0)]
    success: bool | None
    quality: Annotated[float, msgspec.Meta(ge=0, le=1)] | None
    elapsed_s: Annotated[float, msgspec.Meta(ge=0)] | None
    note: str
    by: str


def _refuse(wrong: str, value: dict[str, Any], expected: str) -> None:
    if wrong:
        raise InputError("answer", "", f"{str(value)[:200]} ({wrong})", expected)
