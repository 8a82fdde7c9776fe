"""A breaker's state in one process."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

import pybreaker

from stepladder.llm.breaker_storage.storage import CLOSED


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
