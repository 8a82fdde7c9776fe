"""The ledger in one SQLite file beside the journal, shared by processes, or in memory.

A file of its own: calls are booked while other runs append turns, and neither shall wait for the other. WAL with
`synchronous=FULL`, as the journal: a reservation survives a crash of the machine.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from stepladder.errors import JournalError, NoJournal
from stepladder.journal.sqlite_file import WRONG
from stepladder.money.ledger import SCHEMA

SUFFIX: Final = ".ledger"
"""What the file's name has more than the journal's."""
BUSY_S: Final = 30.0


class SqliteStore:
    """Lines in the file `path` (None: in memory), which is made where it is missing, unless `create` is false.

    Raises:
        NoJournal: it is missing, and `create` is false.
        JournalError: it cannot be opened.
    """

    def __init__(self, path: Path | None, *, create: bool = True, busy_s: float = BUSY_S) -> None:
        self.name, self.inline = "memory" if path is None else str(path), path is None
        self._lock, self._closed, self._busy_s = threading.RLock(), False, busy_s
        if path is not None and not create and not path.exists():
            raise NoJournal(self.name, "no such file")
        with self._mapped():
            place = ":memory:" if path is None else str(path)
            self._db = sqlite3.connect(place, timeout=busy_s, isolation_level=None, check_same_thread=False)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> None:
        self._patiently("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self.transaction() as transaction:
            for statement in SCHEMA:
                transaction.ask(statement)

    def _patiently(self, statement: str) -> None:
        """SQLite does not wait by itself for whoever else changes the journal mode."""
        give_up = time.monotonic() + self._busy_s
        while True:
            try:
                self._db.execute(statement).fetchall()
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)

    @contextmanager
    def transaction(self) -> Iterator[SqliteStore]:
        """Read and write; nobody else writes meanwhile. Raises JournalError."""
        with self._lock, self._mapped():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def ask(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Do it, inside a transaction."""
        return self._db.execute(statement, values).fetchall()

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that this gives. Raises JournalError."""
        with self._lock, self._mapped():
            return self._db.execute(statement, values).fetchall()

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except WRONG as error:
            found = f"{type(error).__name__}: {error}"
            raise JournalError(self.name, found, "a ledger that can be read and written") from error
