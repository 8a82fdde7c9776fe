"""Reading JSON of any form without surprises: the value if it has the form asked for, else None."""

from __future__ import annotations

import math
from typing import Any

Json = dict[str, Any]


def text(value: object) -> str | None:
    """A string that is not blank."""
    return value if isinstance(value, str) and value.strip() else None


def texts(value: object) -> list[str] | None:
    """A list with at least one string, and nothing else."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    return None


def mapping(value: object) -> Json | None:
    """A mapping with at least one key, and strings as keys."""
    if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
        return value
    return None


def number(value: object) -> float | None:
    """A finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        read = float(value)
    except OverflowError:
        return None
    return read if math.isfinite(read) else None


def whole(value: object) -> int | None:
    """A whole number that a seed can be: 0 up to 2**32 - 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**32 else None


def named(value: object) -> Json | None:
    """`{name, params}`: a thing by its name, with its parameters."""
    given = mapping(value) or {}
    params = given.get("params", {})
    if text(given.get("name")) is None or not isinstance(params, dict):
        return None
    return {"name": given["name"], "params": params}
