"""The clauses that a rule may be made of, and in which rows each holds, a bit a row.

Words and flags are asked for by `==`, numbers by `>=` and `<=`: searched at the values that cut the rows into even
parts, and told for any other (`Literals.of`). No label is looked at here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.clauses import Clause

Bits = NDArray[np.uint64]
Numbers = NDArray[np.float64]
CUTS: Final = 16
"""Numbers with more values than this are cut at so many of them."""
WORDS: Final = 120
"""Of one kind (heard.*, said.*) the most frequent so many names are looked at."""


class Literals(msgspec.Struct, frozen=True, eq=False):
    """Clauses and where they hold: `bits[i]` has a bit for each row in which `clauses[i]` holds. `numbers` are the
    values of the signals that have some, NaN where a row has none."""

    clauses: tuple[Clause, ...]
    bits: Bits
    rows: int
    numbers: Mapping[str, Numbers]
    known: dict[Clause, Bits]

    def of(self, clause: Clause) -> Bits:
        """Where the clause holds: one of these, or one with another threshold."""
        if clause not in self.known:
            values, limit = self.numbers[clause.signal], float(clause.literal)
            self.known[clause] = packed(values >= limit if clause.op == ">=" else values <= limit)
        return self.known[clause]

    def every(self, clauses: Iterable[Clause], rows: Bits) -> Bits:
        """Those of the rows where all of the clauses hold."""
        for clause in clauses:
            rows = rows & self.of(clause)
        return rows


def packed(flags: NDArray[np.bool_]) -> Bits:
    """Flags (the last axis are rows) as bits, 64 a word."""
    rows = flags.shape[-1]
    bits = np.zeros((*flags.shape[:-1], -(-rows // 64) * 8), np.uint8)
    bits[..., : -(-rows // 8)] = np.packbits(flags, axis=-1)
    return bits.view(np.uint64)


def count(bits: Bits) -> NDArray[np.int64]:
    """How many rows; of several, one number each."""
    found: NDArray[np.int64] = np.bitwise_count(bits).sum(axis=-1, dtype=np.int64)
    return found


def places_of(bits: Bits, rows: int) -> NDArray[np.intp]:
    """The rows that have their bit set, of so many."""
    return np.flatnonzero(np.unpackbits(bits.view(np.uint8), count=rows))


def literals(facts: Sequence[Mapping[str, Any]], fewest: int = 20) -> Literals:
    """Every clause that holds in at least so many rows and fails in as many."""
    rows, found, flags, numbers = len(facts), list[Clause](), list[NDArray[np.bool_]](), dict[str, Numbers]()
    for name in _names(facts, fewest):
        values = [each.get(name) for each in facts]
        kinds = Counter(type(value) for value in values)
        if kinds[int] or kinds[float]:
            given = (value if type(value) in (int, float) else np.nan for value in values)
            numbers[name] = np.fromiter(given, np.float64, rows)
        for clause, mask in _clauses(name, values, kinds, numbers.get(name), fewest):
            if fewest <= int(mask.sum()) <= rows - fewest:
                found.append(clause)
                flags.append(mask)
    table = packed(np.array(flags, np.bool_) if flags else np.zeros((0, rows), np.bool_))
    return Literals(tuple(found), table, rows, numbers, dict(zip(found, table, strict=True)))


def _names(facts: Sequence[Mapping[str, Any]], fewest: int) -> list[str]:
    counts = Counter(name for each in facts for name in each)
    kept, of_kind = list[str](), Counter[str]()
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        head = name.partition(".")[0]
        if count >= fewest and of_kind[head] < WORDS:
            of_kind[head] += 1
            kept.append(name)
    return sorted(kept)


def _clauses(
    name: str, values: Sequence[Any], kinds: Mapping[type, int], numbers: Numbers | None, fewest: int
) -> Iterable[tuple[Clause, NDArray[np.bool_]]]:
    if kinds.get(bool):
        for flag in (True, False):
            yield Clause(name, "==", flag), np.array([value is flag for value in values])
    if kinds.get(str):
        counts = Counter(value for value in values if type(value) is str)
        for word in sorted(word for word, count in counts.items() if count >= fewest and len(word) <= 80):
            yield Clause(name, "==", word), np.array([value == word for value in values])
    if numbers is not None:
        for value in _cuts(numbers[np.isfinite(numbers)]):
            yield threshold(name, ">=", value), numbers >= value
            yield threshold(name, "<=", value), numbers <= value


def threshold(name: str, op: str, value: float) -> Clause:
    """The clause that asks for this, a whole number as one."""
    return Clause(name, op, int(value) if float(value).is_integer() else float(value))


def _cuts(numbers: Numbers) -> Numbers:
    distinct = np.unique(numbers)
    if len(distinct) > CUTS:
        distinct = np.unique(np.quantile(numbers, np.linspace(0, 1, CUTS + 2)[1:-1], method="nearest"))
    return distinct
