"""What is asked of a tuning, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from stepladder.evaluation.learn import LATE_VALUE
from stepladder.evaluation.ranking import Held, Spread


class Asked(msgspec.Struct, frozen=True):
    """What to tune for. `budget`: the share of runs that may be escalated; `catch_value` against `escalation_cost`:
    where a catch is worth less than the escalations it takes, fewer are made; `per_domain`: a threshold for each;
    `late_value`: what a catch after 75% of its run is worth to a learned risk, against one before."""

    budget: float = 0.2
    learn: bool = False
    per_domain: bool = True
    catch_value: float = 1.0
    escalation_cost: float = 0.0
    trials: int = 0
    partitions: int = 20
    seed: int = 0
    late_value: float = LATE_VALUE


class Point(msgspec.Struct, frozen=True):
    """One setting that was looked at:

    the share it escalates and what it catches, held out or (`clauses`) on all runs.
    """

    share: float
    recall: float
    precision: float
    kind: str = "risk"


class Tuned(msgspec.Struct, frozen=True):
    """A policy as a mapping (what the file holds), what was measured on held-out runs, and the points of the plot."""

    policy: dict[str, Any]
    held: Held
    points: tuple[Point, ...]
    near_label: Spread | None = None


Tell = Callable[[str, int, int], None]
"""Told of progress: what is done, how many of how many."""


def quiet(_: str, __: int, ___: int) -> None:
    """Tell nobody."""
    return


Way = tuple[dict[str, Any], Held, tuple[Point, ...]]
"""What a way of tuning gives: the section of the policy, what was held out, and the points of the plot."""
