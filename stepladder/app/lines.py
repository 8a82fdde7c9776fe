"""What is kept beside the turns of a run, compared with what they say: its line, its checkpoint, its definition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from stepladder.app.definitions import Definitions, Pin, pins_of
from stepladder.app.loading import restored
from stepladder.app.lone import row_of as lone_row_of
from stepladder.drivers.checkpoints import kept_under, state_at
from stepladder.drivers.rows import row_of
from stepladder.errors import InputError, JournalError, StepladderError
from stepladder.events import Event, QuestionPut, RunStarted
from stepladder.journal import Checkpoint, Journal, Kept, RunRow
from stepladder.orchestrator import Machine, fold
from stepladder.points import fold_alone
from stepladder.record import Entry, Opened, Settled
from stepladder.signals import Signal
from stepladder.state import CANCELLED, RunState

Entries = Sequence[Event | Entry]
CANNOT_FOLD: Final = (KeyError, AssertionError, TypeError, ValueError, AttributeError)
"""What folding raises under a definition that the entries are not of."""
EVERY: Final = RunRow.__struct_fields__[1:]
ALWAYS: Final = ("workflow", "workflow_hash", "started_at", "status", "waiting", "end", "success", "pruned")
"""Fields of a line but the id, and those that a run's last state tells, whichever turn wrote them."""


class Lines:
    """Lines as they should be. Each machine is built once; `unchecked` says which definitions cannot be, and why."""

    def __init__(self, journal: Journal, signals: Iterable[Signal]) -> None:
        self.definitions = Definitions(journal, signals)
        self.unchecked: dict[str, str] = {}
        self._machines: dict[Pin, Machine | JournalError | None] = {}

    def wrong(self, row: RunRow, turns: Sequence[Entries], *, pruned: bool) -> Iterator[str]:
        """What a line says that the turns do not say."""
        begun, entries = turns[0][0], [entry for turn in turns for entry in turn]
        try:
            if isinstance(begun, QuestionPut):
                lines, names = _lone(row.run_id, turns), ALWAYS if pruned else EVERY
            elif isinstance(begun, RunStarted) and not pruned and (machine := self._exact(pins_of(begun, entries)[-1])):
                lines, names = _lines(machine, begun, turns, entries)
            else:
                lines, names = [_told(row, begun, entries)], ALWAYS
        except JournalError as error:
            yield f"cannot be compared with its line in the list of runs: found {error.found}"
            return
        except CANNOT_FOLD as error:
            yield f"cannot be folded under its definition: {type(error).__name__}: {error}"
            return
        lines = [replace(line, pruned=pruned) for line in lines]
        if not any(all(getattr(row, name) == getattr(line, name) for name in names) for line in lines):
            both = [
                (name, getattr(row, name), getattr(lines[-1], name)) for name in sorted(names, key="updated_at".__eq__)
            ]
            said = "; ".join(f"{name} {was!r}, its turns {now!r}" for name, was, now in both if was != now)
            yield f"its line in the list of runs has {said}"

    def wrong_checkpoint(self, kept: Checkpoint, entries: Entries) -> str:
        """How the state in a checkpoint differs from the one that the entries lead to."""
        hashes, begun = kept_under(kept), entries[0]
        if hashes is None or not isinstance(begun, RunStarted):
            return "cannot be read"
        if hashes not in {(pin.workflow_hash, pin.policy_hash) for pin in pins_of(begun, entries)}:
            return "is of a definition that the run never had"
        try:
            machine = self._exact(Pin(begun.workflow, *hashes))
            same = machine is None or state_at(machine, kept) == fold(machine, entries[: kept.entries])
        except (JournalError, *CANNOT_FOLD):  # of its line the same is told
            return ""
        return "" if same else "is not the state that its turns lead to"

    def wrong_definition(self, kept: Kept) -> str:
        """How a definition differs from what it was kept under."""
        try:
            used: dict[str, int] = msgspec.json.decode(kept.body)["signals"]
            here = {each.name: each.version for each in self.definitions.signals}
            missing = [name for name, version in used.items() if here.get(name) != version]
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError, AttributeError):
            return "it is no definition as stepladder writes it"
        if missing:
            self.unchecked[kept.name] = f"it needs its own signals: {', '.join(missing)} (--agents)"
            return ""
        try:
            workflow = restored(kept.body, self.definitions.signals)
        except (StepladderError, *CANNOT_FOLD) as error:
            return f"it cannot be built: {error}"
        found = f"{workflow.hash}/{workflow.machine.policy.hash}"
        return "" if found == kept.name else f"it does not fit its hash: it is {found} under this version of stepladder"

    def _exact(self, pin: Pin) -> Machine | None:
        """The very machine; None where it wants signals that are not here.

        Raises:
            JournalError: the journal does not keep its definition.
        """
        if pin not in self._machines:
            self._machines[pin] = self._found(pin)
        found = self._machines[pin]
        if isinstance(found, JournalError):
            raise found
        return found

    def _found(self, pin: Pin) -> Machine | JournalError | None:
        try:
            return self.definitions.exact(pin).machine
        except JournalError as error:
            return error
        except (InputError, *CANNOT_FOLD):  # looked at as a definition, it is told of
            return None


def _lines(
    machine: Machine, begun: RunStarted, turns: Sequence[Entries], entries: Entries
) -> tuple[list[RunRow], tuple[str, ...]]:
    """The lines that the turns may have written, and which of their fields count.

    A line is written at least where its status, what it waits for or its end changes. Of a run whose definition changed
    on the way only the last state is known.
    """
    if len(pins_of(begun, entries)) > 1:
        return [row_of(machine, fold(machine, entries))], ALWAYS
    state, lines = RunState(), list[RunRow]()
    for turn in turns:
        state = fold(machine, turn, state)
        _add(lines, row_of(machine, state))
    return lines, EVERY


def _lone(run_id: str, turns: Sequence[Entries]) -> list[RunRow]:
    """The same of a decision that stands alone."""
    lines, told = list[RunRow](), list[Event | Entry]()
    for turn in turns:
        told += turn
        _add(lines, lone_row_of(run_id, fold_alone(told)))
    return lines


def _add(lines: list[RunRow], line: RunRow) -> None:
    before = lines[-1] if lines else line
    if (line.status, line.waiting, line.end) != (before.status, before.waiting, before.end):
        lines.clear()
    lines.append(line)


def _told(row: RunRow, begun: Event | Entry, entries: Entries) -> RunRow:
    """What the entries tell without a fold: everything of an ended run but whether its end is a good one."""
    assert isinstance(begun, RunStarted), "a run begins with its start"
    pin = pins_of(begun, entries)[-1]
    line = replace(row, workflow_hash=pin.workflow_hash, started_at=begun.at)
    if row.status != "ended":
        return line
    ends = [*[entry.to for entry in entries if isinstance(entry, Settled)][-1:], CANCELLED]
    decisions = sum(isinstance(entry, Opened) for entry in entries)
    return replace(line, end=row.end if row.end in ends else ends[0], decisions=decisions)
