"""A journal from whatever names one."""

from __future__ import annotations

from pathlib import Path

from stepladder.journal import Journal, MemoryJournal
from stepladder.journal.address import is_address


def open_journal(journal: Journal | str | Path | None, *, create: bool = True) -> Journal:
    """The journal: a path is a SQLite file, "postgresql://..." a database, None is memory. Raises JournalError.

    What is missing is made, unless `create` is false.
    """
    if journal is None:
        return MemoryJournal()
    if isinstance(journal, str) and is_address(journal):
        from stepladder.journal.postgres import PostgresJournal

        return PostgresJournal(journal, create=create)
    if isinstance(journal, (str, Path)):
        from stepladder.journal.sqlite import SqliteJournal

        return SqliteJournal(journal, create=create)
    return journal
