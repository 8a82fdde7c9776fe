"""How much may be retried, and how fast may be asked. Times are seconds of one monotonic clock, handed in."""

from __future__ import annotations

from collections import deque

import msgspec


class RetryBudget:
    """Retries of the last `window_s` seconds are at most `share` of the first attempts, or `least` where that is more.

    So a lone question may be retried, and an outage does not multiply the load: every retry is paid for by first
    attempts. Slices of a tenth of the window are counted, not calls.
    """

    def __init__(self, share: float = 0.1, least: int = 3, window_s: float = 60.0) -> None:
        self.share, self.least = share, least
        self._slice_s = window_s / 10
        self._slices: deque[list[int]] = deque(maxlen=10)
        self.first = self.retries = 0

    def asked(self, now: float) -> None:
        """A question was put to a target for the first time."""
        self._now(now)[1] += 1
        self.first += 1

    def left(self, now: float) -> bool:
        """Whether one more retry is paid for."""
        self._now(now)
        return self.retries < max(self.least, int(self.share * self.first))

    def take(self, now: float) -> bool:
        """Take one retry, if there is one left."""
        if not self.left(now):
            return False
        self._now(now)[2] += 1
        self.retries += 1
        return True

    def _now(self, now: float) -> list[int]:
        number = int(now / self._slice_s)
        while self._slices and self._slices[0][0] <= number - 10:
            _, first, retries = self._slices.popleft()
            self.first -= first
            self.retries -= retries
        if not self._slices or self._slices[-1][0] != number:
            self._slices.append([number, 0, 0])
        return self._slices[-1]


class Rate(msgspec.Struct, frozen=True):
    """How much a target is sent: requests and tokens a minute, and requests at once. None: as much as comes."""

    per_minute: float | None = None
    tokens_per_minute: float | None = None
    at_once: int | None = None


class Limiter:
    """What lets the next request to a target through, and when: its rate, and what the server asked for by 429.

    Rates are kept by the generic cell rate algorithm (ITU-T I.371): one theoretical arrival time for each. A tenth of
    a minute's worth may come at once.
    """

    def __init__(self, rate: Rate | None = None) -> None:
        self.rate = rate or Rate()
        self._closed_until = float("-inf")
        self._next = [float("-inf"), float("-inf")]
        self.flying = 0

    def blocked_s(self, now: float, tokens: int = 0) -> float:
        """Seconds until a request with so many tokens may go; 0 if now."""
        wait = self._closed_until - now
        for due, each in zip(self._next, self._cells(tokens), strict=True):
            if each:
                wait = max(wait, due - now - 6.0)
        return max(0.0, wait)

    def full(self) -> bool:
        """Whether as many requests are on their way as may be at once."""
        return self.rate.at_once is not None and self.flying >= self.rate.at_once

    def sent(self, now: float, tokens: int = 0) -> None:
        """A request goes out."""
        self.flying += 1
        for index, each in enumerate(self._cells(tokens)):
            if each:
                self._next[index] = max(self._next[index], now) + each

    def came_back(self) -> None:
        """It is over, whatever came of it."""
        self.flying -= 1

    def told_to_wait(self, now: float, seconds: float) -> None:
        """The server asks to be left alone for so long."""
        self._closed_until = max(self._closed_until, now + seconds)

    def _cells(self, tokens: int) -> tuple[float, float]:
        """Seconds that this request takes of either rate."""
        minute, wide = self.rate.per_minute, self.rate.tokens_per_minute
        return (60.0 / minute if minute else 0.0), (60.0 * tokens / wide if wide else 0.0)
