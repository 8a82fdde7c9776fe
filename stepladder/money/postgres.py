"""The ledger in Postgres, in the schema of the journal that it belongs to.

Processes book one after the other, under a lock of the server's that ends with the transaction: totals are looked at
and changed as if nobody else were there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from stepladder.errors import JournalError
from stepladder.journal.address import shown
from stepladder.money.ledger import SCHEMA

CONNECT_S: Final = 10


class PostgresStore:
    """Lines in the tables `ledger_lines` and `ledger_totals` of this schema, which are made where they are missing.

    Raises:
        JournalError: the server cannot be reached.
    """

    inline = False

    def __init__(self, address: str, *, schema: str = "stepladder") -> None:
        self.name, self._address, self._schema = shown(address), address, schema
        self._lock = threading.RLock()
        self._db: psycopg.Connection[tuple[Any, ...]] | None = None
        with self.transaction() as transaction:
            for statement in SCHEMA:
                transaction.ask(statement)

    @contextmanager
    def transaction(self) -> Iterator[PostgresStore]:
        """Read and write; nobody else writes meanwhile. Raises JournalError."""
        with self._lock, self._mapped():
            db = self._connected()
            with db.transaction():
                db.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended('stepladder ledger ' || %s, 0))", [self._schema]
                )
                yield self

    def ask(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Do it, inside a transaction."""
        found = self._connected().execute(statement.replace("?", "%s").encode(), list(values))
        return found.fetchall() if found.description else []

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that this gives. Raises JournalError."""
        with self._lock, self._mapped():
            return self.ask(statement, values)

    def close(self) -> None:
        """Let go of the server. May be called twice."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._db is None or self._db.closed:
            self._db = psycopg.connect(self._address, autocommit=True, connect_timeout=CONNECT_S)
            self._db.execute("SELECT set_config('search_path', %s, false)", [f'"{self._schema}"'])
        return self._db

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            found = " ".join(f"{type(error).__name__}: {error}".split())
            raise JournalError(self.name, found, "a ledger that can be read and written") from error
