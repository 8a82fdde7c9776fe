"""The ledger that belongs to a journal: a file beside a file, tables beside tables, memory beside memory."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from stepladder.journal import Journal, beside
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
    file = beside(journal, SUFFIX)
    if file is not None:
        return Ledger(SqliteStore(file, create=create))
    address = getattr(journal, "address", None)
    if isinstance(address, str):
        from stepladder.money.postgres import PostgresStore

        return Ledger(PostgresStore(address, schema=getattr(journal, "schema", "stepladder")))
    try:
        return _in_memory.setdefault(journal, _memory())
    except TypeError:  # a journal of somebody's own that cannot be held weakly
        return _memory()


def _memory() -> Ledger:
    return Ledger(SqliteStore(None))
