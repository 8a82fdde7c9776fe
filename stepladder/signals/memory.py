"""Memories of signals as plain JSON and back: JSON has no tuples and no sets, and its keys are texts."""

from __future__ import annotations

from typing import Any

import msgspec

from stepladder.signals.tally import Tally

_ITEMS, _TUPLE, _SET, _TALLY = "$items", "$tuple", "$set", "$tally"


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
    match plain:
        case {"$items": items, **rest} if not rest:
            return {memory_of(key): memory_of(value) for key, value in items}
        case {"$tuple": parts, **rest} if not rest:
            return tuple(map(memory_of, parts))
        case {"$set": parts, **rest} if not rest:
            return frozenset(map(memory_of, parts))
        case {"$tally": parts, **rest} if not rest:
            return Tally(*map(memory_of, parts))
        case _:
            return {key: memory_of(value) for key, value in plain.items()}
