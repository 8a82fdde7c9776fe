"""An alarm: whoever waits for a time is called back once, at the earliest time that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stepladder.drivers.clock import Cancel, Clock


class Alarm:
    """Rings once. It may ring too early, never too late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = 0.0
        self._cancel: Cancel | None = None

    @property
    def is_set(self) -> bool:
        """Whether it will ring."""
        return self._cancel is not None

    def set(self, at: float, ring: Callable[[], None]) -> None:
        """Ring at this time, unless it rings before."""
        if self._cancel is not None and self._at <= at:
            return
        self.off()
        self._at = at
        self._cancel = self._clock.call_at(at, lambda: self._rung(ring))

    def off(self) -> None:
        """Do not ring."""
        if self._cancel is not None:
            self._cancel()
        self._cancel = None

    def _rung(self, ring: Callable[[], None]) -> None:
        """Time is up; a result that comes in the same turn of the loop comes before it."""
        self._cancel = asyncio.get_running_loop().call_soon(self._now, ring).cancel

    def _now(self, ring: Callable[[], None]) -> None:
        self._cancel = None
        ring()
