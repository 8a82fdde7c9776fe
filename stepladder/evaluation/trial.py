"""An A/B trial: what two arms gave, held against what was asked of b before it started.

A trial is paired (both arms had the same inputs) or split (each run is in one arm). `judge` contrasts every metric,
corrects the p values for how many there are (Holm), and says GO where every criterion is met; all else is NO-GO, with
the criteria that were not, and with the runs that would have been needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from stepladder.errors import InputError
from stepladder.evaluation.contrasts import Contrast, chi_square, mcnemar, paired_t, welch_t
from stepladder.evaluation.grouped import by_group
from stepladder.evaluation.multiplicity import holm
from stepladder.evaluation.power import (
    pairs_for_shares,
    power_of_means,
    power_of_pairs,
    power_of_shares,
    runs_for_means,
    runs_for_shares,
)

Metric = Literal["success", "quality", "time_s", "usd"]
Design = Literal["paired", "split"]
Standing = Literal["met", "not met", "too few runs", "not measured"]

METRICS: Final[tuple[Metric, ...]] = ("success", "quality", "time_s", "usd")


class Measured(msgspec.Struct, frozen=True):
    """What came of one run. None where nobody said; `key` names its input, `at` orders the runs of an arm. Runs of one
    `group` ("": the run is one of its own) are not witnesses each.
    """

    key: str = ""
    success: bool | None = None
    quality: float | None = None
    time_s: float | None = None
    usd: float | None = None
    at: float = 0.0
    group: str = ""


class Trial(msgspec.Struct, frozen=True):
    """Two arms and their runs. Where it is paired, both have as many, and the same place is the same input.

    `left_out` counts, by reason, what belongs to the trial and cannot be compared.
    """

    design: Design
    a: str
    b: str
    of_a: tuple[Measured, ...]
    of_b: tuple[Measured, ...]
    left_out: dict[str, int] = {}


class Criterion(msgspec.Struct, frozen=True):
    """What is asked of b: a gain over a (0.15: by 15% of a, and significant), or that it is `at_most` so much above."""

    metric: Metric
    gain: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        if self.gain is not None:
            return f"{self.metric} at least {self.gain:+.0%}, significant"
        return f"{self.metric} at most {self.at_most:+.0%}"


class Criteria(msgspec.Struct, frozen=True):
    """What a GO takes. The defaults are the P document's: success +15%, quality +10%, time within 20%, p < 0.05, 50
    runs an arm."""

    asked: tuple[Criterion, ...] = (
        Criterion("success", gain=0.15),
        Criterion("quality", gain=0.10),
        Criterion("time_s", at_most=0.20),
    )
    runs: int = 50
    alpha: float = 0.05
    power: float = 0.8

    @property
    def level(self) -> float:
        """Of the intervals."""
        return 1 - self.alpha


class Judged(msgspec.Struct, frozen=True):
    """One criterion: how it stands and why; the contrast (None where it was not measured) with its corrected p.

    `power` is the chance that these runs show the gain that was asked for, were it there; `needed` the runs an arm that
    it would take (None: none is asked for, or more than can be made).
    """

    criterion: Criterion
    standing: Standing
    because: str
    contrast: Contrast | None = None
    p_adjusted: float | None = None
    power: float | None = None
    needed: int | None = None


class Report(msgspec.Struct, frozen=True):
    """What a trial says: GO or NO-GO, each criterion, and the contrasts nobody asked anything of."""

    go: bool
    design: Design
    a: str
    b: str
    n_a: int
    n_b: int
    judged: tuple[Judged, ...]
    beside: tuple[Contrast, ...]
    left_out: dict[str, int]
    alpha: float
    runs: int

    @property
    def verdict(self) -> str:
        """In a word."""
        return "GO" if self.go else "NO-GO"

    @property
    def because(self) -> list[str]:
        """What speaks against it; empty for a GO."""
        return [f"{each.criterion.metric}: {each.because}" for each in self.judged if each.standing != "met"]


def judge(trial: Trial, criteria: Criteria = Criteria()) -> Report:  # noqa: B008 - frozen
    """Hold the trial against the criteria. Raises StepladderError where scipy is not installed."""
    contrasts: dict[str, Contrast] = {
        metric: found for metric in METRICS if (found := contrast(trial, metric, criteria.level))
    }
    asked: list[str] = [each.metric for each in criteria.asked if each.metric in contrasts]
    adjusted: dict[str, float] = dict(zip(asked, holm([careful_p(contrasts[name]) for name in asked]), strict=True))
    judged = tuple(_judged(each, trial, contrasts, adjusted, criteria) for each in criteria.asked)
    beside = tuple(found for metric, found in contrasts.items() if metric not in adjusted)
    go = bool(judged) and all(each.standing == "met" for each in judged)
    counts = len(trial.of_a), len(trial.of_b)
    left_out = trial.left_out
    return Report(go, trial.design, trial.a, trial.b, *counts, judged, beside, left_out, criteria.alpha, criteria.runs)


def contrast(trial: Trial, metric: Metric, level: float = 0.95) -> Contrast | None:
    """The metric in both arms; None where fewer than two runs (or pairs) of each have it.

    Where groups hold more than one run (or pair), `more` has the p and the interval with every group as one witness.
    """
    if trial.design == "paired":
        both = [
            (a, b)
            for a, b in zip(trial.of_a, trial.of_b, strict=True)
            if getattr(a, metric) is not None and getattr(b, metric) is not None
        ]
        arms = [a for a, _ in both], [b for _, b in both]
    else:
        of_a, of_b = ([each for each in arm if getattr(each, metric) is not None] for arm in (trial.of_a, trial.of_b))
        arms = of_a, of_b
    if min(map(len, arms)) < 2:
        return None
    first, second = ([getattr(each, metric) for each in arm] for arm in arms)
    found = _tested(trial.design, metric, first, second, level)
    groups = _groups(trial.design, *arms)
    if groups is None:
        return found
    grouped = by_group(first, groups[0], second, groups[1], level)
    more = {f"{name}_by_group": float(value) for name, value in grouped._asdict().items() if name != "groups"}
    return replace(found, more={**found.more, "groups": float(grouped.groups), **more})


def _tested(design: Design, metric: Metric, first: list[Any], second: list[Any], level: float) -> Contrast:
    if metric != "success":
        test = paired_t if design == "paired" else welch_t
        return test(metric, first, second, level)
    if design == "paired":
        return mcnemar(metric, first, second, level)
    return chi_square(metric, sum(first), len(first), sum(second), len(second), level)


def _groups(design: Design, a: list[Measured], b: list[Measured]) -> tuple[list[str], list[str]] | None:
    """The group of each run; None where each run (or pair) is alone in its own."""
    named = [[each.group or f"\n{side} {n}" for n, each in enumerate(arm)] for side, arm in enumerate((a, b))]
    if design == "paired":
        named = [[one.group or f"\n{n}" for n, one in enumerate(a)]] * 2
        units = named[0]
    else:
        units = named[0] + named[1]
    return None if len(set(units)) == len(units) else (named[0], named[1])


def careful_p(found: Contrast) -> float:
    """The p of the test, or that by groups where it is larger."""
    return max(found.p, found.more.get("p_by_group", 0.0))


def _judged(
    criterion: Criterion,
    trial: Trial,
    contrasts: Mapping[str, Contrast],
    adjusted: Mapping[str, float],
    criteria: Criteria,
) -> Judged:
    found = contrasts.get(criterion.metric)
    if found is None:
        return Judged(criterion, "not measured", "not measured in both arms")
    p = adjusted[criterion.metric]
    needed, power = _planned(found, criterion, trial, criteria) if criterion.gain else (None, None)
    standing, because = _standing(criterion, found, p, criteria)
    return Judged(criterion, standing, because, found, p, power, needed)


def _standing(criterion: Criterion, found: Contrast, p: float, criteria: Criteria) -> tuple[Standing, str]:
    fewest, relative = min(found.n_a, found.n_b), found.relative
    change = f"{relative:+.1%}" if relative is not None else f"{found.difference:+.3g}, from nothing"
    if fewest < criteria.runs:
        return "too few runs", f"{fewest} of {criteria.runs} runs an arm ({change} so far)"
    gained = relative if relative is not None else (inf if found.difference > 0 else 0.0)
    if criterion.at_most is not None:
        inside = gained <= criterion.at_most
        return ("met" if inside else "not met"), f"{change}, {'within' if inside else 'above'} {criterion.at_most:+.0%}"
    assert criterion.gain is not None, "a criterion asks for one of the two"
    if gained < criterion.gain:
        return "not met", f"{change}, less than {criterion.gain:+.0%}"
    if p >= criteria.alpha:
        return "not met", f"{change}, which may be chance (p {p:.3g}, not below {criteria.alpha:g})"
    return "met", f"{change} (p {p:.3g})"


def _planned(
    found: Contrast, criterion: Criterion, trial: Trial, criteria: Criteria
) -> tuple[int | None, float | None]:
    """The runs an arm that the gain asked for would need, and the chance that those there were show it."""
    assert criterion.gain is not None, "only a gain is planned for"
    paired, fewest = trial.design == "paired", min(found.n_a, found.n_b)
    target = found.a * (1 + criterion.gain)
    if target == found.a:
        return None, None
    if criterion.metric == "success":
        target = min(1.0, target)
        if not paired:
            needed = runs_for_shares(found.a, target, criteria.alpha, criteria.power)
            return needed, power_of_shares(found.a, target, fewest, criteria.alpha)
        differ = (found.more["only_a"] + found.more["only_b"]) / found.n_a
        only_a = max(0.0, (differ - (target - found.a)) / 2)
        both = only_a, only_a + target - found.a
        return pairs_for_shares(*both, criteria.alpha, criteria.power), power_of_pairs(*both, fewest, criteria.alpha)
    apart, d = abs(found.difference), abs(found.effects["cohens_d"])
    if not apart or not d or d == inf:
        return None, None
    wanted = (target - found.a) * d / apart
    return (
        runs_for_means(wanted, criteria.alpha, criteria.power, paired=paired),
        power_of_means(wanted, fewest, criteria.alpha, paired=paired),
    )


def paired(a: str, b: str, of_a: Sequence[Measured], of_b: Sequence[Measured]) -> Trial:
    """Runs of the same inputs beside each other: of several with one key the first with the first, by time.

    Raises:
        InputError: no key is in both arms.
    """
    first, second = _by_key(of_a), _by_key(of_b)
    both = [pair for key in first for pair in zip(first[key], second.get(key, ()), strict=False)]
    if not both:
        raise InputError("trial", "", f"no input that both {a!r} and {b!r} had", "runs of the same inputs in both arms")
    alone = {f"runs of {name} without a partner": len(arm) - len(both) for name, arm in ((a, of_a), (b, of_b))}
    left_out = {reason: count for reason, count in alone.items() if count}
    return Trial("paired", a, b, tuple(x for x, _ in both), tuple(y for _, y in both), left_out)


def split(a: str, b: str, of_a: Sequence[Measured], of_b: Sequence[Measured]) -> Trial:
    """Different runs, each in one arm, in the order of their time."""
    return Trial("split", a, b, tuple(_in_time(of_a)), tuple(_in_time(of_b)))


def without(trial: Trial, reason: str, count: int) -> Trial:
    """The same, having left out so many more for this reason."""
    return replace(trial, left_out={**trial.left_out, reason: count}) if count else trial


def _by_key(runs: Sequence[Measured]) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for each in _in_time(runs):
        found.setdefault(each.key, []).append(each)
    return found


def _in_time(runs: Sequence[Measured]) -> list[Measured]:
    return sorted(runs, key=lambda each: each.at)
