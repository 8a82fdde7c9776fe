"""A journal in memory: for tests, and for runs that need not outlive their process."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from stepladder.errors import RunConflict, RunNotFound
from stepladder.journal.codec import decode_turn
from stepladder.journal.store import InboxItem, InboxKind, RunRow, Status, StoredTurn


class MemoryJournal:
    """Keeps every turn as the bytes that would have been written."""

    name = "memory"

    def __init__(self) -> None:
        self._rows: dict[str, RunRow] = {}
        self._turns: dict[str, list[tuple[int, bytes]]] = {}
        self._inbox: dict[str, dict[int, InboxItem]] = {}
        self._kept: dict[str, bytes] = {}
        self._artifacts: dict[str, bytes] = {}
        self._numbers = count(1)

    def create(self, row: RunRow, body: bytes) -> None:
        """Begin a run."""
        if row.run_id in self._rows:
            raise RunConflict(row.run_id, "there is already a run of this id")
        self._rows[row.run_id] = row
        self._turns[row.run_id] = [(1, body)]

    def append(self, run_id: str, seq: int, body: bytes, row: RunRow | None = None, taken: int = 0) -> None:
        """Append a turn."""
        turns = self._turns.get(run_id)
        if turns is None:
            raise RunNotFound(run_id, self.name)
        if seq <= turns[-1][0]:
            raise RunConflict(run_id, f"entry {seq} was written by somebody else")
        if taken:
            self.drop(run_id, taken)
        turns.append((seq, body))
        if row is not None:
            self._rows[run_id] = row

    def turns(self, run_id: str) -> list[StoredTurn]:
        """The run's turns."""
        return [StoredTurn(seq, decode_turn(body)) for seq, body in self._turns.get(run_id, [])]

    def row(self, run_id: str) -> RunRow | None:
        """The run's line."""
        return self._rows.get(run_id)

    def rows(self, limit: int = 100, status: Status | None = None, workflow: str | None = None) -> list[RunRow]:
        """The newest runs first."""
        found = [
            row
            for row in reversed(list(self._rows.values()))
            if status in (None, row.status) and workflow in (None, row.workflow)
        ]
        return sorted(found, key=lambda row: row.started_at, reverse=True)[:limit]

    def put(self, run_id: str, kind: InboxKind, body: dict[str, Any], at: float) -> InboxItem:
        """Keep an item for the run."""
        if run_id not in self._rows:
            raise RunNotFound(run_id, self.name)
        item = InboxItem(next(self._numbers), kind, body, at)
        self._inbox.setdefault(run_id, {})[item.number] = item
        return item

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        """What the run has not taken yet."""
        return list(self._inbox.get(run_id, {}).values())

    def drop(self, run_id: str, number: int) -> None:
        """Take an item out."""
        if self._inbox.get(run_id, {}).pop(number, None) is None:
            raise RunConflict(run_id, f"inbox item {number} was taken by somebody else")

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        """Keep a definition."""
        self._kept.setdefault(hash_, body)

    def definition(self, hash_: str) -> bytes | None:
        """A kept definition."""
        return self._kept.get(hash_)

    def keep_artifact(self, digest: str, body: bytes) -> None:
        """Keep bytes."""
        self._artifacts[digest] = body

    def artifact(self, digest: str) -> bytes | None:
        """Kept bytes."""
        return self._artifacts.get(digest)

    def close(self) -> None:
        """Nothing to let go of."""
