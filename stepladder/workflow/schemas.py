"""JSON Schema, in the short form of workflow files: a word is a type, a mapping is a schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from stepladder.workflow.yaml_text import Path

TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null", "any")
ELSEWHERE: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "$schema", "$id", "$vocabulary"})
"""Keys that lead out of a schema; looking there would read a file or call a server."""

Check = Callable[[Mapping[str, Any]], str]
"""What is wrong with a value, or ""."""


class SchemaError(ValueError):
    """A schema that is none: which `field` (`path` leads into its schema), what was `found`, what was `expected`."""

    def __init__(self, field: str, found: str, expected: str, path: Path = ()) -> None:
        self.field, self.found, self.expected, self.path = field, found, expected, path
        super().__init__(f"{field}: found {found}; expected {expected}")


def field_schema(name: str, short: object) -> dict[str, Any]:
    """The JSON Schema of one field.

    Raises:
        SchemaError: it is neither a type word nor a schema.
    """
    if isinstance(short, str) and short in TYPES:
        return {} if short == "any" else {"type": short}
    if not isinstance(short, dict):
        raise SchemaError(name, repr(short), "a type (" + ", ".join(TYPES) + ") or a JSON Schema mapping")
    for path in _leading_elsewhere(short, ()):
        raise SchemaError(name, f"key {path[-1]!r}", "a schema that stands alone, written out", path)
    try:
        jsonschema_rs.validator_for(short)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        path = tuple(getattr(error, "instance_path", ()))
        raise SchemaError(name, *_found_and_expected(error, short, path), path) from None
    return short


def object_schema(fields: Mapping[str, Any], *, required: bool, closed: bool) -> dict[str, Any]:
    """The JSON Schema of an object with these fields; a field with a `default` is never required."""
    properties = {name: field_schema(name, short) for name, short in fields.items()}
    needed = [name for name, schema in properties.items() if "default" not in schema] if required else []
    return {"type": "object", "properties": properties, "required": sorted(needed), "additionalProperties": not closed}


def checker(schema: dict[str, Any]) -> Check | None:
    """A function that says what is wrong with a value; None where everything fits."""
    if not schema.get("properties") and schema.get("additionalProperties"):
        return None
    validator = jsonschema_rs.validator_for(schema)

    def check(value: Mapping[str, Any]) -> str:
        if validator.is_valid(value):
            return ""
        return "; ".join(_spell(error) for error in list(validator.iter_errors(value))[:3])

    return check


def misfit(name: str, short: object, value: object) -> str:
    """What is wrong with the value of a field, or ""; a schema that is none lets everything through."""
    try:
        check = checker(object_schema({name: short}, required=False, closed=False))
    except SchemaError:
        return ""
    return check({name: value}).removeprefix(f"{name}: ") if check else ""


def with_defaults(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The value with the defaults of absent fields filled in."""
    defaults = {name: item["default"] for name, item in schema["properties"].items() if "default" in item}
    return {**defaults, **value}


def words_of(schema: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The words that an enum allows, or None where it is open."""
    listed = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    return tuple(str(word) for word in listed) if listed else None


def _leading_elsewhere(schema: object, path: Path) -> Iterator[Path]:
    if isinstance(schema, dict):
        for key, item in schema.items():
            if key in ELSEWHERE and isinstance(item, str):
                yield (*path, key)
            yield from _leading_elsewhere(item, (*path, key))
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _leading_elsewhere(item, (*path, index))


def _found_and_expected(error: Exception, schema: dict[str, Any], path: Path) -> tuple[str, str]:
    value: Any = schema
    for part in path:
        value = value[part]
    if path and path[-1] == "type":
        return repr(value), "a type: " + ", ".join(TYPES[:-1])
    return repr(value)[:120], f"a JSON Schema: {_first_line(error)}"


def _spell(error: Any) -> str:
    path = ".".join(str(part) for part in error.instance_path)
    return f"{path + ': ' if path else ''}{_first_line(error)}"


def _first_line(error: object) -> str:
    return str(getattr(error, "message", error)).split("\n")[0][:200]
