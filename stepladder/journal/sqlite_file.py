"""The SQLite file of a journal: its schema, its versions, and the connections to it.

One connection writes and another one reads, so that a look into the journal does not wait for a commit. WAL with
`synchronous=FULL` syncs the disk once a commit and survives a crash of the machine; with NORMAL a crash of the machine
may lose the last commits (never a part of one), a crash of the process loses nothing.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

from stepladder.errors import JournalError, NoJournal
from stepladder.journal.store import NO_DIGEST, chain, sound

Synchronous = Literal["full", "normal"]

WRONG: Final = (sqlite3.Error, UnicodeDecodeError)
"""What the sqlite3 module raises of a file: a message that quotes from a damaged one may be no text."""
SCHEMA_VERSION: Final = 3
APPLICATION: Final = 0x57E90001
"""SQLite's application_id of a journal, so that another program's file is never mistaken for one."""
_RUNS: Final = """CREATE TABLE {} (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL,
    workflow_hash TEXT NOT NULL, started_at REAL NOT NULL, updated_at REAL NOT NULL, status TEXT NOT NULL,
    step TEXT NOT NULL, waiting TEXT NOT NULL, ended TEXT NOT NULL, success INTEGER, decisions INTEGER NOT NULL,
    usd REAL NOT NULL, owner TEXT, pruned INTEGER NOT NULL DEFAULT 0)"""
_BY_START: Final = "CREATE INDEX runs_by_start ON runs (started_at)"
_SCHEMA: Final = (
    _RUNS.format("runs"),
    _BY_START,
    """CREATE TABLE turns (
    run INTEGER NOT NULL REFERENCES runs, seq INTEGER NOT NULL, body TEXT NOT NULL, digest BLOB NOT NULL,
    UNIQUE (run, seq))""",
    """CREATE TABLE inbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs, kind TEXT NOT NULL,
    body TEXT NOT NULL, put_at REAL NOT NULL, taken INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX inbox_open ON inbox (run) WHERE taken = 0",
    """CREATE TABLE definitions (
    hash TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, kept_at REAL NOT NULL DEFAULT 0)""",
    "CREATE TABLE artifacts (digest TEXT PRIMARY KEY, body BLOB NOT NULL)",
)
_OWNERSHIP: Final = (
    """CREATE TABLE owners (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, started REAL NOT NULL, until REAL NOT NULL)""",
    """CREATE TABLE takeovers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs, owner TEXT NOT NULL,
    at REAL NOT NULL)""",
    """CREATE TABLE checkpoints (
    run INTEGER PRIMARY KEY REFERENCES runs, entries INTEGER NOT NULL, digest BLOB NOT NULL, state TEXT NOT NULL)""",
)
"""Who works on what, whom it was taken from, and the newest state of long runs: since version 2."""
_PRUNED: Final = (
    "CREATE TABLE pruned (run_id TEXT PRIMARY KEY, entries INTEGER NOT NULL, digest BLOB NOT NULL, at REAL NOT NULL)",
    "CREATE INDEX inbox_by_run ON inbox (run)",
)
"""The runs that were removed: since version 3. Their ids stay taken, and no number of a run is given twice."""
PAGE: Final = 2048
"""Bytes of a page. A turn changes three or four of them, each written whole: with SQLite's own 4,096 a run by itself
takes a sixth longer in `normal` (measured), and the file is a thirtieth smaller."""
LOG: Final = 4_096_000
"""Bytes of the log after which it is written into the file: SQLite's own 1,000 pages of 4,096."""
VACUUM_PAGES: Final = 1000
"""Pages that are given back at a time; others may write in between."""


NOT_WRITABLE: Final = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
"""SQLite's primary codes where a folder, a medium or a full disk takes no writing, not even the `-shm` of a look."""


class SqliteFile:
    """An open journal file.

    One that is there and cannot be written, as on a full disk or a medium that is read only, is opened for reading
    unless `create` is true: with what is in its `-wal`, or, where there is nothing in it, as a file at rest.

    Raises:
        NoJournal: it is missing, and `create` is false.
        JournalError: it is another program's, of a newer version, or cannot be opened.
    """

    def __init__(self, path: Path, *, create: bool, busy_s: float, synchronous: Synchronous) -> None:
        self.path, self.name = path, str(path)
        self._busy_s, self._synchronous = busy_s, synchronous
        self.writing, self._looking = threading.RLock(), threading.RLock()
        if not create and not path.exists():
            raise NoJournal(self.name, "no such file")
        self._as = ""
        try:
            self._connect()
        except JournalError as error:
            if create or _code(error.__cause__) not in NOT_WRITABLE:
                raise
            self._connect_to_read(error)

    def _connect(self) -> None:
        with self.mapped():
            self.db = self._connected()
        try:
            with self.mapped():
                self._open()
                self._reader = self._connected()
                self._reader.execute("PRAGMA query_only = ON")
        except BaseException:
            self.db.close()
            raise

    def _connect_to_read(self, refused: JournalError) -> None:
        """Raises `refused` where the file cannot be read either."""
        self._refused = refused
        log = self.path.with_name(self.path.name + "-wal")
        at_rest = not log.exists() or not log.stat().st_size
        for self._as in ("mode=ro", *(["immutable=1"] if at_rest else [])):
            with suppress(JournalError):
                return self._connect()
        raise refused

    def transaction(self) -> _Transaction:
        """Write: all of it becomes durable at the end, or nothing. Raises JournalError."""
        return _Transaction(self)

    def read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows that this gives, as of the last commit. Raises JournalError."""
        with self.mapped(), self._looking:
            return self._reader.execute(statement, values).fetchall()

    @contextmanager
    def erasing(self) -> Iterator[sqlite3.Connection]:
        """Write as in `transaction`; what is deleted or replaced is overwritten in the file, not only let go of."""
        with self.transaction() as db:
            db.execute("PRAGMA secure_delete = ON").fetchall()
            try:
                yield db
            finally:
                db.execute("PRAGMA secure_delete = OFF").fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read everything as of one moment, while others write. Raises JournalError."""
        with self.mapped(), closing(self._connected()) as db:
            db.execute("PRAGMA query_only = ON")
            db.execute("BEGIN")
            yield db

    def shrink(self) -> None:
        """Give free pages back to the disk, a few at a time.

        A file that was made before version 3 is written anew once; meanwhile nobody else can write.
        """
        with self.mapped(), closing(self._connected()) as db:
            if db.execute("PRAGMA auto_vacuum").fetchone() == (0,):
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                db.execute("VACUUM")
            while db.execute("PRAGMA freelist_count").fetchone() != (0,):
                db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def version_of_data(self) -> int:
        """A number that changes when another process has written."""
        with self.mapped(), self.writing:
            (version,) = self.db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def close(self) -> None:
        """Let go of the file."""
        with self.writing, self._looking:
            self._reader.close()
            self.db.close()

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """What SQLite raises, as JournalError."""
        try:
            yield
        except WRONG as error:
            raise self.broken(error) from error

    def broken(self, error: BaseException) -> JournalError:
        """What SQLite raised, as ours; where the file could only be opened for reading, why that was so."""
        if self._as and _code(error) == sqlite3.SQLITE_READONLY:
            return self._refused
        said = f"{type(error).__name__}: {error}"
        return JournalError(self.name, said, "a SQLite file that can be read and written")

    # --- opening

    def _connected(self) -> sqlite3.Connection:
        place = f"{self.path.absolute().as_uri()}?{self._as}" if self._as else self.path
        return sqlite3.connect(
            place, timeout=self._busy_s, isolation_level=None, check_same_thread=False, uri=bool(self._as)
        )

    def _open(self) -> None:
        version = self._version()
        if self._as:
            if version != SCHEMA_VERSION:
                raise JournalError(
                    self.name, f"schema version {version}", f"{SCHEMA_VERSION} where it cannot be written"
                )
            return
        self._patiently(f"PRAGMA page_size = {PAGE}")  # this and the next count while a file is new
        self._patiently("PRAGMA auto_vacuum = INCREMENTAL")
        self._patiently("PRAGMA journal_mode = WAL")
        (page,) = self.db.execute("PRAGMA page_size").fetchone()
        self.db.execute(f"PRAGMA wal_autocheckpoint = {LOG // page}")
        self.db.execute(f"PRAGMA synchronous = {self._synchronous.upper()}")
        if version != SCHEMA_VERSION:
            self._upgrade()

    def _version(self) -> int:
        """The version of the file, 0 where it is new; seen in one moment, for another process may be making it."""
        self.db.execute("BEGIN")
        try:
            (tables,) = self.db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (application,) = self.db.execute("PRAGMA application_id").fetchone()
            (version,) = self.db.execute("PRAGMA user_version").fetchone()
        finally:
            self.rollback()
        if application != APPLICATION and tables:
            raise JournalError(self.name, "another program's SQLite file", "a stepladder journal")
        if version > SCHEMA_VERSION:
            newer = f"at most {SCHEMA_VERSION}: a newer stepladder wrote it"
            raise JournalError(self.name, f"schema version {version}", newer)
        return int(version) if tables else 0

    def _patiently(self, statement: str) -> None:
        """SQLite does not wait by itself for whoever else changes the journal mode."""
        give_up = time.monotonic() + self._busy_s
        while True:
            try:
                self.db.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)

    def _upgrade(self) -> None:
        """Make the newest version of it, in one transaction."""
        with self.transaction() as db:
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            for step in UPGRADES[version if tables else 0 :]:
                step(db)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def rollback(self) -> None:
        """Give up what was begun, unless a full disk has done so already."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")


class _Transaction:
    """A transaction, as a context: written out, for it is entered at every step of a run."""

    __slots__ = ("_file",)

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def __enter__(self) -> sqlite3.Connection:
        self._file.writing.acquire()
        try:
            self._file.db.execute("BEGIN IMMEDIATE")
        except BaseException as error:
            self._file.writing.release()
            if isinstance(error, WRONG):
                raise self._file.broken(error) from error
            raise
        return self._file.db

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._file.db.execute("COMMIT")
                return
        except WRONG as failed:
            error = failed
            raise self._file.broken(failed) from failed
        finally:
            if error is not None:
                self._file.rollback()
            self._file.writing.release()
        if isinstance(error, WRONG):
            raise self._file.broken(error) from error


def _code(error: BaseException | None) -> int:
    """SQLite's primary code of an error, 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _make(db: sqlite3.Connection) -> None:
    """An empty journal, of today's version."""
    for statement in (*_SCHEMA, *_OWNERSHIP, *_PRUNED):
        db.execute(statement)


def _from_1(db: sqlite3.Connection) -> None:
    """Version 2: runs have owners, and the chain runs over the digests of bodies, so that bodies can be pruned."""
    if "owner" in {column[1] for column in db.execute("PRAGMA table_info(runs)")}:
        return  # it was made just now
    db.execute("ALTER TABLE runs ADD COLUMN owner TEXT")
    for statement in _OWNERSHIP:
        db.execute(statement)
    for (number,) in db.execute("SELECT number FROM runs").fetchall():
        _chain_anew(db, number)


def _from_2(db: sqlite3.Connection) -> None:
    """Version 3: runs can be pruned."""
    if "pruned" in {column[1] for column in db.execute("PRAGMA table_info(runs)")}:
        return  # it was made just now
    db.execute(_RUNS.format("runs_3"))
    db.execute("INSERT INTO runs_3 SELECT *, 0 FROM runs")
    db.execute("DROP TABLE runs")
    db.execute("ALTER TABLE runs_3 RENAME TO runs")
    db.execute(_BY_START)
    for statement in _PRUNED:
        db.execute(statement)
    db.execute("ALTER TABLE definitions ADD COLUMN kept_at REAL NOT NULL DEFAULT 0")
    db.execute("UPDATE definitions SET kept_at = ?", (time.time(),))


def _chain_anew(db: sqlite3.Connection, number: int) -> None:
    """Give a run's turns the digests of version 2; one that was changed stays one that was changed."""
    from hashlib import blake2b

    old, new = NO_DIGEST, NO_DIGEST
    for rowid, text, digest in db.execute(
        "SELECT rowid, body, digest FROM turns WHERE run = ? ORDER BY seq", (number,)
    ).fetchall():
        body = text.encode() if isinstance(text, str) else bytes(text)
        intact = blake2b(body, digest_size=16, key=old).digest() == digest
        old = sound(digest)
        new = chain(new, body) if intact else NO_DIGEST
        db.execute("UPDATE turns SET digest = ? WHERE rowid = ?", (new, rowid))


UPGRADES: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_make, _from_1, _from_2)
"""The n-th leads from version n to a later one."""
