"""A journal in one SQLite file, shared by processes.

WAL and `synchronous=FULL`: what was appended survives a crash of the process and of the machine. One row is one turn:
a JSON array, so SQL can look into it with json_each. Two writers of the same run meet at its last turn, and one is
refused.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from stepladder.errors import JournalError, RunConflict, RunNotFound
from stepladder.journal.codec import decode_turn
from stepladder.journal.store import NO_DIGEST, InboxItem, InboxKind, RunRow, Status, StoredTurn, chain

SCHEMA_VERSION: Final = 1
APPLICATION: Final = 0x57E90001
"""SQLite's application_id of a journal, so that another program's file is never mistaken for one."""
_SCHEMA: Final = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL, workflow_hash TEXT NOT NULL,
    started_at REAL NOT NULL, updated_at REAL NOT NULL, status TEXT NOT NULL, step TEXT NOT NULL, waiting TEXT NOT NULL,
    ended TEXT NOT NULL, success INTEGER, decisions INTEGER NOT NULL, usd REAL NOT NULL);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE TABLE turns (
    run INTEGER NOT NULL REFERENCES runs, seq INTEGER NOT NULL, body TEXT NOT NULL, digest BLOB NOT NULL,
    UNIQUE (run, seq));
CREATE TABLE inbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs, kind TEXT NOT NULL,
    body TEXT NOT NULL, put_at REAL NOT NULL, taken INTEGER NOT NULL DEFAULT 0);
CREATE INDEX inbox_open ON inbox (run) WHERE taken = 0;
CREATE TABLE definitions (hash TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE artifacts (digest TEXT PRIMARY KEY, body BLOB NOT NULL);
"""
_COLUMNS: Final = (
    "run_id, workflow, workflow_hash, started_at, updated_at, status, step, waiting, ended, success, decisions, usd"
)


class SqliteJournal:
    """A journal in the file `path`, which is made where it is missing (unless `create` is false)."""

    def __init__(self, path: str | Path, *, create: bool = True, busy_s: float = 10.0) -> None:
        self.path = Path(path)
        self.name = str(path)
        if not create and not self.path.is_file():
            raise JournalError(self.name, "no such file", "a journal that a run has written")
        self._busy_s = busy_s
        self._lock = threading.RLock()
        self._numbers: dict[str, int] = {}
        with self._mapped():
            self._db = sqlite3.connect(self.path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        try:
            with self._mapped():
                self._open()
        except BaseException:
            self._db.close()
            raise

    # --- turns

    def create(self, row: RunRow, body: bytes) -> None:
        """Begin a run."""
        digest = chain(NO_DIGEST, body)
        with self._transaction():
            marks = ", ".join("?" * 12)
            try:
                cursor = self._db.execute(f"INSERT INTO runs ({_COLUMNS}) VALUES ({marks})", _values(row))
            except sqlite3.IntegrityError:
                raise RunConflict(row.run_id, "there is already a run of this id") from None
            number = cursor.lastrowid
            self._db.execute("INSERT INTO turns VALUES (?, 1, ?, ?)", (number, body.decode(), digest))
        assert number is not None, "an insert gives a row id"
        self._numbers[row.run_id] = number

    def append(self, run_id: str, seq: int, body: bytes, row: RunRow | None = None, taken: int = 0) -> None:
        """Append a turn."""
        number = self._number(run_id)
        with self._transaction():
            last, before = self._head(number)
            if seq <= last:
                raise RunConflict(run_id, f"entry {seq} was written by another process, which has moved the run on")
            digest = chain(before, body)
            self._db.execute("INSERT INTO turns VALUES (?, ?, ?, ?)", (number, seq, body.decode(), digest))
            if row is not None:
                self._update(number, row)
            if taken:
                self._take(run_id, taken, seq)

    def turns(self, run_id: str) -> list[StoredTurn]:
        """The run's turns."""
        with self._mapped(), self._lock:
            rows = self._db.execute(
                "SELECT seq, body, digest FROM turns JOIN runs ON run = number WHERE run_id = ? ORDER BY seq", (run_id,)
            ).fetchall()
        found, before = [], NO_DIGEST
        for seq, text, digest in rows:
            body = text.encode() if isinstance(text, str) else bytes(text)
            found.append(StoredTurn(seq, self._decoded(run_id, seq, body), chain(before, body) == digest))
            before = _sound(digest)
        return found

    # --- runs

    def row(self, run_id: str) -> RunRow | None:
        """The run's line."""
        with self._mapped(), self._lock:
            found = self._db.execute(f"SELECT {_COLUMNS} FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return _row(found) if found else None

    def rows(self, limit: int = 100, status: Status | None = None, workflow: str | None = None) -> list[RunRow]:
        """The newest runs first."""
        with self._mapped(), self._lock:
            found = self._db.execute(
                f"SELECT {_COLUMNS} FROM runs WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR workflow = ?2)"
                " ORDER BY started_at DESC, number DESC LIMIT ?3",
                (status, workflow, limit),
            ).fetchall()
        return [_row(each) for each in found]

    # --- inbox

    def put(self, run_id: str, kind: InboxKind, body: dict[str, Any], at: float) -> InboxItem:
        """Keep an item for the run."""
        number = self._number(run_id)
        text = msgspec.json.encode(body).decode()
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO inbox (run, kind, body, put_at) VALUES (?, ?, ?, ?)", (number, kind, text, at)
            )
        return InboxItem(cursor.lastrowid or 0, kind, body, at)

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        """What the run has not taken yet."""
        with self._mapped(), self._lock:
            rows = self._db.execute(
                "SELECT inbox.number, kind, body, put_at FROM inbox JOIN runs ON run = runs.number"
                " WHERE run_id = ? AND taken = 0 ORDER BY inbox.number",
                (run_id,),
            ).fetchall()
        return [InboxItem(number, kind, msgspec.json.decode(body), put_at) for number, kind, body, put_at in rows]

    def drop(self, run_id: str, number: int) -> None:
        """Take an item out."""
        with self._transaction():
            self._take(run_id, number, -1)

    def _take(self, run_id: str, number: int, seq: int) -> None:
        cursor = self._db.execute("UPDATE inbox SET taken = ? WHERE number = ? AND taken = 0", (seq, number))
        if cursor.rowcount != 1:
            raise RunConflict(run_id, f"inbox item {number} was taken by another process")

    # --- what is kept beside the runs

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        """Keep a definition."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO definitions VALUES (?, ?, ?)", (hash_, kind, body.decode()))

    def definition(self, hash_: str) -> bytes | None:
        """A kept definition."""
        with self._mapped(), self._lock:
            found = self._db.execute("SELECT body FROM definitions WHERE hash = ?", (hash_,)).fetchone()
        return found[0].encode() if found else None

    def keep_artifact(self, digest: str, body: bytes) -> None:
        """Keep bytes."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO artifacts VALUES (?, ?)", (digest, body))

    def artifact(self, digest: str) -> bytes | None:
        """Kept bytes."""
        with self._mapped(), self._lock:
            found = self._db.execute("SELECT body FROM artifacts WHERE digest = ?", (digest,)).fetchone()
        return found[0] if found else None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    # --- the file

    def _open(self) -> None:
        made = self._is_one()
        self._patiently("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if not made:
            self._make()

    def _is_one(self) -> bool:
        """Whether the file is a journal, seen in one moment: another process may be making it. Raises JournalError."""
        self._db.execute("BEGIN")
        try:
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        finally:
            self._rollback()
        if application != APPLICATION and tables:
            raise JournalError(self.name, "another program's SQLite file", "a stepladder journal")
        if version > SCHEMA_VERSION:
            newer = f"at most {SCHEMA_VERSION}: a newer stepladder wrote it"
            raise JournalError(self.name, f"schema version {version}", newer)
        return bool(tables)

    def _patiently(self, statement: str) -> None:
        """SQLite does not wait by itself for whoever else changes the journal mode."""
        give_up = time.monotonic() + self._busy_s
        while True:
            try:
                self._db.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)

    def _make(self) -> None:
        with self._transaction():
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables:  # another process made it in this moment
                return
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _number(self, run_id: str) -> int:
        if run_id not in self._numbers:
            with self._mapped(), self._lock:
                found = self._db.execute("SELECT number FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if found is None:
                raise RunNotFound(run_id, self.name)
            self._numbers[run_id] = found[0]
        return self._numbers[run_id]

    def _head(self, number: int) -> tuple[int, bytes]:
        """The number of the run's last turn, and its digest; read anew, for another process may have gone on."""
        found = self._db.execute(
            "SELECT seq, digest FROM turns WHERE run = ? ORDER BY seq DESC LIMIT 1", (number,)
        ).fetchone()
        return (found[0], _sound(found[1])) if found else (0, NO_DIGEST)

    def _update(self, number: int, row: RunRow) -> None:
        sets = ", ".join(f"{name} = ?" for name in _COLUMNS.split(", "))
        self._db.execute(f"UPDATE runs SET {sets} WHERE number = ?", (*_values(row), number))

    def _decoded(self, run_id: str, seq: int, body: bytes) -> Any:
        try:
            return decode_turn(body)
        except ValueError as error:
            raise JournalError(
                self.name, f"run {run_id!r}, entry {seq}: {error}", "a turn as stepladder writes it"
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mapped(), self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        if self._db.in_transaction:  # a full disk has ended it already
            self._db.execute("ROLLBACK")

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(
                self.name, f"{type(error).__name__}: {error}", "a SQLite file that can be read and written"
            ) from error


def _sound(digest: object) -> bytes:
    """The digest, if it can be one: somebody may have written anything there."""
    return digest if isinstance(digest, bytes) and len(digest) <= len(NO_DIGEST) else NO_DIGEST


def _values(row: RunRow) -> tuple[Any, ...]:
    return msgspec.structs.astuple(row)


def _row(values: tuple[Any, ...]) -> RunRow:
    row = RunRow(*values)
    return row if row.success is None else msgspec.structs.replace(row, success=bool(row.success))
