"""JSON Schema in the narrower form that providers enforce while a model writes.

OpenAI's strict mode and Gemini's response_json_schema share: a type everywhere, closed objects whose properties are
all required, arrays with items, enum, anyOf, minimum, maximum, minItems, maxItems. A schema is only ever narrowed (what
fits the strict form fits the original), except for constraints that not both enforce: those move into the description,
and are checked when the answer is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from stepladder.prompts.data import one_line
from stepladder.values import to_json

Schema = dict[str, Any]

NULL: Final[Schema] = {"type": "null"}
_MAX_DEPTH: Final = 6
_NUMBER: Final = ("minimum", "maximum")
_ITEMS: Final = ("minItems", "maxItems")
_FORMATS: Final = ("date-time", "date", "time")
_ONLY_SAID: Final = (
    "pattern",
    "minLength",
    "maxLength",
    "format",
    "multipleOf",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "uniqueItems",
)
"""Constraints that are put in words; the judge checks them."""
_NOTES: Final = ("title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly")
_SHAPE: Final = ("type", "enum", "const", "anyOf", "properties", "required", "additionalProperties", "items")
_KNOWN: Final = frozenset((*_NOTES, *_SHAPE, *_NUMBER, *_ITEMS, *_ONLY_SAID))


class NotStrictError(ValueError):
    """A schema without a strict form, and why."""


def strict(schema: Mapping[str, Any], depth: int = 0) -> Schema:
    """The strict form.

    Raises:
        NotStrictError: it has none (no type, an open object, an optional property inside an object, oneOf, $ref ...).
    """
    unknown = sorted(set(schema) - _KNOWN)
    if unknown or depth > _MAX_DEPTH:
        raise NotStrictError(f"keyword {unknown[0]}" if unknown else f"nesting deeper than {_MAX_DEPTH}")
    if "anyOf" in schema:
        return _any_of(schema, depth)
    words = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if words is not None:
        return _enum(schema, list(words))
    kind = schema.get("type")
    if isinstance(kind, list):
        return either([strict({**_of_kind(schema, each), "type": each}, depth) for each in kind])
    if kind not in _FORMS:
        raise NotStrictError("no type")
    return {**_FORMS[kind](schema, depth), "type": kind, **_described(schema)}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    return either([schema, NULL])


def either(schemas: list[Schema]) -> Schema:
    """Any of these schemas, each once."""
    flat: list[Schema] = []
    for schema in schemas:
        parts = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
        flat.extend(part for part in parts if part not in flat)
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _any_of(schema: Mapping[str, Any], depth: int) -> Schema:
    beside = sorted(set(schema) - {"anyOf", *_NOTES})
    if beside:
        raise NotStrictError(f"anyOf beside {beside[0]}")
    return either([strict({**_notes(schema), **each}, depth + 1) for each in schema["anyOf"]])


def _notes(schema: Mapping[str, Any]) -> Schema:
    return {"description": schema["description"]} if schema.get("description") else {}


def _enum(schema: Mapping[str, Any], words: list[Any]) -> Schema:
    allowed = schema.get("type")
    kinds: dict[str, list[Any]] = {}
    for word in words:
        kind = _kind(word)
        if kind is None:
            raise NotStrictError("an enum of objects or arrays")
        kinds.setdefault(kind, []).append(word)
    parts = [
        NULL if kind == "null" else {"type": kind, "enum": listed, **_notes(schema)}
        for kind, listed in kinds.items()
        if allowed is None or _allows(allowed, kind)
    ]
    if not parts:
        raise NotStrictError("an enum that its type excludes")
    return either(parts)


def _allows(allowed: str | list[str], kind: str) -> bool:
    listed = [allowed] if isinstance(allowed, str) else allowed
    return kind in listed or (kind == "integer" and "number" in listed)


def _kind(word: object) -> str | None:
    if word is None:
        return "null"
    return {bool: "boolean", int: "integer", float: "number", str: "string"}.get(type(word))


def _of_kind(schema: Mapping[str, Any], kind: str) -> Schema:
    """The keywords that mean something for this type."""
    strange: set[str] = set()
    for kinds, keywords in _BELONGS:
        if kind not in kinds:
            strange.update(keywords)
    return {key: value for key, value in schema.items() if key not in strange}


_BELONGS: Final = (
    (("object",), ("properties", "required", "additionalProperties")),
    (("array",), ("items", "uniqueItems", *_ITEMS)),
    (("number", "integer"), (*_NUMBER, "multipleOf", "exclusiveMinimum", "exclusiveMaximum")),
    (("string",), ("pattern", "minLength", "maxLength", "format")),
)


def _object(schema: Mapping[str, Any], depth: int) -> Schema:
    properties = schema.get("properties")
    if not properties or schema.get("additionalProperties", False) is not False:
        raise NotStrictError("an open object")
    forms = {name: strict(each, depth + 1) for name, each in properties.items()}
    required = set(schema.get("required", ()))
    for name, form in forms.items():
        if name not in required and NULL not in form.get("anyOf", [form]):
            raise NotStrictError(f"optional property {name}")
    if required - set(forms):
        raise NotStrictError("a required property without a schema")
    return {"properties": forms, "required": list(forms), "additionalProperties": False}


def _array(schema: Mapping[str, Any], depth: int) -> Schema:
    items = schema.get("items")
    if not isinstance(items, dict):
        raise NotStrictError("an array without items")
    return {"items": strict(items, depth + 1), **_kept(schema, _ITEMS)}


def _number(schema: Mapping[str, Any], _: int) -> Schema:
    return _kept(schema, _NUMBER)


def _text(schema: Mapping[str, Any], _: int) -> Schema:
    return _kept(schema, ("format",)) if schema.get("format") in _FORMATS else {}


def _plain(_: Mapping[str, Any], __: int) -> Schema:
    return {}


_FORMS: Final[dict[str, Callable[[Mapping[str, Any], int], Schema]]] = {
    "object": _object,
    "array": _array,
    "number": _number,
    "integer": _number,
    "string": _text,
    "boolean": _plain,
    "null": _plain,
}


def _kept(schema: Mapping[str, Any], keywords: tuple[str, ...]) -> Schema:
    return {key: schema[key] for key in keywords if key in schema}


def _described(schema: Mapping[str, Any]) -> Schema:
    """The description, with the constraints that only the judge checks."""
    said = [f"{key}: {to_json(schema[key])}" for key in _ONLY_SAID if key in schema and schema[key] not in _FORMATS]
    parts = [one_line(str(schema.get("description") or "")), f"({', '.join(said)})" if said else ""]
    text = " ".join(part for part in parts if part)
    return {"description": text} if text else {}
