"""Whether a row of choices, in the order of time, is of one mind: does a share stay what it was?

Where a split tells two shares apart (Fisher's exact test, corrected for the number of splits), it has changed there;
the last such split counts. Each run is one witness, by its newest choice: a loop of four hundred steps changes no mind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.extras import scipy_stats

Array = NDArray[Any]
SURELY: Final = 0.001
"""How likely a change may be by chance: many rules are looked at."""
OTHERWISE: Final = 0.1
"""By how much shares have to differ for it to be another mind."""
NEWEST: Final = 0.25
"""The part of the runs that are called the newest."""


class Drift(msgspec.Struct, frozen=True):
    """How often a rule agreed in the newest quarter of its runs, and in those before; `p`: how likely it is by chance
    that the newest agree so seldom (Fisher's exact test, one-sided)."""

    newest: float
    before: float
    p: float


def drift_of(hits: Array) -> Drift | None:
    """The drift of witnesses in the order of time; None of fewer than two."""
    if len(hits) < 2:
        return None
    newest = max(1, round(NEWEST * len(hits)))
    late, early = hits[-newest:], hits[:-newest]
    p = scipy_stats().hypergeom(len(hits), int(hits.sum()), newest).cdf(int(late.sum()))
    return Drift(round(float(late.mean()), 4), round(float(early.mean()), 4), float(p))


def witnesses(runs: Sequence[str]) -> Array:
    """The places of each run's newest choice, of choices in the order of time with these runs."""
    newest = {run: place for place, run in enumerate(runs)}
    return np.array(sorted(newest.values()), np.intp)


def one_mind_since(hits: Array) -> int:
    """From which of these witnesses on, in the order of time, the share of hits stays the same; 0: always."""
    since = 0
    while (split := _split(hits[since:])) is not None:
        since += split
    return since


def _split(hits: Array) -> int | None:
    """Where a split tells two shares apart best; None where none does surely."""
    n, k = len(hits), int(hits.sum())
    if not 0 < k < n:
        return None
    size, before = np.arange(1, n), np.cumsum(hits)[:-1]
    law = scipy_stats().hypergeom(n, k, size)
    p = 2 * np.minimum(law.cdf(before), law.sf(before - 1))
    apart = np.abs(before / size - (k - before) / (n - size)) >= OTHERWISE
    p = np.where(apart, p, 1.0)
    best = int(p.argmin())
    return best + 1 if p[best] * (n - 1) < SURELY else None
