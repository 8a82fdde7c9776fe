"""A run's turns: its state as far as it is durable, and the one turn that may be on its way to the disk.

event -> redact -> advance (pure) -> append to the journal
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stepladder.drivers.checkpoints import kept_state
from stepladder.drivers.committer import Done
from stepladder.drivers.flights import Post
from stepladder.drivers.resources import Resources
from stepladder.drivers.rows import row_of
from stepladder.events import Event
from stepladder.journal import Checkpoint, RunRow, Turn, chain, entries_in, joined
from stepladder.orchestrator import Advanced, Machine, advance, fold
from stepladder.record import Entry
from stepladder.state import RunState

CHECKPOINT_EVERY: Final = 512
"""Entries between two states kept in the journal: a long run is taken up from the last one."""


class _Turn(msgspec.Struct, frozen=True, gc=False):
    moved: Advanced
    row: RunRow | None
    digest: bytes


class Turns:
    """A run in its journal.

    Args:
        machine: the run's workflow and policy.
        resources: what runs have in common.
        state: where the run is.
        seq: how many entries its journal has.
        digest: the digest of its last turn.

    `writing`: a turn is on its way to the disk; `taking` is the inbox item that it takes, 0 where it takes none.
    """

    def __init__(self, machine: Machine, resources: Resources, state: RunState, seq: int, digest: bytes) -> None:
        self.machine, self.state, self.seq = machine, state, seq
        self.owned = self.writing = False
        self.taking = 0
        self._resources, self._digest, self._kept_at = resources, digest, seq
        self._turn: _Turn | None = None
        self._row: RunRow | None = None

    @property
    def listed_at_work(self) -> bool:
        """Whether the list of runs has it as working, by what was written here."""
        return self._row is not None and self._row.status == "working"

    def become(self, machine: Machine) -> bool:
        """Be folded anew under another policy, for the memories of its signals; whether the run still goes on."""
        if self.state.status == "ended":
            return False
        turns = self._resources.journal.turns(self.state.run_id)
        self.machine, self.state = machine, fold(machine, entries_in(turns))
        return True

    def append(self, post: Post, done: Done) -> bool:
        """Let an event happen: True where it is durable now, else `done` is called. Call `written` then.

        Raises:
            RunConflict, RunNotFound, JournalError: it was not written.
        """
        event, encoded = self._resources.redactor.clean(post.event)
        moved = advance(self.machine, self.state, event)
        body = joined(encoded, moved.entries[1:])
        digest = chain(self._digest, body)
        row = self._changed_row(moved.state)
        turn = Turn(
            moved.state.run_id,
            self.seq + 1,
            body,
            digest,
            row,
            self._resources.ownership.id if self.owned else "",
            post.taken,
            post.kept,
            self._checkpoint(moved, digest),
        )
        self._turn = _Turn(moved, row or self._row, digest)
        self.writing, self.taking = True, post.taken
        return self._resources.committer.append(turn, done)

    def written(self) -> Sequence[Event | Entry]:
        """The turn is durable: it has happened. Its entries."""
        assert self._turn is not None, "a turn was being written"
        turn, self._turn = self._turn, None
        self.writing, self.taking = False, 0
        self.state, self._digest, self._row = turn.moved.state, turn.digest, turn.row
        self.seq += len(turn.moved.entries)
        self.owned = self.owned and self.listed_at_work
        return turn.moved.entries

    def _changed_row(self, state: RunState) -> RunRow | None:
        """The run's line, where the list of runs has to hear of a change: not at every step of a run at work."""
        before = self._row
        if before is not None and before.status == "working" and state.status == "working" and not state.resting:
            return None
        row = row_of(self.machine, state)
        same = before is not None and (row.status, row.waiting, row.end) == (before.status, before.waiting, before.end)
        return None if same else row

    def _checkpoint(self, moved: Advanced, digest: bytes) -> Checkpoint | None:
        entries = self.seq + len(moved.entries)
        if entries - self._kept_at < CHECKPOINT_EVERY:
            return None
        self._kept_at = entries
        state = kept_state(self.machine, moved.state)
        return None if state is None else Checkpoint(entries, digest, state)
