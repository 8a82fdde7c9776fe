"""A run as one readable document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

import stepladder
from stepladder.cli.journals import row_json
from stepladder.cli.tell import run_json
from stepladder.events import PolicyChanged, RunStarted

if TYPE_CHECKING:
    from stepladder.app.run import Run
    from stepladder.journal import Journal

FORMAT = 1


def exported(journal: Journal, run: Run) -> dict[str, Any]:
    """The run: what it came to, its workflow and policies by hash, every entry, every decision record.

    `intact` says whether every turn still has the digest it was written with.
    """
    started = run.entries[0]
    assert isinstance(started, RunStarted), "a run begins with its start"
    row = journal.row(run.id)
    policies = [entry.policy_hash for entry in run.entries if isinstance(entry, (RunStarted, PolicyChanged))]
    definitions = {hash_: journal.definition(f"{started.workflow_hash}/{hash_}") for hash_ in dict.fromkeys(policies)}
    return {
        "format": FORMAT,
        "stepladder": stepladder.__version__,
        "run": {**(row_json(row) if row else {}), **run_json(run), "input": run.state.input},
        "workflow": {"name": started.workflow, "hash": started.workflow_hash, "core": started.core},
        "policies": {hash_: msgspec.json.decode(body) if body else None for hash_, body in definitions.items()},
        "intact": all(turn.intact for turn in journal.turns(run.id)),
        "entries": [{"seq": seq, **msgspec.to_builtins(entry)} for seq, entry in enumerate(run.entries, 1)],
        "decisions": [record.as_dict() for record in run.decisions],
    }
