"""How many runs an experiment needs, and what it could have seen.

t-tests by the non-central t distribution (Cohen 1988), shares by Cohen's h, McNemar by Connor (1987).
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, sqrt
from statistics import NormalDist
from typing import Final

from stepladder.evaluation.contrasts import cohens_h
from stepladder.evaluation.extras import scipy_stats

ALPHA: Final = 0.05
POWER: Final = 0.8
MOST: Final = 10_000_000
"""No experiment is larger; what would need more is told as None."""
_NORMAL: Final = NormalDist()


def power_of_means(d: float, n: int, alpha: float = ALPHA, *, paired: bool = False) -> float:
    """The chance to see a true Cohen's d with `n` runs an arm (pairs, where it is paired), two-sided."""
    if n < 2:
        return 0.0
    stats = scipy_stats()
    df, shift = (n - 1, d * sqrt(n)) if paired else (2 * n - 2, d * sqrt(n / 2))
    critical = stats.t.ppf(1 - alpha / 2, df)
    return float(stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift))


def power_of_shares(a: float, b: float, n: int, alpha: float = ALPHA) -> float:
    """The chance to see the share `b` against `a` with `n` runs an arm, two-sided."""
    shift, critical = abs(cohens_h(a, b)) * sqrt(n / 2), _NORMAL.inv_cdf(1 - alpha / 2)
    return _NORMAL.cdf(shift - critical) + _NORMAL.cdf(-shift - critical)


def runs_for_means(d: float, alpha: float = ALPHA, power: float = POWER, *, paired: bool = False) -> int | None:
    """Runs an arm (pairs, where it is paired) to see a true Cohen's d; None: more than can be made."""
    if d == 0 or abs(d) == inf:
        return None if d == 0 else 2
    return _fewest(lambda n: power_of_means(d, n, alpha, paired=paired) >= power)


def runs_for_shares(a: float, b: float, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """Runs an arm to see the share `b` against `a`; None: more than can be made."""
    return None if a == b else _fewest(lambda n: power_of_shares(a, b, n, alpha) >= power)


def pairs_for_shares(only_a: float, only_b: float, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """Pairs to see that a share `only_a` of them succeeds in a alone and `only_b` in b alone; None: too many."""
    differ, apart = only_a + only_b, abs(only_b - only_a)
    if apart == 0:
        return None
    sure, seen = _NORMAL.inv_cdf(1 - alpha / 2), _NORMAL.inv_cdf(power)
    needed = (sure * sqrt(differ) + seen * sqrt(max(0.0, differ - apart**2))) ** 2 / apart**2
    return ceil(needed) if needed <= MOST else None


def power_of_pairs(only_a: float, only_b: float, n: int, alpha: float = ALPHA) -> float:
    """The chance that `n` pairs show such shares of successes in one arm alone."""
    differ, apart = only_a + only_b, abs(only_b - only_a)
    spread = sqrt(max(0.0, differ - apart**2))
    shift = sqrt(n) * apart - _NORMAL.inv_cdf(1 - alpha / 2) * sqrt(differ)
    return _NORMAL.cdf(shift / spread) if spread else float(shift > 0)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    high = 2
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
