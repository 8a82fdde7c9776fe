"""A run whose payloads were pruned, as its line and its records still have it. It cannot be folded."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.app.definitions import pin_of
from stepladder.errors import RunNotFound
from stepladder.events import Event, PayloadsPruned, RunCancelled, RunStarted
from stepladder.journal import Journal
from stepladder.record import Entry, Settled
from stepladder.state import CANCELLED, RunState


def is_pruned(entries: Sequence[Event | Entry]) -> bool:
    """Whether the payloads of these entries were pruned."""
    return any(isinstance(entry, PayloadsPruned) for entry in entries)


def state_left(journal: Journal, run_id: str, entries: Sequence[Event | Entry]) -> RunState:
    """What is still known of the run's state. Raises RunNotFound."""
    row, started = journal.row(run_id), entries[0]
    if row is None or not isinstance(started, RunStarted):
        raise RunNotFound(run_id, journal.name)
    return RunState(
        run_id=run_id,
        status="ended",
        workflow_hash=row.workflow_hash,
        policy_hash=pin_of(started, entries).policy_hash,
        started_at=row.started_at,
        now=row.updated_at,
        usd=row.usd,
        step=row.step,
        opened=row.decisions,
        end=row.end,
        end_reason=_reason(row.end, entries),
        ended_at=row.updated_at,
    )


def _reason(end: str, entries: Sequence[Event | Entry]) -> str:
    kind = RunCancelled if end == CANCELLED else Settled
    return next((entry.reason for entry in reversed(entries) if isinstance(entry, kind)), "") or end
