"""What is known about values before any run."""

from __future__ import annotations

import math
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.workflow.shapes import (
    ANYTHING,
    COUNT,
    NUMBER,
    TEXT,
    Absent,
    Shape,
    join,
    listed,
    look_up,
    mapping,
    of_fields,
    of_schema,
    words,
)

FACTS = mapping(
    {
        "n": COUNT,
        "open": mapping(None),
        "any": ANYTHING,
        "last": mapping({"status": words(["a", "b"]), "rows": listed(mapping({"id": NUMBER}))}),
    }
)

FOUND: list[tuple[str, Shape | Absent]] = [
    ("n", COUNT),
    ("n.x", Absent("n", "x", ())),
    ("gone", Absent("", "gone", ("n", "open", "any", "last"))),
    ("open.whatever.deep", ANYTHING),
    ("any.whatever", ANYTHING),
    ("last.status", words(["a", "b"])),
    ("last.statue", Absent("last", "statue", ("status", "rows"))),
    ("last.rows.id", listed(NUMBER)),
    ("last.rows.no", Absent("last.rows", "no", ("id",))),
]


@pytest.mark.parametrize(("path", "shape"), FOUND, ids=[path for path, _ in FOUND])
def test_looking_up(path: str, shape: Shape | Absent) -> None:
    assert look_up(FACTS, path) == shape


def test_joining() -> None:
    assert join([]) == mapping({})
    assert join([COUNT, COUNT]) == COUNT
    both = join([words(["a"], always=True), words(["b"], always=True)])
    assert both == words(["a", "b"], always=True)
    assert join([words(["a"]), TEXT]).words is None
    mixed = join([words(["a"]), Shape(frozenset({"number"}), low=0, high=5)])
    assert mixed.kinds == {"word", "number"}
    assert mixed.words == {"a"}


def test_a_field_that_is_not_in_both_may_be_missing() -> None:
    joined = join([mapping({"n": COUNT, "m": COUNT}), mapping({"n": COUNT})])
    assert look_up(joined, "n") == COUNT
    found = look_up(joined, "m")
    assert isinstance(found, Shape)
    assert not found.always


def test_an_open_mapping_opens_the_others() -> None:
    assert look_up(join([mapping({"n": COUNT}), mapping(None)]), "x") == ANYTHING


SCHEMAS: list[tuple[Any, frozenset[str]]] = [
    ({}, ANYTHING.kinds),
    (True, ANYTHING.kinds),
    ({"type": "string"}, frozenset({"word"})),
    ({"type": "integer"}, frozenset({"number"})),
    ({"type": ["string", "null"]}, frozenset({"word"})),
    ({"type": ["string", "number"]}, frozenset({"word", "number"})),
    ({"type": "null"}, frozenset()),
    ({"type": "array"}, frozenset({"list"})),
    ({"type": "object"}, frozenset({"mapping"})),
    ({"enum": ["a", 1, None]}, frozenset({"word", "number"})),
    ({"const": True}, frozenset({"flag"})),
    ({"anyOf": [{"type": "string"}], "type": "string"}, ANYTHING.kinds),
    ({"properties": {"a": {}}}, ANYTHING.kinds),
]


@pytest.mark.parametrize(("schema", "kinds"), SCHEMAS, ids=[str(schema) for schema, _ in SCHEMAS])
def test_kinds_of_schemas(schema: Any, kinds: frozenset[str]) -> None:
    assert of_schema(schema).kinds == kinds


def test_bounds_of_schemas() -> None:
    shape = of_schema({"type": "integer", "minimum": 1, "exclusiveMaximum": 9})
    assert (shape.low, shape.high, shape.whole) == (1, 9, True)
    assert of_schema({"type": "number"}).high == math.inf
    assert not of_schema({"type": ["integer", "number"]}).whole
    assert of_schema({"enum": [3, 1]}).low == 1
    assert look_up(of_fields({"a": {"type": "array", "items": {"type": "string"}}}), "a") == listed(TEXT)


def fits(value: object, shape: Shape) -> bool:
    match value:
        case None:
            return True  # as good as missing
        case bool():
            return "flag" in shape.kinds
        case int() | float():
            whole = not shape.whole or float(value).is_integer()
            return "number" in shape.kinds and shape.low <= value <= shape.high and whole
        case str():
            return "word" in shape.kinds and (shape.words is None or value in shape.words)
        case list():
            return "list" in shape.kinds and all(fits(item, shape.each or ANYTHING) for item in value)
        case dict():
            known = shape.fields or {}
            return "mapping" in shape.kinds and all(fits(value[key], known[key]) for key in value.keys() & known.keys())
        case _:
            return False


schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
            | st.lists(st.sampled_from(["string", "integer", "null", "array"]), min_size=1, unique=True),
            "minimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(0, 5),
            "enum": st.lists(st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from("ab"), min_size=1),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["array", "object"]),
            "items": inner,
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=4,
)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 6) | st.floats(-3, 6) | st.sampled_from("abc"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)


@given(schemas, json)
def test_whatever_a_schema_lets_through_fits_its_shape(schema: dict[str, Any], value: object) -> None:
    if jsonschema_rs.is_valid(schema, value):
        assert fits(value, of_schema(schema))


@given(st.lists(schemas, min_size=1, max_size=3), json)
def test_what_fits_one_fits_them_joined(several: list[dict[str, Any]], value: object) -> None:
    shapes = [of_schema(schema) for schema in several]
    if any(fits(value, shape) for shape in shapes):
        assert fits(value, join(shapes))
