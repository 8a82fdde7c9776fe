"""A list of rules made better step by step, as long as a step is worth it (hill climbing).

Rules are found one by one and at coarse thresholds, so one that is true comes back in pieces, with a threshold near the
true one, or with clauses that only keep out what another rule says. Here the list is looked at as a whole: the first
rule that holds decides. A choice that a rule gets right is worth 1, one that it gets wrong costs `price`, and each
clause costs `length`. A threshold is moved to where it is worth most, two rules for one action become one, a clause or
a rule is left out, a clause is put in, wherever the list is worth more then. Such steps after the search are those of
RIPPER (Cohen, Fast Effective Rule Induction, 1995); it measures the length of a description, we what rules are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import ceil
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.clauses import Clause
from stepladder.evaluation.literals import Bits, Literals, count, places_of, threshold
from stepladder.evaluation.mined_rules import Rule

TINY: Final = 1e-9
"""What is worth more by less than this is worth the same."""
LONGEST: Final = 5
"""No rule is given more clauses than this: one more than a search finds."""
DEAR: Final = 4.0
"""A new clause is to be worth so many lengths more than it costs: the best of hundreds is worth something by chance."""
Clauses = tuple[Clause, ...]
Step = tuple[list[Rule], int, float]
Values = NDArray[np.float64]


class Climb:
    """One list of rules on the rows `inside`, and what it is worth."""

    def __init__(
        self, kept: Sequence[Rule], table: Literals, hits: Mapping[str, Bits], inside: Bits, price: float, length: float
    ) -> None:
        self.table, self.hits, self.price, self.length = table, hits, price, length
        self.kept, self.before = list(kept), [(inside, 0.0)]
        self.before = self._passed(self.kept)

    def best(self) -> list[Rule]:
        """The list when no step is worth more, its thresholds as round as they can be."""
        while sum(self._better(*each) for each in self._steps()):
            pass
        for i, rule in enumerate(self.kept):
            for place in range(len(rule.clauses)):
                for rounder, same, _ in self._moved(i, place):
                    self._better(rounder, same, -TINY)
        return self.kept

    def _passed(self, kept: Sequence[Rule], same: int = 0) -> list[tuple[Bits, float]]:
        """For each i the rows that the first i rules leave, and what these rules are worth; the first `same` rules are
        as they were."""
        before = self.before[: same + 1]
        left, worth = before[-1]
        for rule in kept[same:]:
            own = self.table.every(rule.clauses, left)
            n, k = int(count(own)), int(count(own & self.hits[rule.action]))
            worth += k - self.price * (n - k) - self.length * len(rule.clauses)
            left = left & ~own
            before.append((left, worth))
        return before

    def _better(self, kept: list[Rule], same: int, least: float) -> bool:
        """Take this list, if it is worth so much more."""
        before = self._passed(kept, same)
        better = before[-1][1] > self.before[-1][1] + least
        if better:
            self.kept, self.before = kept, before
        return better

    def _steps(self) -> Iterator[Step]:
        """Lists that differ by one step, how many of their first rules do not, and what the step has to be worth. What
        is taken goes on at once."""
        for i in range(len(self.kept)):
            for place in range(len(self.kept[i].clauses)):
                yield from self._moved(i, place)
        for i, j in combinations(range(len(self.kept)), 2):
            if j < len(self.kept) and self.kept[i].action == self.kept[j].action:
                yield from self._one_of_two(i, j)
        for i in reversed(range(len(self.kept))):
            yield from self._shorter(i)
        for i in range(len(self.kept)):
            yield from self._longer(i)

    def _moved(self, i: int, place: int) -> Iterator[Step]:
        """Rule i with another threshold: the best one."""
        rule, (left, _) = self.kept[i], self.before[i]
        clause = rule.clauses[place]
        if clause.op == "==":
            return
        others = self.table.every((*rule.clauses[:place], *rule.clauses[place + 1 :]), left)
        taken, left_over = [msgspec.structs.replace(rule, clauses=())], self.kept[i + 1 :]
        value = self._value(taken, others) - self._value(left_over, others)
        rows = places_of(others, self.table.rows)
        best = _threshold(self.table.numbers[clause.signal][rows], value[rows], clause.op)
        if best is not None and best != clause.literal:
            clauses = (*rule.clauses[:place], threshold(clause.signal, clause.op, best), *rule.clauses[place + 1 :])
            yield [*self.kept[:i], msgspec.structs.replace(rule, clauses=clauses), *self.kept[i + 1 :]], i, TINY

    def _value(self, kept: Sequence[Rule], rows: Bits) -> Values:
        """What each of the rows is worth under these rules."""
        value = np.zeros(self.table.rows)
        for rule in kept:
            own = self.table.every(rule.clauses, rows)
            value[places_of(own, self.table.rows)] = -self.price
            value[places_of(own & self.hits[rule.action], self.table.rows)] = 1.0
            rows = rows & ~own
        return value

    def _one_of_two(self, i: int, j: int) -> Iterator[Step]:
        """One rule for what rules i and j say: in the place of one of them, or the last."""
        kept, one, two = self.kept, self.kept[i], self.kept[j]
        others = [*kept[:i], *kept[i + 1 : j], *kept[j + 1 :]]
        for clauses in _for_both(one.clauses, two.clauses):
            rule = msgspec.structs.replace(one, clauses=clauses, seen=one.seen | two.seen, p=min(one.p, two.p))
            for place in dict.fromkeys((i, j - 1, len(others))):
                if kept is self.kept:
                    yield [*others[:place], rule, *others[place:]], i, TINY

    def _longer(self, i: int) -> Iterator[Step]:
        """Rule i with one more clause: the best one."""
        rule, (left, _) = self.kept[i], self.before[i]
        own = self.table.every(rule.clauses, left)
        words = np.flatnonzero(own)
        under = self.table.bits[:, words] & own[words]
        right = count(under & self.hits[rule.action][words])
        worth = right - self.price * (count(under) - right)
        if len(worth) and len(rule.clauses) < LONGEST:
            clauses = (*rule.clauses, self.table.clauses[int(np.argmax(worth))])
            longer = msgspec.structs.replace(rule, clauses=clauses)
            yield [*self.kept[:i], longer, *self.kept[i + 1 :]], i, DEAR * self.length

    def _shorter(self, i: int) -> Iterator[Step]:
        """Rule i without one of its clauses, in its place or a later one; the list without it."""
        kept, rule = self.kept, self.kept[i]
        others = [*kept[:i], *kept[i + 1 :]]
        for clause in rule.clauses if len(rule.clauses) > 1 else ():
            shorter = msgspec.structs.replace(rule, clauses=tuple(each for each in rule.clauses if each != clause))
            for place in range(i, len(kept)):
                if kept is self.kept:
                    yield [*others[:place], shorter, *others[place:]], i, TINY
        if kept is self.kept:  # what is right more often than it may err is not left out for its length
            yield others, i, self.length * len(rule.clauses)


def _for_both(one: Clauses, two: Clauses) -> list[Clauses]:
    """What may hold where either does: the clauses that both have, thresholds at the wider of two, or one's own."""
    common = tuple(each for each in one if each in two)
    wider = list[Clause]()
    for each in one:
        same = [other for other in two if (other.signal, other.op) == (each.signal, each.op)]
        if each in two:
            wider.append(each)
        elif each.op != "==" and same:
            widest = min if each.op == ">=" else max
            wider.append(widest(each, *same, key=lambda clause: clause.literal))
    return [clauses for clauses in dict.fromkeys((common, tuple(wider), one, two)) if clauses]


def _threshold(numbers: Values, value: Values, op: str) -> float | None:
    """Where to cut so that the rows kept are worth most, at the roundest number in the gap. None: nothing to cut."""
    known = np.isfinite(numbers)
    sign = 1.0 if op == "<=" else -1.0
    numbers, value = sign * numbers[known], value[known]
    order = np.argsort(numbers, kind="stable")
    numbers, worth = numbers[order], np.cumsum(value[order])
    ends = np.flatnonzero(np.append(numbers[1:] != numbers[:-1], True)) if len(numbers) else np.zeros(0, np.int64)
    if not len(ends):
        return None
    best = int(np.argmax(worth[ends]))
    last = float(numbers[ends[best]])
    following = float(numbers[ends[best + 1]]) if best + 1 < len(ends) else None
    return sign * _roundest(last, following)


def _roundest(last: float, following: float | None) -> float:
    """The number with the fewest digits that is no less than `last` and less than `following`."""
    if following is None:
        return last
    for digits in range(-9, 12):
        step = 10.0**-digits
        found = round(ceil(last / step) * step, max(digits, 0))
        if last <= found < following:
            return found
    return last
