"""Rules that were found, put together: what they must reach, pieces made one, the weakest given up.

Rules are found in rounds, the surest first, so a wide rule may come in pieces. `Judge.merged` makes one of two where
one can say both; `Judge.together` gives up the weakest until the lower bounds of what is left reach what was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import msgspec
import numpy as np

from stepladder.evaluation.literals import Bits
from stepladder.evaluation.search import Rows, Sure, count

AS_GOOD: Final = 0.03
"""A clause is left out where the choices that it keeps out agree at most so much less often than a rule has to."""


class Terms(msgspec.Struct, frozen=True):
    """What rules must reach to be proposed.

    Together they agree with the model in at least `agreement` of the held-out choices that they take over. Rules are
    looked for in rounds, the surest first: `errs` says how often a rule of each round may err, as a multiple of what
    all together may. So rules that hardly ever err make room for wide ones that err a little more often. A rule stands
    on `rows` held-out choices of `groups` groups, and false ones are an `alpha` of all at most. Figures by which rules
    were chosen flatter them: together they have to exceed `agreement` at the confidence `likely`.
    """

    agreement: float = 0.95
    errs: tuple[float, ...] = (0.4, 0.8, 1.2, 1.8, 2.4)
    rows: int = 10
    groups: int = 3
    surely: float = 0.75
    alpha: float = 0.05
    parts: int = 5
    deepest: int = 4
    likely: float = 0.8

    def alone(self, turn: int = -1) -> float:
        """What each rule of a round has to reach; of the last one if none is named."""
        return 1 - self.errs[turn] * (1 - self.agreement)


class Rule(msgspec.Struct, frozen=True, eq=False):
    """A rule that was found: its action and clauses, the rows it takes, `seen` of them held out when it was found, its
    figures there (`likely` is what it reaches at least), and the round it was found in (it stands behind the rules of
    every round before)."""

    action: str
    clauses: tuple[int, ...]
    bits: Bits
    held: Sure
    seen: Bits
    p: float
    turn: int = 0
    likely: float = 0.0


class Judge(msgspec.Struct, frozen=True, eq=False):
    """Rules against the rows: clauses, which rows each action was chosen in, and the terms."""

    rows: Rows
    hits: Mapping[str, Bits]
    terms: Terms

    def merged(self, kept: list[Rule], inside: Bits) -> list[Rule]:
        """The rules, two for one action made one wherever one can say both (what is wide is found in pieces), and none
        longer than it need be."""
        for i in range(len(kept)):
            shorter = self._shorter(kept, i, inside)
            if shorter is not None:
                return self.merged(self._apart([*kept[:i], shorter, *kept[i + 1 :]]), inside)
        for i, j in combinations(range(len(kept)), 2):
            if kept[i].action == kept[j].action:
                for place in (j, i):
                    one = self._both(kept, i, j, place, inside)
                    if one is not None:
                        others = [*kept[:place], one, *kept[place + 1 :]]
                        del others[i + j - place]
                        return self.merged(self._apart(others), inside)
        return kept

    def _shorter(self, kept: Sequence[Rule], i: int, inside: Bits) -> Rule | None:
        """Rule i without a clause that keeps out next to nothing."""
        rule = kept[i]
        for each in kept[:i]:
            inside = inside & ~each.bits
        for clause in reversed(rule.clauses if len(rule.clauses) > 1 else ()):
            clauses = tuple(each for each in rule.clauses if each != clause)
            bits = self.rows.every(clauses, inside)
            if self._as_good(bits, rule.bits, self.hits[rule.action]):
                return msgspec.structs.replace(rule, clauses=clauses, bits=bits)
        return None

    def _both(self, kept: Sequence[Rule], i: int, j: int, place: int, inside: Bits) -> Rule | None:
        """One rule for what rules i and j say, in the place of one of them; None where it would err more often."""
        one, two = kept[i], kept[j]
        if place == j and any(self.rows.every(each.clauses, one.bits).any() for each in kept[i + 1 : j]):
            return None
        for each in (*kept[:i], *kept[i + 1 : place]):
            inside = inside & ~each.bits
        common = tuple(clause for clause in one.clauses if clause in two.clauses)
        for clauses in dict.fromkeys((two.clauses, one.clauses, common)):
            bits = self.rows.every(clauses, inside)
            both = one.bits | two.bits
            if clauses and not (both & ~bits).any() and self._as_good(bits, both, self.hits[one.action]):
                rule = Rule(one.action, clauses, bits, one.held, bits, min(one.p, two.p), kept[place].turn)
                return self.told(rule, one.seen | two.seen)
        return None

    def _as_good(self, bits: Bits, before: Bits, hits: Bits) -> bool:
        """Whether what is new in `bits` is too little to spoil it, and the whole as good as all together have to be."""
        more, n = int(count(bits & ~before)), int(count(bits))
        return not more or (more <= n // 10 and int(count(bits & hits)) >= self.terms.agreement * n)

    def _apart(self, kept: Sequence[Rule]) -> list[Rule]:
        """Each rule without the rows that one before it takes; those with too few left are left out."""
        found = list[Rule]()
        taken = np.zeros_like(kept[0].bits)
        for each in kept:
            own = each.bits & ~taken
            if int(count(own)) >= self.terms.rows and (own & each.seen).any():
                found.append(self.told(msgspec.structs.replace(each, bits=own), own & each.seen))
                taken = taken | own
        return found

    def told(self, rule: Rule, seen: Bits) -> Rule:
        """The rule with its figures on the rows that were held out."""
        held, likely = (self.rows.sure(seen, self.hits[rule.action], level) for level in (0.8, self.terms.likely))
        return msgspec.structs.replace(rule, seen=seen, held=held, likely=likely.low)

    def together(self, kept: list[Rule]) -> list[Rule]:
        """Without the weakest, until what is left agrees often enough, by what each reaches at least."""
        wide = [int(count(each.bits)) for each in kept]
        while kept and sum(each.likely * n for each, n in zip(kept, wide, strict=True)) < self.terms.agreement * sum(
            wide
        ):
            weakest = min(range(len(kept)), key=lambda place: kept[place].likely)
            del kept[weakest], wide[weakest]
        return kept
