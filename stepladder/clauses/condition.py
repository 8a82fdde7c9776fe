"""Conditions: clauses compiled once and asked often.

A list of clauses means all of them; a mapping of names means any of them, and the name that fired is the reason.
A missing value, or one of another kind than the literal's, satisfies no clause - not even `!=`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from stepladder.clauses.facts import MISSING, Facts, reader
from stepladder.clauses.grammar import Clause, parse_clause

Test = Callable[[Facts], bool]

_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """What a clause saw: its text, the value (None where `seen` is false) and whether it held."""

    clause: str
    value: Any = None
    held: bool = True
    seen: bool = True

    def __str__(self) -> str:
        return f"{self.clause} ({f'was {self.value!r}' if self.seen else 'was missing'})"


class Fired(msgspec.Struct, frozen=True):
    """The name in an any-of that fired, with what its clauses saw."""

    name: str
    readings: tuple[Reading, ...] = ()


class Condition:
    """All of its clauses. Compiled from texts or clauses; equal when the clauses are."""

    __slots__ = ("_reads", "_tests", "clauses")

    def __init__(self, clauses: Iterable[Clause | str] = ()) -> None:
        self.clauses = tuple(item if isinstance(item, Clause) else parse_clause(item) for item in clauses)
        self._reads = tuple(reader(clause.signal) for clause in self.clauses)
        self._tests = tuple(_test(clause) for clause in self.clauses)

    def __bool__(self) -> bool:
        return bool(self.clauses)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and self.clauses == other.clauses

    def __hash__(self) -> int:
        return hash(self.clauses)

    def __repr__(self) -> str:
        return f"Condition({[str(clause) for clause in self.clauses]})"

    def __and__(self, other: Condition) -> Condition:
        return Condition((*self.clauses, *other.clauses))

    def holds(self, facts: Facts) -> bool:
        """Whether every clause holds."""
        for test in self._tests:  # noqa: SIM110 - all() with a generator costs twice as much here
            if not test(facts):
                return False
        return True

    def failing(self, facts: Facts) -> Reading | None:
        """What the first clause that does not hold saw, or None."""
        for index, test in enumerate(self._tests):
            if not test(facts):
                return self._reading(index, facts, held=False)
        return None

    def readings(self, facts: Facts) -> tuple[Reading, ...]:
        """What every clause saw."""
        return tuple(self._reading(index, facts, held=test(facts)) for index, test in enumerate(self._tests))

    def _reading(self, index: int, facts: Facts, *, held: bool) -> Reading:
        value = self._reads[index](facts)
        if value is MISSING:
            return Reading(str(self.clauses[index]), None, held, seen=False)
        return Reading(str(self.clauses[index]), value, held)


ALWAYS: Final = Condition()
"""The condition without clauses; it always holds."""


class AnyOf:
    """Named conditions, any of which is enough; asked in the order they are written in."""

    __slots__ = ("named",)

    def __init__(self, named: Mapping[str, Condition | Iterable[str]] | None = None) -> None:
        self.named: dict[str, Condition] = {
            name: item if isinstance(item, Condition) else Condition(item) for name, item in (named or {}).items()
        }

    def __bool__(self) -> bool:
        return bool(self.named)

    def __repr__(self) -> str:
        return f"AnyOf({self.named})"

    def fired(self, facts: Facts) -> Fired | None:
        """The first name whose condition holds, with its readings, or None."""
        for name, condition in self.named.items():
            if condition.holds(facts):
                return Fired(name, condition.readings(facts))
        return None

    def clauses(self) -> tuple[Clause, ...]:
        """Every clause in it."""
        return tuple(clause for condition in self.named.values() for clause in condition.clauses)


def _test(clause: Clause) -> Test:
    read, literal, compare = reader(clause.signal), clause.literal, _ORDER[clause.op]
    if isinstance(literal, bool):
        return lambda facts: isinstance(value := read(facts), bool) and compare(value, literal)
    if isinstance(literal, str):
        return lambda facts: type(value := read(facts)) is str and compare(value, literal)

    def number(facts: Facts) -> bool:
        value = read(facts)
        return (type(value) is int or type(value) is float) and value == value and compare(value, literal)  # noqa: PLR0124 - NaN

    return number
