"""The figures are scipy's and those of the books; equal arms are told apart no more often than was said."""

from __future__ import annotations

from math import inf, isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stepladder.evaluation.contrasts import Contrast, chi_square, cohens_h, mcnemar, paired_t, welch_t
from stepladder.evaluation.intervals import difference, lower_bound, paired_difference, wilson
from stepladder.evaluation.multiplicity import benjamini_hochberg, holm
from stepladder.evaluation.power import (
    pairs_for_shares,
    power_of_means,
    power_of_pairs,
    power_of_shares,
    runs_for_means,
    runs_for_shares,
)

SEEDS = 200
ALPHA = 0.05


@pytest.mark.parametrize("seed", range(5))
def test_paired_t_is_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    a = random.gamma(2, 3, 60)
    b = a + random.normal(0.4, 1, 60)
    found, theirs = paired_t("time_s", list(a), list(b)), stats.ttest_rel(b, a)
    assert (found.statistic, found.p) == (theirs.statistic, theirs.pvalue)
    assert (found.low, found.high) == tuple(theirs.confidence_interval(0.95))
    assert found.more["p_by_ranks"] == stats.wilcoxon(b, a).pvalue
    assert isclose(found.effects["cohens_d"], (b - a).mean() / (b - a).std(ddof=1))


@pytest.mark.parametrize("seed", range(5))
def test_welchs_t_is_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(3, 1, 55), random.normal(3.5, 2, 80)
    found, theirs = welch_t("quality", list(a), list(b)), stats.ttest_ind(b, a, equal_var=False)
    assert (found.statistic, found.p) == (theirs.statistic, theirs.pvalue)
    assert (found.low, found.high) == tuple(theirs.confidence_interval(0.95))
    assert found.more["p_by_ranks"] == stats.mannwhitneyu(b, a).pvalue
    pooled = np.sqrt((54 * a.var(ddof=1) + 79 * b.var(ddof=1)) / 133)
    assert isclose(found.effects["cohens_d"], (b.mean() - a.mean()) / pooled)


@pytest.mark.parametrize(("hits_a", "n_a", "hits_b", "n_b"), [(30, 60, 45, 60), (50, 100, 51, 90), (12, 70, 40, 71)])
def test_chi_square_is_scipys(hits_a: int, n_a: int, hits_b: int, n_b: int) -> None:
    found = chi_square("success", hits_a, n_a, hits_b, n_b)
    table = [[hits_a, n_a - hits_a], [hits_b, n_b - hits_b]]
    theirs, plain = stats.chi2_contingency(table), stats.chi2_contingency(table, correction=False)
    assert (found.test, found.statistic, found.p) == ("chi-square", theirs.statistic, theirs.pvalue)
    assert (found.more["uncorrected"], found.more["p_uncorrected"]) == (plain.statistic, plain.pvalue)


def test_small_counts_are_told_apart_exactly() -> None:
    found = chi_square("success", 3, 60, 1, 60)
    assert (found.test, found.p) == ("Fisher's exact", stats.fisher_exact([[3, 57], [1, 59]]).pvalue)


def test_mcnemar_is_the_exact_binomial_test_of_the_pairs_that_differ() -> None:
    a = [True] * 40 + [True] * 4 + [False] * 15 + [False] * 20
    b = [True] * 40 + [False] * 4 + [True] * 15 + [False] * 20
    found = mcnemar("success", a, b)
    assert (found.more["only_a"], found.more["only_b"]) == (4, 15)
    assert found.p == stats.binomtest(4, 19).pvalue
    assert found.more["chi_square"] == (15 - 4 - 1) ** 2 / 19
    assert found.effects["odds_ratio"] == 15 / 4


@pytest.mark.parametrize(
    ("found", "p", "effect"),
    [
        (paired_t("x", [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]), 1.0, 0.0),
        (paired_t("x", [0.1, 0.2, 0.4], [0.4, 0.5, 0.7]), 0.0, inf),
        (welch_t("x", [3.0] * 4, [3.0] * 5), 1.0, 0.0),
        (welch_t("x", [3.0] * 4, [2.0] * 5), 0.0, -inf),
    ],
)
def test_what_does_not_vary(found: Contrast, p: float, effect: float) -> None:
    assert (found.p, found.effects["cohens_d"]) == (p, effect)


def test_all_or_none_succeeded() -> None:
    assert chi_square("success", 50, 50, 60, 60).p == 1.0
    assert mcnemar("success", [True] * 9, [True] * 9).p == 1.0
    assert chi_square("success", 0, 50, 50, 50).effects["odds_ratio"] == inf


# --- intervals, as published


def test_wilson_as_in_newcombe_1998() -> None:
    assert [round(each, 4) for each in wilson(81, 263)] == [0.2553, 0.3662]
    assert [round(each, 4) for each in wilson(15, 148)] == [0.0624, 0.1605]
    assert [round(each, 4) for each in wilson(0, 20)] == [0.0, 0.1611]
    assert [round(each, 4) for each in wilson(1, 29)] == [0.0061, 0.1718]
    assert wilson(0, 0) == (0, 1)


def test_the_difference_of_shares_as_in_newcombe_1998() -> None:
    assert [round(each, 4) for each in difference(48, 80, 56, 70)] == [0.0524, 0.3339]
    assert [round(each, 4) for each in difference(0, 10, 10, 10)] == [0.6075, 1.0]


@given(st.integers(1, 300), st.data())
def test_bounds_lie_in_order(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    assert low <= lower_bound(hits, n) <= hits / n


@pytest.mark.parametrize(("only_a", "only_b", "both"), [(0.1, 0.25, 0.4), (0.05, 0.05, 0.5), (0.3, 0.02, 0.1)])
def test_the_paired_difference_covers_the_true_one(only_a: float, only_b: float, both: float) -> None:
    random = np.random.default_rng(7)
    drawn = random.multinomial(80, [only_a, only_b, both, 1 - only_a - only_b - both], size=1_000)
    covered = [
        low <= only_b - only_a <= high for x, y, *_ in drawn for low, high in [paired_difference(int(x), int(y), 80)]
    ]
    assert sum(covered) >= stats.binom.ppf(0.001, 1_000, 0.95)


# --- several tests, and how many runs


def test_corrections_as_in_the_books() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    found = benjamini_hochberg([0.01, 0.04, 0.03, 0.005])
    assert found == pytest.approx(list(stats.false_discovery_control([0.01, 0.04, 0.03, 0.005])))
    assert holm([]) == benjamini_hochberg([]) == []


def test_runs_needed_as_in_cohen_1988() -> None:
    assert runs_for_means(0.5) == 64
    assert runs_for_means(0.5, paired=True) == 34
    assert runs_for_means(0.2) == 394
    assert runs_for_shares(0.5, 0.65) == 170
    assert runs_for_means(0.0) is None
    assert runs_for_shares(0.4, 0.4) is None
    assert pairs_for_shares(0.1, 0.25) == 120


@pytest.mark.parametrize("n", [20, 64, 200])
def test_the_power_is_what_simulation_gives(n: int) -> None:
    random = np.random.default_rng(n)
    seen = [stats.ttest_ind(random.normal(0.5, 1, n), random.normal(0, 1, n)).pvalue < ALPHA for _ in range(600)]
    assert abs(sum(seen) / 600 - power_of_means(0.5, n)) < 0.06
    assert power_of_shares(0.5, 0.65, 170) == pytest.approx(0.8, abs=0.01)
    assert power_of_pairs(0.1, 0.25, 120) == pytest.approx(0.8, abs=0.01)
    assert isclose(cohens_h(0.5, 0.65), 0.30469, abs_tol=1e-4)


# --- equal arms


def _equal_arms(test: str, seed: int) -> float:
    random = np.random.default_rng(seed)
    if test == "paired t":
        both = random.gamma(3, 1, 60)
        return paired_t("x", list(both + random.normal(size=60)), list(both + random.normal(size=60))).p
    if test == "Welch's t":
        return welch_t("x", list(random.gamma(3, 1, 60)), list(random.gamma(3, 1, 80))).p
    if test == "chi-square":
        return chi_square("x", int(random.binomial(90, 0.6)), 90, int(random.binomial(110, 0.6)), 110).p
    easy = random.random(200) < 0.5
    a, b = (np.where(easy, random.random(200) < 0.9, random.random(200) < 0.2) for _ in range(2))
    return mcnemar("x", list(a), list(b)).p


@pytest.mark.parametrize("test", ["paired t", "Welch's t", "chi-square", "McNemar"])
def test_equal_arms_differ_at_the_nominal_rate(test: str) -> None:
    """The exact and corrected tests may only stay below it."""
    found = sum(_equal_arms(test, seed) < ALPHA for seed in range(SEEDS))
    assert found <= stats.binom.ppf(0.99, SEEDS, ALPHA)
    if test.endswith("t"):
        assert found >= stats.binom.ppf(0.01, SEEDS, ALPHA)
