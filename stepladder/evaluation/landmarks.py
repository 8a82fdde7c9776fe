"""How well a score tells runs that will fail from runs that will not, at fixed steps of a run.

At a landmark (van Houwelingen 2007) all runs have gone on equally long, so the length of a run cannot give its outcome
away. Runs are compared within their model and family only: pooled, a figure mostly says which model ran. The figure is
the area under the ROC curve (Hanley and McNeil 1982), over all pairs of all groups; ties count half.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.outcomes import LEVEL, Figure
from stepladder.evaluation.steps import Steps, Truth

Array = NDArray[Any]
LANDMARKS: Final = (4, 8, 12, 16, 24)
"""After how many steps."""
RESAMPLES: Final = 200


def auroc_at(steps: Steps, truth: Truth, score: Array, landmark: int, runs: Array, seed: int = 0) -> tuple[Figure, int]:
    """The figure among those of the runs that go on after the landmark, and how many these are.

    `score` has a row for each step. The figure is None where no group has both a failure and a success.
    """
    there = runs[(steps.length[runs] > landmark) & ~np.isnan(truth.failed[runs])]
    at = score[steps.first[there] + landmark - 1]
    failed = truth.failed[there] == 1
    groups = np.array([f"{truth.family[each]}\n{truth.model[each]}" for each in there.tolist()])
    keys, key_of = np.unique(np.array(truth.split_key)[there], return_inverse=True)
    if not len(there):
        return Figure(None), 0
    drawn = np.random.default_rng(seed).multinomial(len(keys), np.full(len(keys), 1 / len(keys)), RESAMPLES)
    weights = np.vstack([np.ones(len(there)), drawn[:, key_of]])
    won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        more, all_ = _won(at[members], failed[members], weights[:, members])
        won += more
        pairs += all_
    if not pairs[0]:
        return Figure(None), len(there)
    if len(keys) < 2:
        return Figure(round(float(won[0] / pairs[0]), 4)), len(there)
    again = won[1:][pairs[1:] > 0] / pairs[1:][pairs[1:] > 0]
    low, high = np.quantile(again, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(round(float(won[0] / pairs[0]), 4), round(float(low), 4), round(float(high), 4)), len(there)


def _won(score: Array, failed: Array, weights: Array) -> tuple[Array, Array]:
    """Pairs in which the run that failed scores higher (ties half), and all pairs, for each row of weights."""
    order = np.argsort(score, kind="stable")
    ordered, ends_badly = weights[:, order], failed[order]
    first = np.flatnonzero(np.diff(score[order], prepend=-np.inf) != 0)
    bad = np.add.reduceat(ordered * ends_badly, first, axis=1)
    good = np.add.reduceat(ordered * ~ends_badly, first, axis=1)
    below = np.cumsum(good, axis=1) - good
    return (bad * (below + good / 2)).sum(axis=1), bad.sum(axis=1) * good.sum(axis=1)
