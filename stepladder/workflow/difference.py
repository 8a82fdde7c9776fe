"""What differs between two definitions, of all that pins a run: a short list for people.

It looks at what the workflow hash is taken over, part by part; texts and policy are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from stepladder.signals import BUILTIN
from stepladder.workflow.definition import CallEffect, Definition, PersonEffect, Step, WaitEffect
from stepladder.workflow.hashes import resolved

LONGEST: Final = 80
"""Characters of a value that are shown."""
KINDS: Final = {CallEffect: "agent", PersonEffect: "ask", WaitEffect: "wait"}
KEYS: Final = {"agents": "agent", "name": "as", "arguments": "with"}
"""What fields of an effect are called in a file."""

Parts = dict[str, dict[str, Any]]


class Difference(msgspec.Struct, frozen=True):
    """One thing that differs. `was` is None where it was added, `now` where it was removed."""

    what: str
    was: str | None
    now: str | None

    def __str__(self) -> str:
        if self.was is None:
            return f"{self.what}: added"
        return f"{self.what}: removed" if self.now is None else f"{self.what}: was {self.was}, is {self.now}"


def difference(old: Definition, new: Definition) -> tuple[Difference, ...]:
    """What differs, in the order of a file; () where nothing does. A part that is gone or new is one difference."""
    before, after = dict(_parts(old)), dict(_parts(new))
    found = [each for part in {**before, **after} for each in _part(part, before.get(part), after.get(part))]
    return *found, *_moves(old, new), *_order(old, new)


def _part(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[Difference]:
    if old is None or new is None:
        yield Difference(name, None if old is None else "", None if new is None else "")
        return
    for field in {**old, **new}:
        if old.get(field) != new.get(field):
            yield Difference(f"{name}, {field}", _shown(old.get(field)), _shown(new.get(field)))


def _parts(definition: Definition) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything but the moves, as named parts with their fields."""
    yield "workflow", {"name": definition.name, "version": definition.version, "start": definition.start}
    yield "input", _fields(definition.input)
    for name, agent in definition.agents.items():
        rest = _struct(agent, "name", "output")
        yield f"agent {name}", {**rest, **_fields(agent.output, "output.")}
    for name, phase in definition.phases.items():
        yield f"phase {name}", {"converged": resolved(phase.converged)}
    for name, step in definition.steps.items():
        yield f"step {name}", _step(step)
    for name, end in definition.ends.items():
        yield f"end {name}", _struct(end, "name")
    for name, action in definition.actions.items():
        yield f"action {name}", {**_struct(action, "name", "parameters"), **_fields(action.parameters, "parameters.")}
    for signal in definition.fold.signals:
        if BUILTIN.get(signal.name) is not signal:
            yield f"signal {signal.name}", {"version": signal.version}


def _step(step: Step) -> dict[str, Any]:
    effect = step.effect
    if effect is None:
        return {"phase": step.phase}
    fields = {KEYS.get(name, name): value for name, value in _struct(effect, "output").items()}
    output = _fields(effect.output, "output.") if isinstance(effect, PersonEffect) else {}
    return {"phase": step.phase, "effect": KINDS[type(effect)], **fields, **output}


def _struct(value: msgspec.Struct, *without: str) -> dict[str, Any]:
    _, fields = resolved(value)
    return {name: item for name, item in fields.items() if name not in without}


def _fields(schema: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A schema by its fields; which of them are required follows from their defaults."""
    return {f"{prefix}{name}": resolved(item) for name, item in schema.get("properties", {}).items()}


def _moves(old: Definition, new: Definition) -> Iterator[Difference]:
    """The ways between steps; those of a step or an action that is gone or new need no mention."""
    before, after = _ways(old), _ways(new)
    for step, action in {**before, **after}:
        if step in old.steps.keys() & new.steps.keys() and action in old.actions.keys() & new.actions.keys():
            way = f"action {action} from {step}"
            yield from _part(way, before.get((step, action)), after.get((step, action)))


def _ways(definition: Definition) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (step, move.option.action): {"to": move.option.to, "guard": resolved(move.guard)}
        for step, moves in definition.moves.items()
        for move in moves
    }


def _order(old: Definition, new: Definition) -> Iterator[Difference]:
    for step in old.moves:
        before, after = ([m.option.action for m in each.moves.get(step, ())] for each in (old, new))
        if sorted(before) == sorted(after) and before != after:
            yield Difference(f"order of the actions from {step}", ", ".join(before), ", ".join(after))


def _shown(value: Any) -> str:
    if value in (None, "", [], {}):
        return "nothing"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
