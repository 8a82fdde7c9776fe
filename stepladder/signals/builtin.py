"""The signals that ship. `docs/signals.md` says of each where it rises and where it stays.

Counts are totals unless their name says otherwise. Names of the W document
(workflow-orchestrator-implementation-analysis) are kept: error_count, human_intervention_required,
validation_anomalies, convergence_issues, unusual_patterns.
"""

from __future__ import annotations

import math
from typing import Any, Final

from msgspec.structs import replace

from stepladder.signals.signal import Observation, Signal, signal
from stepladder.signals.tally import Tally, count_calls
from stepladder.values import digest

RECENT: Final = 8
"""How many results back repetition is looked for."""
STALE: Final = 2
"""So many validations in a row without a better score are a convergence issue."""


@signal("error_count", start=0)
def error_count(total: int, seen: Observation) -> int:
    """Effects that did not return ok, in total. For `complex` only: it never falls."""
    return total + (seen.returned != "ok")


@signal("consecutive_errors", start=0)
def consecutive_errors(streak: int, seen: Observation) -> int:
    """Effects in a row that did not return ok."""
    return 0 if seen.returned == "ok" else streak + 1


repeated_calls: Final = Signal(
    "repeated_calls",
    Tally(),
    count_calls,
    lambda memory: memory.times,
    description="How often the newest call (same step, agent and arguments) has been made, itself included.",
)

Results = tuple[tuple[str, Any], ...]


def _recent(memory: Results, seen: Observation) -> Results:
    if not seen.call:  # a timer has nothing to say, and a message need not
        return memory
    return (*memory[-RECENT + 1 :], (seen.step, seen.output))


repeated_results: Final = Signal(
    "repeated_results",
    (),
    _recent,
    lambda memory: memory.count(memory[-1]) if memory else 0,
    description=f"How many of the last {RECENT} results of calls are the newest one again (same step, same output), "
    "itself included.",
)


def _patterns(memory: Results) -> int:
    return _oscillates(memory) + _stuck(memory) + _empty(memory)


def _oscillates(memory: Results) -> bool:
    return len(memory) >= 4 and memory[-4:-2] == memory[-2:] and memory[-1] != memory[-2]


def _stuck(memory: Results) -> bool:
    return len(memory) >= 3 and memory[-1] == memory[-2] == memory[-3]


def _empty(memory: Results) -> bool:
    return bool(memory) and not memory[-1][1]


unusual_patterns: Final = Signal(
    "unusual_patterns",
    (),
    _recent,
    _patterns,
    description="How many of these the newest results show: two steps giving the same two results in turn, one step "
    "giving the same result three times in a row, an empty result.",
)


def valid_score(value: object, low: float, high: float) -> float | None:
    """The value if it is a score: a number within its range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if low <= value <= high else None


def _valid(seen: Observation, name: str) -> float | None:
    return valid_score(seen.scores.get(name), *seen.bounds.get(name, (0.0, 10.0)))


Scores = dict[str, tuple[float | None, float | None]]


def _rate(memory: Scores, seen: Observation) -> Scores:
    if not seen.scores:
        return memory
    rated = {name: (_valid(seen, name), memory.get(name, (None, None))[0]) for name in seen.scores}
    return {**memory, **rated}


score: Final = Signal(
    "score",
    {},
    _rate,
    lambda memory: {name: new for name, (new, _) in memory.items() if new is not None},
    description="score.NAME: the newest valid value of a score that an agent declares.",
)
trend: Final = Signal(
    "trend",
    {},
    _rate,
    lambda memory: {n: new - old for n, (new, old) in memory.items() if new is not None and old is not None},
    description="trend.NAME: how much a score rose against the one before.",
)


@signal("validation_anomalies", start=0)
def validation_anomalies(_: int, seen: Observation) -> int:
    """Declared scores of the newest result that are missing, not numbers or out of range."""
    if not seen.scores or seen.returned in ("late", "in_doubt"):
        return 0
    return sum(_valid(seen, name) is None for name in seen.scores)


Courses = dict[str, tuple[dict[str, float], int]]


def _progress(memory: tuple[Courses, bool], seen: Observation) -> tuple[Courses, bool]:
    """Each validator has its own course: the best of each score, and how many in a row were no better."""
    courses, _ = memory
    if not seen.scores:
        return courses, False
    best, stale = courses.get(seen.name, ({}, 0))
    rated = {name: value for name in seen.scores if (value := _valid(seen, name)) is not None}
    better = any(value > best.get(name, -math.inf) for name, value in rated.items())
    perfect = len(rated) == len(seen.scores) and all(v == seen.bounds.get(n, (0, 10.0))[1] for n, v in rated.items())
    stale = 0 if better or perfect else stale + 1
    best = {**best, **{n: max(v, best.get(n, v)) for n, v in rated.items()}}
    return {**courses, seen.name: (best, stale)}, stale >= STALE


convergence_issues: Final = Signal(
    "convergence_issues",
    ({}, False),
    _progress,
    lambda memory: memory[1],
    description=f"Whether the newest result is a validation and the last {STALE} of this validator improved no score.",
)


@signal("human_intervention_required", start=False, on=("result", "answer"))
def human_intervention_required(wanted: bool, seen: Observation) -> bool:
    """Whether the newest result asks for a person (its field of this name is true); an answer clears it."""
    if seen.kind == "answer":
        return wanted and seen.returned != "ok"
    return seen.output.get("human_intervention_required") is True


@signal("clarifications", start=0, on=("answer",))
def clarifications(total: int, seen: Observation) -> int:
    """Questions that people have answered."""
    return total + (seen.returned == "ok")


@signal("situation", start="", on=("result",))
def situation(_: str, seen: Observation) -> str:
    """A name for where the run is: digest of step, call and result. Equal names, equal situations."""
    return digest(seen.step, seen.call, seen.output)


BUILTIN: Final[dict[str, Signal]] = {
    each.name: replace(each, total=True)
    for each in (
        error_count,
        consecutive_errors,
        repeated_calls,
        repeated_results,
        unusual_patterns,
        score,
        trend,
        validation_anomalies,
        convergence_issues,
        human_intervention_required,
        clarifications,
        situation,
    )
}
"""The folded signals by name. `decisions`, `no_progress`, `budget_used`, `time_used` and `rule_margin` are read off the
run itself."""
