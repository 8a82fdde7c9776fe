"""Columns say what one row at a time says, of any mixture of values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.clauses import Clause, Condition, parse_clause
from stepladder.clauses.grammar import OPS
from stepladder.errors import InputError
from stepladder.evaluation import Column, Columns, Mask
from tests.clauses.test_condition import FACTS, HOLDS
from tests.evaluation.values import NAMES, clauses, facts


@pytest.mark.parametrize(("text", "held"), HOLDS, ids=[text for text, _ in HOLDS])
def test_one_clause(text: str, held: bool) -> None:
    clause = parse_clause(text)
    columns = Columns.of([{}, FACTS, {"other": 1}], [clause.signal])
    assert columns.holds(clause).flags().tolist() == [False, held, False]


@given(st.lists(facts, max_size=8), clauses)
def test_any_clause_over_any_facts(rows: list[dict[str, Any]], clause: Clause) -> None:
    told = Columns.of(rows, NAMES).holds(clause)
    assert told.flags().tolist() == list(map(Condition([clause]).holds, rows))


@pytest.mark.parametrize("kinds", [300, 70_000])
def test_many_distinct_values(kinds: int) -> None:
    """Their places need two and four bytes."""
    values = [*range(kinds), *map(str, range(kinds)), True, False, None, 0.5]
    column = Column.of(values)
    for clause in map(parse_clause, ["x > 290", "x <= 3.5", "x == 256", "x != 257", "x != '299'", "x == true"]):
        holds = Condition([clause]).holds
        assert column.holds(clause).flags().tolist() == [holds({"x": value}) for value in values]


ARRAYS = {
    "flags": np.array([True, False, True]),
    "counts": np.array([3, 0, 2]),
    "narrow": np.array([-128, 127, 0], np.int8),
    "unsigned": np.array([2**64 - 1, 2**64 - 2, 2**64 - 9], np.uint64),
    "wide": np.array([-(2**63), 2**63 - 1, 2**53 + 1]),
    "floats": np.array([0.5, math.nan, math.inf, -0.0, 0.5]),
    "single": np.array([0.1, math.nan], np.float32),
    "no floats": np.array([], np.float64),
    "no counts": np.array([], np.int64),
    "words": np.array(["a", "word", "false"]),
    "objects": np.array([2, "word", False, None], object),
    "nothing known": np.array([math.nan, math.nan]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_its_values(name: str) -> None:
    values = ARRAYS[name].tolist()
    column = Column.of_array(ARRAYS[name])
    numbers = [each for each in values if type(each) in (int, float)]
    literals = [each for each in {*numbers, 0, 2, 127, 2**53, 2**64 - 2, 0.1} if math.isfinite(each)]
    clauses = [Clause("x", op, literal) for literal in literals for op in OPS]
    for clause in [*clauses, *map(parse_clause, ["x == false", "x != false", "x == true", "x != word"])]:
        holds = Condition([clause]).holds
        assert column.holds(clause).flags().tolist() == [holds({"x": value}) for value in values], str(clause)


def test_rows_are_taken() -> None:
    columns = Columns.of([{"n": 1}, {"n": 2}, {}], ["n"]).take(np.array([2, 1, 1, 0]))
    assert columns.rows == 4
    assert columns.holds(parse_clause("n >= 2")).flags().tolist() == [False, True, True, False]


def test_a_clause_without_its_column_is_refused() -> None:
    with pytest.raises(InputError, match=r"no column 'eror_count' for `eror_count > 2`; expected one of: n"):
        Columns.of([{"n": 1}], ["n"]).holds(parse_clause("eror_count > 2"))


def test_arrays_have_one_length() -> None:
    assert Columns.of_arrays({"n": np.arange(3)}).rows == 3
    with pytest.raises(InputError, match=r"\[2, 3\] rows"):
        Columns.of_arrays({"n": np.arange(3), "m": np.arange(2)})


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=200))
def test_masks_are_sets_of_rows(pairs: list[tuple[bool, bool]]) -> None:
    a, b = (Mask.of(np.array([pair[side] for pair in pairs], np.bool_)) for side in (0, 1))
    assert (a & b).flags().tolist() == [one and other for one, other in pairs]
    assert (a | b).flags().tolist() == [one or other for one, other in pairs]
    assert (a - b).flags().tolist() == [one and not other for one, other in pairs]
    assert (a - b).count() == sum(one and not other for one, other in pairs)
    assert Mask.every(len(pairs)).count() == len(pairs)
    assert Mask.none(len(pairs)).flags().tolist() == [False] * len(pairs)
