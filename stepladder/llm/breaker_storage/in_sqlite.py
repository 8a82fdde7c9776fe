"""A breaker's state in a file that the processes of one machine share."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import pybreaker
import tenacity

from stepladder.llm.breaker_storage.storage import CLOSED, LONGEST_S

T = TypeVar("T")

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS breakers (
    name TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'closed', openings INTEGER NOT NULL DEFAULT 0,
    opened_at REAL, rest_until REAL NOT NULL DEFAULT 0, lease_until REAL NOT NULL DEFAULT 0,
    token TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS failures (name TEXT PRIMARY KEY, count INTEGER NOT NULL, at REAL NOT NULL);
"""


class SqliteStorage(pybreaker.CircuitBreakerStorage):
    """The state of a breaker in a SQLite file that processes share. Times are of the machine's monotonic clock, which
    all its processes read alike.

    While the file cannot be used every breaker counts as closed (it is logged): calls go on, nothing is shared.
    """

    shared = True

    def __init__(self, path: str | Path, breaker: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("sqlite")
        self._path, self._breaker, self._clock = str(path), breaker, clock
        self._lock = threading.Lock()
        self._connection: tuple[int, sqlite3.Connection] | None = None
        self._told = False
        self._run("INSERT OR IGNORE INTO breakers (name) VALUES (?)", self._breaker)

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        return str(self._one("state", CLOSED))

    @state.setter
    def state(self, state: str) -> None:
        self._run("UPDATE breakers SET state = ? WHERE name = ?", state, self._breaker)

    @property
    def counter(self) -> int:
        """Not kept: what opens a breaker is its window."""
        return 0

    @property
    def success_counter(self) -> int:
        """Not kept."""
        return 0

    @property
    def opened_at(self) -> datetime | None:
        """When it opened last, by the wall clock."""
        at = self._one("opened_at", None)
        return None if at is None else datetime.fromtimestamp(at, UTC)

    @opened_at.setter
    def opened_at(self, datetime: datetime) -> None:
        self._run("UPDATE breakers SET opened_at = ? WHERE name = ?", datetime.timestamp(), self._breaker)

    @property
    def openings(self) -> int:
        """How often it has opened without a success in between."""
        return int(self._one("openings", 0))

    def rest(self, seconds: float) -> None:
        """Let nobody probe for so long."""
        until = self._clock() + min(seconds, LONGEST_S)
        self._run("UPDATE breakers SET rest_until = ?, openings = openings + 1 WHERE name = ?", until, self._breaker)

    def resting(self) -> bool:
        """Whether nobody may probe yet."""
        until = float(self._one("rest_until", 0.0))
        return bool(0 < until - self._clock() <= LONGEST_S)

    def lease(self, seconds: float) -> str:
        """Take the one probe: a single statement, so that of all processes one gets it."""
        now, token = self._clock(), uuid.uuid4().hex
        taken = self._run(
            """UPDATE breakers SET lease_until = ?1 + ?2, token = ?3 WHERE name = ?4 AND state <> 'closed'
               AND (rest_until <= ?1 OR rest_until > ?1 + ?5) AND (lease_until <= ?1 OR lease_until > ?1 + ?5)""",
            now,
            min(seconds, LONGEST_S),
            token,
            self._breaker,
            LONGEST_S,
        )
        return token if taken else ""

    def release(self, token: str) -> bool:
        """Give the probe back."""
        sql = "UPDATE breakers SET lease_until = 0, token = '' WHERE name = ? AND token = ?"
        return self._run(sql, self._breaker, token) == 1

    def healed(self) -> None:
        """Nothing to rest for."""
        self._run("UPDATE breakers SET openings = 0, rest_until = 0 WHERE name = ?", self._breaker)

    def failed(self, within_s: float) -> int:
        """One more failure in a row."""
        now = self._clock()
        sql = """INSERT INTO failures (name, count, at) VALUES (?1, 1, ?2) ON CONFLICT (name) DO UPDATE SET
            count = CASE WHEN at BETWEEN ?2 - ?3 AND ?2 THEN count + 1 ELSE 1 END, at = ?2 RETURNING count"""
        return int(self._safe(lambda db: db.execute(sql, (self._breaker, now, within_s)).fetchone()[0], 0))

    def answered(self) -> None:
        """None are in a row any more. Looked up first: a write would wait for others."""
        sql = "SELECT 1 FROM failures WHERE name = ? AND count > 0"
        if self._safe(lambda db: db.execute(sql, (self._breaker,)).fetchone(), None):
            self._run("UPDATE failures SET count = 0 WHERE name = ?", self._breaker)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None and self._connection[0] == os.getpid():
                self._connection[1].close()
            self._connection = None

    def _one(self, column: str, otherwise: Any) -> Any:
        """A value of this breaker's row; `otherwise` where there is none, or no file."""
        sql = f"SELECT {column} FROM breakers WHERE name = ?"
        found = self._safe(lambda db: db.execute(sql, (self._breaker,)).fetchone(), None)
        return otherwise if found is None else found[0]

    def _run(self, sql: str, *values: Any) -> int:
        return self._safe(lambda db: db.execute(sql, values).rowcount, 0)

    def _safe(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            return self._tried(work)
        except (sqlite3.Error, UnicodeDecodeError):  # a damaged file is quoted in the message
            self._lost()
            return otherwise

    def _lost(self) -> None:
        """Say so, once, and open the file anew the next time."""
        from loguru import logger

        with suppress(sqlite3.Error):
            self.close()
        if not self._told:
            self._told = True
            logger.opt(exception=True).warning("the file of the breakers cannot be used: they count as closed")

    def _tried(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it; where another process holds the file for longer than SQLite waits, a few times."""
        with self._lock:
            for attempt in tenacity.Retrying(
                stop=tenacity.stop_after_attempt(5),
                wait=tenacity.wait_random(0, 0.05),
                retry=tenacity.retry_if_exception_type(sqlite3.OperationalError),
                reraise=True,
            ):
                with attempt:
                    return work(self._db())
        raise AssertionError("tenacity raises or gives a result")

    def _db(self) -> sqlite3.Connection:
        """This process's connection: one that came over a fork is not used."""
        if self._connection is None or self._connection[0] != os.getpid():
            db = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
            with closing(db.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode = WAL")
                cursor.execute("PRAGMA synchronous = NORMAL")
                cursor.executescript(_TABLES)
            self._connection = os.getpid(), db
        return self._connection[1]
