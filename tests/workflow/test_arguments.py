"""Arguments: literals, quoted text, references, secrets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.workflow.arguments import SECRET, ArgumentError, Arguments

ROOTS = frozenset({"input", "last", "result", "all", "error_count"})
FACTS: dict[str, Any] = {
    "input": {"question": "how many?"},
    "last": {"rows": [{"id": 1}, {"id": 2}], "none": None},
    "result": {"plan": {"sql": "select 1"}},
    "all": {"answer": ({"text": "a"}, {"text": "b"})},
    "error_count": 2,
}

GOOD: list[tuple[object, object]] = [
    (5, 5),
    (True, True),
    (None, None),
    (1.5, 1.5),
    ("'text, quoted'", "text, quoted"),
    ("'it''s'", "it's"),
    ("''", ""),
    ("input", {"question": "how many?"}),
    ("input.question", "how many?"),
    ("result.plan.sql", "select 1"),
    ("result.gone.sql", None),
    ("last.none", None),
    ("last.rows.id", [1, 2]),
    ("all.answer.text", ["a", "b"]),
    ("error_count", 2),
    ("secret.key", {SECRET: "key"}),
    (["input.question", 1, "'x'"], ["how many?", 1, "x"]),
    ({"a": {"b": "error_count"}, "c": []}, {"a": {"b": 2}, "c": []}),
]


@pytest.mark.parametrize(("source", "value"), GOOD, ids=[str(source) for source, _ in GOOD])
def test_resolves(source: object, value: object) -> None:
    assert Arguments({"it": source}, ROOTS).resolve(FACTS) == {"it": value}


def test_literals_are_what_reads_nothing() -> None:
    source = {"a": 5, "b": "input.question", "c": ["'x'", None], "d": {"e": "last.none"}, "f": "secret.key"}
    assert Arguments(source, ROOTS).literals == {"a": 5, "c": ["x", None]}


BAD: list[tuple[object, tuple[str | int, ...], str, str]] = [
    ("holidays", ("it",), "'holidays'", "text in quotes"),
    ("inptu.question", ("it",), "'inptu.question'", "did you mean input?"),
    ("input question", ("it",), "'input question'", "text in quotes"),
    ("input..question", ("it",), "'input..question'", "a reference"),
    ("'open", ("it",), '"\'open"', "text in quotes"),
    ("", ("it",), "''", "text in quotes"),
    ("secret", ("it",), "'secret'", "secret.NAME"),
    ("secret.a.b", ("it",), "'secret.a.b'", "secret.NAME"),
    ([1, "lats.x"], ("it", 1), "'lats.x'", "did you mean last?"),
    ({"a": [{"b": "x"}]}, ("it", "a", 0, "b"), "'x'", "a reference"),
]


@pytest.mark.parametrize(("source", "path", "found", "expected"), BAD, ids=[str(row[0]) for row in BAD])
def test_refuses(source: object, path: tuple[str | int, ...], found: str, expected: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Arguments({"good": 1, "it": source}, ROOTS)
    assert caught.value.path == path
    assert found in caught.value.found
    assert expected in caught.value.expected


def test_references_and_where_they_stand() -> None:
    arguments = Arguments({"a": "input.x", "b": [1, {"c": "last.y"}], "d": "'input.z'", "e": "secret.k"}, ROOTS)
    assert arguments.placed == [(("a",), "input.x"), (("b", 1, "c"), "last.y"), (("e",), "secret.k")]
    assert arguments.references == ["input.x", "last.y", "secret.k"]


def test_equal_where_the_sources_are() -> None:
    one, other = Arguments({"a": 1, "b": 2}, ROOTS), Arguments({"b": 2, "a": 1}, ROOTS)
    assert one == other
    assert hash(one) == hash(other)
    assert one != Arguments({"a": 1}, ROOTS)
    assert one != {"a": 1, "b": 2}
    assert not Arguments({}, ROOTS)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["input.x", "secret.k", "'t'"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.dictionaries(st.text(max_size=4), json, max_size=3), st.dictionaries(st.sampled_from([*ROOTS]), json))
def test_anything_resolves_or_is_refused_where_it_stands(source: dict[str, Any], facts: dict[str, Any]) -> None:
    try:
        arguments = Arguments(source, ROOTS)
    except ArgumentError as error:
        value: Any = source
        for part in error.path:
            value = value[part]
        assert repr(value) == error.found
    else:
        assert arguments.resolve(facts).keys() == source.keys()
