"""A workflow as a picture sees it: boxes, arrows and groups, with what a run did marked on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from stepladder.clauses import Condition
from stepladder.events import PersonAnswered
from stepladder.record import STOP, Opened, Settled
from stepladder.workflow.definition import CallEffect, Definition, Effect, PersonEffect, WaitEffect

Kind = Literal["plain", "agent", "person", "wait", "success", "failure"]

SHORT: Final = 44
"""Characters of a guard that fit on an arrow."""


class Path(msgspec.Struct, frozen=True):
    """What a run did: how often it entered each place and took each move (step, action, place), and where it is."""

    visits: dict[str, int] = {}
    moves: dict[tuple[str, str, str], int] = {}
    current: str = ""


class Box(msgspec.Struct, frozen=True):
    """A step or an end."""

    name: str
    kind: Kind
    detail: str = ""
    description: str = ""
    start: bool = False
    visits: int = 0
    current: bool = False


class Arrow(msgspec.Struct, frozen=True):
    """An action leading from one place to another. `guard` is short, `full_guard` is not."""

    source: str
    target: str
    action: str
    guard: str = ""
    full_guard: str = ""
    description: str = ""
    taken: int = 0


class Group(msgspec.Struct, frozen=True):
    """A phase and its steps; `criteria` say when it has converged."""

    name: str
    members: tuple[str, ...]
    criteria: str = ""


class Picture(msgspec.Struct, frozen=True):
    """Everything that is drawn. `followed` says whether a run's path is marked."""

    title: str
    summary: str
    groups: tuple[Group, ...]
    boxes: dict[str, Box]
    ends: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    followed: bool = False


def path_of(definition: Definition, entries: Iterable[Any]) -> Path:
    """The path that a journal's entries tell. A move that awaits approval counts once it is given."""
    visits = {definition.start: 1}
    moves: dict[tuple[str, str, str], int] = {}
    step, current, awaiting = definition.start, definition.start, None
    for entry in entries:
        going: Settled | None = None
        match entry:
            case Opened(point="next_action"):
                step, awaiting = entry.step, None
            case Settled() if entry.action in definition.actions or entry.action == STOP:
                awaiting, going = (entry, None) if entry.approval else (None, entry)
            case PersonAnswered() if awaiting is not None:
                going, awaiting = (awaiting if entry.value.get("approve") is True else None), None
            case _:
                pass
        if going is not None:
            move = (step, going.action, going.to)
            moves[move] = moves.get(move, 0) + 1
            visits[going.to] = visits.get(going.to, 0) + 1
            current = going.to
    return Path(visits, moves, current)


def picture(definition: Definition, path: Path | None = None) -> Picture:
    """The picture of a workflow, with a run's path marked on it if there is one."""
    seen = path or Path()
    steps = {
        name: _box(name, _kind(step.effect), _detail(step.effect), step.description, definition.start, seen)
        for name, step in definition.steps.items()
    }
    ends = {
        name: _box(name, "success" if end.success else "failure", "", "", "", seen)
        for name, end in definition.ends.items()
    }
    groups = tuple(Group(phase.name, phase.steps, clauses(phase.converged)) for phase in definition.phases.values())
    counts = ((len(groups), "phase"), (len(steps), "step"), (len(definition.actions), "action"), (len(ends), "end"))
    summary = ", ".join(f"{count} {word}{'s' if count != 1 else ''}" for count, word in counts)
    title = f"{definition.name}, version {definition.version}"
    return Picture(title, summary, groups, {**steps, **ends}, tuple(ends), _arrows(definition, seen), path is not None)


def _box(name: str, kind: Kind, detail: str, description: str, start: str, path: Path) -> Box:
    described = " ".join(description.split())
    return Box(name, kind, detail, described, name == start, path.visits.get(name, 0), name == path.current)


def _kind(effect: Effect | None) -> Kind:
    match effect:
        case CallEffect():
            return "agent"
        case PersonEffect():
            return "person"
        case WaitEffect():
            return "wait"
        case _:
            return "plain"


def _detail(effect: Effect | None) -> str:
    match effect:
        case CallEffect(agents=agents):
            return " or ".join(agents)
        case PersonEffect():
            return "asks a person"
        case WaitEffect(message=message, seconds=seconds):
            return f"waits for {message}" if message else f"waits {seconds:g} s"
        case _:
            return ""


def _arrows(definition: Definition, path: Path) -> tuple[Arrow, ...]:
    found: list[Arrow] = []
    for step, moves in definition.moves.items():
        for move in moves:
            name, to = move.option.action, move.option.to
            said = clauses(move.guard)
            described = definition.actions[name].description if name in definition.actions else ""
            taken = path.moves.get((step, name, to), 0)
            found.append(Arrow(step, to, name, shortened(said), said, " ".join(described.split()), taken))
    stops = [(step, to, count) for (step, action, to), count in path.moves.items() if action == STOP]
    found.extend(Arrow(step, to, STOP, taken=count) for step, to, count in stops if step in definition.steps)
    return tuple(found)


def clauses(condition: Condition) -> str:
    """The condition in one line."""
    return ", ".join(str(clause) for clause in condition.clauses)


def shortened(text: str, most: int = SHORT) -> str:
    """At most so many characters, with the cut shown."""
    return text if len(text) <= most else text[: most - 1].rstrip(" ,") + "…"
