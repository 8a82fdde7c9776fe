"""Mined rules, and what they must reach."""

from __future__ import annotations

import msgspec

from stepladder.clauses import Clause
from stepladder.evaluation.literals import Bits
from stepladder.evaluation.search import Sure


class Terms(msgspec.Struct, frozen=True):
    """What rules must reach to be proposed.

    Together they agree with the model in at least `agreement` of the held-out choices that they take over. Rules are
    looked for in rounds, the surest first: `errs` says how often a rule of each round may err, as a multiple of what
    all together may. So rules that hardly ever err make room for wide ones that err a little more often. A rule stands
    on `rows` held-out choices of `groups` groups, and false ones are an `alpha` of all at most. All together they
    exceed `agreement` at the confidence `likely`. A clause is to be worth `length` right choices.
    """

    agreement: float = 0.95
    errs: tuple[float, ...] = (0.5, 1.0, 1.6, 2.4)
    rows: int = 10
    groups: int = 3
    surely: float = 0.75
    alpha: float = 0.05
    parts: int = 5
    deepest: int = 4
    likely: float = 0.6
    length: float = 15.0

    def alone(self, turn: int = -1) -> float:
        """What each rule of a round has to reach; of the last one if none is named."""
        return 1 - self.errs[turn] * (1 - self.agreement)


class Rule(msgspec.Struct, frozen=True, eq=False):
    """A rule that was found: its action and clauses, the rows it takes, those that were held out when it was
    found (`seen`), and its figures there."""

    action: str
    clauses: tuple[Clause, ...]
    bits: Bits
    held: Sure
    seen: Bits
    p: float
