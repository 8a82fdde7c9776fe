"""Verdicts in a SQLite file beside the journal, shared by processes.

What is lost is asked again: `synchronous=NORMAL`, and a short patience with whoever writes.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from stepladder.errors import JournalError
from stepladder.journal.sqlite_file import WRONG
from stepladder.verdicts.situation import Situation
from stepladder.verdicts.store import COMPARED, Kept

SUFFIX: Final = ".verdicts"
"""What the file's name has more than the journal's."""
BUSY_S: Final = 1.0
SWEEP_EVERY: Final = 64
"""Verdicts that are put between two looks for what is too old or too much."""
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS verdicts (
    situation TEXT PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL,
    features TEXT)""",
    "CREATE INDEX IF NOT EXISTS verdicts_by_kind ON verdicts (kind, at)",
    "CREATE INDEX IF NOT EXISTS verdicts_by_age ON verdicts (at)",
    "CREATE TABLE IF NOT EXISTS leases (situation TEXT PRIMARY KEY, until REAL NOT NULL, holder TEXT NOT NULL)",
)
_COLUMNS: Final = "text, model, at, features"
_LEASE: Final = """INSERT INTO leases VALUES (?1, ?2, ?3) ON CONFLICT (situation) DO UPDATE
    SET until = excluded.until, holder = excluded.holder WHERE leases.until <= ?4 OR leases.holder = ?3"""


class SqliteStore:
    """At most `entries` verdicts (the newest) for `ttl_s` seconds by `now`, in the file `path`. Raises JournalError."""

    def __init__(self, path: Path, entries: int, ttl_s: float, now: Callable[[], float]) -> None:
        self.name, self._entries, self._ttl_s, self._now = str(path), entries, ttl_s, now
        self._lock, self._puts, self._holder = threading.Lock(), 0, uuid.uuid4().hex
        try:
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", *_SCHEMA):
                self._db.execute(statement).fetchall()
        except WRONG as error:
            raise self._broken(error) from error

    def get(self, situation: Situation) -> Kept | None:
        """The verdict of exactly this situation. Raises JournalError."""
        found = self._read("situation = ? AND at > ?", (situation.exact, self._oldest()))
        return found[0] if found else None

    def of_kind(self, situation: Situation) -> list[Kept]:
        """The newest verdicts of its kind. Raises JournalError."""
        where = "kind = ? AND at > ? ORDER BY at DESC LIMIT ?"
        return self._read(where, (situation.kind, self._oldest(), COMPARED))

    def put(self, situation: Situation, kept: Kept) -> None:
        """Keep a verdict. Raises JournalError."""
        features = None if kept.features is None else msgspec.json.encode(kept.features).decode()
        row = (situation.exact, situation.kind, kept.text, kept.model, kept.at, features)
        self._write("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
        self._puts += 1
        if self._puts % SWEEP_EVERY == 0 or self._entries < SWEEP_EVERY:
            self._write("DELETE FROM verdicts WHERE at <= ?", (self._oldest(),))
            self._write("DELETE FROM leases WHERE until <= ?", (self._now(),))
            newest = "SELECT rowid FROM verdicts ORDER BY at DESC, rowid DESC LIMIT ?"
            self._write(f"DELETE FROM verdicts WHERE rowid NOT IN ({newest})", (self._entries,))

    def lease(self, situation: Situation, until: float) -> bool:
        """Take it on to ask, for all processes: a row that is nobody's any more after `until`. Raises JournalError."""
        return self._write(_LEASE, (situation.exact, until, self._holder, self._now())) == 1

    def release(self, situation: Situation) -> None:
        """It was asked. Raises JournalError."""
        self._write("DELETE FROM leases WHERE situation = ? AND holder = ?", (situation.exact, self._holder))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock, closing(self._db):
            pass

    def _oldest(self) -> float:
        return self._now() - self._ttl_s

    def _read(self, where: str, values: tuple[object, ...]) -> list[Kept]:
        try:
            with self._lock:
                rows = self._db.execute(f"SELECT {_COLUMNS} FROM verdicts WHERE {where}", values).fetchall()
        except WRONG as error:
            raise self._broken(error) from error
        return [
            Kept(text, model, at, None if features is None else msgspec.json.decode(features))
            for text, model, at, features in rows
        ]

    def _write(self, statement: str, values: tuple[object, ...]) -> int:
        """How many rows it changed."""
        try:
            with self._lock:
                return self._db.execute(statement, values).rowcount
        except WRONG as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> JournalError:
        return JournalError(self.name, f"{type(error).__name__}: {error}", "verdicts that can be read and written")
