"""Time comes from a clock that is handed in, so that tests need not wait."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Final, Protocol

Cancel = Callable[[], None]


class Clock(Protocol):
    """Now, and later. Times are seconds since 1970."""

    def now(self) -> float:
        """The time."""
        ...

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        """Call back at `at` (at once where it has passed), on the running loop; gives a function that forgets it."""
        ...


LOOK_EVERY_S: Final = 30.0
"""So late may a time be noticed, at the most, after the clock was set or the machine was suspended."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """The time by the wall clock, to the microsecond."""
        return time.time_ns() // 1000 / 1e6  # a sixth of what `round` takes

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        """Call back on the running loop; a little late rather than early.

        The loop's own clock does not move when the machine's is set, nor while it is suspended: of a time far away the
        machine's clock is asked again and again.
        """
        delay = max(0.0, at - time.time()) + 0.0005
        if delay <= LOOK_EVERY_S:
            return asyncio.get_running_loop().call_later(delay, callback).cancel
        return _Far(at, callback).cancel


class _Far:
    """A call at a time that is far away."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self._at, self._callback = at, callback
        self._loop = asyncio.get_running_loop()
        self._look()

    def _look(self) -> None:
        left = max(0.0, self._at - time.time()) + 0.0005
        do = self._callback if left <= LOOK_EVERY_S else self._look
        self._next = self._loop.call_later(min(left, LOOK_EVERY_S), do)

    def cancel(self) -> None:
        """Do not call."""
        self._next.cancel()


class ManualClock:
    """A clock that moves when it is told to. Safe to move from the loop's own thread only."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._forgotten: set[int] = set()

    def now(self) -> float:
        """The time it was moved to."""
        return self._now

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        """Call back when the clock is moved to `at` or beyond; on the next turn of the loop where it has passed."""
        if at <= self._now:
            return asyncio.get_running_loop().call_soon(callback).cancel
        number = next(self._numbers)
        heapq.heappush(self._calls, (at, number, callback))
        return lambda: self._forgotten.add(number)

    def move(self, seconds: float) -> None:
        """Move on by so many seconds, calling back what falls due on the way, each at its own time."""
        until = self._now + seconds
        while self._calls and self._calls[0][0] <= until:
            at, number, callback = heapq.heappop(self._calls)
            self._now = max(self._now, at)
            if number not in self._forgotten:
                callback()
        self._now = until

    @property
    def next_at(self) -> float | None:
        """When the next call falls due, or None."""
        while self._calls and self._calls[0][1] in self._forgotten:
            self._forgotten.discard(heapq.heappop(self._calls)[1])
        return self._calls[0][0] if self._calls else None
