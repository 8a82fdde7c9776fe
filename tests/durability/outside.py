"""The world outside the engine, as lines in files: what agents did, what was promised to anybody, what was wrong."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from stepladder.commands import AskPerson, CallAgent
from stepladder.errors import RunNotFound
from stepladder.events import Event, PersonAnswered
from stepladder.journal import Journal, entries_in
from stepladder.orchestrator import Machine, evolve, in_flight
from stepladder.record import Entry
from stepladder.state import RunState

END: Final = "."
"""The last word of a line that was written to its end."""


class Past(NamedTuple):
    """A run as its journal has it: its entries, the keys of calls it commanded, and of those whose outcome it knows."""

    entries: Sequence[Event | Entry]
    commanded: frozenset[str]
    known: frozenset[str]

    @property
    def answers(self) -> int:
        """Answers of people, taken."""
        return sum(isinstance(entry, PersonAnswered) for entry in self.entries)


def past_of(machine: Machine, journal: Journal, run_id: str) -> Past:
    """What the journal says of this run now."""
    entries = entries_in(journal.turns(run_id))
    state, commanded = RunState(run_id=run_id), set[str]()
    for entry in entries:
        state = evolve(machine, state, entry)
        calls = (each.call if isinstance(each, AskPerson) else each for each in state.outstanding.values())
        commanded |= {call.key for call in calls if isinstance(call, CallAgent)}
    return Past(entries, frozenset(commanded), frozenset(commanded - in_flight(state)))


class Outside:
    """The files of one folder, written by many processes, a line at a time. Killing a process leaves all of them but
    the one that it was writing: of a line that crosses a page, a part may be there. So each has an end mark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "runs.db"

    def write(self, name: str, *words: object) -> None:
        file = os.open(self.folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, ("\n" + " ".join((*map(str, words), END))).encode())
        os.close(file)

    def lines(self, name: str) -> list[list[str]]:
        file = self.folder / name
        found = [line.split() for line in file.read_text().split("\n")] if file.exists() else []
        return [words[:-1] for words in found if words[-1:] == [END]]

    def did(self, run_id: str, agent: str, key: str) -> None:
        """An effect."""
        self.write("effects", run_id, agent, key)

    def promised(self, run_id: str, what: str, value: object) -> None:
        """Somebody was told that the run has so many `entries` or `answers`, or was given a `call` of this key."""
        self.write("promises", run_id, what, value)

    def wrong(self, *words: object) -> None:
        """Something that must never be."""
        self.write("wrong", *words)

    def effects(self) -> Counter[str]:
        """How often the effect of each key happened."""
        return Counter(key for _, _, key in self.lines("effects"))

    @property
    def problems(self) -> list[str]:
        """What was wrong."""
        return [" ".join(words) for words in self.lines("wrong")]

    def check_promises(self, machine: Machine, journal: Journal) -> Mapping[str, Past]:
        """Whether everything promised is in the journal; the past of each run that anything was promised about."""
        promises: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for run_id, what, value in self.lines("promises"):
            promises[run_id].append((what, value))
        found = {run_id: past_of(machine, journal, run_id) for run_id in promises}
        for run_id, past in found.items():
            for what, value in promises[run_id]:
                if not _kept(journal, run_id, past, what, value):
                    self.wrong(f"run {run_id}: {what} {value} was promised, and is not in the journal")
        return found


def _kept(journal: Journal, run_id: str, past: Past, what: str, value: str) -> bool:
    match what:
        case "entries":
            return len(past.entries) >= int(value)
        case "call":
            return value in past.commanded
        case "answers":
            try:
                return past.answers + len(journal.inbox(run_id)) >= int(value)
            except RunNotFound:
                return False
        case _:
            raise AssertionError(what)
