"""Forks of many runs, summed up: how many go another way, and how differently they end, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from stepladder.evaluation.contrasts import Contrast, mcnemar, paired_t
from stepladder.evaluation.fork import Fork
from stepladder.evaluation.intervals import Interval, wilson


class ForkSummary(msgspec.Struct, frozen=True):
    """Of `runs` runs `changed` go another way, and `unclear` may: before, they come to something that is not on record.
    The share of those that do lies in `changed_interval`, whichever way these go. `known` get to an end, the others do
    not.

    `was_success` is the share that ended well; in the forks it lies between the bounds `success` (all of which nobody
    knows failed, or none). `ends` and `asked` contrast success and questions to models, run by run, where both are
    known: None where fewer than two are. `labels` counts decisions by what they rest on; `first` where runs change, as
    step: recorded action -> action. `usd` is what the models cost that were asked now.
    """

    runs: int
    changed: int
    changed_interval: Interval
    unclear: int
    known: int
    was_success: float
    success: Interval
    ends: Contrast | None
    asked: Contrast | None
    labels: dict[str, int]
    first: dict[str, int]
    usd: float = 0.0


def summary(forks: Sequence[Fork], level: float = 0.95) -> ForkSummary | None:
    """The forks together; None of none. Raises StepladderError where scipy is not installed."""
    if not forks:
        return None
    changed = [each for each in forks if each.differs]
    unclear = sum(bool(each.missing) and not each.differs for each in forks)
    known = [each for each in forks if not each.missing]
    ends = [(each.was_success, each.success) for each in known if each.was_success is not None]
    both = [(bool(was), bool(now)) for was, now in ends if now is not None]
    well = sum(bool(now) for _, now in both)
    return ForkSummary(
        len(forks),
        len(changed),
        Interval(wilson(len(changed), len(forks), level).low, wilson(len(changed) + unclear, len(forks), level).high),
        unclear,
        len(known),
        sum(bool(each.was_success) for each in forks) / len(forks),
        Interval(well / len(forks), (well + len(forks) - len(known)) / len(forks)),
        mcnemar("success", [was for was, _ in both], [now for _, now in both], level) if len(both) > 1 else None,
        _asked(forks, level),
        dict(Counter(step.label for each in forks for step in each.steps)),
        dict(Counter(_where(each) for each in changed).most_common(10)),
        sum(each.usd for each in forks),
    )


def _asked(forks: Sequence[Fork], level: float) -> Contrast | None:
    if len(forks) < 2:
        return None
    return paired_t("questions", [each.was_asked for each in forks], [each.asked for each in forks], level)


def _where(fork: Fork) -> str:
    step = next((each for each in fork.steps if each.n == fork.differs), None)
    if step is None:
        return "unknown"
    return f"{step.step}: {step.was or 'nothing'} => {step.action or 'unknown'}"
