"""How alike two situations of one kind are, from 0 to 1.

The mean over their features: numbers by their distance against the larger of them (Gower's coefficient with the pair's
own range), texts by the words they share (Jaccard), everything else by being equal. It is a rough measure, and off by
default; a verdict that was found by it says so in the record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from stepladder.values import is_number

_WORD: Final = re.compile(r"\w+")


def likeness(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How alike these features are; 0 where they are not the same features."""
    if not one or one.keys() != other.keys():
        return 0.0
    return sum(_alike(one[name], other[name]) for name in one) / len(one)


def _alike(one: Any, other: Any) -> float:
    if is_number(one) and is_number(other):
        largest = max(abs(one), abs(other))
        return 1.0 if largest == 0 else max(0.0, 1.0 - abs(one - other) / largest)
    if isinstance(one, str) and isinstance(other, str):
        return _shared(one, other)
    return 1.0 if type(one) is type(other) and one == other else 0.0


def _shared(one: str, other: str) -> float:
    if one == other:
        return 1.0
    these, those = set(_WORD.findall(one.casefold())), set(_WORD.findall(other.casefold()))
    return len(these & those) / len(these | those) if these | those else 0.0
