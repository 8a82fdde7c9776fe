"""A run as a cassette: a scenario whose script is what the run's agents, people and models said, call by call.

Each result of an agent goes with the arguments it was called with (`$with`), so that a changed workflow that calls
otherwise is not answered with what was said to something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from stepladder.app.run import Run
from stepladder.commands import AnyCommand, AskModel, AskPerson, CallAgent, Wait
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    PersonAnswered,
)
from stepladder.orchestrator import evolve
from stepladder.record import Entry
from stepladder.state import RunState

Taken = tuple[Event | Entry, AnyCommand | None, RunState]
UNKNOWN: Final = ("late", "cut_off")


def answered(run: Run) -> Iterator[Taken]:
    """Each entry of the run, the command that it answers (None: none), and the state before it."""
    state = RunState()
    for entry in run.retold:
        yield entry, state.outstanding.get(getattr(entry, "command", 0)), state
        state = evolve(run.machine, state, entry)


def cassette(run: Run, workflow: str, name: str = "") -> dict[str, Any]:
    """The scenario that plays the run again: `workflow` is the file or name it is played on."""
    script: dict[str, Any] = {}
    for entry, command, _ in answered(run):
        if command is not None and (line := LINES.get(type(entry))) is not None:
            line(script, entry, command)
    taken = [record.action for record in run.decisions if record.opened.point == "next_action" and record.settled]
    expect: dict[str, Any] = {"path": taken}
    if run.end:
        expect |= {"end": run.end, "success": run.success}
    elif run.waiting is not None:
        expect["waiting"] = run.waiting.about
    said = {"scenario": name or f"as run {run.id}", "workflow": workflow, "input": run.state.input}
    return {**said, "script": script, "expect": expect}


def _returned(script: dict[str, Any], entry: AgentReturned, command: CallAgent) -> None:
    script.setdefault(command.agent, []).append({**entry.output, "$with": command.arguments})


def _failed(script: dict[str, Any], entry: AgentFailed, command: CallAgent) -> None:
    what: dict[str, Any] = {"$late": True}
    if entry.reason not in UNKNOWN:
        what = {"$raise": entry.error or entry.reason, "$type": entry.error_type or entry.reason}
    script.setdefault(command.agent, []).append({**what, "$with": command.arguments})


def _person(script: dict[str, Any], entry: PersonAnswered, _: AskPerson) -> None:
    script.setdefault("person", []).append(entry.value)


def _message(script: dict[str, Any], entry: MessageReceived, command: Wait) -> None:
    script.setdefault("messages", {}).setdefault(command.message, []).append(entry.payload)


def _model(script: dict[str, Any], entry: ModelAnswered, command: AskModel) -> None:
    script.setdefault("models", {}).setdefault(command.model, []).append(entry.text)


def _model_failed(script: dict[str, Any], entry: ModelFailed, command: AskModel) -> None:
    script.setdefault("models", {}).setdefault(command.model, []).append({"$fail": entry.code})


LINES: Final[dict[type, Callable[[dict[str, Any], Any, Any], None]]] = {
    AgentReturned: _returned,
    AgentFailed: _failed,
    PersonAnswered: _person,
    MessageReceived: _message,
    ModelAnswered: _model,
    ModelFailed: _model_failed,
}
"""What each event adds to the script."""
