"""How far a rollout may go: shadow, 10%, 50%, 100% of the runs, and back to none.

A stage is left for the next one when enough runs speak for it, and for nothing as soon as the guard says that b is
worse. The guard may be looked at after every run: it looks when the arm has grown to 10, 20, 40 ... runs, and the
`k`-th look may err with alpha / (k (k + 1)), so that all looks together err with at most alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from stepladder.evaluation.extras import scipy_stats
from stepladder.evaluation.shadow import ShadowReport
from stepladder.evaluation.trial import Criteria, Metric, Report, Trial, judge

STAGES: Final = (0.0, 0.1, 0.5, 1.0)
"""What a rollout goes through; before the first the model answers in shadow."""
FIRST_LOOK: Final = 10
FAILING: Final = 0.05
"""A model may fail to answer so often in shadow."""

Move = Literal["advance", "hold", "roll back", "done"]
Worse = Literal["higher", "lower"]
WORSE: Final[dict[Metric, Worse]] = {"success": "lower", "quality": "lower", "time_s": "higher", "usd": "higher"}


class Guard(msgspec.Struct, frozen=True):
    """The metric that must not be worse in b than in a, and the chance of a false alarm over all looks."""

    metric: Metric = "success"
    alpha: float = 0.05


class Look(msgspec.Struct, frozen=True):
    """The guard at `runs` runs of b: the p of "b is worse", and what it had to be below."""

    runs: int
    p: float
    threshold: float

    @property
    def trips(self) -> bool:
        """Whether b is worse."""
        return self.p < self.threshold


class Advice(msgspec.Struct, frozen=True):
    """From this share to that, because; with the guard's looks."""

    move: Move
    share: float
    to: float
    because: str
    looks: tuple[Look, ...] = ()


def advise(
    share: float,
    trial: Trial | None,
    shadow: ShadowReport | None = None,
    guard: Guard = Guard(),  # noqa: B008 - frozen
    criteria: Criteria = Criteria(),  # noqa: B008 - frozen
) -> Advice:
    """What the evidence allows. `trial` has the runs that met the rollout at this share, in the order of their time.

    From shadow to 10%: 50 decisions answered, at most 5% of the answers failing. From 10% to 50%: 50 runs of b, and its
    success no lower than a's. From 50% to 100%: a GO. A tripped guard: back to none.
    """
    if share <= 0:
        return _out_of_shadow(shadow, criteria)
    looks = tuple(guard_looks(trial, guard)) if trial is not None else ()
    if why := tripped(looks, guard):
        return Advice("roll back", share, 0.0, why, looks)
    if share >= 1:
        return Advice("done", share, share, "every run has it", looks)
    if trial is None or min(len(trial.of_a), len(trial.of_b)) < criteria.runs:
        there = min(len(trial.of_a), len(trial.of_b)) if trial else 0
        return Advice("hold", share, share, f"{there} of {criteria.runs} runs an arm", looks)
    to = next(stage for stage in STAGES if stage > share)
    report = judge(trial, criteria)
    if to < 1:
        return _no_worse(report, share, to, looks)
    if report.go:
        return Advice("advance", share, to, "GO: every criterion is met", looks)
    return Advice("hold", share, share, "NO-GO: " + "; ".join(report.because), looks)


def guard_looks(trial: Trial, guard: Guard = Guard()) -> list[Look]:  # noqa: B008 - frozen
    """Every look that was due so far, up to the first that trips."""
    a, b = (
        [(each.at, float(value)) for each in arm if (value := getattr(each, guard.metric)) is not None]
        for arm in (trial.of_a, trial.of_b)
    )
    looks, size = list[Look](), FIRST_LOOK
    while size <= len(b) and not (looks and looks[-1].trips):
        until = b[size - 1][0]
        before = [value for at, value in a if at <= until]
        k = len(looks) + 1
        p = _p_worse(before, [value for _, value in b[:size]], guard.metric)
        looks.append(Look(size, p, guard.alpha / (k * (k + 1))))
        size *= 2
    return looks


def tripped(looks: Sequence[Look], guard: Guard) -> str:
    """Why the guard says that b is worse; "" where it does not."""
    if not looks or not looks[-1].trips:
        return ""
    last = looks[-1]
    return f"{guard.metric} is worse after {last.runs} runs (p {last.p:.2g}, below {last.threshold:.2g})"


def _p_worse(a: list[float], b: list[float], metric: Metric) -> float:
    """One-sided: how likely b looks so much worse by chance. 1 where a has too few runs to compare with.

    Of numbers both Welch's t-test and that by ranks (Mann and Whitney 1947) have to say so. Where most are equal and
    few are large, ten runs of b may have none of these, and their mean alone would look surely lower.
    """
    if len(a) < 2:
        return 1.0
    stats = scipy_stats()
    if metric == "success":
        table = [[sum(b), len(b) - sum(b)], [sum(a), len(a) - sum(a)]]
        return float(stats.fisher_exact(table, alternative="less").pvalue)
    side = "greater" if WORSE[metric] == "higher" else "less"
    if len(set(a)) == 1 and len(set(b)) == 1:
        differ = 0.0 if a[0] != b[0] and (b[0] > a[0]) == (WORSE[metric] == "higher") else 1.0
    else:
        differ = float(stats.ttest_ind(b, a, equal_var=False, alternative=side).pvalue)
    return max(differ, float(stats.mannwhitneyu(b, a, alternative=side).pvalue))


def _out_of_shadow(shadow: ShadowReport | None, criteria: Criteria) -> Advice:
    to = STAGES[1]
    if shadow is None or shadow.decisions < criteria.runs:
        there = shadow.decisions if shadow else 0
        return Advice("hold", 0.0, 0.0, f"{there} of {criteria.runs} decisions answered in shadow")
    if shadow.failing > FAILING:
        return Advice("hold", 0.0, 0.0, f"{shadow.failing:.0%} of the answers failed, more than {FAILING:.0%}")
    said = f"{shadow.decisions} decisions answered in shadow, {shadow.failing:.0%} failing"
    return Advice("advance", 0.0, to, f"{said}, {shadow.agreement:.0%} as the rules")


def _no_worse(report: Report, share: float, to: float, looks: tuple[Look, ...]) -> Advice:
    contrasts = [each.contrast for each in report.judged if each.contrast] + list(report.beside)
    success = next((each for each in contrasts if each.metric == "success"), None)
    if success is None:
        return Advice("hold", share, share, "nobody said which runs succeeded", looks)
    told = f"success {success.b:.0%} against {success.a:.0%} over {success.n_b} and {success.n_a} runs"
    if success.difference < 0:
        return Advice("hold", share, share, f"{told}: lower", looks)
    return Advice("advance", share, to, f"{told}: no lower, and the guard holds", looks)
