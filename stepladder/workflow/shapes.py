"""What is known about a value before any run: its kinds, its words or bounds, its fields.

A shape says too much rather than too little: every value that can occur fits it. Nothing is known of `ANYTHING`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, Final

import msgspec

from stepladder.values import is_number

KINDS: Final = {"string": "word", "number": "number", "integer": "number", "boolean": "flag", "array": "list"}
"""JSON Schema's types as kinds; an object is a mapping, and null is as good as missing."""
COMPARED: Final = frozenset({"word", "number", "flag"})
"""The kinds that a clause compares."""
OPEN_KEYS: Final = ("anyOf", "oneOf", "allOf", "not", "if", "patternProperties")


class Shape(msgspec.Struct, frozen=True):
    """What a value may be.

    `words`: all that it may be where it is a word (None: any). `fields`: those of a mapping (None: any). `each`: the
    shape of a list's elements. `always`: it is never missing. `whole`: a number is a whole one.
    """

    kinds: frozenset[str]
    words: frozenset[str] | None = None
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    fields: Mapping[str, Shape] | None = None
    each: Shape | None = None
    always: bool = False


class Absent(msgspec.Struct, frozen=True):
    """A path that leads nowhere: `name` is not in `parent`, which has only these `names`."""

    parent: str
    name: str
    names: tuple[str, ...]


ANYTHING: Final = Shape(frozenset({"word", "number", "flag", "list", "mapping"}))
TEXT: Final = Shape(frozenset({"word"}))
NUMBER: Final = Shape(frozenset({"number"}))
FLAG: Final = Shape(frozenset({"flag"}), always=True)
COUNT: Final = Shape(frozenset({"number"}), low=0, whole=True, always=True)


def words(names: Iterable[str], *, always: bool = False) -> Shape:
    """One of these words."""
    return Shape(frozenset({"word"}), words=frozenset(names), always=always)


def mapping(fields: Mapping[str, Shape] | None) -> Shape:
    """A mapping with these fields; None: with any."""
    return Shape(frozenset({"mapping"}), fields=fields, always=True)


def listed(each: Shape) -> Shape:
    """A list of such values."""
    return Shape(frozenset({"list"}), each=each)


def join(shapes: Iterable[Shape]) -> Shape:
    """One of these shapes; nothing at all where there is none."""
    return reduce(_either, shapes, None) or mapping({})


def _either(one: Shape | None, other: Shape) -> Shape:
    if one is None or one == other:
        return other
    return Shape(
        one.kinds | other.kinds,
        words=_all_words(one, other),
        low=min(one.low, other.low),
        high=max(one.high, other.high),
        whole=(one.whole or other.whole) and all(shape.whole for shape in (one, other) if "number" in shape.kinds),
        fields=_all_fields(one, other),
        each=one.each if one.each == other.each else None,
        always=one.always and other.always,
    )


def _all_words(one: Shape, other: Shape) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for shape in (one, other):
        if "word" in shape.kinds:
            if shape.words is None:
                return None
            found |= shape.words
    return found


def _all_fields(one: Shape, other: Shape) -> Mapping[str, Shape] | None:
    mappings = [shape.fields for shape in (one, other) if "mapping" in shape.kinds]
    if not mappings or any(fields is None for fields in mappings):
        return None
    found: dict[str, Shape] = {}
    for name in dict.fromkeys(name for fields in mappings for name in fields or ()):
        there = [fields[name] for fields in mappings if fields is not None and name in fields]
        shape = join(there)
        found[name] = shape if len(there) == len(mappings) else msgspec.structs.replace(shape, always=False)
    return found


def of_schema(schema: Any) -> Shape:
    """The shape of what a JSON Schema lets through."""
    if not isinstance(schema, Mapping) or any(key in schema for key in OPEN_KEYS):
        return ANYTHING
    listed_words = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if listed_words is not None:
        return _of_values(listed_words)
    types = schema.get("type")
    named = [types] if isinstance(types, str) else types
    if named is None:
        fields = of_fields(schema["properties"]).fields if schema.get("properties") else None
        return msgspec.structs.replace(ANYTHING, fields=fields)
    kinds = frozenset(KINDS.get(each, "mapping") for each in named if each != "null")
    return Shape(
        kinds,
        low=schema.get("minimum", schema.get("exclusiveMinimum", -math.inf)),
        high=schema.get("maximum", schema.get("exclusiveMaximum", math.inf)),
        whole="integer" in named and "number" not in named,
        fields=of_fields(schema["properties"]).fields if schema.get("properties") else None,
        each=of_schema(schema.get("items", {})) if "list" in kinds else None,
    )


def of_fields(fields: Mapping[str, Any]) -> Shape:
    """A mapping whose fields have these schemas."""
    return mapping({name: of_schema(schema) for name, schema in fields.items()})


def _of_values(values: Iterable[object]) -> Shape:
    given = list(values)
    numbers = [float(value) for value in given if is_number(value)]
    kinds = {"word"} if any(isinstance(value, str) for value in given) else set()
    kinds |= {"flag"} if any(isinstance(value, bool) for value in given) else set()
    kinds |= {"number"} if numbers else set()
    return Shape(
        frozenset(kinds),
        words=frozenset(value for value in given if isinstance(value, str)),
        low=min(numbers, default=-math.inf),
        high=max(numbers, default=math.inf),
    )


def look_up(shape: Shape, path: str) -> Shape | Absent:
    """The shape at a dotted path. Through a list the path gathers what the elements hold, as a list."""
    gathered, parent = False, ""
    always = True
    for name in path.split("."):
        if "list" in shape.kinds and "mapping" not in shape.kinds:
            shape, gathered = shape.each or ANYTHING, True
        if "mapping" not in shape.kinds:
            return Absent(parent, name, ())
        if shape.fields is None:
            return listed(ANYTHING) if gathered else ANYTHING
        if name not in shape.fields:
            return Absent(parent, name, tuple(shape.fields))
        shape, parent = shape.fields[name], f"{parent}.{name}".removeprefix(".")
        always = always and shape.always
    if gathered:
        return listed(shape)
    return shape if shape.always == always else msgspec.structs.replace(shape, always=always)
