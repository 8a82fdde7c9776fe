"""What a policy's escalations came to, run by run, and the figures of a group of runs with their intervals.

A run counts as escalated where the policy escalates at one of its steps before the last: at the last there is nothing
left to save, and in many recordings it gives the outcome away. Intervals are percentiles of a bootstrap over split keys
(Efron 1979; by cluster, since runs of one task go together).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.steps import Steps, Truth

Array = NDArray[Any]
LATE: Final = 0.75
"""The share of a run by which a catch is early enough to count as early."""
NEAR_STEPS: Final = 3
"""How near the first escalation has to be to the step of the decisive error."""
RESAMPLES: Final = 1000
BLOCK: Final = 100
"""Resamples that are summed up at a time."""
LEVEL: Final = 0.95


class Escalations(msgspec.Struct, frozen=True, eq=False):
    """Run by run: the place of the first escalation (-1: none), whether it came within 75% of the run, how many steps
    were judged complex and how many there are to judge, and the highest score of each step so far."""

    begins: Array
    early: Array
    complex_steps: Array
    steps: Array
    score: Array

    @property
    def escalated(self) -> Array:
        """The runs that are."""
        return self.begins >= 0

    @staticmethod
    def of(steps: Steps, flags: Array, score: Array | None = None) -> Escalations:
        """From the steps at which a policy escalates; `score` ranks steps, the flags do otherwise."""
        begins = steps.begins(flags)
        early = (begins >= 0) & (begins + 1 <= LATE * steps.length)
        counted = flags & steps.counts
        complex_steps = np.add.reduceat(counted.astype(np.int64), steps.first)
        so_far = running_most(steps, flags.astype(np.float64) if score is None else score)
        return Escalations(begins, early, complex_steps, np.maximum(steps.length - 1, 0), so_far)


def running_most(steps: Steps, values: Array) -> Array:
    """At each step the largest value of its run so far."""
    order = np.unique(values, return_inverse=True)[1].astype(np.int64)
    lifted = order + steps.run.astype(np.int64) * (int(order.max(initial=0)) + 1)
    found: Array = np.maximum.accumulate(lifted) - steps.run * (int(order.max(initial=0)) + 1)
    return found


class Figure(msgspec.Struct, frozen=True):
    """A figure with its 95% interval; None where it has no meaning (a precision without escalations, the interval of
    runs that all share one split key)."""

    value: float | None
    low: float | None = None
    high: float | None = None


Figures = dict[str, Figure]
COUNTS: Final = ("runs", "failures")
"""The figures that are counts and have no interval."""


def _ratio(above: Array, below: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def figures_of(found: Escalations, truth: Truth, runs: Array, seed: int = 0) -> Figures:
    """The figures of these runs; those of unknown outcome count for the shares alone."""
    known = ~np.isnan(truth.failed[runs])
    failed, escalated = (truth.failed[runs] == 1) & known, found.escalated[runs]
    near = np.abs(found.begins[runs] - truth.label[runs]) <= NEAR_STEPS
    labelled = truth.label[runs] >= 0
    parts = {
        "runs": np.ones(len(runs)),
        "known": known,
        "failures": failed,
        "escalated": escalated,
        "escalated_known": escalated & known,
        "caught": escalated & failed,
        "caught_early": found.early[runs] & failed,
        "false": escalated & known & ~failed,
        "complex": found.complex_steps[runs],
        "steps": found.steps[runs],
        "labelled": labelled,
        "near": near & labelled & escalated,
    }
    keys, key_of = np.unique(np.array(truth.split_key)[runs], return_inverse=True)
    sums = {name: np.bincount(key_of, np.asarray(values, np.float64), len(keys)) for name, values in parts.items()}
    whole = _derived({name: each.sum()[None] for name, each in sums.items()})
    drawn, columns = _drawn(len(keys), seed), np.stack(list(sums.values()), axis=1)
    blocks = [drawn[row : row + BLOCK].astype(np.float64) @ columns for row in range(0, RESAMPLES, BLOCK)]
    again = _derived(dict(zip(sums, np.concatenate(blocks).T, strict=True)))
    found_figures = {name: _figure(whole[name][0], again[name], alone=len(keys) < 2) for name in whole}
    return {"runs": Figure(len(runs)), "failures": Figure(int(failed.sum())), **found_figures}


@lru_cache(maxsize=1)
def _drawn(count: int, seed: int) -> Array:
    """How often each of so many keys is drawn, a row for each resample; kept, as many figures are of the same keys."""
    drawn: Array = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return drawn.astype(np.uint16)


def _derived(sums: Mapping[str, Array]) -> dict[str, Array]:
    successes = sums["known"] - sums["failures"]
    share = _ratio(sums["escalated"], sums["runs"])
    recall = _ratio(sums["caught"], sums["failures"])
    rate = _ratio(sums["failures"], sums["known"])
    precision = _ratio(sums["caught"], sums["escalated_known"])
    return {
        "escalated": share,
        "precision": precision,
        "recall": recall,
        "recall_by_75": _ratio(sums["caught_early"], sums["failures"]),
        "false_escalations": _ratio(sums["false"], successes),
        "complex_steps": _ratio(sums["complex"], sums["steps"]),
        "lift": _ratio(precision, rate),
        "ceiling": np.minimum(1.0, _ratio(sums["escalated_known"], sums["failures"])),
        "near_label": _ratio(sums["near"], sums["labelled"]),
    }


def _figure(value: float, again: Array, *, alone: bool) -> Figure:
    if np.isnan(value):
        return Figure(None)
    kept = again[~np.isnan(again)]
    if alone or not len(kept):
        return Figure(round(float(value), 4))
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(round(float(value), 4), round(float(low), 4), round(float(high), 4))
