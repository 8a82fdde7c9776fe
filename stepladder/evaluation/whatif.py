"""What would have changed under another classifier, over everything that was recorded, at the speed of a look.

Up to the first decision that would have gone another way a run is what it was: that decision is exact. From there on
the run would have been another one, and nobody knows which: what follows is told as unknown, never as a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.classifier import Classifier
from stepladder.clauses import AnyOf, Clause, Condition
from stepladder.errors import InputError
from stepladder.evaluation.columns import Columns
from stepladder.evaluation.mask import Mask
from stepladder.evaluation.verdicts import Masks, classify_columns

Array = NDArray[Any]


class Past(msgspec.Struct, frozen=True, eq=False):
    """Recorded decisions, those of one run together and in order.

    `first` and `length`: each run's first row and its rows. `complex` and `hybrid`: the rows that were judged so;
    `counts` those that count at all. `failed`: by run 1 or 0, NaN where nobody knows.
    """

    columns: Columns
    runs: tuple[str, ...]
    first: Array
    length: Array
    complex: Mask
    hybrid: Mask
    counts: Mask
    failed: Array

    @property
    def rows(self) -> int:
        """How many decisions there are."""
        return self.columns.rows


class Answer(msgspec.Struct, frozen=True, eq=False, dict=True):
    """What one setting would have changed.

    `changes` are the first decisions that go another way, one a run at most: these are exact. `up` of them would have
    been judged less ordinary, the others more ordinary. `same` decisions come before any change, `unknown` ones after
    one. `escalates`: decisions judged complex on the recorded path, in `escalated` runs; of these `known` have an end
    that is known, and `failing` failed, of `failures` failing runs in all.
    """

    name: str
    past: Past
    changes: Mask
    up: int
    same: int
    unknown: int
    escalates: int
    escalated: int
    failing: int
    known: int
    failures: int

    @cached_property
    def at(self) -> dict[str, int]:
        """By run that it changes, the place of that decision in its run, from 0."""
        rows = np.flatnonzero(self.changes.flags())
        places = np.searchsorted(self.past.first, rows, side="right") - 1
        return {
            self.past.runs[place]: int(row - self.past.first[place]) for place, row in zip(places, rows, strict=True)
        }

    @property
    def changed(self) -> int:
        """How many runs it changes."""
        return self.changes.count()

    @property
    def precision(self) -> float | None:
        """The share of escalated runs that failed, of those whose end is known; None without any."""
        return self.failing / self.known if self.known else None

    @property
    def recall(self) -> float | None:
        """The share of failing runs that are escalated; None without any."""
        return self.failing / self.failures if self.failures else None


class WhatIf:
    """Asks settings of one past. A clause is looked up once, however many settings have it."""

    def __init__(self, past: Past) -> None:
        self.past, self.masks = past, Masks(past.columns)
        self._runs = _Runs(past)
        self._complex, self._hybrid = past.complex & past.counts, past.hybrid & past.counts
        self._any = self._complex | self._hybrid
        self._failed, self._known = (_rows_of(past, flags) for flags in (past.failed == 1, past.failed >= 0))
        self._failures = int((past.failed == 1).sum())

    def ask(self, name: str, classifier: Classifier) -> Answer:
        """What this classifier would have changed. Raises InputError: a signal has no column."""
        past, routes = self.past, classify_columns(classifier, self.masks)
        complex_, hybrid = routes.complex & past.counts, routes.hybrid & past.counts
        higher = (complex_ - self._complex) | (hybrid - self._any)
        lower = (self._complex - complex_) | (self._hybrid - (complex_ | hybrid))
        changes, until = self._runs.first(higher | lower)
        escalated, _ = self._runs.first(complex_)
        return Answer(
            name,
            past,
            changes,
            (changes & higher).count(),
            until - changes.count(),
            past.rows - until,
            complex_.count(),
            escalated.count(),
            (escalated & self._failed).count(),
            (escalated & self._known).count(),
            self._failures,
        )

    def ask_all(self, settings: Mapping[str, Classifier]) -> list[Answer]:
        """Each of them."""
        return [self.ask(name, classifier) for name, classifier in settings.items()]


class _Runs:
    """Where runs begin and end, as bits of one long number, the first row the lowest.

    The first row of a mask in each run is found by one addition: with m the mask and the end of every run, a = not m
    has ones from a run's start up to its first row of m. Adding one at each start carries through these ones and
    comes to rest there; no carry leaves its run, since its end is in m.
    """

    def __init__(self, past: Past) -> None:
        starts, ends = (np.zeros(past.rows, np.bool_) for _ in range(2))
        starts[past.first] = ends[past.first + past.length - 1] = True
        self.rows, self.size = past.rows, len(past.counts.bits) * 8
        self.starts, self.inside = _number(Mask.of(starts)), ~Mask.of(ends).bits & Mask.every(past.rows).bits

    def first(self, mask: Mask) -> tuple[Mask, int]:
        """The first row of the mask in each run; and how many rows there are up to these, in a run without one all."""
        others = self.inside & ~mask.bits
        carried = int.from_bytes(others.tobytes(), "little") + self.starts
        found = np.frombuffer(carried.to_bytes(self.size, "little"), np.uint64)
        return Mask(found & mask.bits, self.rows), int(np.bitwise_count(found ^ others).sum())


def _number(mask: Mask) -> int:
    return int.from_bytes(mask.bits.tobytes(), "little")


def _rows_of(past: Past, runs: Array) -> Mask:
    """Every row of these runs."""
    return Mask.of(np.repeat(runs, past.length))


NOTHING = Classifier(AnyOf(), AnyOf())


def changed(classifier: Classifier, clauses: Sequence[Clause]) -> Classifier:
    """The classifier with each clause in place of those about the same signal in the same direction; one that has none
    is a further reason for complex. Several clauses that are new hold together."""
    found, new = classifier, list[Clause]()
    for clause in clauses:
        replaced = Classifier(_with(found.complex, clause), _with(found.hybrid, clause))
        if repr(replaced) == repr(found) and not _there(found, clause):
            new.append(clause)
        found = replaced
    if not new:
        return found
    name = " and ".join(map(str, new))
    return Classifier(AnyOf({**found.complex.named, name: Condition(new)}), found.hybrid)


def _with(any_of: AnyOf, clause: Clause) -> AnyOf:
    return AnyOf(
        {
            name: Condition(clause if _alike(each, clause) else each for each in condition.clauses)
            for name, condition in any_of.named.items()
        }
    )


def _there(classifier: Classifier, clause: Clause) -> bool:
    return any(_alike(each, clause) for each in (*classifier.complex.clauses(), *classifier.hybrid.clauses()))


def _alike(one: Clause, other: Clause) -> bool:
    return one.signal == other.signal and one.op[0] == other.op[0]


def past_of(
    columns: Columns,
    lengths: Iterable[int],
    complex_: Array,
    hybrid: Array,
    *,
    runs: Sequence[str] = (),
    counts: Array | None = None,
    failed: Iterable[bool | float | None] = (),
) -> Past:
    """A past from columns and how many rows each run has; flags say which rows were judged complex and hybrid.

    Raises:
        InputError: the rows of the runs are not those of the columns.
    """
    length = np.fromiter(lengths, np.int64)
    if int(length.sum()) != columns.rows or (length < 1).any():
        raise InputError("what-if", "", f"runs of {length.tolist()[:5]} ... rows", f"{columns.rows}, one or more a run")
    known = [np.nan if each is None else float(each) for each in failed] or [np.nan] * len(length)
    return Past(
        columns,
        tuple(runs) or tuple(map(str, range(len(length)))),
        np.cumsum(length) - length,
        length,
        Mask.of(complex_),
        Mask.of(hybrid),
        Mask.every(columns.rows) if counts is None else Mask.of(counts),
        np.array(known),
    )
