"""One metric in two arms: by how much b is above a, how sure that is, and by which test.

    the same inputs in both arms (paired)    numbers: paired t         yes or no: McNemar, exact
    different runs (split)                   numbers: Welch's t        yes or no: chi-square with Yates' correction,
                                                                       or Fisher's exact test where one expects < 5

The figures are scipy's; where there is no variation at all, the test says p = 1 (nothing differs) or 0 (every one does,
by the same). A test by ranks stands beside each t-test, for times and costs with long tails.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import asin, inf, sqrt
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.extras import scipy_stats
from stepladder.evaluation.intervals import Interval, difference, paired_difference

Floats = NDArray[np.float64]
SMALL = 5
"""Below this an expected count is too small for chi-square."""


class Contrast(msgspec.Struct, frozen=True):
    """The metric in arm a and in arm b (means, or shares of successes), over `n_a` and `n_b` runs.

    `difference` is b - a, between `low` and `high` at the level asked for; `relative` is that over a (None where a is
    0). `effects` are named: cohens_d (of the differences themselves where they are paired), cohens_h, odds_ratio.
    `more` holds what else the test gave.
    """

    metric: str
    test: str
    n_a: int
    n_b: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    statistic: float
    p: float
    effects: dict[str, float] = {}
    more: dict[str, float] = {}

    @property
    def relative(self) -> float | None:
        """By which part of a b is above a."""
        return self.difference / abs(self.a) if self.a else None


def cohens_h(a: float, b: float) -> float:
    """The distance of two shares on the scale where it is equally hard to see everywhere (Cohen 1988)."""
    return 2 * asin(sqrt(b)) - 2 * asin(sqrt(a))


def paired_t(metric: str, a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Contrast:
    """Numbers of the same inputs, in the same order."""
    stats, first, second = scipy_stats(), np.asarray(a, np.float64), np.asarray(b, np.float64)
    apart = second - first
    centre, spread = float(apart.mean()), float(apart.std(ddof=1))
    if spread <= _noise(first, second):
        return _constant(metric, "paired t", first, second, centre)
    found = stats.ttest_rel(second, first)
    interval = found.confidence_interval(level)
    ranks = float(stats.wilcoxon(second, first).pvalue)
    effects = {"cohens_d": centre / spread}
    more = {"df": float(found.df), "p_by_ranks": ranks}
    return _numbers(metric, "paired t", first, second, found, interval, effects, more)


def welch_t(metric: str, a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Contrast:
    """Numbers of different runs; the arms may spread differently."""
    stats, first, second = scipy_stats(), np.asarray(a, np.float64), np.asarray(b, np.float64)
    spreads = first.var(ddof=1), second.var(ddof=1)
    pooled = sqrt(((len(first) - 1) * spreads[0] + (len(second) - 1) * spreads[1]) / (len(first) + len(second) - 2))
    if pooled <= _noise(first, second):
        return _constant(metric, "Welch's t", first, second, float(second.mean() - first.mean()))
    found = stats.ttest_ind(second, first, equal_var=False)
    interval = found.confidence_interval(level)
    ranks = float(stats.mannwhitneyu(second, first).pvalue)
    effects = {"cohens_d": float(second.mean() - first.mean()) / pooled}
    more = {"df": float(found.df), "p_by_ranks": ranks}
    return _numbers(metric, "Welch's t", first, second, found, interval, effects, more)


def chi_square(metric: str, hits_a: int, n_a: int, hits_b: int, n_b: int, level: float = 0.95) -> Contrast:
    """Successes in different runs."""
    stats = scipy_stats()
    table = [[hits_a, n_a - hits_a], [hits_b, n_b - hits_b]]
    a, b = hits_a / n_a, hits_b / n_b
    interval = difference(hits_a, n_a, hits_b, n_b, level)
    effects = {"cohens_h": cohens_h(a, b), "odds_ratio": _odds_ratio(hits_b, n_b - hits_b, hits_a, n_a - hits_a)}
    if hits_a + hits_b in (0, n_a + n_b):
        return Contrast(metric, "chi-square", n_a, n_b, a, b, b - a, *interval, 0.0, 1.0, effects)
    if stats.contingency.expected_freq(table).min() < SMALL:
        exact = stats.fisher_exact(table)
        found = float(exact.statistic), float(exact.pvalue)
        return Contrast(metric, "Fisher's exact", n_a, n_b, a, b, b - a, *interval, *found, effects)
    corrected, plain = stats.chi2_contingency(table), stats.chi2_contingency(table, correction=False)
    more = {"df": 1.0, "uncorrected": float(plain.statistic), "p_uncorrected": float(plain.pvalue)}
    found = float(corrected.statistic), float(corrected.pvalue)
    return Contrast(metric, "chi-square", n_a, n_b, a, b, b - a, *interval, *found, effects, more)


def mcnemar(metric: str, a: Sequence[bool], b: Sequence[bool], level: float = 0.95) -> Contrast:
    """Successes of the same inputs, in the same order: only pairs that differ say anything."""
    n = len(a)
    only_a = sum(first and not second for first, second in zip(a, b, strict=True))
    only_b = sum(second and not first for first, second in zip(a, b, strict=True))
    differ, rarer = only_a + only_b, min(only_a, only_b)
    p = float(scipy_stats().binomtest(rarer, differ).pvalue) if differ else 1.0
    corrected = max(0, abs(only_a - only_b) - 1) ** 2 / differ if differ else 0.0
    share_a, share_b = sum(a) / n, sum(b) / n
    interval = paired_difference(only_a, only_b, n, level)
    effects = {"cohens_h": cohens_h(share_a, share_b), "odds_ratio": _odds_ratio(only_b, 1, only_a, 1)}
    more = {"only_a": float(only_a), "only_b": float(only_b), "chi_square": corrected}
    more["p_chi_square"] = float(scipy_stats().chi2.sf(corrected, 1))
    return Contrast(
        metric, "McNemar", n, n, share_a, share_b, share_b - share_a, *interval, float(rarer), p, effects, more
    )


def _odds_ratio(hits_b: int, misses_b: int, hits_a: int, misses_a: int) -> float:
    """The odds of b over those of a; infinite where only b has any, 1 where neither has."""
    above, below = hits_b * misses_a, misses_b * hits_a
    return above / below if below else inf if above else 1.0


def _noise(a: Floats, b: Floats) -> float:
    """What is left of equal numbers after adding them up."""
    return 1e-12 * max(float(np.abs(a).max()), float(np.abs(b).max()), 1e-300)


def _constant(metric: str, test: str, a: Floats, b: Floats, apart: float) -> Contrast:
    """Nothing varies: the same everywhere, or everywhere the same distance."""
    differ = abs(apart) > _noise(a, b)
    means = float(a.mean()), float(b.mean())
    effect = {"cohens_d": (inf if apart > 0 else -inf) if differ else 0.0}
    statistic = effect["cohens_d"]
    return Contrast(
        metric, test, len(a), len(b), *means, apart, apart, apart, statistic, 0.0 if differ else 1.0, effect
    )


def _numbers(
    metric: str,
    test: str,
    a: Floats,
    b: Floats,
    found: Any,
    interval: Interval,
    effects: dict[str, float],
    more: dict[str, float],
) -> Contrast:
    means = float(a.mean()), float(b.mean())
    return Contrast(
        metric,
        test,
        len(a),
        len(b),
        *means,
        means[1] - means[0],
        float(interval[0]),
        float(interval[1]),
        float(found.statistic),
        float(found.pvalue),
        effects,
        more,
    )
