"""Where to look in on runs of which only the step of the decisive error is known.

Where nothing succeeds there is no risk to learn. What can be learned is when a first look comes near the decisive
error: one threshold on one signal that only grows, once for runs that a person began and once for the others.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.folds import grouped_folds
from stepladder.evaluation.held_out import FOLDS
from stepladder.evaluation.outcomes import NEAR_STEPS
from stepladder.evaluation.steps import Steps, Truth

Array = NDArray[Any]
GROWING: Final = (
    *("steps_taken", "calls_made", "messages_said", "agents_seen", "tools_used", "success_claims", "hedges"),
    *("failure_words", "error_count", "told_no_progress", "told_in_loop", "apologies", "needless_calls", "old_results"),
)
MOST: Final = 15
"""Thresholds that are tried for each signal, from the lowest."""
GAIN: Final = 0.02
"""How much better than the step count another signal has to be."""
_NEVER: Final = 10**6


def learn_checkpoints(steps: Steps, truth: Truth) -> dict[str, list[str]]:
    """Named conditions that begin to hold near the decisive error as often as can be, on these runs."""
    began = person_began(steps)
    found: dict[str, list[str]] = {}
    for name, clause, runs in (
        ("began_alone", "person_turns == 0", ~began),
        ("began_asked", "person_turns >= 1", began),
    ):
        if not runs.any():
            continue
        signal, threshold = _best(steps.take(np.flatnonzero(runs)), truth.take(np.flatnonzero(runs)))
        found[name] = [clause, f"{signal} >= {threshold:g}"]
    return found


def person_began(steps: Steps) -> Array:
    """The runs in which a person speaks first."""
    began: Array = steps.column("person_turns")[steps.first] > 0
    return began


def _best(steps: Steps, truth: Truth) -> tuple[str, float]:
    best, found = -1.0, ("steps_taken", 1.0)
    for signal in GROWING:
        values = steps.column(signal)
        for threshold in np.unique(values)[1 : MOST + 1].tolist():
            share = near_share(steps.begins(values >= threshold), truth)
            if share > best + (GAIN if signal != "steps_taken" else 0.0):
                best, found = share, (signal, threshold)
    return found


def near_share(begins: Array, truth: Truth) -> float:
    """The share of labelled runs whose first escalation is near the label."""
    labelled = truth.label >= 0
    near = (begins >= 0) & (np.abs(begins - truth.label) <= NEAR_STEPS)
    return float(near[labelled].mean()) if labelled.any() else 0.0


def held_out_near(steps: Steps, truth: Truth, seed: int) -> float:
    """The share that checkpoints reach in folds that they were not learned from."""
    from stepladder.evaluation.agent_policy import of_clauses

    fold = grouped_folds(truth.split_key, FOLDS, seed)
    begins = np.full(len(fold), -1)
    for each in range(FOLDS):
        rest, held = np.flatnonzero(fold != each), np.flatnonzero(fold == each)
        policy = of_clauses("checkpoints", learn_checkpoints(steps.take(rest), truth.take(rest)))
        there = steps.take(held)
        begins[held] = there.begins(policy.routes(there)[0] == 2)
    return near_share(begins, truth)
