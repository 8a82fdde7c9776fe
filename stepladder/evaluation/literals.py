"""The clauses that a rule may be made of, and in which rows each holds, a bit a row.

Words and flags are asked for by `==`, numbers by `>=` and `<=` at the values that cut the rows into even parts. No
label is looked at here.
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
CUTS: Final = 16
"""Numbers with more values than this are cut at so many of them."""
WORDS: Final = 120
"""Of one kind (heard.*, said.*) the most frequent so many names are looked at."""


class Literals(msgspec.Struct, frozen=True, eq=False):
    """Clauses and where they hold: `bits[i]` has a bit for each row in which `clauses[i]` holds."""

    clauses: tuple[Clause, ...]
    bits: Bits
    rows: int


def packed(flags: NDArray[np.bool_]) -> Bits:
    """Flags (the last axis are rows) as bits, 64 a word."""
    rows = flags.shape[-1]
    bits = np.zeros((*flags.shape[:-1], -(-rows // 64) * 8), np.uint8)
    bits[..., : -(-rows // 8)] = np.packbits(flags, axis=-1)
    return bits.view(np.uint64)


def literals(facts: Sequence[Mapping[str, Any]], fewest: int = 20) -> Literals:
    """Every clause that holds in at least so many rows and fails in as many."""
    rows, found, flags = len(facts), list[Clause](), list[NDArray[np.bool_]]()
    for name in _names(facts, fewest):
        values = [each.get(name) for each in facts]
        for clause, mask in _clauses(name, values, fewest):
            if fewest <= int(mask.sum()) <= rows - fewest:
                found.append(clause)
                flags.append(mask)
    table = np.array(flags, np.bool_) if flags else np.zeros((0, rows), np.bool_)
    return Literals(tuple(found), packed(table), rows)


def _names(facts: Sequence[Mapping[str, Any]], fewest: int) -> list[str]:
    counts = Counter(name for each in facts for name in each)
    kept, of_kind = list[str](), Counter[str]()
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        head = name.partition(".")[0]
        if count >= fewest and of_kind[head] < WORDS:
            of_kind[head] += 1
            kept.append(name)
    return sorted(kept)


def _clauses(name: str, values: Sequence[Any], fewest: int) -> Iterable[tuple[Clause, NDArray[np.bool_]]]:
    kinds = Counter(type(value) for value in values)
    if kinds[bool]:
        for flag in (True, False):
            yield Clause(name, "==", flag), np.array([value is flag for value in values])
    if kinds[str]:
        counts = Counter(value for value in values if type(value) is str)
        for word in sorted(word for word, count in counts.items() if count >= fewest and len(word) <= 80):
            yield Clause(name, "==", word), np.array([value == word for value in values])
    if kinds[int] or kinds[float]:
        yield from _thresholds(name, values)


def _thresholds(name: str, values: Sequence[Any]) -> Iterable[tuple[Clause, NDArray[np.bool_]]]:
    numbers = np.array([value if type(value) in (int, float) else np.nan for value in values], np.float64)
    distinct = np.unique(numbers[~np.isnan(numbers)])
    if len(distinct) > CUTS:
        some = np.quantile(numbers[~np.isnan(numbers)], np.linspace(0, 1, CUTS + 2)[1:-1], method="nearest")
        distinct = np.unique(some)
    for value in distinct:
        literal = int(value) if float(value).is_integer() else float(value)
        yield Clause(name, ">=", literal), numbers >= value
        yield Clause(name, "<=", literal), numbers <= value
