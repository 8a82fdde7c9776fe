"""What a shadow says: decisions that a model was asked about, and that the rules made.

Only the rule's choice was tried. Where the model would have done the same, what came of it counts for both; where it
would have done something else, nobody knows. So the model's success lies between two bounds (Manski 1990), and no
shadow can say GO: at most that a first share of the runs may be decided by the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np

from stepladder.evaluation.intervals import Interval, lower_bound
from stepladder.evaluation.trial_runs import PastRun

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


def shadow_report(runs: Iterable[PastRun], point: str = "next_action", level: float = 0.95) -> ShadowReport | None:
    """What the shadow answers at the point say; None where there is none."""
    counts: list[tuple[int, int, int]] = []  # a run's agreeing, differing and failing answers
    succeeded: list[bool | None] = []
    calls, differing = list[tuple[float, float]](), dict[str, int]()
    for run in runs:
        agree = differ = fail = 0
        for record in (each for each in run.records if each.opened.point == point):
            shadow_commands = {number for asked in record.asked if asked.shadow for number in asked.commands}
            calls += [(c.usage.cost_usd or 0.0, c.elapsed_s) for c in record.calls if c.command in shadow_commands]
            for each in record.shadows:
                agree, differ = agree + (each.outcome == "agrees"), differ + (each.outcome == "differs")
                fail += each.outcome in ("invalid", "failed")
                if each.outcome == "differs" and each.verdict is not None:
                    way = f"{record.opened.verdict.action} -> {each.verdict.action}"
                    differing[way] = differing.get(way, 0) + 1
        if agree + differ + fail:
            counts.append((agree, differ, fail))
            succeeded.append(run.success)
    if not counts:
        return None
    table = np.array(counts, np.int64)
    agreeing, different, failing = (int(each) for each in table.sum(axis=0))
    usd, latency_s = (float(each) for each in np.mean(calls or [(0.0, 0.0)], axis=0))
    known = [(said, row[1] > 0) for said, row in zip(succeeded, counts, strict=True) if said is not None]
    bounds = (
        Interval(
            sum(said and not differs for said, differs in known) / len(known),
            sum(said or differs for said, differs in known) / len(known),
        )
        if known
        else None
    )
    return ShadowReport(
        len(counts),
        agreeing + different + failing,
        agreeing / max(1, agreeing + different),
        share_interval(table[:, 0], table[:, 0] + table[:, 1], level),
        failing / (agreeing + different + failing),
        share_interval(table[:, 2], table.sum(axis=1), level),
        sum(bool(said) for said, _ in known) / len(known) if known else None,
        bounds,
        usd,
        latency_s,
        dict(sorted(differing.items(), key=lambda item: -item[1])),
    )


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
