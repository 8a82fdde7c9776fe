"""The schema of an answer: exactly the legal set, in a form that providers enforce, and never wider than the judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.decision import Invalid, Option, judge
from stepladder.prompts import answer_schema
from stepladder.prompts.strict import NotStrictError, strict
from stepladder.workflow.schemas import checker, object_schema

KEYWORDS = {"type", "description", "enum", "anyOf", "properties", "required", "additionalProperties", "items"}
KEYWORDS |= {"minimum", "maximum", "minItems", "maxItems", "format"}


def assert_enforceable(schema: Mapping[str, Any]) -> None:
    """What OpenAI's strict mode and Gemini's response_json_schema both take."""
    assert set(schema) <= KEYWORDS
    assert "type" in schema or "anyOf" in schema
    assert isinstance(schema.get("type", ""), str)
    for each in schema.get("anyOf", ()):
        assert_enforceable(each)
    if schema.get("type") == "object":
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        assert schema["properties"], "Gemini refuses an object without properties"
        for each in schema["properties"].values():
            assert_enforceable(each)
    if schema.get("type") == "array":
        assert_enforceable(schema["items"])


def values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a strict schema."""
    if "anyOf" in schema:
        return st.one_of([values(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    match schema["type"]:
        case "object":
            return st.fixed_dictionaries({name: values(each) for name, each in schema["properties"].items()})
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(values(schema["items"]), min_size=least, max_size=schema.get("maxItems", least + 2))
        case "string":
            return st.text(max_size=8)
        case "integer":
            return st.integers(-5 if low is None else low, 5 if high is None else high)
        case "number":
            return st.floats(-5 if low is None else low, 5 if high is None else high)
        case "boolean":
            return st.booleans()
        case _:
            return st.none()


def options(**leads: str) -> dict[str, Option]:
    return {action: Option(action, to) for action, to in leads.items()}


def test_the_schema_of_two_actions() -> None:
    parameters = {"ASK": object_schema({"question": "string"}, required=True, closed=True)}
    found = answer_schema(options(ASK="clarifying", GIVE_UP="given_up"), parameters)
    properties = found.schema["properties"]
    assert properties["action"]["enum"] == ["ASK", "GIVE_UP"]
    assert properties["next_state"]["anyOf"][0]["enum"] == ["clarifying", "given_up"]
    assert properties["confidence"] | {"description": ""} == {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "",
    }
    assert properties["parameters"]["properties"] == {"question": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
    assert list(properties) == ["reason", "action", "confidence", "next_state", "parameters"], "reasons come first"
    assert found.strict
    assert_enforceable(found.schema)


def test_without_parameters_there_is_no_empty_object() -> None:
    found = answer_schema(options(A="a", B="b"), {"A": object_schema({}, required=True, closed=True)})
    assert "parameters" not in found.schema["properties"]
    assert_enforceable(found.schema)


def test_only_the_legal_actions_parameters_count() -> None:
    found = answer_schema(options(A="a", B="b"), {"C": object_schema({"x": "string"}, required=True, closed=True)})
    assert "parameters" not in found.schema["properties"]


def test_a_name_that_two_actions_take_may_be_either() -> None:
    one, two = (object_schema({"n": kind}, required=True, closed=True) for kind in ("integer", "string"))
    found = answer_schema(options(A="a", B="b"), {"A": one, "B": two})
    kinds = [each["type"] for each in found.schema["properties"]["parameters"]["properties"]["n"]["anyOf"]]
    assert kinds == ["integer", "string", "null"]


STRICT = [
    ({"type": "string"}, {"type": "string"}),
    ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    (
        {"enum": [1, "a", None]},
        {"anyOf": [{"type": "integer", "enum": [1]}, {"type": "string", "enum": ["a"]}, {"type": "null"}]},
    ),
    ({"const": "x"}, {"type": "string", "enum": ["x"]}),
    (
        {"type": ["string", "null"], "minLength": 2},
        {"anyOf": [{"type": "string", "description": "(minLength: 2)"}, {"type": "null"}]},
    ),
    ({"type": "integer", "minimum": 1, "title": "N", "default": 2}, {"type": "integer", "minimum": 1}),
    (
        {"type": "array", "items": {"type": "number"}, "maxItems": 3},
        {"type": "array", "items": {"type": "number"}, "maxItems": 3},
    ),
    (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False},
    ),
    (
        {"type": "string", "description": "Whom to ask.", "pattern": "^<"},
        {"type": "string", "description": 'Whom to ask. (pattern: "^\\u003c")'},
    ),
]


@pytest.mark.parametrize(("schema", "form"), STRICT)
def test_strict_forms(schema: dict[str, Any], form: dict[str, Any]) -> None:
    assert strict(schema) == form
    assert_enforceable(form)


LOOSE = [
    ({}, "no type"),
    ({"type": "object"}, "an open object"),
    ({"type": "array"}, "an array without items"),
    ({"type": "object", "properties": {"a": {"type": "string"}}}, "optional property a"),
    ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, "no type"),
    (
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": True},
        "an open object",
    ),
    ({"oneOf": [{"type": "string"}]}, "keyword oneOf"),
    ({"$ref": "#/$defs/x"}, r"keyword \$ref"),
    ({"enum": [{"a": 1}]}, "an enum of objects or arrays"),
    ({"anyOf": [{"type": "string"}], "minimum": 1}, "anyOf beside minimum"),
]


@pytest.mark.parametrize(("schema", "why"), LOOSE)
def test_what_has_no_strict_form_is_said(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(NotStrictError, match=why):
        strict(schema)
    closed = {"type": "object", "properties": {"x": schema}, "required": ["x"], "additionalProperties": False}
    found = answer_schema(options(A="a", B="b"), {"A": closed})
    assert not found.strict
    assert found.loose[0].startswith("x: ")
    assert found.schema["properties"]["action"]["enum"] == ["A", "B"], "the legal set stands all the same"
    assert "$ref" not in repr(found.schema)
    jsonschema_rs.validator_for(found.schema)


# --- the property: never wider than the judge

SIMPLE = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 0, "maximum": 3},
        {"type": "number"},
        {"type": "boolean"},
        {"enum": ["low", "high"]},
        {"enum": [1, "one", None]},
        {"type": ["string", "null"]},
        {"type": ["integer", "array"], "items": {"type": "string"}, "minimum": 1},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "array"},
        {"type": "object"},
        {"oneOf": [{"type": "string"}, {"type": "null"}]},
        {},
    ]
)


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    return st.builds(
        lambda properties, needed, closed: {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name in needed],
            **({"additionalProperties": False} if closed else {}),
        },
        fields,
        st.sets(st.sampled_from("abc")),
        st.booleans(),
    )


SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: _object(inner) | st.builds(lambda items: {"type": "array", "items": items, "maxItems": 2}, inner),
    max_leaves=5,
)


@given(st.data(), SCHEMAS)
def test_what_fits_the_strict_form_fits_the_schema(data: st.DataObject, schema: dict[str, Any]) -> None:
    try:
        form = strict(schema)
    except NotStrictError:
        return
    assert_enforceable(form)
    value = data.draw(values(form))
    assert jsonschema_rs.is_valid(form, value)
    assert jsonschema_rs.is_valid(schema, value)


@given(
    st.data(), st.lists(st.dictionaries(st.sampled_from(["p", "q", "r"]), SCHEMAS, max_size=3), min_size=1, max_size=3)
)
def test_an_answer_that_fits_is_accepted(data: st.DataObject, fields: list[dict[str, Any]]) -> None:
    schemas = {f"A{number}": object_schema(each, required=True, closed=True) for number, each in enumerate(fields)}
    legal = {action: Option(action, f"to_{action}", checker(schema)) for action, schema in schemas.items()}
    found = answer_schema(legal, schemas)
    if not found.strict:
        assert found.loose
        return
    assert_enforceable(found.schema)
    answer = data.draw(values(found.schema))
    assert jsonschema_rs.is_valid(found.schema, answer)
    verdict = judge(answer, legal)
    if not isinstance(verdict, Invalid):
        assert verdict.action in legal
        return
    assert verdict.cause.startswith(("next_state ", f"parameters of {answer['action']}: "))
    own = schemas[answer["action"]]["properties"]
    shared = {name for name in own if sum(name in each["properties"] for each in schemas.values()) > 1}
    parameters = {name: item for name, item in answer.get("parameters", {}).items() if name in own}
    if shared or any(item is None for item in parameters.values()):
        return
    mended = judge({**answer, "next_state": None, "parameters": parameters}, legal)
    assert not isinstance(mended, Invalid)


@given(st.text(max_size=12))
def test_no_other_action_fits(action: str) -> None:
    legal = options(A="a", B="b")
    found = answer_schema(legal, {})
    answer = {"reason": "", "action": action, "confidence": 1, "next_state": None}
    assert jsonschema_rs.is_valid(found.schema, answer) == (action in legal)
    assert not jsonschema_rs.is_valid(found.schema, {**answer, "action": "STOP"})
