"""Rules that were found, put together: the list made better, the weakest given up, each told with its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from stepladder.evaluation.climbing import Climb
from stepladder.evaluation.literals import Bits, count
from stepladder.evaluation.mined_rules import Rule, Terms
from stepladder.evaluation.search import Rows


class Judge(msgspec.Struct, frozen=True, eq=False):
    """Rules against the rows: clauses, which rows each action was chosen in, and the terms."""

    rows: Rows
    hits: Mapping[str, Bits]
    terms: Terms

    def improved(self, kept: Sequence[Rule], inside: Bits) -> list[Rule]:
        """The rules as a list that is worth more: see `climbing`. None has fewer rows than a rule must have."""
        alone = min(max(self.terms.alone(), 0.5), 0.999)  # what may err in half, or never, has a price all the same
        climb = Climb(kept, self.rows.table, self.hits, inside, alone / (1 - alone), self.terms.length)
        return self.apart(climb.best(), inside)

    def apart(self, kept: Sequence[Rule], left: Bits) -> list[Rule]:
        """Each rule on the rows that none before it takes; those with too few are left out."""
        found = list[Rule]()
        for each in kept:
            own = self.rows.table.every(each.clauses, left)
            if int(count(own)) >= self.terms.rows and (own & each.seen).any():
                found.append(self.told(msgspec.structs.replace(each, bits=own)))
                left = left & ~own
        return found

    def told(self, rule: Rule) -> Rule:
        """The rule with its figures on those of its rows that were held out."""
        return msgspec.structs.replace(rule, held=self.rows.sure(rule.bits & rule.seen, self.hits[rule.action], 0.8))

    def together(self, kept: list[Rule], inside: Bits) -> list[Rule]:
        """Without the weakest, until each of what is left agrees often enough, and surely all together."""
        while kept:
            weakest = min(range(len(kept)), key=lambda place: kept[place].held.low)
            if kept[weakest].held.share >= self.terms.alone() and self._likely(kept) >= self.terms.agreement:
                break
            kept = self.apart([*kept[:weakest], *kept[weakest + 1 :]], inside)
        return kept

    def _likely(self, kept: Sequence[Rule]) -> float:
        """What they reach together at least."""
        bits, right = np.zeros_like(kept[0].bits), np.zeros_like(kept[0].bits)
        for each in kept:
            own = each.bits & each.seen
            bits, right = bits | own, right | (own & self.hits[each.action])
        return self.rows.sure(bits, right, self.terms.likely).low
