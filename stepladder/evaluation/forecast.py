"""What an open run is still to need, by what others needed from where it is.

Alike are ended runs of the same workflow that made as many decisions, in the same step; where these are few, those
that came through the step at all; else all of them. Each counts once, at the decision nearest to the run's. The range
is that of the middle 80%, widened to the next value on each side so that it also holds for a run to come (split
conformal).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor
from statistics import median
from typing import Final

import msgspec

from stepladder.orchestrator import DecisionRecord

FEWEST: Final = 10
"""Runs that are enough to be alike."""
RANGE: Final = 9
"""Runs of which the least and the most value are the range of the next one in four of five."""


class Course(msgspec.Struct, frozen=True):
    """An ended run: the step of each decision about the next action, in order, and what was spent after each; `usd` and
    `seconds` in all."""

    run_id: str
    steps: tuple[str, ...]
    usd_left: tuple[float, ...]
    seconds_left: tuple[float, ...]
    success: bool | None = None
    usd: float = 0.0
    seconds: float = 0.0


class Range(msgspec.Struct, frozen=True):
    """The middle value, and the range that four of five runs are in; None of fewer runs than that takes (`RANGE`)."""

    middle: float
    low: float | None
    high: float | None


class Forecast(msgspec.Struct, frozen=True):
    """What is left, after `runs` runs that are alike in this way; `success` is their share that ended well."""

    alike: str
    runs: int
    decisions: Range
    usd: Range
    seconds: Range
    success: float | None


def course_of(
    run_id: str, records: Sequence[DecisionRecord], started_at: float, ended_at: float, success: bool | None = None
) -> Course:
    """The course of an ended run, from its records; money is what its questions to models cost."""
    mine = [each for each in records if each.opened.point == "next_action"]
    left, usd = 0.0, list[float]()
    for each in reversed(mine):
        usd.append(left)
        left += each.cost_usd
    seconds = tuple(max(0.0, ended_at - each.at) for each in mine)
    steps = tuple(each.opened.step for each in mine)
    return Course(run_id, steps, tuple(reversed(usd)), seconds, success, left, max(0.0, ended_at - started_at))


def forecast(step: str, decisions: int, past: Iterable[Course], fewest: int = FEWEST) -> Forecast | None:
    """What a run has left that made so many decisions, the last of them in this step; None without any ended run."""
    courses = [each for each in past if each.steps]
    ways = (
        (f"after {decisions} decisions, in {step}", [(each, _exactly(each, step, decisions)) for each in courses]),
        (f"in {step}", [(each, _nearest(each, step, decisions)) for each in courses]),
        ("of this workflow", [(each, min(decisions, len(each.steps)) - 1) for each in courses]),
    )
    for alike, found in ways if decisions else ways[-1:]:
        kept = [(each, place) for each, place in found if place is not None]
        if len(kept) >= fewest or (alike == ways[-1][0] and kept):
            said = [each.success for each, _ in kept if each.success is not None]
            return Forecast(
                alike,
                len(kept),
                _range([len(each.steps) - 1 - place for each, place in kept]),
                _range([each.usd_left[place] if decisions else each.usd for each, place in kept]),
                _range([each.seconds_left[place] if decisions else each.seconds for each, place in kept]),
                sum(said) / len(said) if said else None,
            )
    return None


def _exactly(course: Course, step: str, decisions: int) -> int | None:
    place = decisions - 1
    return place if 0 <= place < len(course.steps) and course.steps[place] == step else None


def _nearest(course: Course, step: str, decisions: int) -> int | None:
    places = [place for place, each in enumerate(course.steps) if each == step]
    return min(places, key=lambda place: abs(place - decisions + 1), default=None)


def _range(values: Sequence[float]) -> Range:
    """The middle and the range of the next value, four times of five."""
    ordered, n = sorted(values), len(values)
    if n < RANGE:
        return Range(float(median(ordered)), None, None)
    low, high = floor(0.1 * (n + 1)) - 1, ceil(0.9 * (n + 1)) - 1
    return Range(float(median(ordered)), float(ordered[low]), float(ordered[high]))
