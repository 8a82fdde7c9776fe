"""Rules out of what models chose, each held against runs that it was not found on.

The runs are cut into parts by their group (`split_key`). On all parts but one rules are searched (`search`); each is
then judged by the part left out, and by nothing else. It is proposed where on that part

* it agrees with the model often enough, and surely not much less often (rows of one group do not count in full),
* it is wide enough, in groups enough, and
* its agreement is no chance: against the share that its action has anyway, every group counting once (binomial test),
  corrected for how many rules were found (Benjamini and Hochberg 1995).

The surest are looked for first; what they cover is taken away before less sure ones are. After each round the list is
made better as a whole (`climbing`), and at the end the weakest are given up until all together agree often enough
(`judge`). No model is asked. Nothing here reads identities or outcomes to find a rule; outcomes are only told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.clauses import Clause
from stepladder.evaluation.choices import Chosen
from stepladder.evaluation.drift import Drift, drift_of, witnesses
from stepladder.evaluation.extras import scipy_stats
from stepladder.evaluation.folds import grouped_folds
from stepladder.evaluation.intervals import lower_bound
from stepladder.evaluation.judge import Judge
from stepladder.evaluation.literals import Bits, count, literals, packed, places_of
from stepladder.evaluation.mined_rules import Rule, Terms
from stepladder.evaluation.multiplicity import benjamini_hochberg
from stepladder.evaluation.search import Rows, Sure, Wanted, rules_for

AS_GOOD: Final = 0.03
"""A clause is left out where the choices that it keeps out agree at most so much less often than a rule has to."""


class Proposal(msgspec.Struct, frozen=True):
    """A rule that is proposed, with its evidence.

    It stands behind the rules numbered `behind`: its evidence is from choices that none of these takes. `support` are
    the choices it takes, in `runs` runs of `groups` groups; in `new` of them the rules that are there say something
    else, or nothing. `held` of them were held out when it was found: `agreement` of these are its action, `lower` is
    what that exceeds with 95% confidence. `p` is corrected. `success` is the share of runs it fired in that ended well,
    `otherwise` that of the other runs. `saves_usd` and `saves_s` are what the model's answers cost that it replaces.
    `drift` is of all the choices it takes; None where it is not known when they were made.
    """

    number: int
    step: str
    action: str
    when: tuple[str, ...]
    behind: tuple[int, ...]
    support: int
    runs: int
    groups: int
    held: int
    agreement: float
    lower: float
    p: float
    new: int
    success: float | None
    otherwise: float | None
    saves_usd: float | None
    saves_s: float | None
    drift: Drift | None = None


class Mine:
    """Choices made ready for mining: clauses, runs and groups. Labels may be exchanged (`labelled`)."""

    def __init__(self, chosen: Sequence[Chosen], terms: Terms = Terms()) -> None:  # noqa: B008 - frozen
        self.chosen, self.terms = tuple(chosen), terms
        self.groups = [each.group for each in chosen]
        group = np.unique(self.groups, return_inverse=True)[1].astype(np.int64)
        self.rows = Rows(literals([each.facts for each in chosen]), group)
        self.every, self.least = packed(np.ones(len(chosen), np.bool_)), terms.alone(0)
        self.labelled([each.action for each in chosen])

    def labelled(self, actions: Sequence[str]) -> Mine:
        """The same choices under other actions."""
        self.actions = np.array(actions)
        self.hits = {action: packed(self.actions == action) for action in Counter(actions)}
        self.judge = Judge(self.rows, self.hits, self.terms)
        return self

    def rules(self, within: NDArray[np.bool_] | None = None, seed: int = 0) -> list[Rule]:
        """The rules that these rows (all of them) speak for, in the order to ask them in; none where they are few."""
        flags = np.ones(len(self.chosen), np.bool_) if within is None else within
        part = self._parts(flags, seed)
        if part is None:
            return []
        inside, kept = packed(flags), list[Rule]()
        left = inside
        for turn in range(len(self.terms.errs)):
            self.least = self.terms.alone(turn)
            more = self._ordered(self._judged(self._found(left, part), left), left)
            kept = self.judge.improved([*kept, *more], inside) if more else kept
            left = inside
            for each in kept:
                left = left & ~each.bits
        return self.judge.together(kept, inside)

    def _parts(self, inside: NDArray[np.bool_], seed: int) -> NDArray[np.int64] | None:
        """For each row the part it is held out in; -1 outside. None: too few groups to hold any out."""
        keys = [self.groups[row] for row in np.flatnonzero(inside)]
        parts = min(self.terms.parts, len(set(keys)))
        if parts < 2:
            return None
        part = np.full(len(inside), -1, np.int64)
        part[inside] = grouped_folds(keys, parts, seed)
        return part

    def _found(self, left: Bits, part: NDArray[np.int64]) -> dict[tuple[str, tuple[Clause, ...]], Bits]:
        """Each rule that some parts gave, with the rows of the parts that were held out then."""
        wanted, table = Wanted(self.least, deepest=self.terms.deepest), self.rows.table
        found: dict[tuple[str, tuple[Clause, ...]], Bits] = {}
        for each in range(int(part.max()) + 1):
            grow, held = packed((part != each) & (part >= 0)) & left, packed(part == each) & left
            for action, hits in self.hits.items():
                if int(count(hits & grow)) < wanted.rows:
                    continue
                for rule in rules_for(self.rows, grow, grow & hits, wanted):
                    key = action, tuple(table.clauses[place] for place in sorted(rule.clauses))
                    found[key] = found[key] | held if key in found else held
        return found

    def _judged(self, found: Mapping[tuple[str, tuple[Clause, ...]], Bits], left: Bits) -> list[Rule]:
        """Those that hold on the rows held out."""
        judged, ps = list[Rule](), list[float]()
        for (action, clauses), held in found.items():
            rule = self._rule(action, clauses, left, held)
            base = int(count(held & self.hits[action])) / max(1, int(count(held)))
            ps.append(_chance(rule.held, base))
            judged.append(rule)
        corrected = zip(judged, benjamini_hochberg(ps), strict=True)
        held_up = [(rule, p) for rule, p in corrected if p <= self.terms.alpha and self._enough(rule.held)]
        return [msgspec.structs.replace(self._simpler(rule, left), p=p) for rule, p in held_up]

    def _rule(self, action: str, clauses: tuple[Clause, ...], left: Bits, held: Bits) -> Rule:
        bits = self.rows.table.every(clauses, left)
        return Rule(action, clauses, bits, self.rows.sure(bits & held, self.hits[action], 0.8), held, 1.0)

    def _enough(self, held: Sure, least: float = 1.0) -> bool:
        terms, least = self.terms, min(self.least, least)
        return (
            held.n >= terms.rows
            and held.runs >= terms.groups
            and held.share >= least
            and held.low >= min(terms.surely, least)
        )

    def _simpler(self, rule: Rule, left: Bits) -> Rule:
        """The rule without a clause that keeps out what is as good, on the rows held out."""
        for clause in reversed(rule.clauses if len(rule.clauses) > 1 else ()):
            others = tuple(each for each in rule.clauses if each != clause)
            shorter = self._rule(rule.action, others, left, rule.seen)
            more, hits = shorter.held.n - rule.held.n, shorter.held.hits - rule.held.hits
            least = min(self.least, self.terms.agreement)
            if self._enough(shorter.held, least) and hits >= (least - AS_GOOD) * more:
                return self._simpler(shorter, left)
        return rule

    def _ordered(self, rules: Sequence[Rule], left: Bits) -> list[Rule]:
        """The surest first, each on the rows that none before it takes, and with enough of them."""
        strength = [each.held.low + self.rows.sure(each.bits, self.hits[each.action], 0.9).low for each in rules]
        kept, least = list[Rule](), min(self.least, self.terms.agreement)
        for place in sorted(range(len(rules)), key=lambda place: (-strength[place], str(rules[place].clauses))):
            each = rules[place]
            own = each.bits & left
            n, k = int(count(own)), int(count(own & self.hits[each.action]))
            if n < max(self.terms.rows, int(count(each.bits)) // 10) or k < least * n:
                continue
            told = self.judge.told(msgspec.structs.replace(each, bits=own))
            if not self._enough(told.held, least):
                continue
            left = left & ~own
            kept.append(told)
        return kept

    def rows_of(self, rule: Rule) -> list[Chosen]:
        """The choices that the rule takes."""
        return [self.chosen[row] for row in places_of(rule.bits, len(self.chosen))]


def _chance(sure: Sure, base: float) -> float:
    """How likely a rule that says nothing has such a share, every group counting once."""
    if not sure.n:
        return 1.0
    hits = int(sure.share * sure.runs)
    return float(scipy_stats().binom.sf(hits - 1, sure.runs, base))


def proposals(mine: Mine, rules: Sequence[Rule], first: int = 1, step: str = "") -> list[Proposal]:
    """The rules with all their evidence, numbered from `first`."""
    found = list[Proposal]()
    for number, rule in enumerate(rules, first):
        ahead = (n for n, each in enumerate(rules[: number - first], first) if _otherwise(mine, each, rule))
        found.append(_told(mine, rule, number, step, tuple(ahead)))
    return found


def _otherwise(mine: Mine, one: Rule, rule: Rule) -> bool:
    """Whether one takes choices where the rule holds too, and says something else there."""
    return one.action != rule.action and bool(mine.rows.table.every(rule.clauses, one.bits).any())


def _told(mine: Mine, rule: Rule, number: int, step: str, behind: tuple[int, ...]) -> Proposal:
    own = mine.rows_of(rule)
    fired = {each.run_id for each in own}
    usd, seconds = (
        [value for each in own if (value := getattr(each, name)) is not None] for name in ("usd", "seconds")
    )
    return Proposal(
        number,
        step,
        rule.action,
        tuple(map(str, rule.clauses)),
        behind,
        len(own),
        len(fired),
        len({each.group for each in own}),
        rule.held.n,
        round(rule.held.share, 4),
        round(lower_bound(rule.held.hits, rule.held.n), 4),
        rule.p,
        sum(each.rule != rule.action for each in own),
        _share_of(mine.chosen, fired, inside=True),
        _share_of(mine.chosen, fired, inside=False),
        sum(usd) if usd else None,
        sum(seconds) if seconds else None,
        _drift(mine, rule),
    )


def _drift(mine: Mine, rule: Rule) -> Drift | None:
    own = [(mine.chosen[place], mine.actions[place] == rule.action) for place in places_of(rule.bits, len(mine.chosen))]
    if any(choice.at is None for choice, _ in own):
        return None
    own.sort(key=lambda each: each[0].at or 0.0)
    hits = np.array([hit for _, hit in own], np.bool_)
    return drift_of(hits[witnesses([choice.run_id for choice, _ in own])])


def _share_of(chosen: Sequence[Chosen], fired: set[str], *, inside: bool) -> float | None:
    """The share of runs that ended well, of those a rule fired in or of the others; None where nobody knows."""
    known = {each.run_id: each.success for each in chosen if each.success is not None}
    said = [success for run, success in known.items() if (run in fired) == inside]
    return round(fmean(said), 4) if said else None


class Coverage(msgspec.Struct, frozen=True):
    """How much rules take over on groups they were not mined on, one entry a partition."""

    taken_over: tuple[float, ...]
    agreement: tuple[float, ...]
    rules: tuple[float, ...]


def coverage(mine: Mine, partitions: int = 20, folds: int = 5, on_partition: Any = None) -> Coverage:
    """Mine on all folds but one and take over the one left out; for each partition over all its folds together."""
    found = list[tuple[float, float, float]]()
    for seed in range(partitions):
        fold, taken, right, rules = grouped_folds(mine.groups, folds, seed), 0, 0, 0
        for each in range(folds):
            mined, left = mine.rules(fold != each, seed), packed(fold == each)
            rules += len(mined)
            for rule in mined:
                here = mine.rows.table.every(rule.clauses, left)
                left = left & ~here
                taken += int(count(here))
                right += int(count(here & mine.hits[rule.action]))
        found.append((taken / len(mine.chosen), right / taken if taken else 1.0, rules / folds))
        if on_partition is not None:
            on_partition(seed + 1, partitions)
    return Coverage(*(tuple(column) for column in zip(*found, strict=True)))
