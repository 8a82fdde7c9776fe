"""A difference of means where runs belong to groups (trials of one task, tasks of one user) and are no witnesses alone.

What each group adds to the difference is one observation, whatever is alike inside it (Liang and Zeger 1986, with the
small-sample factor G / (G - 1) and Student's t with G - 1 degrees of freedom). Where no group is in both arms, each arm
has its own factor, and the degrees of freedom are Welch's (1947): few groups in one arm are not made good by many in
the other. With one run, or one pair, in each group this is the ordinary test.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.extras import scipy_stats


class ByGroup(NamedTuple):
    """The p of "no difference", and the interval of mean b - mean a, over so many groups."""

    groups: int
    p: float
    low: float
    high: float


def by_group(
    a: Sequence[float], groups_a: Sequence[str], b: Sequence[float], groups_b: Sequence[str], level: float = 0.95
) -> ByGroup:
    """Mean of b less mean of a, every group one witness: pairs are two runs of the same group.

    With fewer than two groups (in an arm, where no group is in both) nothing is known: p is 1, and the interval has no
    ends.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    names = list(dict.fromkeys((*groups_a, *groups_b)))
    place = {name: number for number, name in enumerate(names)}
    share = _shares(first, [place[each] for each in groups_a], len(names))
    apart = _shares(second, [place[each] for each in groups_b], len(names)) - share
    difference, count = float(second.mean() - first.mean()), len(names)
    one, other = ({place[each] for each in groups} for groups in (groups_a, groups_b))
    parts = [apart] if one & other else [apart[list(one)], apart[list(other)]]
    if min(map(len, parts)) < 2:
        return ByGroup(count, 1.0, -inf, inf)
    spreads = [len(part) / (len(part) - 1) * float((part**2).sum()) for part in parts]
    error = sqrt(sum(spreads))
    if error <= 1e-12 * max(1e-300, float(np.abs(first).max()), float(np.abs(second).max())):
        return ByGroup(count, 1.0 if abs(difference) <= error else 0.0, difference, difference)
    freedom = sum(spreads) ** 2 / sum(each**2 / (len(part) - 1) for each, part in zip(spreads, parts, strict=True))
    student = scipy_stats().t(freedom)
    half = float(student.ppf(0.5 + level / 2)) * error
    return ByGroup(count, 2 * float(student.sf(abs(difference) / error)), difference - half, difference + half)


def _shares(values: NDArray[np.float64], places: list[int], count: int) -> NDArray[np.float64]:
    """What each group adds to how far the mean is off."""
    shares = np.bincount(places, weights=(values - values.mean()) / len(values), minlength=count)
    return shares.astype(np.float64)
