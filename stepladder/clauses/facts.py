"""Reading a dotted path from facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

Facts = dict[str, Any]
"""What is known when a decision opens: plain values by name, nested mappings by dotted path."""


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "missing"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()
"""What a path gives that leads nowhere; it satisfies no clause."""


def reader(path: str, nothing: Any = MISSING) -> Callable[[Facts], Any]:
    """A function from facts to the value at `path`, or to `nothing`.

    `all.NAME.field` reads the field of every element of a list, as a list.
    """
    first, *rest = path.split(".")
    if not rest:
        return lambda facts: facts.get(first, nothing)
    if len(rest) == 1:
        return _two(first, rest[0], nothing)

    def read(facts: Facts) -> Any:
        found = _follow(facts.get(first, MISSING), rest)
        return nothing if found is MISSING else found

    return read


def _two(first: str, second: str, nothing: Any) -> Callable[[Facts], Any]:
    def read(facts: Facts) -> Any:
        inner = facts.get(first)
        if type(inner) is dict:
            return inner.get(second, nothing)
        found = _follow(inner, [second])
        return nothing if found is MISSING else found

    return read


def _follow(value: Any, keys: list[str]) -> Any:
    for position, key in enumerate(keys):
        if isinstance(value, (list, tuple)):
            found = (_follow(item, keys[position:]) for item in value)
            return [item for item in found if item is not MISSING]
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value
