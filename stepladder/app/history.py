"""A run as its journal has it: folded from its beginning, or from the last state that was kept on the way."""

from __future__ import annotations

from typing import NamedTuple

from stepladder.app.left import is_pruned, state_left
from stepladder.app.upgrading import Upgrading
from stepladder.drivers.checkpoints import state_at
from stepladder.errors import RunPruned
from stepladder.events import Event, PolicyChanged, WorkflowChanged
from stepladder.journal import Journal, entries_in, turns_of
from stepladder.orchestrator import Machine, fold
from stepladder.record import Entry
from stepladder.state import RunState


class Found(NamedTuple):
    """A run: the machine it is seen under, its state, how many entries its journal has, and the last turn's digest.

    `change` is what has to be journaled before it goes on, `pruned` says that its payloads are gone.
    """

    machine: Machine
    state: RunState
    seq: int
    digest: bytes
    change: PolicyChanged | WorkflowChanged | None = None
    pruned: bool = False


class History:
    """The runs of a journal, as an Orchestrator sees them."""

    def __init__(self, journal: Journal, upgrading: Upgrading) -> None:
        self.journal, self.upgrading = journal, upgrading

    def seen(self, run_id: str) -> Found:
        """The run, to look at. Raises RunNotFound, RunPruned, WrongDefinition, JournalError."""
        found = self._kept(run_id)
        if found is not None:
            return found
        entries, digest = self._entries(run_id)
        machine = self.upgrading.machine(run_id, entries)
        if is_pruned(entries):
            return Found(machine, state_left(self.journal, run_id, entries), len(entries), digest, pruned=True)
        return Found(machine, fold(machine, entries), len(entries), digest)

    def taken(self, run_id: str, at: float, *, again: bool = False) -> Found:
        """The run, to go on with; `again`: also where it has ended. Raises as `seen`, RunPruned in any case."""
        found = self._kept(run_id)
        if found is not None:
            return found
        entries, digest = self._entries(run_id)
        if is_pruned(entries):
            raise RunPruned(run_id)
        machine, state, change = self.upgrading.taken(run_id, entries, at, again=again)
        return Found(machine, state, len(entries), digest, change)

    def _kept(self, run_id: str) -> Found | None:
        """The run from its last checkpoint on, where that is of the very workflow and policy at hand."""
        kept, machine = self.journal.checkpoint(run_id), self.upgrading.workflow.machine
        state = state_at(machine, kept)
        if kept is None or state is None:
            return None
        turns = self.journal.turns(run_id, after=kept.entries)
        entries = entries_in(turns)
        if any(isinstance(entry, (WorkflowChanged, PolicyChanged)) for entry in entries):
            return None
        digest = turns[-1].digest if turns else kept.digest
        return Found(machine, fold(machine, entries, state), kept.entries + len(entries), digest)

    def _entries(self, run_id: str) -> tuple[list[Event | Entry], bytes]:
        turns = turns_of(self.journal, run_id)
        return entries_in(turns), turns[-1].digest
