"""Measuring on runs that were not learned from: partitions into folds by split key, each fold scored by what the others
taught."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.folds import grouped_folds
from stepladder.evaluation.learn import Recipe, learn, log_odds
from stepladder.evaluation.ranking import SHARES, Held, Ranked, Spread, by_group
from stepladder.evaluation.steps import Steps, Truth

Array = NDArray[Any]
FOLDS: Final = 5
OnPart = Callable[[], None]


def partition_scores(steps: Steps, truth: Truth, recipe: Recipe, seed: int, on_fold: OnPart | None = None) -> Array:
    """A score for each step, by a scorecard that was learned without any run of the same fold.

    Raises:
        InputError: there are too few split keys, or nothing to learn.
    """
    fold = grouped_folds(truth.split_key, FOLDS, seed)
    scores, run = np.zeros(steps.rows), steps.run
    for each in range(FOLDS):
        rest, held = np.flatnonzero(fold != each), np.flatnonzero(fold == each)
        card = learn(steps.take(rest), truth.take(rest), recipe)
        scores[fold[run] == each] = log_odds(card, steps.take(held))
        if on_fold is not None:
            on_fold()
    return scores


def all_scores(
    steps: Steps, truth: Truth, recipe: Recipe, partitions: int, on_fold: OnPart | None = None
) -> Iterator[Array]:
    """The scores of partitions 0, 1, 2 ...; the partitions are the same for the same runs, whoever asks."""
    for seed in range(partitions):
        yield partition_scores(steps, truth, recipe, seed, on_fold)


def held_figures(steps: Steps, truth: Truth, ranked: Sequence[Ranked], shares: Sequence[float] = SHARES) -> Held:
    """The figures of ranked partitions, by group and share. A group is cut at the share by itself."""
    groups: dict[str, dict[str, dict[str, Spread]]] = {}
    for name, runs in by_group(steps, truth).items():
        groups[name] = {}
        for share in shares:
            each = [Ranked(part.whole[runs], part.early[runs]).at(truth.failed[runs], share) for part in ranked]
            groups[name][f"{share:g}"] = {key: Spread.of(part[key] for part in each) for key in each[0]}
    return Held(len(ranked), FOLDS, groups)


def calibration(scores: Array, wanted: Array, weight: Array) -> tuple[float, float]:
    """Factor and shift (Platt 1999) that make held-out log-odds into probabilities that come true.

    Newton's method on a convex loss, each step halved until it helps; the factor is never below 0.05, so that an order
    is kept even where the scores say nothing.
    """
    share = weight / weight.sum()
    design = np.column_stack([scores, np.ones_like(scores)])

    def loss(found: Array) -> float:
        odds = design @ found
        return float((share * (np.logaddexp(0, odds) - wanted * odds)).sum())

    found = np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ found, -60, 60)))
        gradient = design.T @ (share * (chance - wanted))
        bend = (design * (share * chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, gradient)
        while loss(found - step) > loss(found) and np.abs(step).max() > 1e-9:
            step = step / 2
        found = found - step
        if np.abs(step).max() < 1e-8:
            break
    return max(0.05, float(found[0])), float(found[1])


def calibration_error(chance: Array, wanted: Array, weight: Array, bins: int = 10) -> float:
    """Expected calibration error (Naeini 2015): how far chances are from what came true, over bins of equal size."""
    order = np.argsort(chance, kind="stable")
    place = np.minimum((np.cumsum(weight[order]) / weight.sum() * bins).astype(int), bins - 1)
    error = 0.0
    for each in range(bins):
        rows = order[place == each]
        if len(rows) and weight[rows].sum() > 0:
            gap = np.average(chance[rows], weights=weight[rows]) - np.average(wanted[rows], weights=weight[rows])
            error += abs(gap) * weight[rows].sum() / weight.sum()
    return float(error)
