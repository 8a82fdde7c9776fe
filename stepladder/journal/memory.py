"""A journal in memory: for tests, and for runs that need not outlive their process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from stepladder.errors import RunNotFound, RunOwned, StepladderError
from stepladder.journal.codec import decode_turn
from stepladder.journal.owner import Owner
from stepladder.journal.store import (
    NO_DIGEST,
    NONE,
    Checkpoint,
    InboxItem,
    InboxKind,
    RunRow,
    Status,
    StoredTurn,
    Turn,
    chain,
    item_taken,
    moved_on,
    not_mine,
    taken_id,
)


class MemoryJournal:
    """Keeps every turn as the bytes that would have been written."""

    name = "memory"
    grouped = False

    def __init__(self) -> None:
        self._rows: dict[str, RunRow] = {}
        self._turns: dict[str, list[tuple[int, bytes, bytes]]] = {}
        self._owned: dict[str, str] = {}
        self._relieved: set[tuple[str, str]] = set()
        self._owners: dict[str, Owner] = {}
        self._checkpoints: dict[str, Checkpoint] = {}
        self._inbox: dict[str, dict[int, InboxItem]] = {}
        self._kept: dict[str, bytes] = {}
        self._artifacts: dict[str, bytes] = {}
        self._numbers = count(1)

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        """Append turns."""
        return [self._write(turn) for turn in turns]

    def _write(self, turn: Turn) -> StepladderError | None:
        refused = self._refused(turn)
        if refused is not None:
            return refused
        self._turns.setdefault(turn.run_id, []).append((turn.seq, turn.body, turn.digest))
        if turn.taken:
            del self._inbox[turn.run_id][turn.taken]
        if turn.artifacts:
            self._artifacts |= turn.artifacts
        if turn.checkpoint is not None:
            self._checkpoints[turn.run_id] = turn.checkpoint
        if turn.row is not None:
            self._rows[turn.run_id] = turn.row
            if turn.row.status != "working":
                self._owned.pop(turn.run_id, None)
            elif turn.owner:
                self._owned[turn.run_id] = turn.owner
        return None

    def _refused(self, turn: Turn) -> StepladderError | None:
        written = self._turns.get(turn.run_id)
        if turn.seq == 1:
            return taken_id(turn.run_id) if written else None
        if written is None:
            return RunNotFound(turn.run_id, self.name)
        if self._owned.get(turn.run_id, turn.owner) != turn.owner or (turn.run_id, turn.owner) in self._relieved:
            return not_mine(turn.run_id)
        if turn.seq <= written[-1][0]:
            return moved_on(turn.run_id, turn.seq)
        if turn.taken and turn.taken not in self._inbox.get(turn.run_id, {}):
            return item_taken(turn.run_id, turn.taken)
        return None

    def turns(self, run_id: str, after: int = 0) -> list[StoredTurn]:
        """The run's turns."""
        found, before = [], NO_DIGEST
        for seq, body, digest in self._turns.get(run_id, []):
            if seq > after:
                found.append(StoredTurn(seq, decode_turn(body), chain(before, body) == digest, digest))
            before = digest
        return found

    def checkpoint(self, run_id: str) -> Checkpoint | None:
        """The newest kept state."""
        return self._checkpoints.get(run_id)

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

    def enroll(self, owner: Owner) -> None:
        """Make an owner known."""
        self._owners[owner.id] = owner

    def leave(self, owner_id: str) -> None:
        """Forget an owner."""
        self._owners.pop(owner_id, None)
        self._owned = {run_id: owner for run_id, owner in self._owned.items() if owner != owner_id}

    def claim(self, run_id: str, owner_id: str) -> None:
        """Make the run this owner's."""
        if run_id not in self._rows:
            raise RunNotFound(run_id, self.name)
        before = self._owned.get(run_id, owner_id)
        if before != owner_id:
            owner = self._owners.get(before)
            if owner is not None and owner.alive(time.time()):
                raise RunOwned(run_id, owner.told())
            self._relieved.add((run_id, before))
        self._relieved.discard((run_id, owner_id))
        self._owned[run_id] = owner_id

    def release(self, run_id: str, owner_id: str) -> None:
        """Let go of a run."""
        if self._owned.get(run_id) == owner_id:
            del self._owned[run_id]

    def put(
        self, run_id: str, kind: InboxKind, body: dict[str, Any], at: float, artifacts: Mapping[str, bytes] = NONE
    ) -> InboxItem:
        """Keep an item for the run."""
        if run_id not in self._rows:
            raise RunNotFound(run_id, self.name)
        item = InboxItem(next(self._numbers), kind, body, at)
        self._artifacts |= artifacts
        self._inbox.setdefault(run_id, {})[item.number] = item
        return item

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        """What the run has not taken yet."""
        return list(self._inbox.get(run_id, {}).values())

    def posted(self) -> Sequence[str]:
        """Nobody else writes here."""
        return ()

    def drop(self, run_id: str, number: int) -> None:
        """Take an item out."""
        if self._inbox.get(run_id, {}).pop(number, None) is None:
            raise item_taken(run_id, number)

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        """Keep a definition."""
        self._kept.setdefault(hash_, body)

    def definition(self, hash_: str) -> bytes | None:
        """A kept definition."""
        return self._kept.get(hash_)

    def artifact(self, digest: str) -> bytes | None:
        """Kept bytes."""
        return self._artifacts.get(digest)

    def close(self) -> None:
        """Nothing to let go of."""
