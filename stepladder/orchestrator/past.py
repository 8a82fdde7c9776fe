"""A run's past decided again under another definition, to see whether it would have gone the same way.

A replay compares every word that is on record; here only the way counts: who was asked, what was settled and where it
led. Rules may give other reasons, and more may be legal than was. The past has to be told in this definition's names
(`retold`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Literal

import msgspec

from stepladder.events import Event, RunStarted
from stepladder.orchestrator.advance import advance
from stepladder.orchestrator.effects import calls_in_flight
from stepladder.orchestrator.machine import Machine
from stepladder.record import STOP, Asked, Entry, Opened, Settled
from stepladder.state import RunState

Either = Event | Entry


class Compared(msgspec.Struct, frozen=True):
    """What came of it.

    `same`: all `decision` decisions. `diverges`: decision `decision` in `step` was `recorded` and would be `decided`.
    `incomparable`: it stops there, since (`cause`) something that is on record is gone.
    """

    outcome: Literal["same", "diverges", "incomparable"]
    decision: int = 0
    step: str = ""
    recorded: str = ""
    decided: str = ""
    cause: str = ""

    def __str__(self) -> str:
        where = f"decision {self.decision}" + (f" in {self.step}" if self.step else "")
        match self.outcome:
            case "same":
                return f"same, {self.decision} decision{'' if self.decision == 1 else 's'}"
            case "diverges":
                return f"diverges at {where}: was {self.recorded}, would be {self.decided}"
            case "incomparable":
                return f"cannot be compared: {self.cause}" + (f" ({where})" if self.decision else "")


def compare(machine: Machine, entries: Sequence[Either]) -> Compared:
    """Decide the past again: to its end, or to the first decision that would go another way."""
    started = entries[0] if entries else None
    if not isinstance(started, RunStarted):
        return Compared("incomparable", cause="its beginning is missing")
    check = machine.definition.check_input
    if check is not None and (wrong := check(started.input)):
        return Compared("incomparable", cause=f"its input does not fit: {wrong}")
    return _Past(machine, entries).compared()


def in_flight(state: RunState) -> set[str]:
    """The keys of the calls that may have been made, and whose outcome is not known."""
    return {call.key for call in calls_in_flight(state)}


class _Past:
    def __init__(self, machine: Machine, entries: Sequence[Either]) -> None:
        self.machine, self.entries = machine, entries
        self.state = RunState()
        self.opened = {entry.n: entry for entry in entries if isinstance(entry, Opened)}

    def compared(self) -> Compared:
        for event, recorded in self._by_event():
            try:
                moved = advance(self.machine, self.state, event)
            except (KeyError, AssertionError, TypeError, ValueError) as error:
                cause = f"{type(error).__name__}: {error}"
                return Compared("incomparable", self.state.opened, self.state.step, cause=cause)
            found = self._first(recorded, _conclusions(moved.entries))
            if found is not None:
                return found
            self.state = moved.state
        return Compared("same", self.state.opened)

    def _by_event(self) -> Iterator[tuple[Event, Sequence[Entry]]]:
        starts = [index for index, entry in enumerate(self.entries) if isinstance(entry, Event)]
        for start, end in zip_longest(starts, starts[1:]):
            event = self.entries[start]
            assert isinstance(event, Event), "found as one"
            yield event, _conclusions(self.entries[start + 1 : end])

    def _first(self, recorded: Sequence[Entry], decided: Sequence[Entry]) -> Compared | None:
        """The first difference among what was concluded from one event."""
        for was, now in zip_longest(recorded, decided):
            if was is not None and (gone := self._gone(was)):
                return self._told("incomparable", was, decided, gone)
            if self._way(was) != self._way(now):
                return self._told("diverges", was or now, decided)
        return None

    def _told(
        self, outcome: Literal["diverges", "incomparable"], at: Entry, decided: Sequence[Entry], cause: str = ""
    ) -> Compared:
        n = at.n
        new = (entry.step for entry in decided if isinstance(entry, Opened) and entry.n == n)
        step = self.opened[n].step if n in self.opened else next(new, self.state.step)
        return Compared(
            outcome, n, step, self._settled(_conclusions(self.entries), n), self._settled(decided, n), cause
        )

    def _gone(self, entry: Entry) -> str:
        definition = self.machine.definition
        if isinstance(entry, Opened):
            return "" if entry.step in definition.steps else f"step {entry.step} is gone"
        if not isinstance(entry, Settled):
            return ""
        chosen = "agent" if self._chooses(entry) else "action"
        known = definition.agents if chosen == "agent" else {STOP, *definition.actions}
        if entry.action not in known:
            return f"{chosen} {entry.action} is gone"
        there = entry.to in definition.steps or entry.to in definition.ends
        return "" if there else f"step or end {entry.to} is gone"

    def _chooses(self, entry: Settled) -> bool:
        return entry.n in self.opened and self.opened[entry.n].point == "select_agent"

    def _way(self, entry: Entry | None) -> Any:
        """What has to be the same."""
        match entry:
            case Opened():
                return Opened, entry.n, entry.point, entry.step
            case Asked():  # the numbers of commands depend on how many there are
                return Asked, entry.n, len(entry.commands), bool(entry.models), entry.shadow
            case Settled():
                return Settled, entry.n, entry.action, entry.to, self._significant(entry), bool(entry.approval)
            case Entry():
                return type(entry), entry.n
            case None:
                return None

    def _significant(self, entry: Settled) -> dict[str, Any]:
        action = self.machine.definition.actions.get(entry.action)
        return {name: entry.parameters.get(name) for name in action.significant} if action else {}

    def _settled(self, entries: Sequence[Entry], n: int) -> str:
        """What decision `n` came to, in words."""
        mine = [entry for entry in entries if entry.n == n]
        asked = [entry.rung for entry in mine if isinstance(entry, Asked) and not entry.shadow]
        for entry in mine:
            if isinstance(entry, Settled):
                more = [f"{name} {value}" for name, value in self._significant(entry).items() if value is not None]
                more += [f"asked {rung}" for rung in asked] + (["once approved"] if entry.approval else [])
                return f"{entry.action} -> {entry.to}" + (f" ({', '.join(more)})" if more else "")
        return f"a question to {asked[-1]}" if asked else "open" if mine else "no decision"


def _conclusions(entries: Sequence[Either]) -> Sequence[Entry]:
    return [entry for entry in entries if isinstance(entry, Entry)]
