"""What was said in a run, by what was asked: so that it can be said again wherever exactly the same is asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from stepladder.commands import AnyCommand, AskModel, AskPerson, CallAgent, Wait
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    PersonAnswered,
    TimePassed,
)
from stepladder.orchestrator import Machine, evolve
from stepladder.record import Entry
from stepladder.state import RunState
from stepladder.values import digest

Reply = AgentReturned | AgentFailed | ModelAnswered | ModelFailed | PersonAnswered | MessageReceived | TimePassed


def replies(machine: Machine, entries: Sequence[Event | Entry], state: RunState) -> dict[tuple[Any, ...], deque[Reply]]:
    """What agents, models, people and the world said in a run from this state on, by what was asked."""
    found = dict[tuple[Any, ...], deque[Reply]]()
    for entry in entries:
        if isinstance(entry, Reply) and entry.command in state.outstanding:
            key = key_of(machine, state.outstanding[entry.command])
            found.setdefault(key, deque()).append(entry)
        state = evolve(machine, state, entry)
    return found


def key_of(machine: Machine, command: AnyCommand) -> tuple[Any, ...]:
    """What is asked, whatever its number: equal where the answer on record is one to it."""
    match command:
        case CallAgent():
            return "call", command.key, command.attempt
        case AskModel():
            rung = machine.policy.ladder.rungs.get(command.rung)
            prompt = rung.prompt if rung else ""
            text = machine.definition.prompts.get(prompt, "")
            return "model", command.decision, command.rung, command.model, prompt, digest(text)
        case AskPerson():
            return "person", command.about, command.step, command.question, command.options, digest(command.arguments)
        case Wait():
            return "wait", command.step, command.message


def missing(command: AnyCommand) -> str:
    """What would have to be known, in words."""
    match command:
        case CallAgent():
            return f"what {command.agent} gives in {command.step}"
        case AskModel():
            return f"what {command.model} says to decision {command.decision}"
        case AskPerson():
            return f"what a person says in {command.step}"
        case Wait():
            return f"what comes in {command.step}"
