"""Until which step a risk escalates.

The longer a run goes on, the surer it is what becomes of it: a policy that spends its budget on the riskiest runs
spends it where nothing can be saved any more. So for each domain a last step is looked for after which the risk
escalates no more (`steps_taken <= N`), and taken where that catches more early than it misses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.ranking import Ranked
from stepladder.evaluation.steps import Steps, Truth

Array = NDArray[Any]
Untils = Mapping[str, int]
"""The last step by domain ("": every domain); a domain without one has no last step."""
GAIN: Final = 0.03
"""How much better a last step has to be than none: recall, and half of the recall by 75% of the run."""
QUANTILES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75)
"""Of the lengths of runs: the last steps that are tried."""


def learn_untils(
    steps: Steps, truth: Truth, scored: Iterable[Array], share: float, *, per_domain: bool
) -> dict[str, int]:
    """The last step of each domain, by held-out scores of the steps, when this share of its runs is escalated."""
    parts, names = list(scored), np.array(steps.domain)
    found: dict[str, int] = {}
    for domain in sorted(set(steps.domain)) if per_domain else [""]:
        runs = np.flatnonzero(names == domain) if domain else np.arange(len(names))
        failed = truth.failed[runs]
        if not (failed == 1).any():
            continue
        tried = sorted({int(each) for each in np.quantile(steps.length[runs], QUANTILES)} - {0})
        worth = {last: _worth(steps, failed, parts, runs, share, last) for last in tried}
        best = max(worth, key=lambda last: (worth[last], last))
        if worth[best] > _worth(steps, failed, parts, runs, share, 0) + GAIN:
            found[domain] = best
    return found


def _worth(steps: Steps, failed: Array, parts: list[Array], runs: Array, share: float, last: int) -> float:
    found = []
    for scores in parts:
        ranked = Ranked.of(steps, limited(steps, scores, {"": last} if last else {}))
        figures = Ranked(ranked.whole[runs], ranked.early[runs]).at(failed, share)
        found.append(figures["recall"] + figures["recall_by_75"] / 2)
    return float(np.mean(found))


def limited(steps: Steps, scores: Array, untils: Untils) -> Array:
    """The scores, of which none after its domain's last step counts."""
    if not untils:
        return scores
    last = np.array([untils.get(domain, untils.get("", steps.rows)) for domain in steps.domain])
    return np.where(steps.place + 1 <= np.repeat(last, steps.length), scores, -np.inf)
