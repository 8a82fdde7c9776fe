"""Memories of signals as plain JSON and back: JSON has no tuples and no sets, and its keys are texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from stepladder.signals.tally import Tally

_ITEMS, _TUPLE, _SET, _TALLY = "$items", "$tuple", "$set", "$tally"
_READ: Final[dict[str, Callable[[Any], Any]]] = {
    _ITEMS: lambda items: {memory_of(key): memory_of(value) for key, value in items},
    _TUPLE: lambda parts: tuple(map(memory_of, parts)),
    _SET: lambda parts: frozenset(map(memory_of, parts)),
    _TALLY: lambda parts: Tally(*map(memory_of, parts)),
}
"""Marks, each the only key of its object, and what stands behind them."""


def plain_memory(memory: object) -> object:
    """The memory as JSON can hold it; what it does not know is left as it is."""
    match memory:
        case tuple():
            return {_TUPLE: [plain_memory(each) for each in memory]}
        case frozenset():
            return {_SET: [plain_memory(each) for each in memory]}
        case list():
            return [plain_memory(each) for each in memory]
        case Tally():
            return {_TALLY: [plain_memory(each) for each in msgspec.structs.astuple(memory)]}
        case dict() if all(isinstance(key, str) and not key.startswith("$") for key in memory):
            return {key: plain_memory(value) for key, value in memory.items()}
        case dict():
            return {_ITEMS: [[plain_memory(key), plain_memory(value)] for key, value in memory.items()]}
        case _:
            return memory


def memory_of(plain: Any) -> Any:
    """The memory that was made plain.

    Raises:
        TypeError, ValueError: it is no memory.
    """
    if isinstance(plain, list):
        return [memory_of(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    for mark, parts in plain.items():
        if len(plain) == 1 and mark in _READ:
            return _READ[mark](parts)
    return {key: memory_of(value) for key, value in plain.items()}
