"""Conditions: what holds, what a missing value does, and that no facts make a clause raise."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.clauses import ALWAYS, AnyOf, Clause, ClauseError, Condition, Reading, parse_clause

FACTS: dict[str, Any] = {
    "n": 3,
    "x": 2.5,
    "yes": True,
    "word": "good",
    "nothing": None,
    "nan": math.nan,
    "last": {"status": "ok", "rows": [{"id": 1}, {"id": 2}], "deep": {"er": {"n": 1}}},
}

HOLDS = [
    ("n == 3", True),
    ("n == 3.0", True),
    ("n != 3", False),
    ("n != 4", True),
    ("n < 3", False),
    ("n <= 3", True),
    ("x > 2", True),
    ("x >= 2.6", False),
    ("yes == true", True),
    ("yes != false", True),
    ("yes == 1", False),
    ("yes != 0", False),
    ("n == true", False),
    ("n != true", False),
    ("word == good", True),
    ("word != bad", True),
    ("word == 'good'", True),
    ("word == 3", False),
    ("word != 3", False),
    ("n != good", False),
    ("n == '3'", False),
    ("missing == 3", False),
    ("missing != 3", False),
    ("missing != word", False),
    ("missing != true", False),
    ("nothing == 0", False),
    ("nothing != 0", False),
    ("nan == 0", False),
    ("nan != 0", False),
    ("nan < 0", False),
    ("nan >= 0", False),
    ("last.status == ok", True),
    ("last.state == ok", False),
    ("last.status.more != ok", False),
    ("last != ok", False),
    ("last.rows != ok", False),
    ("last.rows.id == 1", False),
    ("last.deep.er.n == 1", True),
    ("last.deep.er.m != 1", False),
    ("n.more != 1", False),
]


@pytest.mark.parametrize(("text", "held"), HOLDS, ids=[text for text, _ in HOLDS])
def test_one_clause(text: str, held: bool) -> None:
    condition = Condition([text])
    assert condition.holds(FACTS) is held
    assert (condition.failing(FACTS) is None) is held
    assert [reading.held for reading in condition.readings(FACTS)] == [held]


def test_all_must_hold_and_the_first_that_fails_is_named() -> None:
    condition = Condition(["n == 3", "word == bad", "missing == 1"])
    assert not condition.holds(FACTS)
    assert condition.failing(FACTS) == Reading("word == bad", "good", held=False)
    assert condition.readings(FACTS) == (
        Reading("n == 3", 3),
        Reading("word == bad", "good", held=False),
        Reading("missing == 1", None, held=False, seen=False),
    )


def test_a_reading_says_what_was_seen() -> None:
    said = [str(reading) for reading in Condition(["n > 3", "missing == 1"]).readings(FACTS)]
    assert said == ["n > 3 (was 3)", "missing == 1 (was missing)"]


def test_without_clauses_it_always_holds() -> None:
    assert ALWAYS.holds({})
    assert ALWAYS.failing({}) is None
    assert not ALWAYS


def test_joined_and_compared() -> None:
    both = Condition(["n == 3"]) & Condition(["x>2"])
    assert both == Condition(["n == 3", "x > 2"])
    assert hash(both) == hash(Condition(["n == 3", "x > 2"]))
    assert both != Condition(["x > 2", "n == 3"])
    assert both != "n == 3"
    assert repr(both) == "Condition(['n == 3', 'x > 2'])"


def test_a_bad_clause_raises() -> None:
    with pytest.raises(ClauseError):
        Condition(["n = 3"])


def test_any_of_names_the_first_that_fired() -> None:
    named = AnyOf({"no": ["n == 4"], "first": ["n == 3", "x > 2"], "second": ["n == 3"]})
    fired = named.fired(FACTS)
    assert fired is not None
    assert fired.name == "first"
    assert [reading.value for reading in fired.readings] == [3, 2.5]
    assert named.fired({}) is None
    assert [str(clause) for clause in named.clauses()] == ["n == 4", "n == 3", "x > 2", "n == 3"]


def test_any_of_nothing_never_fires() -> None:
    assert AnyOf().fired(FACTS) is None
    assert not AnyOf()
    assert AnyOf({"a": ["n == 3"]})


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abn"), inner, max_size=3)
)
facts = st.dictionaries(st.sampled_from("abn"), json, max_size=3)
signals = st.sampled_from(["a", "b", "a.b", "a.n", "b.a.n", "n", "c"])
literals = st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.sampled_from(["", "a", "true"])
ops = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
any_clause = st.builds(Clause, signals, ops, literals).filter(
    lambda clause: clause.op in ("==", "!=") or type(clause.literal) in (int, float)
)


@given(facts, st.lists(any_clause, max_size=4))
def test_no_facts_make_a_condition_raise(known: dict[str, Any], clauses: list[Clause]) -> None:
    condition = Condition(clauses)
    held = condition.holds(known)
    assert held is (condition.failing(known) is None)
    assert held is all(reading.held for reading in condition.readings(known))
    assert held is (AnyOf({"it": condition}).fired(known) is not None)


@given(any_clause, json)
def test_another_kind_never_satisfies(clause: Clause, value: object) -> None:
    same = type(value) is type(clause.literal) or {type(value), type(clause.literal)} == {int, float}
    if not same:
        assert not Condition([Clause("it", clause.op, clause.literal)]).holds({"it": value})


@given(any_clause)
def test_what_is_missing_never_satisfies(clause: Clause) -> None:
    condition = Condition([clause])
    assert not condition.holds({})
    reading = condition.failing({})
    assert reading is not None
    assert not reading.seen


@given(ops, st.integers() | st.floats())
def test_nan_never_satisfies(op: str, literal: float) -> None:
    assert not Condition([Clause("it", op, literal)]).holds({"it": math.nan})


@given(facts, any_clause)
def test_a_value_of_its_kind_satisfies_a_clause_or_its_opposite(known: dict[str, Any], clause: Clause) -> None:
    opposite = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
    both = (Condition([clause]), Condition([Clause(clause.signal, opposite[clause.op], clause.literal)]))
    held = [condition.holds(known) for condition in both]
    (reading,) = both[0].readings(known)
    kinds = {type(reading.value), type(clause.literal)}
    there = reading.seen and (len(kinds) == 1 or kinds == {int, float}) and reading.value == reading.value
    assert held.count(True) == (1 if there else 0)


@given(any_clause)
def test_a_condition_of_texts_is_that_of_clauses(clause: Clause) -> None:
    assert Condition([str(clause)]) == Condition([clause]) == Condition([parse_clause(str(clause))])
