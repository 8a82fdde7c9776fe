"""Intervals for shares and for their differences; no library is needed.

Wilson (1927) for one share; Newcombe (1998, method 10) for two of different runs; Agresti and Min (2005) for two of the
same runs. All of them stay honest at small counts, where plus-minus two standard errors does not.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """From `low` to `high`."""

    low: float
    high: float


def two_sided(level: float) -> float:
    """The normal quantile that leaves `1 - level` outside, half on each side."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(hits: int, n: int, level: float = 0.95) -> Interval:
    """The share behind `hits` of `n`; 0 to 1 where n is 0."""
    return _wilson(hits, n, two_sided(level))


def lower_bound(hits: int, n: int, level: float = 0.95) -> float:
    """What the share exceeds with this confidence: Wilson's bound, one-sided."""
    return _wilson(hits, n, NormalDist().inv_cdf(level)).low


def _wilson(hits: int, n: int, z: float) -> Interval:
    if n == 0:
        return Interval(0.0, 1.0)
    share, square = hits / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Interval(0.0 if hits == 0 else centre - half, 1.0 if hits == n else centre + half)


def difference(hits_a: int, n_a: int, hits_b: int, n_b: int, level: float = 0.95) -> Interval:
    """The share of b less that of a, of different runs."""
    a, b = wilson(hits_a, n_a, level), wilson(hits_b, n_b, level)
    share_a, share_b = (hits_a / n_a if n_a else 0.5), (hits_b / n_b if n_b else 0.5)
    down = sqrt((share_b - b.low) ** 2 + (a.high - share_a) ** 2)
    up = sqrt((b.high - share_b) ** 2 + (share_a - a.low) ** 2)
    return Interval(max(-1.0, share_b - share_a - down), min(1.0, share_b - share_a + up))


def paired_difference(only_a: int, only_b: int, n: int, level: float = 0.95) -> Interval:
    """The share of b less that of a over the same `n` pairs; `only_a` of them succeeded in a and not in b."""
    down, up, pairs = only_a + 0.5, only_b + 0.5, n + 2
    centre = (up - down) / pairs
    half = two_sided(level) * sqrt(max(0.0, up + down - (up - down) ** 2 / pairs)) / pairs
    return Interval(max(-1.0, centre - half), min(1.0, centre + half))
