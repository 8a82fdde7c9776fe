"""What a shadow says: decisions that a model was asked about, and that the rules made.

Only the rule's choice was tried. Where the model would have done the same, what came of it counts for both; where it
would have done something else, nobody knows. So the model's success lies between two bounds (Manski 1990), and no
shadow can say GO: at most that a first share of the runs may be decided by the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import numpy as np

from stepladder.evaluation.intervals import Interval, lower_bound
from stepladder.evaluation.trial_runs import PastRun
from stepladder.orchestrator import DecisionRecord

RESAMPLED: Final = 2_000


class ShadowReport(msgspec.Struct, frozen=True):
    """Decisions answered in shadow, over so many runs.

    `agreement` is the share of usable answers that say what the rule did, `failing` the share of all answers that
    failed or were invalid; each with the interval of a bootstrap over runs. `rule_success` is the share of runs that
    ended well, `model_success` the bounds of what they could have been. Costs and times are means over answers;
    `differing` counts rule's action -> model's action.
    """

    runs: int
    decisions: int
    agreement: float
    agreement_interval: Interval
    failing: float
    failing_interval: Interval
    rule_success: float | None
    model_success: Interval | None
    usd: float
    latency_s: float
    differing: dict[str, int]


class Answers:
    """What a model said beside the rules in one run, which ended well or not (None: nobody knows)."""

    def __init__(self, success: bool | None) -> None:
        self.success = success
        self.agree = self.differ = self.fail = 0
        self.ways: Counter[str] = Counter()
        self.costs: list[tuple[float, float]] = []

    def say(self, rule: str, model: str) -> None:
        """The rule chose this, and the model that; "" where its answer was of no use."""
        self.fail += not model
        self.agree += bool(model) and rule == model
        if model and rule != model:
            self.differ += 1
            self.ways[f"{rule} -> {model}"] += 1


Wanted = Callable[[DecisionRecord], bool]


def shadow_report(
    runs: Iterable[PastRun], point: str = "next_action", level: float = 0.95, wanted: Wanted | None = None
) -> ShadowReport | None:
    """What the shadow answers at the point say (`wanted`: to these decisions alone); None where there is none."""
    return report_of((_answers(run, point, wanted) for run in runs), level)


def _answers(run: PastRun, point: str, wanted: Wanted | None) -> Answers:
    answers = Answers(run.success)
    for record in run.records:
        if record.opened.point != point or (wanted is not None and not wanted(record)):
            continue
        commands = {number for asked in record.asked if asked.shadow for number in asked.commands}
        answers.costs += [(c.usage.cost_usd or 0.0, c.elapsed_s) for c in record.calls if c.command in commands]
        for each in record.shadows:
            if each.outcome in ("agrees", "differs"):
                said = each.verdict.action if each.verdict is not None else ""
                rule = record.opened.verdict.action
                if each.outcome == "agrees" or said != rule:
                    answers.say(rule, rule if each.outcome == "agrees" else said)
                else:  # the same action with other parameters
                    answers.say(rule, f"{said} with other parameters")
            elif each.outcome in ("invalid", "failed"):
                answers.say(record.opened.verdict.action, "")
    return answers


def report_of(answers: Iterable[Answers], level: float = 0.95) -> ShadowReport | None:
    """The answers of many runs together; None where there is none."""
    some = [each for each in answers if each.agree + each.differ + each.fail]
    if not some:
        return None
    table = np.array([(each.agree, each.differ, each.fail) for each in some], np.int64)
    agreeing, different, failing = (int(each) for each in table.sum(axis=0))
    costs = [cost for each in some for cost in each.costs]
    usd, latency_s = (float(each) for each in np.mean(costs or [(0.0, 0.0)], axis=0))
    known = [(bool(each.success), each.differ > 0) for each in some if each.success is not None]
    ways = sum((each.ways for each in some), Counter[str]())
    return ShadowReport(
        len(some),
        agreeing + different + failing,
        agreeing / max(1, agreeing + different),
        share_interval(table[:, 0], table[:, 0] + table[:, 1], level),
        failing / (agreeing + different + failing),
        share_interval(table[:, 2], table.sum(axis=1), level),
        sum(said for said, _ in known) / len(known) if known else None,
        _bounds(known),
        usd,
        latency_s,
        dict(ways.most_common()),
    )


def _bounds(known: list[tuple[bool, bool]]) -> Interval | None:
    """What the model's success could have been, of runs that ended well or not, and in which it differed or not."""
    if not known:
        return None
    least = sum(said and not differs for said, differs in known) / len(known)
    return Interval(least, sum(said or differs for said, differs in known) / len(known))


def share_interval(hits: object, of: object, level: float = 0.95, seed: int = 0) -> Interval:
    """The share of all hits among all, resampling whole groups (a run's decisions stand or fall together).

    At a share of 0 or 1, where resampling sees no spread, Wilson's bound over the number of groups is kept to.
    """
    some, total = np.asarray(hits, np.float64), np.asarray(of, np.float64)
    groups = int((total > 0).sum())
    if groups == 0:
        return Interval(0.0, 1.0)
    drawn = np.random.default_rng(seed).integers(0, len(total), size=(RESAMPLED, len(total)))
    shares = some[drawn].sum(axis=1) / np.maximum(total[drawn].sum(axis=1), 1e-12)
    low, high = (float(each) for each in np.quantile(shares, [(1 - level) / 2, (1 + level) / 2]))
    share = some.sum() / total.sum()
    if share in (0.0, 1.0):
        edge = lower_bound(groups, groups, level)
        return Interval(0.0, 1 - edge) if share == 0 else Interval(edge, 1.0)
    return Interval(low, high)
