"""YAML read strictly: which scalars are what, the line of each key, and that nothing else gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import DefinitionError
from stepladder.workflow.yaml_text import read_yaml

SCALARS: list[tuple[str, Any]] = [
    ("true", True),
    ("false", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("True", "True"),
    ("0", 0),
    ("-7", -7),
    ("+7", "+7"),
    ("010", "010"),
    ("0x1F", "0x1F"),
    ("0o17", "0o17"),
    ("1_000", "1_000"),
    ("12:30", "12:30"),
    ("2020-01-01", "2020-01-01"),
    ("1.5", 1.5),
    ("-0.5e3", -500.0),
    ("1e3", 1000.0),
    (".5", ".5"),
    ("5.", "5."),
    (".nan", ".nan"),
    (".inf", ".inf"),
    ("18446744073709551615", 2**64 - 1),
    ("-9223372036854775808", -(2**63)),
    ("two words", "two words"),
    ("'5'", "5"),
    ('"true"', "true"),
    ("''", ""),
    ('"a\\nb"', "a\nb"),
    ("|\n  5\n", "5\n"),
    ("returned == ok", "returned == ok"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text for text, _ in SCALARS])
def test_scalars(text: str, value: object) -> None:
    data, _ = read_yaml(f"it: {text}")
    assert data == {"it": value}
    assert type(data["it"]) is type(value)


TEXT = """\
# a comment
a: 1

b:
  c: [x,
      y]
  d:
  - e: 1
    f: 2
  - g
"quoted key": {inner: {deep: 1}}
5: number
"""


def test_every_key_and_entry_has_its_line() -> None:
    data, lines = read_yaml(TEXT)
    assert data["b"] == {"c": ["x", "y"], "d": [{"e": 1, "f": 2}, "g"]}
    assert data["5"] == "number"
    assert lines == {
        ("a",): 2,
        ("b",): 4,
        ("b", "c"): 5,
        ("b", "c", 0): 5,
        ("b", "c", 1): 6,
        ("b", "d"): 7,
        ("b", "d", 0): 8,
        ("b", "d", 0, "e"): 8,
        ("b", "d", 0, "f"): 9,
        ("b", "d", 1): 10,
        ("quoted key",): 11,
        ("quoted key", "inner"): 11,
        ("quoted key", "inner", "deep"): 11,
        ("5",): 12,
    }


def test_a_quoted_merge_sign_is_a_key() -> None:
    assert read_yaml("'<<': 1")[0] == {"<<": 1}


def test_an_anchor_that_nothing_refers_to_does_no_harm() -> None:
    assert read_yaml("a: &here 1")[0] == {"a": 1}


def test_the_error_names_the_file() -> None:
    with pytest.raises(DefinitionError) as caught:
        read_yaml("a: 1\na: 2", "flow.yaml")
    assert str(caught.value) == "flow.yaml:2: top level: found key 'a' a second time; expected each key once"
    assert caught.value.problems[0].code == "yaml"


@given(st.text(max_size=60) | st.text(st.sampled_from("ab:{}[]-,'\"#&*!|>%@ \n\t?1.e"), max_size=40))
def test_any_text_is_a_mapping_or_refused_at_a_line(text: str) -> None:
    try:
        data, lines = read_yaml(text)
    except DefinitionError as error:
        (problem,) = error.problems
        assert problem.found
        assert problem.expected
        assert 0 <= problem.line <= text.count("\n") + 2
    else:
        assert isinstance(data, dict)
        assert all((key,) in lines for key in data)


words = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(words, plain, max_size=4))
def test_json_reads_as_it_is(data: dict[str, Any]) -> None:
    assert read_yaml(json.dumps(data))[0] == data
    assert read_yaml(json.dumps(data, indent=1))[0] == data
