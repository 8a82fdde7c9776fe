"""What every journal offers.

A journal holds turns. A turn is appended whole or not at all, under the number of its first entry (from 1), by whoever
knows how many entries there are already: a second writer with an older view is refused. Each turn's digest covers the
one before it, so what was changed afterwards is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, Literal, Protocol

import msgspec

from stepladder.events import AnyEvent
from stepladder.record import AnyEntry

Status = Literal["working", "waiting", "ended"]
InboxKind = Literal["answer", "message", "cancel", "retry"]

NO_DIGEST: Final = b"\0" * 16


def chain(before: bytes, body: bytes) -> bytes:
    """The digest of a turn after the turn with digest `before`: 16 bytes of BLAKE2b."""
    return blake2b(body, digest_size=16, key=before).digest()


class RunRow(msgspec.Struct, frozen=True):
    """One line of the list of runs. Times are seconds since 1970; `waiting` says for what, `end` where it ended."""

    run_id: str
    workflow: str
    workflow_hash: str
    started_at: float
    updated_at: float
    status: Status = "working"
    step: str = ""
    waiting: str = ""
    end: str = ""
    success: bool | None = None
    decisions: int = 0
    usd: float = 0.0


class StoredTurn(msgspec.Struct, frozen=True):
    """A turn as it was read: the number of its first entry, its entries, and whether its digest fits the chain."""

    seq: int
    entries: tuple[AnyEvent | AnyEntry, ...]
    intact: bool = True


class InboxItem(msgspec.Struct, frozen=True):
    """Something from outside that a run has not taken yet."""

    number: int
    kind: InboxKind
    body: dict[str, Any]
    put_at: float = 0.0


class Journal(Protocol):
    """Where runs are written. Every method is synchronous and returns only when what it wrote is durable."""

    name: str

    def create(self, row: RunRow, body: bytes) -> None:
        """Begin a run with its first turn. Raises RunConflict where the id is taken."""
        ...

    def append(self, run_id: str, seq: int, body: bytes, row: RunRow | None = None, taken: int = 0) -> None:
        """Append the turn whose first entry has number `seq`.

        `row` replaces the run's line in the list where it changed; `taken` is the inbox item that this turn consumes.
        Raises RunConflict where somebody else wrote the turn or took the item, RunNotFound.
        """

    def turns(self, run_id: str) -> list[StoredTurn]:
        """The run's turns, in order; [] where there is no such run. Raises JournalError where one cannot be read."""
        ...

    def row(self, run_id: str) -> RunRow | None:
        """The run's line, or None."""
        ...

    def rows(self, limit: int = 100, status: Status | None = None, workflow: str | None = None) -> list[RunRow]:
        """The newest runs first."""
        ...

    def put(self, run_id: str, kind: InboxKind, body: dict[str, Any], at: float) -> InboxItem:
        """Keep something for the run until it takes it. Raises RunNotFound."""
        ...

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        """What the run has not taken yet, oldest first."""
        ...

    def drop(self, run_id: str, number: int) -> None:
        """Take an item out that no run can take. Raises RunConflict where it is not there any more."""
        ...

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        """Keep a workflow or policy under its hash, for later replays."""
        ...

    def definition(self, hash_: str) -> bytes | None:
        """What is kept under this hash."""
        ...

    def keep_artifact(self, digest: str, body: bytes) -> None:
        """Keep bytes under their digest."""
        ...

    def artifact(self, digest: str) -> bytes | None:
        """The bytes of this digest."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
