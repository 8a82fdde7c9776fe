"""A journal in memory: for tests, and for runs that need not outlive their process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec

from stepladder.errors import RunOwned, StepladderError
from stepladder.journal.owner import Owner
from stepladder.journal.reading import stored
from stepladder.journal.references import References
from stepladder.journal.refusals import item_taken, moved_on, not_ended, not_mine, not_there, taken_id
from stepladder.journal.store import (
    NONE,
    Checkpoint,
    InboxItem,
    InboxKind,
    Kept,
    Pruned,
    RawRun,
    RawTurn,
    RunRow,
    Status,
    StoredTurn,
    Swept,
    TakenItem,
    Turn,
)


class MemoryJournal:
    """Keeps every turn as the bytes that would have been written."""

    name = "memory"
    grouped = False

    def __init__(self) -> None:
        self._rows: dict[str, RunRow] = {}
        self._turns: dict[str, list[tuple[int, bytes, bytes]]] = {}
        self._owned: dict[str, str] = {}
        self._owners: dict[str, Owner] = {}
        self._checkpoints: dict[str, Checkpoint] = {}
        self._inbox: dict[str, dict[int, InboxItem]] = {}
        self._kept: dict[str, bytes] = {}
        self._artifacts: dict[str, bytes] = {}
        self._numbers = count(1)
        self._puts = self._seen = 0
        self._taken: dict[str, list[TakenItem]] = {}
        self._kept_at: dict[str, float] = {}
        self._pruned: dict[str, Pruned] = {}

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        """Append turns."""
        return [self._write(turn) for turn in turns]

    def _write(self, turn: Turn) -> StepladderError | None:
        refused = self._refused(turn)
        if refused is not None:
            return refused
        self._turns.setdefault(turn.run_id, []).append((turn.seq, turn.body, turn.digest))
        if turn.taken:
            item = self._inbox[turn.run_id].pop(turn.taken)
            self._taken.setdefault(turn.run_id, []).append(TakenItem(item.number, item.kind, turn.seq))
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
            return taken_id(turn.run_id) if written or turn.run_id in self._pruned else None
        if written is None:
            return not_there(self, turn.run_id)
        if self._owned.get(turn.run_id, "") != turn.owner:
            return not_mine(turn.run_id)
        if turn.seq <= written[-1][0]:
            return moved_on(turn.run_id, turn.seq)
        if turn.taken and turn.taken not in self._inbox.get(turn.run_id, {}):
            return item_taken(turn.run_id, turn.taken)
        return None

    def turns(self, run_id: str, after: int = 0) -> list[StoredTurn]:
        """The run's turns."""
        return stored(self.name, run_id, self._turns.get(run_id, ()), after)

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
            raise not_there(self, run_id)
        owner = self._owners.get(self._owned.get(run_id, owner_id))
        if owner is not None and owner.id != owner_id and owner.alive(time.time()):
            raise RunOwned(run_id, owner.told())
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
            raise not_there(self, run_id)
        item = InboxItem(next(self._numbers), kind, body, at)
        self._puts += 1
        self._artifacts |= artifacts
        self._inbox.setdefault(run_id, {})[item.number] = item
        return item

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        """What the run has not taken yet."""
        return list(self._inbox.get(run_id, {}).values())

    def posted(self) -> Sequence[str]:
        """The runs with something in their inbox; another Orchestrator of this process may have put it there."""
        if self._seen == self._puts:
            return ()
        self._seen = self._puts
        return [run_id for run_id, items in self._inbox.items() if items]

    def drop(self, run_id: str, number: int) -> None:
        """Take an item out."""
        if self._inbox.get(run_id, {}).pop(number, None) is None:
            raise item_taken(run_id, number)

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        """Keep a definition."""
        self._kept.setdefault(hash_, body)
        self._kept_at[hash_] = time.time()

    def definition(self, hash_: str) -> bytes | None:
        """A kept definition."""
        return self._kept.get(hash_)

    def artifact(self, digest: str) -> bytes | None:
        """Kept bytes."""
        return self._artifacts.get(digest)

    def raw(self, run_id: str | None = None) -> Iterator[RawRun | Kept]:
        """Everything as it is stored."""
        for name in list(self._rows) if run_id is None else [run_id] * (run_id in self._rows):
            turns = [RawTurn(*turn) for turn in self._turns[name]]
            yield RawRun(name, self._rows[name], turns, self._taken.get(name, ()), self._checkpoints.get(name))
        if run_id is None:
            yield from [Kept("artifact", name, body) for name, body in self._artifacts.items()]
            yield from [Kept("definition", name, body) for name, body in self._kept.items()]

    def empty(self, turn: Turn, bodies: Mapping[int, bytes]) -> None:
        """Put these bodies in the place of those that are there."""
        before = self._ended(turn.run_id)
        if refused := self._write(turn):
            raise refused
        self._turns[turn.run_id][:-1] = [(seq, bodies.get(seq, body), digest) for seq, body, digest in before]
        self._checkpoints.pop(turn.run_id, None)
        self._inbox.pop(turn.run_id, None)

    def remove(self, left: Pruned) -> None:
        """Remove a run."""
        if self._ended(left.run_id)[-1][2] != left.digest:
            raise moved_on(left.run_id, left.entries + 1)
        for kept in (self._rows, self._turns, self._checkpoints, self._inbox, self._taken):
            kept.pop(left.run_id, None)
        self._pruned[left.run_id] = left

    def pruned(self, run_id: str | None = None) -> Sequence[Pruned]:
        """The runs that were removed."""
        return [left for name, left in self._pruned.items() if run_id in (None, name)]

    def sweep(self, before: float) -> Swept:
        """Remove what nobody refers to."""
        seen = References()
        for turns in self._turns.values():
            for _, body, _ in turns:
                seen.see(body)
        for item in (item for items in self._inbox.values() for item in items.values()):
            seen.see(msgspec.json.encode(item.body))
        artifacts = [name for name in self._artifacts if not seen.artifact(name)]
        definitions = [name for name in self._kept if self._kept_at[name] < before and not seen.definition(name)]
        for name in artifacts:
            del self._artifacts[name]
        for name in definitions:
            del self._kept[name]
        return Swept(len(artifacts), len(definitions))

    def _ended(self, run_id: str) -> list[tuple[int, bytes, bytes]]:
        """The turns of a run that has ended and that nobody works on."""
        if run_id not in self._rows:
            raise not_there(self, run_id)
        if self._rows[run_id].status != "ended" or run_id in self._owned:
            raise not_ended(run_id)
        return list(self._turns[run_id])

    def close(self) -> None:
        """Nothing to let go of."""
