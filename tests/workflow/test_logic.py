"""Which facts satisfy clauses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stepladder.clauses import MISSING, Clause, Condition, parse_clause
from stepladder.workflow.logic import OTHER_WORD, UndecidedError, clash, samples, told, witness
from stepladder.workflow.shapes import ANYTHING, COUNT, FLAG, NUMBER, TEXT, Shape, listed, words

KNOWN: dict[str, Shape] = {
    "count": COUNT,
    "share": Shape(frozenset({"number"}), low=0, high=1),
    "flag": FLAG,
    "text": TEXT,
    "word": words(["a", "b"]),
    "returned": words(["ok", "failed"], always=True),
    "list": listed(TEXT),
    "any": ANYTHING,
    "number": NUMBER,
}


def known(signal: str) -> Shape | None:
    return KNOWN.get(signal)


def clauses(text: str) -> tuple[Clause, ...]:
    return tuple(parse_clause(each) for each in text.split(", ") if each)


TOGETHER = [
    ("", True),
    ("count == 3", True),
    ("count < 0", False),
    ("count == 2.5", False),
    ("count > 2, count < 4", True),
    ("count > 2, count < 3", False),
    ("number > 2, number < 3", True),
    ("number > 2, number < 2", False),
    ("number >= 2, number <= 2, number != 2", False),
    ("number > 1e308, number > 1.7e308", True),
    ("number == 0.1, number != 0.1", False),
    ("share > 1", False),
    ("share >= 1, share <= 1", True),
    ("flag == true, flag == false", False),
    ("flag != true", True),
    ("word == a, word != b", True),
    ("word == c", False),
    ("word != a, word != b", False),
    ("text != a, text != b", True),
    ("text == a, text == b", False),
    ("text == a, number == 1", True),
    ("any == a, any == 1", False),
    ("any == true, any != false", True),
    ("any > 1, any != a", False),
    ("list == a", False),
    ("gone != a", False),
]


@pytest.mark.parametrize(("text", "can"), TOGETHER, ids=[text or "nothing" for text, _ in TOGETHER])
def test_together(text: str, can: bool) -> None:
    must = clauses(text)
    assert (witness(must, (), known) is not None) is can
    assert (clash(must, known) == ()) is can


AVOIDING = [
    ("", ["returned == ok", "returned != ok"], False),
    ("", ["returned == ok"], True),
    ("", ["word == a", "word != a"], True),  # it may be missing
    ("word != c", ["word == a", "word == b"], False),
    ("", ["flag == true", "flag == false"], False),
    ("", ["count < 3", "count >= 3"], False),
    ("", ["count < 3", "count > 3"], True),
    ("", ["count < 3", "count > 2"], False),
    ("", ["share < 0.5", "share >= 0.5"], True),
    ("share >= 0", ["share < 0.5", "share >= 0.5"], False),
    ("", [""], False),
    ("text == a", ["text == a"], False),
    ("text == a", ["text != a"], True),
    ("count == 1, flag == true", ["count < 2, flag == true"], False),
    ("count == 1", ["count < 2, flag == true"], True),
    ("", ["count < 2, flag == true", "count < 2, flag == false", "count >= 2"], False),
    ("", ["returned == ok, flag == true", "returned == failed"], True),
]


@pytest.mark.parametrize(("must", "avoid", "can"), AVOIDING, ids=[f"{row[0]} without {row[1]}" for row in AVOIDING])
def test_avoiding(must: str, avoid: list[str], can: bool) -> None:
    assert (witness(clauses(must), [clauses(each) for each in avoid], known) is not None) is can


def test_a_clash_names_the_fewest() -> None:
    assert clash(clauses("text == a, count > 5, number == 1, count < 2"), known) == clauses("count > 5, count < 2")
    assert clash(clauses("text == a, word == c"), known) == clauses("word == c")
    three = clauses("number >= 1, number <= 1, number != 1")
    assert clash(three, known) == three


def test_what_is_told_is_what_turns() -> None:
    facts = witness(clauses("flag == true"), [clauses("returned == ok, count < 3"), clauses("word == a")], known)
    assert facts is not None
    assert "flag" in facts
    assert told({"returned": "failed", "flag": False, "share": 0.5, "word": MISSING, "count": 3}) == (
        "returned is failed and flag is false and share is 0.5 and word is missing and count is 3"
    )
    assert told({}) == "always"


def test_too_many_ways_are_not_tried() -> None:
    shapes = {f"s{index}": ANYTHING for index in range(40)}
    pairs = [clauses(f"s{index} == a, s{index + 1} == b") for index in range(39)]
    always = [clauses(f"s{index} != zz") for index in range(40)]
    must = tuple(clause for each in always for clause in each)
    with pytest.raises(UndecidedError):
        witness(must, [*pairs, *pairs, *always], shapes.get)


def test_samples() -> None:
    assert samples((), TEXT) == [OTHER_WORD, MISSING]


values: dict[str, st.SearchStrategy[Any]] = {
    "count": st.integers(0, 9),
    "share": st.floats(0, 1),
    "flag": st.booleans(),
    "text": st.sampled_from(["a", "b", "c", "d"]),
    "word": st.sampled_from(["a", "b"]),
    "returned": st.sampled_from(["ok", "failed"]),
    "any": st.booleans() | st.integers(-2, 9) | st.floats(-2, 9) | st.sampled_from(["a", "b", "x"]),
    "number": st.integers(-2, 9) | st.floats(-2, 9),
}
ALWAYS_THERE = {"count", "flag", "returned"}
numeric = st.builds(
    Clause,
    st.sampled_from(["count", "share", "any", "number"]),
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.integers(-1, 5) | st.sampled_from([0.5, 2.5]),
)
worded = st.builds(
    Clause,
    st.sampled_from(["text", "word", "returned", "any"]),
    st.sampled_from(["==", "!="]),
    st.sampled_from(["a", "b", "c", "ok", "failed"]),
)
flagged = st.builds(Clause, st.sampled_from(["flag", "any"]), st.sampled_from(["==", "!="]), st.booleans())
some = st.lists(numeric | worded | flagged, max_size=4)
facts = st.fixed_dictionaries(
    {name: each for name, each in values.items() if name in ALWAYS_THERE},
    optional={name: each for name, each in values.items() if name not in ALWAYS_THERE},
)


@given(some, st.lists(some, max_size=3))
def test_a_witness_is_one(must: list[Clause], avoid: list[list[Clause]]) -> None:
    found = witness(must, avoid, known)
    assume(found is not None)
    assert found is not None
    seen = {signal: value for signal, value in found.items() if value is not MISSING}
    assert Condition(must).holds(seen)
    assert not any(Condition(each).holds({**seen}) for each in avoid)


@given(some, st.lists(some, max_size=3), facts)
def test_what_has_no_witness_does_not_happen(
    must: list[Clause], avoid: list[list[Clause]], seen: dict[str, Any]
) -> None:
    happens = Condition(must).holds(seen) and not any(Condition(each).holds(seen) for each in avoid)
    if happens:
        assert witness(must, avoid, known) is not None
