"""Tuning a policy for a budget: the clauses, or the scorecard, that spend it best.

What is written is learned from all runs. What is reported was measured on runs that were not learned from: partitions
by split key, the same for everybody, and in each fold the whole procedure again. Only the recipe of a scorecard
(bands, penalty, number of entries) and its last steps are chosen once: with `--trials`, and the last steps always, on
partitions that are not reported. The shipped recipe was picked by hand on the development data; see docs/tuning.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stepladder.errors import InputError
from stepladder.evaluation.asked import Asked, Point, Tell, Tuned, quiet
from stepladder.evaluation.checkpoints import held_out_near, learn_checkpoints
from stepladder.evaluation.held_out import FOLDS
from stepladder.evaluation.learn import labelled_only, target_of
from stepladder.evaluation.ranking import Held, Spread
from stepladder.evaluation.steps import Read, Steps, Truth
from stepladder.evaluation.study import Studies
from stepladder.evaluation.tuning_clauses import tune_clauses
from stepladder.evaluation.tuning_risk import tune_risk

__all__ = ["Asked", "Point", "Tuned", "tune"]


def tune(read: Read, asked: Asked, study: Path | None = None, tell: Tell = quiet) -> Tuned:
    """Tune. The same runs, whatever their order, and the same `asked` give the same policy.

    Raises:
        InputError: there is nothing to tune on (too few split keys, or all runs came to the same).
        StepladderError: a library is not installed.
    """
    order = np.argsort(np.array(read.truth.run), kind="stable")
    steps, truth = read.steps.take(order), read.truth.take(order)
    worth = f"{asked.catch_value:g}/{asked.escalation_cost:g}/{asked.late_value:g}"
    studies = Studies(study, f"{read.digest[:16]}/{asked.seed}/{asked.budget:g}/{worth}")
    only = labelled_only(truth)
    outcome = np.flatnonzero(~only)
    checked = np.flatnonzero(only & (truth.label >= 0))
    if not len(outcome):
        target_of(steps, truth)  # says what is missing where nothing can be learned at all
        return _checkpoints_only(steps, truth, read, asked)
    _enough(truth.take(outcome))
    way = tune_risk if asked.learn else tune_clauses
    section, held, points = way(steps.take(outcome), truth.take(outcome), asked, studies, tell)
    near = None
    if len(checked):
        there, known = steps.take(checked), truth.take(checked)
        near = Spread.of(held_out_near(there, known, seed) for seed in range(asked.partitions))
        own = learn_checkpoints(there, known)
        section["by_domain"] = {
            **section.get("by_domain", {}),
            **{name: {"complex": own} for name in sorted(set(there.domain))},
        }
    return Tuned(
        {"policy": {**section, "provenance": _provenance(read, asked, held, near, section)}}, held, points, near
    )


def _enough(truth: Truth) -> None:
    """Whether each fold can be judged by what the others teach: both outcomes, in as many split keys as folds."""
    known = list(zip(truth.split_key, truth.failed.tolist(), strict=True))
    keys = [len({key for key, failed in known if failed == each}) for each in (1, 0)]
    if min(keys) < FOLDS:
        found = f"{keys[0]} split keys with runs that failed, {keys[1]} with runs that did not"
        raise InputError("recordings", "outcome", found, f"at least {FOLDS} of each, one for each fold")


def _checkpoints_only(steps: Steps, truth: Truth, read: Read, asked: Asked) -> Tuned:
    near = Spread.of(held_out_near(steps, truth, seed) for seed in range(asked.partitions))
    section: dict[str, Any] = {"classifier": {"complex": learn_checkpoints(steps, truth)}}
    held = Held(asked.partitions, FOLDS, {})
    return Tuned({"policy": {**section, "provenance": _provenance(read, asked, held, near, section)}}, held, (), near)


def _provenance(
    read: Read, asked: Asked, held: Held, near: Spread | None, section: Mapping[str, Any]
) -> dict[str, Any]:
    """Where the policy is from, so that it can be made again and doubted with reason."""
    said: dict[str, Any] = {
        "made_by": "stepladder tune",
        "recordings": read.digest,
        "runs": len(read.truth.run),
        "split_keys": len(set(read.truth.split_key)),
        "asked": msgspec.to_builtins(asked),
        "held_out": {
            "partitions": held.partitions,
            "folds": held.folds,
            "figures": {
                group: {
                    share: {key: [s.mean, s.low, s.high] for key, s in figures.items()}
                    for share, figures in shares.items()
                }
                for group, shares in held.groups.items()
            },
        },
    }
    for key in ("calibration_error", "recipe"):
        if key in section.get("risk", {}):
            said[key] = section["risk"].pop(key)
    if near is not None:
        said["held_out"]["near_label"] = [near.mean, near.low, near.high]
    return said
