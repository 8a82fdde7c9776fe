"""A run as one readable document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

import stepladder
from stepladder.app.definitions import pins_of
from stepladder.cli.journals import row_json
from stepladder.cli.tell import run_json
from stepladder.events import RunStarted

if TYPE_CHECKING:
    from stepladder.app.run import Run
    from stepladder.journal import Journal

FORMAT = 1


def exported(journal: Journal, run: Run) -> dict[str, Any]:
    """The run: what it came to, its workflow and policies by hash, every entry, every decision record.

    A policy of a workflow that it was migrated from is told as `workflow hash/policy hash`.
    `intact` says whether every turn still has the digest it was written with.
    """
    started = run.entries[0]
    assert isinstance(started, RunStarted), "a run begins with its start"
    row = journal.row(run.id)
    now = run.machine.definition.hash
    keys = {pin: f"{pin.workflow_hash}/{pin.policy_hash}" for pin in pins_of(started, run.entries)}
    kept = {pin.policy_hash if pin.workflow_hash == now else key: journal.definition(key) for pin, key in keys.items()}
    return {
        "format": FORMAT,
        "stepladder": stepladder.__version__,
        "run": {**(row_json(row) if row else {}), **run_json(run), "input": run.state.input},
        "workflow": {"name": started.workflow, "hash": now, "core": started.core},
        "policies": {hash_: msgspec.json.decode(body) if body else None for hash_, body in kept.items()},
        "intact": all(turn.intact for turn in journal.turns(run.id)),
        "entries": [{"seq": seq, **msgspec.to_builtins(entry)} for seq, entry in enumerate(run.entries, 1)],
        "decisions": [record.as_dict() for record in run.decisions],
    }
