"""Sets of clauses, tried by the thousand: what each escalates is read off one table of extremes.

A run is escalated by `signal >= x` where the largest value that the signal has at a step that counts is at least x. So
a set of such clauses, any of which is enough, is judged by comparing one number a run for each clause.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.outcomes import LATE
from stepladder.evaluation.steps import Steps

Array = NDArray[Any]
CANDIDATES: Final = (
    *("error_count", "consecutive_errors", "longest_errors", "repeated_calls", "most_repeated_call", "needless_calls"),
    *("repeated_results", "most_repeated_result", "old_results", "unusual_patterns", "oscillations", "empty_results"),
    *("calls_made", "longest_alone", "hand_overs", "apologies", "hedges", "objections", "failure_words"),
    *("failure_streak", "contradictions", "told_in_loop", "told_no_progress", "steps_taken"),
)
"""The signals that clause sets are made of: those that rise when something goes wrong."""
SLOTS: Final = 3
"""The most clauses in a set."""
NONE: Final = "none"


class Extremes(msgspec.Struct, frozen=True, eq=False):
    """For each signal the largest value of each run, over the steps that count and over those within 75% of it."""

    whole: Mapping[str, Array]
    early: Mapping[str, Array]

    @staticmethod
    def of(steps: Steps) -> Extremes:
        """Of these runs."""
        names = [name for name in CANDIDATES if name in steps.values]
        return Extremes(
            {name: steps.most(steps.column(name)) for name in names},
            {name: steps.most(steps.column(name), LATE) for name in names},
        )

    def take(self, runs: Array) -> Extremes:
        """Of these runs alone."""
        return Extremes(
            {name: values[runs] for name, values in self.whole.items()},
            {name: values[runs] for name, values in self.early.items()},
        )

    def thresholds(self, name: str) -> list[float]:
        """The thresholds worth trying: the values that runs reach, but the lowest."""
        values = np.unique(self.whole[name][np.isfinite(self.whole[name])])[1:]
        if len(values) > 12:
            values = np.unique(np.quantile(values, np.linspace(0, 1, 12), method="nearest"))
        return [float(value) for value in values]

    def escalated(self, chosen: Mapping[str, float]) -> Array:
        """The runs that any of `signal >= threshold` escalates."""
        found = np.zeros(len(next(iter(self.whole.values()))), np.bool_)
        for name, threshold in chosen.items():
            found |= self.whole[name] >= threshold
        return found


def value_of(escalated: Array, failed: Array, budget: float, catch_value: float, escalation_cost: float) -> float:
    """What a set is worth: catches against escalations for each run, with a steep price on what is over the budget."""
    share = float(escalated.mean())
    caught = float((escalated & (failed == 1)).mean())
    rate = max(1e-9, float((failed == 1).mean()))
    return (catch_value * caught - escalation_cost * share) / (catch_value * rate) - 10 * max(0.0, share - budget)
