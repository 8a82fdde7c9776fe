"""A journal told in the names of the workflow that it changed to.

What happened stays as it was written; a run that changed its workflow is folded as if it had always been of the new
one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from stepladder.events import Event, ModelAnswered, PersonAnswered, Renames, WorkflowChanged
from stepladder.record import Answered, Asked, Entry, Judged, Opened, Settled, Shadowed, Verdict

Either = Event | Entry

_NAMED: Final = re.compile(r'("(action|next_state)"\s*:\s*")(\w+)(?=")')
"""What a model's answer names."""


def retold(entries: Sequence[Either], then: WorkflowChanged | None = None) -> tuple[Sequence[Either], dict[str, str]]:
    """The entries in the names of the last workflow that they changed to, and what each renamed step was first called.

    `then` is a change that follows them.
    """
    changes = [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, WorkflowChanged)]
    if then is not None:
        changes.append((len(entries), then))
    told, first_known = entries, dict[str, str]()
    for index, change in changes:
        telling = _Retelling(change.renames)
        told = [*map(telling.entry, told[:index]), *told[index:]]
        first_known = _first_known(first_known, change)
    return told, first_known


def _first_known(before: dict[str, str], change: WorkflowChanged) -> dict[str, str]:
    """A step keeps its first name; one that is new under a name that was given up is told apart."""
    steps = change.renames.steps
    given_up = {old: f"{old}@{change.workflow_hash}" for old in steps}
    return {**before, **given_up, **{new: before.get(old, old) for old, new in steps.items()}}


class _Retelling:
    """Entries in other names, in order. Agents keep theirs: where one was chosen, no action is meant."""

    def __init__(self, renames: Renames) -> None:
        self.actions, self.steps, self.signals = renames.actions, renames.steps, renames.signals
        self.places = {**renames.steps, **renames.ends}
        self.choosing: set[int] = set()
        self.asked: set[int] = set()

    def entry(self, entry: Either) -> Either:
        match entry:
            case Opened():
                return self._opened(entry)
            case Asked():
                self.asked.update(entry.commands)
                return entry
            case Settled():
                action = entry.action if entry.n in self.choosing else _new(self.actions, entry.action)
                return replace(entry, action=action, to=_new(self.places, entry.to))
            case Answered() | Shadowed() if entry.verdict is not None:
                return replace(entry, verdict=self._verdict(entry.verdict))
            case Judged():
                return replace(entry, by=_new(self.steps, entry.by))
            case ModelAnswered():
                return replace(entry, text=_NAMED.sub(self._said, entry.text))
            case PersonAnswered() if entry.command in self.asked:
                return replace(entry, value={key: self._named(key, item) for key, item in entry.value.items()})
            case _:
                return entry

    def _opened(self, entry: Opened) -> Opened:
        told = replace(
            entry,
            step=_new(self.steps, entry.step),
            signals=_keys(self.signals, entry.signals),
            broken=_keys(self.signals, entry.broken),
        )
        if entry.point == "select_agent":
            self.choosing.add(entry.n)
            return told
        legal = tuple(_new(self.actions, action) for action in entry.legal)
        blocked = _keys(self.actions, entry.blocked)
        return replace(told, legal=legal, blocked=blocked, verdict=self._verdict(entry.verdict))

    def _verdict(self, verdict: Verdict) -> Verdict:
        return replace(verdict, action=_new(self.actions, verdict.action))

    def _named(self, key: str, value: Any) -> Any:
        names = {"action": self.actions, "next_state": self.places}.get(key, {})
        return _new(names, value) if isinstance(value, str) else value

    def _said(self, found: re.Match[str]) -> str:
        return f"{found[1]}{self._named(found[2], found[3])}"


def _new(names: Mapping[str, str], name: str) -> str:
    return names.get(name, name)


def _keys(names: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {_new(names, name): value for name, value in values.items()}
