"""When a breaker opens: a rolling window of outcomes and the policy that reads it. Time comes in as an argument.

Of the last `calls` outcomes that are younger than `window_s`, at least `least` there have to be; then a share of
`failing` failures, or of `slow` slow successes, opens it. `straight` failures in a row with nothing else in the window
open it earlier: nothing speaks for the target then. What is ignored (4xx, 429, a cancelled call) neither counts nor
resets anything.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

import msgspec

Outcome = Literal["success", "failure", "ignored"]


class BreakerPolicy(msgspec.Struct, frozen=True):
    """When a breaker opens, and for how long. Shares are 0 to 1, times seconds.

    It stays open for `open_s`, `growth` times as long for every probe that failed up to `most_open_s`, less a random
    part of up to `jitter` of it. One probe at a time is let through then, and is given up after `probe_s`.
    """

    calls: int = 20
    least: int = 10
    straight: int = 5
    failing: float = 0.5
    slow: float = 0.8
    slow_s: float | None = None
    window_s: float = 60.0
    open_s: float = 5.0
    most_open_s: float = 300.0
    jitter: float = 0.3
    probe_s: float = 30.0
    growth: float = 2.0

    def open_for_s(self, openings: int, chance: float) -> float:
        """How long it stays open when it opens for the n-th time without a success in between (n from 1)."""
        full = min(self.most_open_s, self.open_s * self.growth ** min(max(0, openings - 1), 30))
        return full * (1.0 - self.jitter * chance)


class Window:
    """The newest outcomes of one target."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self._seen: deque[tuple[float, bool, bool]] = deque(maxlen=policy.calls)
        self._failures = self._slow = 0

    def add(self, failed: bool, took_s: float, now: float) -> bool:
        """Take in an outcome; whether the breaker has to open now."""
        slow = not failed and self.policy.slow_s is not None and took_s > self.policy.slow_s
        if len(self._seen) == self.policy.calls:
            self._drop()
        self._seen.append((now, failed, slow))
        self._failures += failed
        self._slow += slow
        while self._seen and self._seen[0][0] < now - self.policy.window_s:
            self._drop()
        return (failed or slow) and self._opens()

    def clear(self) -> None:
        """Forget everything: a new life after a probe."""
        self._seen.clear()
        self._failures = self._slow = 0

    def _opens(self) -> bool:
        count, policy = len(self._seen), self.policy
        if self._failures == count >= policy.straight:
            return True
        return count >= policy.least and (
            self._failures >= policy.failing * count or (self._slow > 0 and self._slow >= policy.slow * count)
        )

    def _drop(self) -> None:
        _, failed, slow = self._seen.popleft()
        self._failures -= failed
        self._slow -= slow


DEFAULT: Final = BreakerPolicy()
"""Opens within five calls of a dead target, within twenty at half of them failing."""
