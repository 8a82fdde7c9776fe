"""`name=value` on the command line, and JSON from options, files and stdin."""

from __future__ import annotations

import json
import math
import mimetypes
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepladder.errors import InputError, cause_of

if TYPE_CHECKING:
    from stepladder.drivers import Artifact

_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.ASCII)
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def pairs(given: Iterable[str] | None, option: str) -> dict[str, str]:
    """The pairs, in order. Raises InputError for what is none, and for a name given twice."""
    found: dict[str, str] = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            raise InputError(option, "", repr(each), "name=value")
        if name in found:
            raise InputError(option, name, "it a second time", "each name once")
        found[name] = value
    return found


def numbers(given: Iterable[str] | None, option: str, expected: str) -> dict[str, float]:
    """The pairs as numbers from 0. Raises InputError, which says what was `expected`."""
    found = {}
    for name, text in pairs(given, option).items():
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not math.isfinite(number) or number < 0:
            raise InputError(option, name, repr(text), expected)
        found[name] = number
    return found


def fields(given: Iterable[str] | None, option: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The pairs as values of an object with this schema: text where text is wanted, JSON else."""
    properties = schema.get("properties", {})
    return {name: typed(text, properties.get(name, {})) for name, text in pairs(given, option).items()}


def with_files(given: Iterable[str] | None, option: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """As `fields`; `name=@path` is the file's content, as an artifact, where an object is wanted and text is not."""
    properties = schema.get("properties", {})
    found = fields(given, option, schema)
    for name, value in found.items():
        if isinstance(value, str) and value.startswith("@") and _wants_object(properties.get(name, {})):
            found[name] = _artifact(value[1:], option, name)
    return found


def _wants_object(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    return kinds == "object" or (isinstance(kinds, list) and "object" in kinds and "string" not in kinds)


def _artifact(path: str, option: str, name: str) -> Artifact:
    from stepladder.drivers import Artifact

    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        found = cause_of(error)
        raise InputError(option, name, f"{path!r}: {found}", "a file that can be read") from None
    return Artifact(data, mimetypes.guess_type(path, strict=False)[0] or "application/octet-stream")


def typed(text: str, schema: Mapping[str, Any]) -> Any:
    """The value that `text` means for a field with this schema; what cannot be read stays text, to be refused."""
    kinds = schema.get("type")
    listed = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if kinds == "string" or (isinstance(kinds, list) and "string" in kinds) or text in listed:
        return text
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except ValueError:
        return text


def seconds_of(text: str, what: str) -> float:
    """A length of time such as 90s, 12h, 30d, in seconds. Raises InputError."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise InputError(what, "", repr(text), "a number with s, m, h, d or w, such as 30d")
    return float(found[1]) * _SECONDS[found[2]]


def mapping(text: str, what: str) -> dict[str, Any]:
    """The JSON object that `text` spells. Raises InputError."""
    try:
        value = json.loads(text, object_pairs_hook=_each_once)
    except ValueError as error:
        raise InputError(what, "", f"no JSON ({error})", "a JSON object") from None
    if not isinstance(value, dict):
        raise InputError(what, "", f"a {type(value).__name__}", 'a JSON object, such as {"text": "yes"}')
    return value


def mapping_file(path: str, what: str) -> dict[str, Any]:
    """The JSON object in a file, or on stdin for `-`. Raises InputError."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = cause_of(error)
        raise InputError(f"{what} {path}", "", found, "a JSON file that can be read") from None
    return mapping(text, f"{what} {path}")


def _each_once(found: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(found)
    if len(value) < len(found):
        raise ValueError("a key occurs twice")
    return value
