"""A run's line in the list of runs, made from its state."""

from __future__ import annotations

from stepladder.commands import AskPerson
from stepladder.journal import RunRow
from stepladder.orchestrator import Machine
from stepladder.state import RunState


def row_of(machine: Machine, state: RunState) -> RunRow:
    """The line."""
    waiting = state.waiting
    about = ""
    if state.resting and waiting is not None:
        about = waiting.about if isinstance(waiting, AskPerson) else (waiting.message or "time")
    end = machine.definition.ends.get(state.end)
    return RunRow(
        run_id=state.run_id,
        workflow=machine.definition.name,
        workflow_hash=machine.definition.hash,
        started_at=state.started_at,
        updated_at=state.now,
        status="ended" if state.status == "ended" else "waiting" if about else "working",
        step=state.step,
        waiting=about,
        end=state.end,
        success=(end.success if end else False) if state.status == "ended" else None,
        decisions=state.opened,
        usd=state.usd,
    )
