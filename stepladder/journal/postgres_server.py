"""The Postgres server of a journal: its schema, its versions, and the connections to it.

One connection writes; another one reads, and hears of what is put into inboxes. A connection that is lost is made anew,
for as long as there is patience, and what was under way is done again: `again` says so to whoever does it, for the
first time may have been committed just as the connection broke.

What a process has locked when it is frozen (a suspended machine) would keep everybody else waiting, so the server ends
a transaction in which nothing happens. It counts as idle only behind a sync and nothing else, so a sync ends each trip.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, Final, LiteralString, TypeVar

import psycopg
from psycopg import Connection, Cursor, Pipeline, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from stepladder.errors import JournalError, NoJournal
from stepladder.journal.address import FORM, shown

T = TypeVar("T")

RETRY_S: Final = 0.05
"""Seconds between two attempts to reach a server that is away."""
LINK: Final[dict[str, Any]] = {
    "fallback_application_name": "stepladder",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""How a server that is cut off is noticed, where the address says nothing else."""
_SCHEMA: Final[tuple[LiteralString, ...]] = (
    """CREATE TABLE runs (
    number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, run_id text NOT NULL UNIQUE, workflow text NOT NULL,
    workflow_hash text NOT NULL, started_at double precision NOT NULL, updated_at double precision NOT NULL,
    status text NOT NULL, step text NOT NULL, waiting text NOT NULL, ended text NOT NULL, success boolean,
    decisions bigint NOT NULL, usd double precision NOT NULL, owner text)""",
    "CREATE INDEX runs_by_start ON runs (started_at, number)",
    "CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL",
    """CREATE TABLE turns (
    run bigint NOT NULL REFERENCES runs, seq bigint NOT NULL, body text NOT NULL, digest bytea NOT NULL,
    UNIQUE (run, seq))""",
    """CREATE TABLE inbox (
    number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, run bigint NOT NULL REFERENCES runs, kind text NOT NULL,
    body text NOT NULL, put_at double precision NOT NULL, taken bigint NOT NULL DEFAULT 0)""",
    "CREATE INDEX inbox_open ON inbox (run) WHERE taken = 0",
    "CREATE TABLE definitions (hash text PRIMARY KEY, kind text NOT NULL, body text NOT NULL)",
    "CREATE TABLE artifacts (digest text PRIMARY KEY, body bytea NOT NULL)",
    """CREATE TABLE owners (
    id text PRIMARY KEY, host text NOT NULL, pid bigint NOT NULL, started double precision NOT NULL,
    until double precision NOT NULL)""",
    """CREATE TABLE takeovers (
    number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, run bigint NOT NULL REFERENCES runs, owner text NOT NULL,
    at double precision NOT NULL)""",
    """CREATE TABLE checkpoints (
    run bigint PRIMARY KEY REFERENCES runs, entries bigint NOT NULL, digest bytea NOT NULL, state text NOT NULL)""",
    "CREATE TABLE journal (version bigint NOT NULL)",
    "INSERT INTO journal VALUES (0)",
)
_PRUNED: Final[tuple[LiteralString, ...]] = (
    "ALTER TABLE runs ADD COLUMN pruned boolean NOT NULL DEFAULT false",
    """CREATE TABLE pruned (
    run_id text PRIMARY KEY, entries bigint NOT NULL, digest bytea NOT NULL, at double precision NOT NULL)""",
    "CREATE INDEX inbox_by_run ON inbox (run)",
    "CREATE INDEX takeovers_by_run ON takeovers (run)",
    "ALTER TABLE definitions ADD COLUMN kept_at double precision NOT NULL DEFAULT extract(epoch FROM now())",
)
"""The runs that were removed; their ids stay taken."""
_SETTINGS: Final = """SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false), set_config('synchronous_commit',
    CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END,
    false)"""
_LOOK: Final = """SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = %s), to_regclass(%s) IS NOT NULL,
    current_setting('server_encoding')"""


class Transaction:
    """Statements between BEGIN and COMMIT. `again`: perhaps this was committed already, and nobody heard the answer."""

    def __init__(self, db: Connection, pipeline: Pipeline, again: bool = False) -> None:
        self.again = again
        self._db, self._pipeline = db, pipeline

    def ask(self, statement: LiteralString, values: Sequence[Any] = ()) -> Cursor[tuple[Any, ...]]:
        """A statement that goes with the next trip."""
        return self._db.execute(statement, values, prepare=True)

    def answers(self, *asked: Cursor[tuple[Any, ...]] | None) -> list[list[Any]]:
        """A trip to the server: the rows of each."""
        self._pipeline.sync()
        return [each.fetchall() if each else [] for each in asked]


class PostgresServer:
    """The journal in one schema of a database.

    Raises:
        NoJournal: it is missing, and `create` is false.
        JournalError: it is another program's, of a newer version, or the server cannot be reached.
    """

    def __init__(self, address: str, *, schema: str, create: bool, patience_s: float) -> None:
        self.name = shown(address)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", schema):
            raise JournalError(self.name, f"the schema name {schema!r}", "at most 63 letters, digits and _")
        self.schema, self._patience_s = schema, patience_s
        try:
            self._link = {**LINK, **conninfo_to_dict(address), "client_encoding": "UTF8"}
        except psycopg.Error:
            raise JournalError(self.name, "an address that cannot be read", FORM) from None
        self._writing, self._looking = threading.RLock(), threading.RLock()
        self._closed = self._heard_all = False
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        with self.mapped():
            self._writer = self._connected()
            try:
                self._open(self._writer, create=create)
                self._reader = self._listening()
            except BaseException:
                self.close()
                raise

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Do this in a transaction: all of it becomes durable, or nothing. Raises JournalError, and what it raises."""
        with self._writing, self.mapped():
            return self._lasting(self._to_write, lambda db, again: _transacted(db, work, again))

    def read(self, statement: LiteralString, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows that this gives, as of the last commit. Raises JournalError."""
        with self._looking, self.mapped():
            return self._lasting(self._to_read, lambda db, _: db.execute(statement, values).fetchall())

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read everything as of one moment, while others write, for as long as it takes. Raises JournalError."""
        with self.mapped(), self._anew(self._connected) as db:
            db.execute("SET idle_in_transaction_session_timeout = 0")
            db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield db

    def heard(self) -> list[str] | None:
        """What was told since this was last asked; None where anything may have been. Raises JournalError."""
        with self._looking, self.mapped():
            told = self._lasting(self._to_read, lambda db, _: [each.payload for each in db.notifies(timeout=0)])
            all_of_it, self._heard_all = self._heard_all, True
        return told if all_of_it else None

    def close(self) -> None:
        """Let go of the server."""
        with self._writing, self._looking:
            self._closed = True
            for db in (self._writer, self._reader):
                if db is not None:
                    db.close()

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """What psycopg raises, as JournalError."""
        try:
            yield
        except psycopg.Error as error:
            found = " ".join(f"{type(error).__name__}: {error}".split())
            raise JournalError(self.name, found, "a Postgres server that can be read and written") from error

    # --- connections

    def _connected(self) -> Connection:
        db = psycopg.connect(**self._link, autocommit=True)
        wait = f"{round(self._patience_s * 1000)}ms"
        db.execute(_SETTINGS, (f'"{self.schema}"', wait, wait))
        return db

    def _listening(self) -> Connection:
        db = self._connected()
        db.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self.schema)))
        self._heard_all = False
        return db

    def _to_write(self) -> Connection:
        if self._writer is None or self._writer.closed:
            self._writer = self._anew(self._connected)
        return self._writer

    def _to_read(self) -> Connection:
        if self._reader is None or self._reader.closed:
            self._reader = self._anew(self._listening)
        return self._reader

    def _anew(self, connected: Callable[[], Connection]) -> Connection:
        if self._closed:
            raise JournalError(self.name, "a closed journal", "an open one")
        return connected()

    def _lasting(self, link: Callable[[], Connection], work: Callable[[Connection, bool], T]) -> T:
        """Do it, again where the connection was lost meanwhile, until patience with its absence ends."""
        give_up, again = 0.0, False
        while True:
            db = None
            try:
                db = link()
                return work(db, again)
            except psycopg.OperationalError:
                give_up = give_up or time.monotonic() + self._patience_s
                if time.monotonic() > give_up or (db is not None and not db.closed):
                    raise
                again = again or db is not None
            time.sleep(RETRY_S)

    # --- opening

    def _open(self, db: Connection, *, create: bool) -> None:
        version = self._version(db)
        if version == 0 and not create:
            raise NoJournal(self.name, f"no journal in schema {self.schema}")
        if version != SCHEMA_VERSION:
            _transacted(db, lambda _: self._upgrade(db))

    def _version(self, db: Connection) -> int:
        """The version of the journal, 0 where there is none yet."""
        found = db.execute(_LOOK, (self.schema, f'"{self.schema}".journal')).fetchone()
        assert found is not None, "a select without a table gives a row"
        tables, is_one, encoding = found
        if encoding != "UTF8":
            raise JournalError(self.name, f"a database in {encoding}", "one in UTF8")
        if not is_one:
            if tables:
                raise JournalError(self.name, f"another program's tables in schema {self.schema}", "a journal")
            return 0
        ((version,),) = db.execute("SELECT version FROM journal").fetchall()
        if version > SCHEMA_VERSION:
            newer = f"at most {SCHEMA_VERSION}: a newer stepladder wrote it"
            raise JournalError(self.name, f"schema version {version}", newer)
        return int(version)

    def _upgrade(self, db: Connection) -> None:
        """Make the newest version of it. One process does, the others wait for it."""
        db.execute("SELECT pg_advisory_xact_lock(hashtextextended('stepladder journal ' || %s, 0))", (self.schema,))
        ((there,),) = db.execute("SELECT to_regnamespace(%s) IS NOT NULL", (f'"{self.schema}"',)).fetchall()
        if not there:
            db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
        for step in UPGRADES[self._version(db) :]:
            step(db)
        db.execute("UPDATE journal SET version = %s", (SCHEMA_VERSION,))


def _transacted(db: Connection, work: Callable[[Transaction], T], again: bool = False) -> T:
    """Do this between BEGIN and COMMIT, which travel together with what it begins and ends with."""
    outcome: Future[T] = Future()
    try:
        with db.pipeline() as pipeline:
            try:
                db.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                done = work(Transaction(db, pipeline, again))
                db.execute("COMMIT")
                outcome.set_result(done)
            except Exception as error:  # told when the pipeline has come to its end, which logs what ends it
                outcome.set_exception(error)
        return outcome.result()
    except BaseException as error:
        _leave(db, error)
        raise


def _leave(db: Connection, error: BaseException) -> None:
    """End the transaction without a trace; where that cannot be done, the server does it when the connection ends."""
    if not isinstance(error, Exception):
        db.close()
    elif not db.closed and db.info.transaction_status != TransactionStatus.IDLE:
        with suppress(psycopg.Error):
            db.execute("ROLLBACK")


def _make(db: Connection) -> None:
    """An empty journal."""
    for statement in _SCHEMA:
        db.execute(statement)


def _from_1(db: Connection) -> None:
    """Version 2: runs can be pruned."""
    for statement in _PRUNED:
        db.execute(statement)


UPGRADES: tuple[Callable[[Connection], None], ...] = (_make, _from_1)
"""The n-th leads from version n to the next one."""
SCHEMA_VERSION: Final = len(UPGRADES)
