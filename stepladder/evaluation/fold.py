"""Signals over recordings: a row for each observation, with what each signal says right after it.

Nothing is known before it was observed, so a row is what a run that decides there would have read. Counting signals are
computed over arrays; every other one, built in or your own, is folded by the very functions of a live run. Both ways
agree (`tests/evaluation/test_fold.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.clauses import Facts
from stepladder.errors import InputError
from stepladder.evaluation.columns import Column, Columns
from stepladder.evaluation.mask import Flags
from stepladder.signals import BUILTIN, Fold, Observation, Signal
from stepladder.signals.builtin import RECENT, human_intervention_required, validation_anomalies
from stepladder.values import canonical

Ints = NDArray[Any]
_WANTED: Final = human_intervention_required.name


class Observed(msgspec.Struct, frozen=True, eq=False, dict=True):
    """The observations of many runs as columns, those of one run together and in order.

    `first`: the row in which the row's run begins. `call` and `result` are numbers, equal where the call (step, agent
    and arguments) or the result (step and output) is equal; `call` is -1 where nobody was called. `anomalies`:
    declared scores of a result that are not valid.
    """

    first: Ints
    is_result: Flags
    is_answer: Flags
    ok: Flags
    call: Ints
    result: Ints
    empty: Flags
    wants_person: Flags
    anomalies: Ints

    @staticmethod
    def of(runs: Iterable[Iterable[Observation]]) -> Observed:
        """From observations whose outputs are plain values."""
        kept = [tuple(run) for run in runs]
        sizes = np.array([len(run) for run in kept], np.int32)
        seen = [each for run in kept for each in run]
        is_result = _flags([each.kind == "result" for each in seen])
        calls: dict[str, int] = {"": -1}
        return Observed(
            first=np.repeat(np.cumsum(sizes, dtype=np.int32) - sizes, sizes),
            is_result=is_result,
            is_answer=_flags([each.kind == "answer" for each in seen]),
            ok=_flags([each.returned == "ok" for each in seen]),
            call=_ints([calls.setdefault(each.call, len(calls)) for each in seen]),
            result=_ints(_result_numbers(seen)),
            empty=_flags([not each.output for each in seen]),
            wants_person=is_result & _flags([each.output.get(_WANTED) is True for each in seen]),
            anomalies=_ints([validation_anomalies.update(0, each) if each.scores else 0 for each in seen]),
        )

    @cached_property
    def calls(self) -> Calls:
        """The results of calls alone."""
        return Calls.of(self)

    @cached_property
    def errors(self) -> Ints:
        """In each row how many effects of its run did not return ok so far."""
        return self.total(self.is_result & ~self.ok)

    def newest(self, values: Ints, at: Flags) -> Ints:
        """In each row the value of the newest row of its run, itself included, that is one of `at`; 0 before."""
        row = np.maximum.accumulate(np.where(at, _row_numbers(at), -1))
        return np.where(row >= self.first, values[row], 0)

    def total(self, flags: Flags) -> Ints:
        """In each row how many rows of its run, itself included, have the flag."""
        counts = np.cumsum(flags, dtype=np.int32)
        return counts - (counts - flags)[self.first]


class Calls(msgspec.Struct, frozen=True, eq=False):
    """The results of calls, those of waits left out: rows, runs, calls and results; and for each observation whether
    its run had one by then, and the place of the newest."""

    row: Ints
    first: Ints
    call: Ints
    result: Ints
    known: Flags
    newest: Ints

    @staticmethod
    def of(seen: Observed) -> Calls:
        """Those among these observations."""
        is_call = seen.is_result & (seen.call >= 0)
        row = np.flatnonzero(is_call).astype(np.int32)
        newest = np.cumsum(is_call, dtype=np.int32) - 1
        known = np.zeros(len(is_call), np.bool_)
        if len(row):
            known = (newest >= 0) & (row[newest] >= seen.first)
        return Calls(row, seen.first[row], seen.call[row], seen.result[row], known, newest)

    def same(self, back: int) -> Flags:
        """Whether each result is the same as the one `back` calls before in its run."""
        same = np.zeros(len(self.row), np.bool_)
        same[back:] = (self.result[back:] == self.result[:-back]) & (self.first[back:] == self.first[:-back])
        return same

    def spread(self, values: Ints) -> Ints:
        """A value for each call, as one for each observation: that of the newest call, 0 before."""
        return np.where(self.known, values[self.newest], 0) if len(values) else np.zeros(len(self.known), np.int32)


def _row_numbers(rows: Flags | Ints) -> Ints:
    return np.arange(len(rows), dtype=np.int32)


def _flags(values: Sequence[bool]) -> Flags:
    return np.fromiter(values, np.bool_, len(values))


def _ints(values: Sequence[int]) -> Ints:
    return np.fromiter(values, np.int32, len(values))


def _result_numbers(seen: Iterable[Observation]) -> list[int]:
    """Results are equal where Python says so: where their texts are, and also where one has 1 and the other 1.0."""
    numbers: dict[tuple[str, Hashable], int] = {}
    by_text: dict[tuple[str, bytes], int] = {}
    found: list[int] = []
    for each in seen:
        text = each.step, canonical(each.output)
        number = by_text.get(text)
        if number is None:
            number = by_text[text] = numbers.setdefault((each.step, _hashable(each.output)), len(numbers))
        found.append(number)
    return found


def _hashable(value: Any) -> Hashable:
    """What equals another such value exactly where the plain values are equal."""
    if isinstance(value, Mapping):
        try:
            return frozenset(value.items())
        except TypeError:  # a list or a mapping is in it
            return frozenset((key, _hashable(item)) for key, item in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def fold_columns(signals: Iterable[Signal], runs: Iterable[Iterable[Observation]], names: Iterable[str]) -> Columns:
    """The signals after each observation of each run, a column for each of these names (`error_count`, `score.NAME`).

    Raises:
        InputError: a name is of none of the signals.
    """
    known, read = {each.name: each for each in signals}, tuple(names)
    roots = dict.fromkeys(name.partition(".")[0] for name in read)
    for root in roots:
        if root not in known:
            raise InputError("columns", "", f"the name {root!r}", f"one of: {', '.join(known)}")
    kept = [tuple(run) for run in runs]
    counted = [root for root in roots if root in COUNTED and known[root] is BUILTIN[root]]
    columns = count_columns(Observed.of(kept), counted).columns if counted else {}
    if left := [name for name in read if name not in columns]:
        fold = Fold(known[root] for root in roots if root not in counted)
        columns |= Columns.of(_folded(fold, kept), left).columns
    return Columns(sum(map(len, kept)), {name: columns[name] for name in read})


def _folded(fold: Fold, runs: Sequence[Sequence[Observation]]) -> Iterable[Facts]:
    for run in runs:
        memory, broken = fold.start(), dict[str, str]()
        for seen in run:
            memory, broken = fold.update(memory, broken, seen)
            yield fold.values(memory, broken)[0]  # one that has no value now may have one later, as in a run


def count_columns(seen: Observed, names: Iterable[str]) -> Columns:
    """The counting signals of these names, after each observation."""
    return Columns(len(seen.first), {name: Column.of_array(COUNTED[name](seen)) for name in names})


# --- the counting signals, over arrays


def _error_count(seen: Observed) -> Ints:
    return seen.errors


def _consecutive_errors(seen: Observed) -> Ints:
    return seen.errors - seen.newest(seen.errors, seen.is_result & seen.ok)


def _repeated_calls(seen: Observed) -> Ints:
    calls = seen.calls
    place = _row_numbers(calls.row)
    ordered = np.sort(calls.call.astype(np.int64) << 32 | place)  # a twentieth of what a stable argsort takes
    at = ordered & 0xFFFFFFFF
    call, first = ordered >> 32, calls.first[at]
    begins = np.ones(len(place), np.bool_)
    begins[1:] = (call[1:] != call[:-1]) | (first[1:] != first[:-1])
    times = np.empty(len(place), np.int32)
    times[at] = place - np.maximum.accumulate(np.where(begins, place, 0)) + 1
    return calls.spread(times)


def _repeated_results(seen: Observed) -> Ints:
    calls = seen.calls
    times = np.ones(len(calls.row), np.int8)
    for back in range(1, RECENT):
        times += calls.same(back)
    return calls.spread(times)


def _unusual_patterns(seen: Observed) -> Ints:
    calls = seen.calls
    once, twice = calls.same(1), calls.same(2)
    stuck = once & _before(once)
    oscillates = twice & _before(twice) & ~once
    return calls.spread(stuck.astype(np.int8) + oscillates + seen.empty[calls.row])


def _before(flags: Flags) -> Flags:
    """Each row's flag as it was in the row before."""
    return np.concatenate([np.zeros(min(1, len(flags)), np.bool_), flags[:-1]])


def _validation_anomalies(seen: Observed) -> Ints:
    return seen.newest(seen.anomalies, seen.is_result)


def _human_intervention_required(seen: Observed) -> Ints:
    answered = seen.is_answer & seen.ok
    return seen.newest(seen.wants_person, seen.is_result | answered) > 0


def _clarifications(seen: Observed) -> Ints:
    return seen.total(seen.is_answer & seen.ok)


COUNTED: Final[dict[str, Callable[[Observed], Ints]]] = {
    "error_count": _error_count,
    "consecutive_errors": _consecutive_errors,
    "repeated_calls": _repeated_calls,
    "repeated_results": _repeated_results,
    "unusual_patterns": _unusual_patterns,
    "validation_anomalies": _validation_anomalies,
    "human_intervention_required": _human_intervention_required,
    "clarifications": _clarifications,
}
"""The built-in signals that are computed over arrays."""
