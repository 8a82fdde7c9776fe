"""A journal from whatever names one."""

from __future__ import annotations

from pathlib import Path

from stepladder.journal import Journal, MemoryJournal


def open_journal(journal: Journal | str | Path | None) -> Journal:
    """The journal; a path is a SQLite file (made where it is missing), None is memory. Raises JournalError."""
    if journal is None:
        return MemoryJournal()
    if isinstance(journal, (str, Path)):
        from stepladder.journal.sqlite import SqliteJournal

        return SqliteJournal(journal)
    return journal
