"""Plain JSON values: taking them in, writing them, naming them by digest.

Whatever enters a run is a *plain* value: None, bool, int, finite float, str, list, dict with str keys. What is
not plain is refused with its path, so that a journal always reads back as what was decided on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from hashlib import sha256
from typing import Any, Final, TypeGuard

import msgspec

from stepladder.errors import InputError

Plain = Any
"""A plain JSON value (mypy cannot say so without a cost at every use)."""

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_IN_ORDER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()
NOT_PLAIN: Final = object()
"""What `plain_already` gives for a value that has to be taken apart first."""
_MAX_DEPTH: Final = 64
_MAX_BITS: Final = 10_000
"""Longer integers cannot be written as text and read back by everybody."""
_ESCAPED: Final = re.compile(r"<|[^\x00-\x7e]")
_EXPECTED: Final = "JSON (text, number, flag, list, mapping) or an artifact"


def canonical(value: Plain) -> bytes:
    """The value as JSON bytes with sorted keys: equal values give equal bytes."""
    return _ENCODER.encode(value)


def to_json(value: Plain, *, indent: int | None = None) -> str:
    """The value as JSON that is safe between marks in a prompt: no `<`, nothing that hides. Keys keep their order."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str, allow_nan=False)
    return _ESCAPED.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character > "\x7f" and character.isprintable():
        return character
    number = ord(character)
    if number > 0xFFFF:
        number -= 0x10000
        return f"\\u{0xD800 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"
    return f"\\u{number:04x}"


def digest(*parts: Plain) -> str:
    """16 hex characters that name these parts (64 bits of SHA-256 over their canonical JSON)."""
    return sha256(_ENCODER.encode(parts)).hexdigest()[:16]


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number: true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def plain(value: object, what: str = "value") -> Plain:
    """An independent plain copy of `value`; pydantic models, dataclasses, structs, enums and tuples are taken apart.

    Raises:
        InputError: something in it is not JSON, with its path (`what` names the whole).
    """
    copy = plain_already(value)
    return _walk(value, what, "", 0) if copy is NOT_PLAIN else copy


def copied(value: Plain) -> Plain:
    """An independent copy of a plain value."""
    return _DECODER.decode(_IN_ORDER.encode(value))


def plain_already(value: object) -> Plain:
    """An independent copy of a value that is plain as it stands, or NOT_PLAIN: quick, and never wrong about a copy."""
    try:
        encoded = _IN_ORDER.encode(value)  # a mapping keeps the order of its keys: rules and columns have one
        copy = _DECODER.decode(encoded)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return NOT_PLAIN
    if copy != value or type(copy) is not type(value):
        return NOT_PLAIN
    deep = encoded.count(b"[") + encoded.count(b"{") > _MAX_DEPTH and _is_deep(copy)
    return NOT_PLAIN if deep else copy


def _is_deep(copy: Plain) -> bool:
    level = [copy]
    for _ in range(_MAX_DEPTH):
        inside = [each.values() if type(each) is dict else each for each in level]
        level = [item for items in inside for item in items if type(item) is dict or type(item) is list]
        if not level:
            return False
    return True


def _walk(value: object, what: str, path: str, depth: int) -> Plain:
    if depth > _MAX_DEPTH:
        raise InputError(what, path, f"nesting deeper than {_MAX_DEPTH}", "a flatter value")
    if isinstance(value, Enum):
        return _walk(value.value, what, path, depth + 1)
    if value is None or isinstance(value, (bool, str)):
        return _text(value, what, path)
    if isinstance(value, (int, float)):
        return _number(value, what, path)
    if isinstance(value, Mapping):
        return {_key(key, what, path): _walk(item, what, f"{path}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_walk(item, what, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    try:
        _refuse_nan(value)
        parts = _taken_apart(value)
    except Exception as error:
        raise InputError(what, path, f"a {type(value).__name__} ({type(error).__name__})", _EXPECTED) from error
    return _walk(parts, what, path, depth + 1)


def _refuse_nan(value: object) -> None:
    """pydantic writes NaN and infinity as null, without a word."""
    if (dump := getattr(value, "model_dump", None)) is not None:
        _walk_numbers(dump())


def _walk_numbers(value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            _walk_numbers(item)


def _taken_apart(value: object) -> object:
    if (dump := getattr(value, "model_dump", None)) is not None:
        return dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if (item := getattr(value, "item", None)) is not None and getattr(value, "ndim", None) == 0:  # a numpy scalar
        return item()
    raise TypeError("not JSON")


def _number(value: int | float, what: str, path: str) -> int | float:
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(what, path, str(value), "a finite number")
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise InputError(what, path, f"an integer of {value.bit_length()} bits", f"at most {_MAX_BITS} bits, or text")
    return float(value) if isinstance(value, float) else int(value)


def _text(value: str | bool | None, what: str, path: str) -> str | bool | None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(what, path, "text with a lone surrogate", "text that UTF-8 can hold") from None
        return str(value)
    return value


def _key(key: object, what: str, path: str) -> str:
    if not isinstance(key, str):
        raise InputError(what, path, f"a key of type {type(key).__name__} ({key!r})", "keys that are text")
    text = _text(key, what, path)
    return str(text)
