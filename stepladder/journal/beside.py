"""Files that belong to a journal: the ledger, shared verdicts and breakers stand beside its own file."""

from __future__ import annotations

from pathlib import Path

from stepladder.journal.store import Journal


def beside(journal: Journal, suffix: str) -> Path | None:
    """The file beside a journal's own, whose name has this suffix more; None where the journal is no file."""
    path = getattr(journal, "path", None)
    return path.with_name(path.name + suffix) if isinstance(path, Path) else None
