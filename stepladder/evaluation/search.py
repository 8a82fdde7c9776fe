"""Rules for one action, found one after the other: each time the one that covers most of what is left.

Beam search over lists of clauses, by the gain of Quinlan's FOIL (1990). Of all lists seen on the way the one with the
most hits is kept whose agreement is high enough and surely so; its rows are taken away, and it begins anew. A clause
that its rule can do without is taken out again.

Rows of one run are not independent witnesses. So a share counts as if of fewer rows (Kish's design effect): n rows in
runs of sizes m_i count as n / (1 + (sum m_i^2 / n - 1) rho).
"""

from __future__ import annotations

from math import log2, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.literals import Bits, Literals, count, places_of

RHO: Final = 0.3
"""How alike the rows of one run are taken to be."""
LOOKED_AT: Final = 15
"""Of the widest lists of clauses at one depth so many are looked at closely."""


class Wanted(msgspec.Struct, frozen=True):
    """What a rule must reach on the rows it is found on: this agreement, surely (at this confidence) no less than
    `slack` below it, in so many rows of so many runs."""

    agreement: float = 0.95
    slack: float = 0.03
    level: float = 0.8
    rows: int = 15
    runs: int = 5
    deepest: int = 3
    beam: int = 6


class Found(NamedTuple):
    """The places of a rule's clauses, in order, and the rows where all hold."""

    clauses: tuple[int, ...]
    bits: Bits


class Sure(NamedTuple):
    """`hits` of `n` rows in `runs` runs, and what their share exceeds at the level asked for."""

    hits: int
    n: int
    runs: int
    low: float

    @property
    def share(self) -> float:
        """Hits of rows."""
        return self.hits / self.n if self.n else 0.0


class Rows(msgspec.Struct, frozen=True, eq=False):
    """The rows that are searched: the clauses over them, and the number of each row's run."""

    table: Literals
    run: NDArray[np.int64]

    def sure(self, bits: Bits, hits: Bits, level: float) -> Sure:
        """How many of these rows are hits, and how sure that is."""
        n, k = int(count(bits)), int(count(bits & hits))
        if not n:
            return Sure(0, 0, 0, 0.0)
        sizes = np.bincount(self.run[places_of(bits, self.table.rows)])
        sizes = sizes[sizes > 0]
        effective = n / (1 + (float((sizes**2).sum()) / n - 1) * RHO)
        return Sure(k, n, len(sizes), _low(k / n, effective, level))


def _low(share: float, n: float, level: float) -> float:
    """Wilson's lower bound of a share of `n`, which may be no whole number."""
    z = NormalDist().inv_cdf(level)
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n))


def rules_for(rows: Rows, within: Bits, hits: Bits, wanted: Wanted, most: int = 60) -> list[Found]:
    """Rules that hold `within` these rows and whose action was taken in `hits`, in the order they were found."""
    found, left = list[Found](), within
    while len(found) < most and int(count(left & hits)) >= wanted.rows:
        best = _Search(rows, left, left & hits, wanted).widest()
        if best is None:
            break
        found.append(best)
        left = left & ~best.bits
    return found


class _Search:
    """One search, among the rows that are left."""

    def __init__(self, rows: Rows, left: Bits, hits: Bits, wanted: Wanted) -> None:
        self.rows, self.left, self.hits, self.wanted = rows, left, hits, wanted
        self.base = max(1e-9, int(count(hits)) / max(1, int(count(left))))
        self.able = np.flatnonzero(count(rows.table.bits & hits) >= wanted.rows)
        self.bits = rows.table.bits[self.able]

    def widest(self) -> Found | None:
        best, beam = None, [Found((), self.left)]
        for _ in range(self.wanted.deepest):
            grown = list[tuple[float, int, Found]]()
            for each in beam:
                wider = self._grow(each, grown, int(count(best.bits & self.hits)) if best else 0)
                best = wider or best
            beam = self._best(grown)
        return self._without_needless(best) if best else None

    def _grow(self, each: Found, grown: list[tuple[float, int, Found]], most: int) -> Found | None:
        """Put every clause behind it; gives the widest of these that will do, if it has more than `most` hits."""
        hits = each.bits & self.hits
        words = np.flatnonzero(hits)  # most actions are rare: few words of 64 rows have one
        k = count(self.bits[:, words] & hits[words])
        able = np.flatnonzero(k >= self.wanted.rows)
        k, bits = k[able], self.bits[able] & each.bits
        n, clauses = count(bits), self.able[able]
        before = int(count(each.bits & self.hits)) / max(1, int(count(each.bits)))
        better = np.flatnonzero(k > before * n)
        gains = k[better] * (np.log2(k[better] / n[better]) - log2(self.base))
        for place in np.argsort(-gains, kind="stable")[: 3 * self.wanted.beam]:
            clause = int(clauses[better[place]])
            if clause not in each.clauses:
                grown.append((float(gains[place]), clause, Found((*each.clauses, clause), bits[better[place]])))
        likely = better[(k[better] >= self.wanted.agreement * n[better]) & (k[better] > most)]
        for place in likely[np.argsort(-k[likely], kind="stable")][:LOOKED_AT]:
            if self._enough(bits[place]):
                return Found((*each.clauses, int(clauses[place])), bits[place].copy())
        return None

    def _enough(self, bits: Bits) -> bool:
        wanted = self.wanted
        sure = self.rows.sure(bits, self.hits, wanted.level)
        wide = sure.n >= wanted.rows and sure.runs >= wanted.runs
        return wide and sure.share >= wanted.agreement and sure.low >= wanted.agreement - wanted.slack

    def _best(self, grown: list[tuple[float, int, Found]]) -> list[Found]:
        """The best that hold in different rows."""
        seen, kept = set[bytes](), list[Found]()
        for _, _, each in sorted(grown, key=lambda item: (-item[0], item[1])):
            key = each.bits.tobytes()
            if key not in seen:
                seen.add(key)
                kept.append(each)
            if len(kept) == self.wanted.beam:
                break
        return kept

    def _without_needless(self, found: Found) -> Found:
        """The rule without the clauses it is as good without, the latest first."""
        for clause in reversed(found.clauses):
            others = tuple(each for each in found.clauses if each != clause)
            bits = self.rows.table.every((self.rows.table.clauses[each] for each in others), self.left)
            if others and self._enough(bits):
                return self._without_needless(Found(others, bits))
        return found
