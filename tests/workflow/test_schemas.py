"""Schemas in the short form of workflow files."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.workflow.schemas import (
    TYPES,
    SchemaError,
    checker,
    field_schema,
    object_schema,
    with_defaults,
    words_of,
)

FIELDS: list[tuple[object, dict[str, Any]]] = [
    ("string", {"type": "string"}),
    ("null", {"type": "null"}),
    ("any", {}),
    ({"enum": ["a", "b"]}, {"enum": ["a", "b"]}),
    ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
    ({}, {}),
]


@pytest.mark.parametrize(("short", "schema"), FIELDS, ids=[str(short) for short, _ in FIELDS])
def test_a_field(short: object, schema: dict[str, Any]) -> None:
    assert field_schema("it", short) == schema


BAD: list[tuple[object, str, str, tuple[str, ...]]] = [
    ("text", "'text'", "a type (string", ()),
    (5, "5", "a type (string", ()),
    (None, "None", "a type (string", ()),
    (["string"], "['string']", "a JSON Schema mapping", ()),
    ({"type": "strin"}, "'strin'", "a type: string", ("type",)),
    ({"properties": {"a": {"type": 5}}}, "5", "a type: string", ("properties", "a", "type")),
    ({"enum": "a"}, "'a'", "a JSON Schema", ("enum",)),
    ({"minimum": "a"}, "'a'", "a JSON Schema", ("minimum",)),
    ({"pattern": "("}, "'('", "a JSON Schema", ("pattern",)),
    ({"$ref": "file:///etc/hostname"}, "key '$ref'", "stands alone", ("$ref",)),
    ({"items": [{"$ref": "#/x"}]}, "key '$ref'", "stands alone", ("items", 0, "$ref")),
    ({"$schema": "http://localhost:1/x"}, "key '$schema'", "stands alone", ("$schema",)),
    ({"$id": "::"}, "key '$id'", "stands alone", ("$id",)),
    ({"$dynamicRef": "#a"}, "key '$dynamicRef'", "stands alone", ("$dynamicRef",)),
]


@pytest.mark.parametrize(("short", "found", "expected", "path"), BAD, ids=[str(row[0]) for row in BAD])
def test_no_schema(short: object, found: str, expected: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(SchemaError) as caught:
        object_schema({"good": "string", "it": short}, required=True, closed=True)
    error = caught.value
    assert (error.field, error.path) == ("it", path)
    assert found in error.found
    assert expected in error.expected


def test_an_object() -> None:
    fields = {"b": "string", "a": {"type": "integer", "default": 1}}
    schema = object_schema(fields, required=True, closed=True)
    assert schema == {
        "type": "object",
        "properties": {"b": {"type": "string"}, "a": {"type": "integer", "default": 1}},
        "required": ["b"],
        "additionalProperties": False,
    }
    assert object_schema(fields, required=False, closed=False)["required"] == []


VALUES: list[tuple[dict[str, Any], str]] = [
    ({"b": "x"}, ""),
    ({"b": "x", "a": 2}, ""),
    ({}, '"b" is a required property'),
    ({"b": 5}, "b: 5 is not of type"),
    ({"b": "x", "c": 1}, "'c' was unexpected"),
    ({"b": "x", "a": "y"}, "a: "),
]


@pytest.mark.parametrize(("value", "wrong"), VALUES, ids=[str(value) for value, _ in VALUES])
def test_checking(value: dict[str, Any], wrong: str) -> None:
    schema = object_schema({"b": "string", "a": {"type": "integer", "default": 1}}, required=True, closed=True)
    check = checker(schema)
    assert check is not None
    assert wrong in check(value) if wrong else check(value) == ""


def test_an_open_object_without_fields_needs_no_check() -> None:
    assert checker(object_schema({}, required=False, closed=False)) is None
    assert checker(object_schema({}, required=True, closed=True)) is not None


def test_defaults_fill_what_is_absent() -> None:
    schema = object_schema({"a": {"default": 1}, "b": {"default": None}, "c": "string"}, required=True, closed=True)
    assert with_defaults(schema, {"a": 5}) == {"a": 5, "b": None}


def test_words() -> None:
    assert words_of({"enum": ["a", 1]}) == ("a", "1")
    assert words_of({"const": "a"}) == ("a",)
    assert words_of({"type": "string"}) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([*TYPES, "(", "http://localhost:1/", "#/a"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["type", "enum", "properties", "items", "pattern", "$ref", "$schema", "a", "minimum", "if"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(anything, st.dictionaries(st.sampled_from(["it", "a"]), anything, max_size=2))
def test_anything_is_a_schema_or_refused_with_reasons(short: object, value: dict[str, Any]) -> None:
    try:
        schema = object_schema({"it": short}, required=True, closed=True)
    except SchemaError as error:
        assert error.found
        assert error.expected
    else:
        check = checker(schema)
        assert check is not None
        assert isinstance(check(value), str)
