"""The one journal as each process sees it: a disk that fails before or after its commit, where processes also die.

The journals are real. What they accepted is told to the truth, which holds it against the laws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from stepladder.errors import JournalError, StepladderError
from stepladder.journal import Checkpoint, InboxItem, InboxKind, Journal, MemoryJournal, Owner, RunRow, Turn
from stepladder.journal.sqlite import SqliteJournal
from stepladder.journal.store import NONE, Pruned, Status, StoredTurn
from tests.simulation.loop import DiedError, Process, SimulatedLoop

if TYPE_CHECKING:
    from tests.simulation.truth import Truth

T = TypeVar("T")
FAULTS: Final = ("error before", "error after", "death before", "death after", "stall after")
"""What may happen at a write."""


class Faults:
    """How often the disk of a process fails, by its seed."""

    def __init__(self, random: Random, writes: float = 0.0, reads: float = 0.0) -> None:
        self.random, self.writes, self.reads = random, writes, reads

    def at_write(self) -> str:
        return self.random.choice(FAULTS) if self.random.random() < self.writes else ""

    def at_read(self) -> bool:
        return self.random.random() < self.reads


class Disk:
    """A journal, seen from one process."""

    def __init__(
        self, journal: Journal, grouped: bool, process: Process, loop: SimulatedLoop, truth: Truth, faults: Faults
    ) -> None:
        self.journal, self.grouped, self.name = journal, grouped, "the disk"
        self.process, self.loop, self.truth, self.faults = process, loop, truth, faults

    # --- turns

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        fault = self._before("write")
        refused = self.journal.write(turns)
        for turn, error in zip(turns, refused, strict=True):
            if error is None:
                self.truth.wrote(self.process, turn)
            else:
                self.truth.say(f"{self.process.name} is refused turn {turn.seq} of {turn.run_id}: {error}")
        return self._after(fault, refused)

    def turns(self, run_id: str, after: int = 0) -> list[StoredTurn]:
        self._read()
        return self.journal.turns(run_id, after)

    def checkpoint(self, run_id: str) -> Checkpoint | None:
        self._read()
        return self.journal.checkpoint(run_id)

    def row(self, run_id: str) -> RunRow | None:
        self._read()
        return self.journal.row(run_id)

    def rows(self, limit: int = 100, status: Status | None = None, workflow: str | None = None) -> list[RunRow]:
        self._read()
        return self.journal.rows(limit, status, workflow)

    def pruned(self, run_id: str | None = None) -> Sequence[Pruned]:
        self._read()
        return self.journal.pruned(run_id)

    # --- who works on what

    def enroll(self, owner: Owner) -> None:
        fault = self._before("enroll")
        self.truth.enrolled(self.process, owner)
        self._after(fault, self.journal.enroll(owner))

    def leave(self, owner_id: str) -> None:
        fault = self._before("leave")
        self.truth.left(owner_id)
        self._after(fault, self.journal.leave(owner_id))

    def claim(self, run_id: str, owner_id: str) -> None:
        fault = self._before("claim")
        self.journal.claim(run_id, owner_id)
        self._after(fault, self.truth.claimed(run_id, owner_id))

    def release(self, run_id: str, owner_id: str) -> None:
        fault = self._before("release")
        self.journal.release(run_id, owner_id)
        self._after(fault, self.truth.released(run_id, owner_id))

    # --- inbox

    def put(
        self, run_id: str, kind: InboxKind, body: dict[str, Any], at: float, artifacts: Mapping[str, bytes] = NONE
    ) -> InboxItem:
        fault = self._before("put")
        item = self.journal.put(run_id, kind, body, at, artifacts)
        self.truth.put(run_id, item)
        return self._after(fault, item)

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        self._read()
        return self.journal.inbox(run_id)

    def posted(self) -> Sequence[str]:
        self._read()
        if isinstance(self.journal, MemoryJournal):  # which is made for one process, and looks for no other
            return self.truth.posted()
        return self.journal.posted()

    def drop(self, run_id: str, number: int) -> None:
        fault = self._before("drop")
        self.journal.drop(run_id, number)
        self._after(fault, self.truth.dropped(self.process, run_id, number))

    # --- what is kept beside the runs

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        self._alive()
        self.journal.keep_definition(hash_, kind, body)

    def definition(self, hash_: str) -> bytes | None:
        self._read()
        return self.journal.definition(hash_)

    def artifact(self, digest: str) -> bytes | None:
        self._alive()
        return self.journal.artifact(digest)

    def close(self) -> None:
        """Everybody's journal is closed by nobody."""

    # --- faults

    def _alive(self) -> None:
        """The dead do nothing; and where a law is broken, the world stops."""
        if not self.process.alive or self.truth.broken:
            raise DiedError(self.process.name)

    def _read(self) -> None:
        self._alive()
        if self.faults.at_read():
            self.truth.say(f"{self.process.name} cannot read")
            raise JournalError(self.name, "a bad sector", "a good one")

    def _before(self, what: str) -> str:
        self._alive()
        fault = self.faults.at_write()
        if fault:
            self.truth.say(f"{self.process.name}: {fault} {what}")
        if fault.endswith("before"):
            self._happen(fault)
        return fault

    def _after(self, fault: str, result: T) -> T:
        if fault.endswith("after"):
            self._happen(fault)
        return result

    def _happen(self, fault: str) -> None:
        if fault.startswith("death"):
            self.loop.kill(self.process)
            raise DiedError(self.process.name)
        if fault.startswith("stall"):
            self.loop.stall(self.process, self.faults.random.choice((1.0, 20.0, 45.0)))
            return
        raise JournalError(self.name, "no space left", "space")


def dumped(journal: MemoryJournal | SqliteJournal) -> bytes:
    """Everything that a journal holds about runs. Who its owners were is left out: they are named by real processes."""
    if isinstance(journal, MemoryJournal):
        kept: Any = (journal._rows, journal._turns, journal._inbox, journal._checkpoints, journal._artifacts)
        return repr(kept).encode()
    tables = ("runs", "turns", "inbox", "takeovers", "checkpoints", "artifacts")
    return repr({name: journal._file.read(f"SELECT rowid, * FROM {name} ORDER BY rowid") for name in tables}).encode()
