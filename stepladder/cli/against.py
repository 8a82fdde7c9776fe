"""Every run of a journal, decided again under a workflow file: which would go another way, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepladder.cli.journals import EVERYTHING, opened, shown_place
from stepladder.cli.loading import looked_at
from stepladder.cli.options import Place
from stepladder.cli.screen import Screen, clean
from stepladder.cli.tell import many

if TYPE_CHECKING:
    from stepladder.app.definitions import Definitions
    from stepladder.app.loading import Workflow
    from stepladder.journal import Journal, RunRow
    from stepladder.orchestrator import Compared

STYLES: Final = {"same": "green", "diverges": "red", "incomparable": "yellow"}


def tell_runs(
    file: Path, agents: Path | None, options: dict[str, str], journal: Place, screen: Screen
) -> dict[str, Any]:
    """Compare one run after the other and tell of each; all of it as JSON.

    `stopped` counts the runs that have not ended and could not go on under the file.
    """
    workflow = looked_at(file, agents, options)
    counted, stopped, told = Counter[str](), 0, list[dict[str, Any]]()
    with opened(journal) as kept:
        for row, found in _compared(kept, workflow):
            counted[found.outcome] += 1
            stopped += row.status != "ended" and found.outcome != "same"
            if screen.json:
                told.append(_json(row, found))
            else:
                line = f"{clean(row.run_id)}  {row.status}  {clean(found)}"
                screen.out.print(line, style=STYLES[found.outcome], soft_wrap=True)
    if not screen.json:
        screen.out.print(_summary(counted, stopped), style="red" if stopped else "green", soft_wrap=True)
    counts = {outcome: counted[outcome] for outcome in STYLES}
    return {"journal": shown_place(journal), **counts, "stopped": stopped, "runs": told}


def _compared(journal: Journal, workflow: Workflow) -> Iterator[tuple[RunRow, Compared]]:
    """The runs of this workflow and of those it migrates from, oldest first; one at a time is held."""
    from stepladder.app.definitions import Definitions

    definitions = Definitions(journal, workflow.signals)
    sources = {each.from_ for each in workflow.definition.migrates}
    for row in reversed(journal.rows(EVERYTHING)):
        if row.workflow == workflow.name or row.workflow_hash in sources:
            yield row, _one(journal, row.run_id, definitions, workflow)


def _one(journal: Journal, run_id: str, definitions: Definitions, workflow: Workflow) -> Compared:
    from stepladder.app.upgrading import compare_run
    from stepladder.errors import JournalError
    from stepladder.journal import entries_in
    from stepladder.orchestrator import Compared

    try:
        entries = entries_in(journal.turns(run_id))
    except JournalError as error:
        return Compared("incomparable", cause=str(error))
    return compare_run(definitions, workflow, entries)


def _summary(counted: Counter[str], stopped: int) -> str:
    parts = [f"{counted['same']} the same", f"{counted['diverges']} diverge"]
    if counted["incomparable"]:
        parts.append(f"{counted['incomparable']} cannot be compared")
    unended = f"; {many(stopped, 'run')} that could not go on" if stopped else ""
    return f"{many(counted.total(), 'run')}: {', '.join(parts)}{unended}"


def _json(row: RunRow, found: Compared) -> dict[str, Any]:
    import msgspec

    return {"run": row.run_id, "status": row.status, **msgspec.structs.asdict(found)}
