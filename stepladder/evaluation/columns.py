"""Facts as columns.

A column holds for each row the place of its value among the distinct values, sorted: first the numbers, then false and
true, then the words; the last place is that of everything which satisfies no clause (missing, null, NaN, a list, a
mapping). So each kind is one range of places, a clause is a smaller one within it, and a million rows are asked by
comparing small integers. Where that range lies is found by bisection in Python's own numbers, which compare exactly
whatever their size: an integer beyond 2**53 is not taken for its neighbour.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.clauses import Clause, Facts, reader
from stepladder.clauses.grammar import Literal
from stepladder.errors import InputError
from stepladder.evaluation.mask import Mask

Places = NDArray[Any]
FLAGS: Final = (False, True)
_DENSE: Final = 2**16
"""Whole numbers within a span like this need not be sorted: their place is their distance from the smallest."""

_SPAN: Final[dict[str, Callable[[int, int, int], tuple[int, int]]]] = {
    "==": lambda left, right, _: (left, right),
    "<": lambda left, _, __: (0, left),
    "<=": lambda _, right, __: (0, right),
    ">": lambda _, right, end: (right, end),
    ">=": lambda left, _, end: (left, end),
}
"""Where the values lie that satisfy an operator, when those equal to the literal are from `left` to before `right`."""


class Column(msgspec.Struct, frozen=True, eq=False):
    """One signal's value in each row: its place in `numbers` + (False, True) + `words` + (nothing,)."""

    places: Places
    numbers: Sequence[float] = ()
    words: Sequence[str] = ()

    @staticmethod
    def of(values: Sequence[Any]) -> Column:
        """From plain values."""
        numbers = sorted({each for each in values if type(each) is int or (type(each) is float and each == each)})  # noqa: PLR0124 - NaN
        words = sorted({each for each in values if type(each) is str})
        number_at = {number: place for place, number in enumerate(numbers)}
        flag_at = {flag: place for place, flag in enumerate(FLAGS, len(numbers))}
        word_at = {word: place for place, word in enumerate(words, len(numbers) + len(FLAGS))}
        places: dict[type, dict[Any, int]] = {int: number_at, float: number_at, bool: flag_at, str: word_at}
        nothing = len(numbers) + len(FLAGS) + len(words)
        found = (at.get(each, nothing) if (at := places.get(type(each))) is not None else nothing for each in values)
        return Column(np.fromiter(found, np.min_scalar_type(nothing), len(values)), numbers, words)

    @staticmethod
    def of_array(values: NDArray[Any]) -> Column:
        """From an array; NaN is a missing value."""
        if values.dtype == np.bool_:
            return Column(values.astype(np.uint8))
        if values.dtype.kind not in "iuf":
            return Column.of(values.tolist())
        if values.dtype.kind in "iu" and len(values) and int(values.max()) - int(values.min()) < _DENSE:
            numbers = range(int(values.min()), int(values.max()) + 1)
            distance = np.subtract(values, values.min(), dtype=np.int64)
            return Column(distance.astype(np.min_scalar_type(len(numbers) + len(FLAGS))), numbers)
        distinct, places = np.unique(values, return_inverse=True)
        sorted_ = distinct[distinct == distinct].tolist()  # noqa: PLR0124 - NaN comes last
        nothing = len(sorted_) + len(FLAGS)
        places = np.where(places < len(sorted_), places, nothing)
        return Column(places.astype(np.min_scalar_type(nothing)), sorted_)

    def take(self, rows: NDArray[np.intp]) -> Column:
        """The column of these rows, in this order."""
        return Column(self.places[rows], self.numbers, self.words)

    def holds(self, clause: Clause) -> Mask:
        """The rows whose value satisfies the clause. Its signal is not looked at."""
        begin, values = self._kind(clause.literal)
        left, right = bisect_left(values, clause.literal), bisect_right(values, clause.literal)
        if clause.op == "!=":
            return self._within(begin, begin + len(values)) - self._within(begin + left, begin + right)
        start, end = _SPAN[clause.op](left, right, len(values))
        return self._within(begin + start, begin + end)

    def _kind(self, literal: Literal) -> tuple[int, Sequence[Any]]:
        """Where the values of the literal's kind begin, and what they are."""
        if isinstance(literal, bool):
            return len(self.numbers), FLAGS
        if isinstance(literal, str):
            return len(self.numbers) + len(FLAGS), self.words
        return 0, self.numbers

    def _within(self, start: int, end: int) -> Mask:
        if start >= end:
            return Mask.none(len(self.places))
        if start == 0:
            return Mask.of(self.places < end)
        return Mask.of(self.places - start < end - start)  # what lies below the start wraps around to the far end


class Columns(msgspec.Struct, frozen=True, eq=False):
    """Many rows of facts: a column for each name that clauses read."""

    rows: int
    columns: dict[str, Column]

    @staticmethod
    def of(rows: Iterable[Facts], names: Iterable[str]) -> Columns:
        """From facts, one row each, with a column for each of these signals or dotted paths.

        Only what is read of a row is kept, so the rows of a large journal may be made one by one.
        """
        read = {name: reader(name) for name in names}
        table = [[value(row) for value in read.values()] for row in rows]
        values = zip(*table, strict=True) if table else repeat(())
        return Columns(len(table), {name: Column.of(column) for name, column in zip(read, values, strict=False)})

    @staticmethod
    def of_arrays(arrays: Mapping[str, NDArray[Any]]) -> Columns:
        """From arrays of one length, a value for each row: see `Column.of_array`. Raises InputError: they differ."""
        rows = {len(array) for array in arrays.values()}
        if len(rows) != 1:
            raise InputError("columns", "", f"arrays of {sorted(rows)} rows", "one or more, all of one length")
        return Columns(rows.pop(), {name: Column.of_array(array) for name, array in arrays.items()})

    def take(self, rows: NDArray[np.intp]) -> Columns:
        """These rows, in this order."""
        return Columns(len(rows), {name: column.take(rows) for name, column in self.columns.items()})

    def holds(self, clause: Clause) -> Mask:
        """The rows where the clause holds.

        Raises:
            InputError: there is no column of the clause's signal.
        """
        column = self.columns.get(clause.signal)
        if column is None:
            there = ", ".join(self.columns) or "none"
            raise InputError("columns", "", f"no column {clause.signal!r} for `{clause}`", f"one of: {there}")
        return column.holds(clause)
