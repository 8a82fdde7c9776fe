"""Where a breaker's state is kept: pybreaker's storages, and what these lack: a rest that ends, one leased probe.

MemoryStorage   one process
SqliteStorage   every process on one machine that opens the same file; nothing else is needed
RedisStorage    every process that reaches the same Redis (pybreaker's own storage, and three keys of ours)
"""

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
from typing import Any, Final, Protocol, TypeVar

import pybreaker
import tenacity

CLOSED: Final = pybreaker.STATE_CLOSED
OPEN: Final = pybreaker.STATE_OPEN
HALF_OPEN: Final = pybreaker.STATE_HALF_OPEN
LONGEST_S: Final = 3_600.0
"""No rest is longer; one that seems so was written before the machine started anew."""

ALONE_S: Final = 5.0
"""So long a Redis that failed is left alone."""

T = TypeVar("T")


class Storage(Protocol):
    """A storage of pybreaker's that can also rest and lease. Safe to share between threads."""

    shared: bool
    """Whether other processes use it as well; asking it costs more then."""

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        ...

    @property
    def openings(self) -> int:
        """How often it has opened without a success in between."""
        ...

    def rest(self, seconds: float) -> None:
        """Let nobody probe for so long; one more opening."""
        ...

    def resting(self) -> bool:
        """Whether nobody may probe yet."""
        ...

    def lease(self, seconds: float) -> str:
        """Take the one probe for so long: its token, or "" where it is taken, it rests, or is closed."""
        ...

    def release(self, token: str) -> bool:
        """Give the probe back: whether it was still ours."""
        ...

    def healed(self) -> None:
        """No openings any more, nothing to rest for."""
        ...

    def failed(self, within_s: float) -> int:
        """One more failure: how many there were in a row, over all processes, none longer ago than this. 0 where
        nothing is shared."""
        ...

    def answered(self) -> None:
        """A success after failures: none are in a row any more."""
        ...


class MemoryStorage(pybreaker.CircuitMemoryStorage):
    """The state of one process's breaker."""

    shared = False

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(CLOSED)
        self.openings = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._rest_until = self._lease_until = float("-inf")
        self._token = ""

    def rest(self, seconds: float) -> None:
        """Let nobody probe for so long."""
        self._rest_until = self._clock() + seconds
        self.openings += 1

    def resting(self) -> bool:
        """Whether nobody may probe yet."""
        return self._clock() < self._rest_until

    def lease(self, seconds: float) -> str:
        """Take the one probe."""
        with self._lock:
            now = self._clock()
            if self.state == CLOSED or now < self._rest_until or now < self._lease_until:
                return ""
            self._lease_until, self._token = now + seconds, uuid.uuid4().hex
            return self._token

    def release(self, token: str) -> bool:
        """Give the probe back."""
        with self._lock:
            ours = token == self._token
            if ours:
                self._lease_until, self._token = float("-inf"), ""
            return ours

    def healed(self) -> None:
        """Nothing to rest for."""
        self.openings, self._rest_until = 0, float("-inf")

    def failed(self, within_s: float) -> int:
        """Nothing is shared: the window of the breaker has all."""
        return 0

    def answered(self) -> None:
        """Nothing is shared."""


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
        except sqlite3.Error:
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


_TABLES: Final = """
CREATE TABLE IF NOT EXISTS breakers (
    name TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'closed', openings INTEGER NOT NULL DEFAULT 0,
    opened_at REAL, rest_until REAL NOT NULL DEFAULT 0, lease_until REAL NOT NULL DEFAULT 0,
    token TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS failures (name TEXT PRIMARY KEY, count INTEGER NOT NULL, at REAL NOT NULL);
"""


class RedisStorage(pybreaker.CircuitRedisStorage):
    """The state of a breaker in Redis. Rests and leases are keys that expire, so no clock has to agree with another.

    Without Redis every breaker counts as closed (pybreaker logs it): calls go on, nothing is shared. It is not asked
    again for `ALONE_S` then, so that one that does not answer holds nothing up.
    """

    shared = True
    _alone_until = float("-inf")

    def __init__(self, redis: Any, breaker: str) -> None:
        super().__init__(CLOSED, redis, namespace=f"stepladder:{breaker}")

    def _initialize_redis_state(self, state: str) -> None:
        """pybreaker's, but a Redis that is not there raises nothing: the state is closed without it."""
        begin = super()._initialize_redis_state
        self._safe(lambda: begin(state), None)

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        found: Any = self._safe(lambda: self._redis.get(self._namespace("state")), None)
        return CLOSED if found is None else str(found.decode())

    @state.setter
    def state(self, state: str) -> None:
        self._safe(lambda: self._redis.set(self._namespace("state"), str(state)), None)

    @property
    def openings(self) -> int:
        """How often it has opened without a success in between."""
        return self._safe(lambda: int(self._redis.get(self._namespace("openings")) or 0), 0)

    def rest(self, seconds: float) -> None:
        """Let nobody probe for so long."""
        ms = max(1, int(1000 * min(seconds, LONGEST_S)))
        self._safe(lambda: self._redis.set(self._namespace("rest"), 1, px=ms), None)
        self._safe(lambda: self._redis.incr(self._namespace("openings")), None)

    def resting(self) -> bool:
        """Whether nobody may probe yet."""
        return self._safe(lambda: bool(self._redis.exists(self._namespace("rest"))), False)

    def lease(self, seconds: float) -> str:
        """Take the one probe; what was asked before it was ours may have changed, so it is asked again."""
        token = uuid.uuid4().hex
        ms = max(1, int(1000 * seconds))
        if not self._safe(lambda: self._redis.set(self._namespace("lease"), token, nx=True, px=ms), None):
            return ""
        if self.resting() or self.state == CLOSED:
            self.release(token)
            return ""
        return token

    def release(self, token: str) -> bool:
        """Give the probe back."""
        key = self._namespace("lease")

        def work() -> bool:
            pipe: Any
            with self._redis.pipeline() as pipe:
                pipe.watch(key)
                if (pipe.get(key) or b"").decode() != token:
                    return False
                pipe.multi()
                pipe.delete(key)
                pipe.execute()
                return True

        return bool(token) and self._safe(work, False)

    def healed(self) -> None:
        """Nothing to rest for."""
        self._safe(lambda: self._redis.delete(self._namespace("rest"), self._namespace("openings")), None)

    def failed(self, within_s: float) -> int:
        """One more failure in a row."""
        key, ms = self._namespace("failures"), max(1, int(1000 * within_s))

        def work() -> int:
            pipe: Any
            with self._redis.pipeline() as pipe:
                return int(pipe.incr(key).pexpire(key, ms).execute()[0])

        return self._safe(work, 0)

    def answered(self) -> None:
        """None are in a row any more."""
        self._safe(lambda: self._redis.delete(self._namespace("failures")), None)

    def _safe(self, work: Callable[[], T], otherwise: T) -> T:
        from redis.exceptions import RedisError

        if time.monotonic() < self._alone_until:
            return otherwise
        try:
            return work()
        except RedisError:
            self._alone_until = time.monotonic() + ALONE_S
            self.logger.exception("RedisError: the breaker counts as closed")
            return otherwise
