"""The ledger that belongs to a journal: a file beside a file, tables beside tables, memory beside memory."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakKeyDictionary

from stepladder.journal import Journal
from stepladder.money.ledger import Ledger
from stepladder.money.sqlite import SUFFIX, SqliteStore

_in_memory: WeakKeyDictionary[Journal, Ledger] = WeakKeyDictionary()


def open_ledger(journal: Journal, *, create: bool = True) -> Ledger:
    """The ledger of a journal; one that is missing is made, unless `create` is false.

    A journal of another kind has a ledger in memory, the same as long as the journal lives.

    Raises:
        NoJournal: it is missing, and `create` is false.
        JournalError: it cannot be opened.
    """
    path, address = getattr(journal, "path", None), getattr(journal, "address", None)
    if isinstance(path, Path):
        return Ledger(SqliteStore(beside(path), create=create))
    if isinstance(address, str):
        from stepladder.money.postgres import PostgresStore

        return Ledger(PostgresStore(address, schema=getattr(journal, "schema", "stepladder")))
    try:
        return _in_memory.setdefault(journal, _memory())
    except TypeError:  # a journal of somebody's own that cannot be held weakly
        return _memory()


def beside(path: Path) -> Path:
    """The ledger's file of a journal's file."""
    return path.with_name(path.name + SUFFIX)


def _memory() -> Ledger:
    return Ledger(SqliteStore(None))
