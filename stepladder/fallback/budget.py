"""How much may be retried, and how fast may be asked. Times are seconds of one monotonic clock, handed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

MINUTE_S: Final = 60.0
BURST_S: Final = 6.0
"""So much of a minute's worth may come at once."""


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


class Sent:
    """What was sent in the last minute, as far as a limit asked for it: when, how much, and until when it is paid."""

    def __init__(self) -> None:
        self.log: deque[tuple[float, float]] = deque()
        self.sum, self.due = 0.0, float("-inf")


class Traffic:
    """What goes to one target, or to several together: requests on their way, what was sent of late, and until when the
    server wants to be left alone. Limiters of several rates may judge by one."""

    def __init__(self) -> None:
        self.flying = 0
        self.closed_until = float("-inf")
        self.requests, self.tokens = Sent(), Sent()


class Limiter:
    """What lets the next request to a target through, and when: its rate, and what the server asked for by 429."""

    def __init__(self, rate: Rate | None = None, traffic: Traffic | None = None) -> None:
        self.rate = rate or Rate()
        self._traffic = traffic or Traffic()
        limits = (
            (self.rate.per_minute, self._traffic.requests, False),
            (self.rate.tokens_per_minute, self._traffic.tokens, True),
        )
        self._minutes = [(Minute(most, sent), by_token) for most, sent, by_token in limits if most]

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how many tokens a request has."""
        return self.rate.tokens_per_minute is not None

    def blocked_s(self, now: float, tokens: int = 0) -> float:
        """Seconds until a request with so many tokens may go; 0 if now."""
        wait = self._traffic.closed_until - now
        for minute, by_token in self._minutes:
            wait = max(wait, minute.wait_s(now, tokens if by_token else 1))
        return max(0.0, wait)

    def full(self) -> bool:
        """Whether as many requests are on their way as may be at once."""
        return self.rate.at_once is not None and self._traffic.flying >= self.rate.at_once

    def sent(self, now: float, tokens: int = 0) -> None:
        """A request goes out: it has its place from now on."""
        self._traffic.flying += 1
        for minute, by_token in self._minutes:
            minute.add(now, tokens if by_token else 1)

    def came_back(self) -> None:
        """It is over, or was not sent after all."""
        self._traffic.flying -= 1

    def told_to_wait(self, now: float, seconds: float) -> None:
        """The server asks to be left alone for so long."""
        self._traffic.closed_until = max(self._traffic.closed_until, now + seconds)


class Minute:
    """At most so much in any minute, and evenly: a tenth of it may come at once.

    Evenly by the generic cell rate algorithm (ITU-T I.371), which keeps one theoretical arrival time; what it lets
    through above the rate after a pause is held back by what was sent in the last minute. What alone is more than a
    minute may have goes when nothing else does.
    """

    def __init__(self, most: float, sent: Sent | None = None) -> None:
        self._most, self._sent = most, sent or Sent()

    def wait_s(self, now: float, amount: float) -> float:
        """Seconds until so much more may go; 0 or less if now."""
        sent = self._sent
        while sent.log and sent.log[0][0] <= now - MINUTE_S:
            sent.sum -= sent.log.popleft()[1]
        wait, over = sent.due - now - BURST_S, sent.sum + amount - self._most
        for at, each in sent.log if over > 0 else ():
            wait, over = max(wait, at + MINUTE_S - now), over - each
            if over <= 0:
                break
        return wait

    def add(self, now: float, amount: float) -> None:
        """So much goes now."""
        self._sent.log.append((now, amount))
        self._sent.sum += amount
        self._sent.due = max(self._sent.due, now) + MINUTE_S * amount / self._most


class Limiters:
    """All that a request to one target has to pass: the target's own limiter, and those that it shares with others."""

    def __init__(self, own: Limiter, shared: Sequence[Limiter] = ()) -> None:
        self.own = own
        self._all = (own, *shared)
        self.counts_tokens = any(each.counts_tokens for each in self._all)

    def blocked_s(self, now: float, tokens: int = 0) -> float:
        """Seconds until a request with so many tokens may go; 0 if now."""
        return max([each.blocked_s(now, tokens) for each in self._all])

    def full(self) -> bool:
        """Whether as many requests are on their way as may be at once."""
        return any(each.full() for each in self._all)

    def sent(self, now: float, tokens: int = 0) -> None:
        """A request goes out: it has its place from now on."""
        for each in self._all:
            each.sent(now, tokens)

    def came_back(self) -> None:
        """It is over, or was not sent after all."""
        for each in self._all:
            each.came_back()

    def told_to_wait(self, now: float, seconds: float) -> None:
        """The server asks for this target to be left alone for so long."""
        self.own.told_to_wait(now, seconds)
