"""A breaker's state in a Redis."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pybreaker

from stepladder.llm.breaker_storage.storage import CLOSED, LONGEST_S

ALONE_S: Final = 5.0
"""So long a Redis that failed is left alone."""

T = TypeVar("T")


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
