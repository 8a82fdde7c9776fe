"""What escalating the riskiest share of runs catches: runs in order of a score, cut at a share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.outcomes import LATE
from stepladder.evaluation.steps import Steps, Truth

Array = NDArray[Any]
SHARES: Final = (0.1, 0.2, 0.3)


class Ranked(msgspec.Struct, frozen=True, eq=False):
    """Run by run the highest score over the steps that count, and over those within 75% of the run."""

    whole: Array
    early: Array

    @staticmethod
    def of(steps: Steps, score: Array) -> Ranked:
        """From a score for each step."""
        return Ranked(steps.most(score), steps.most(score, LATE))

    def at(self, failed: Array, share: float) -> dict[str, float]:
        """Escalated, precision, recall, recall by 75% of the run and lift, when this share of runs is escalated."""
        known = ~np.isnan(failed)
        count = max(1, round(share * len(failed)))
        order = np.argsort(-self.whole, kind="stable")[:count]
        threshold = self.whole[order[-1]]
        failures = max(1.0, float((failed == 1).sum()))
        caught = failed[order] == 1
        early = caught & (self.early[order] >= threshold)
        precision = float(caught.sum()) / max(1, int(known[order].sum()))
        rate = failures / max(1, int(known.sum()))
        return {
            "escalated": count / len(failed),
            "precision": precision,
            "recall": float(caught.sum()) / failures,
            "recall_by_75": float(early.sum()) / failures,
            "lift": precision / rate,
        }


def thresholds(whole: Array, share: float, cost: Array | None = None) -> float:
    """The score from which on about this share of the runs is escalated.

    `cost`: what escalating each run costs, less what it is worth; where given, no more are escalated than pay in sum.
    """
    order = np.argsort(-whole, kind="stable")
    count = max(1, int(share * len(whole)))
    if cost is not None:
        gain = -np.cumsum(cost[order[:count]])
        if gain.max() <= 0:
            return float(whole.max()) + 1.0
        count = int(gain.argmax()) + 1
    return float(whole[order[count - 1]])


class Spread(msgspec.Struct, frozen=True):
    """The mean of a figure over partitions, and where 95% of them lie."""

    mean: float
    low: float
    high: float

    @staticmethod
    def of(values: Iterable[float]) -> Spread:
        """Of these."""
        array = np.array(list(values))
        low, high = np.quantile(array, [0.025, 0.975])
        return Spread(round(float(array.mean()), 4), round(float(low), 4), round(float(high), 4))


class Held(msgspec.Struct, frozen=True):
    """What was reached on runs that were not learned from: by group of runs, share and figure."""

    partitions: int
    folds: int
    groups: dict[str, dict[str, dict[str, Spread]]]


def by_group(steps: Steps, truth: Truth) -> dict[str, Array]:
    """All runs, the sources, and the domains, where outcomes differ."""
    words = [("all", np.array(["all"] * len(truth.run))), ("source", np.array(truth.source))]
    words.append(("domain", np.array([f"{s}/{d}" for s, d in zip(truth.source, steps.domain, strict=True)])))
    found: dict[str, Array] = {}
    for _, names in words:
        for name in np.unique(names).tolist():
            runs = np.flatnonzero(names == name)
            failed = truth.failed[runs]
            same = any(np.array_equal(runs, other) for other in found.values())
            if not same and (failed == 1).any() and (failed == 0).any():
                found[str(name)] = runs
    return found
