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
Read = Callable[[Facts], Any]
Compare = Callable[[Any, Any], bool]

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

    __slots__ = ("_reads", "_tests", "clauses", "holds")

    holds: Test
    """Whether every clause holds on these facts."""

    def __init__(self, clauses: Iterable[Clause | str] = ()) -> None:
        self.clauses = tuple(item if isinstance(item, Clause) else parse_clause(item) for item in clauses)
        self._reads = tuple(reader(clause.signal) for clause in self.clauses)
        self._tests = tuple(_test(clause) for clause in self.clauses)
        self.holds = _all_of(self._tests)

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


class AnyOf:
    """Named conditions, any of which is enough; asked in the order they are written in."""

    __slots__ = ("_tests", "named")

    def __init__(self, named: Mapping[str, Condition | Iterable[str]] | None = None) -> None:
        self.named: dict[str, Condition] = {
            name: item if isinstance(item, Condition) else Condition(item) for name, item in (named or {}).items()
        }
        self._tests = tuple((name, condition.holds) for name, condition in self.named.items())

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

    def all_fired(self, facts: Facts) -> tuple[Fired, ...]:
        """Every name whose condition holds, with its readings."""
        fired: tuple[Fired, ...] = ()
        for name, holds in self._tests:
            if holds(facts):
                fired = (*fired, Fired(name, self.named[name].readings(facts)))
        return fired

    def clauses(self) -> tuple[Clause, ...]:
        """Every clause in it."""
        return tuple(clause for condition in self.named.values() for clause in condition.clauses)


def _all_of(tests: tuple[Test, ...]) -> Test:
    """One function for all: conditions are asked at every step, and most have one clause or none."""
    if not tests:
        return lambda _: True
    if len(tests) == 1:
        return tests[0]

    def holds(facts: Facts) -> bool:
        for test in tests:  # noqa: SIM110 - all() with a generator costs twice as much here
            if not test(facts):
                return False
        return True

    return holds


def _test(clause: Clause) -> Test:
    compare = _ORDER[clause.op]
    if isinstance(clause.literal, bool):
        return _flag(reader(clause.signal), clause.literal, compare)
    if isinstance(clause.literal, str):
        return _word(reader(clause.signal), clause.literal, compare)
    if "." not in clause.signal and clause.op != "!=":
        return _bare_number(clause.signal, clause.literal, compare)
    return _number(reader(clause.signal), clause.literal, compare)


def _flag(read: Read, literal: bool, compare: Compare) -> Test:
    return lambda facts: isinstance(value := read(facts), bool) and compare(value, literal)


def _word(read: Read, literal: str, compare: Compare) -> Test:
    return lambda facts: type(value := read(facts)) is str and compare(value, literal)


def _bare_number(name: str, literal: float, compare: Compare) -> Test:
    """A signal of its own against a threshold: what a classifier asks most. NaN satisfies no order."""

    def test(facts: Facts) -> bool:
        value = facts.get(name)
        return (type(value) is int or type(value) is float) and compare(value, literal)

    return test


def _number(read: Read, literal: float, compare: Compare) -> Test:
    def test(facts: Facts) -> bool:
        value = read(facts)
        return (type(value) is int or type(value) is float) and value == value and compare(value, literal)  # noqa: PLR0124 - NaN

    return test


ALWAYS: Final = Condition()
"""The condition without clauses; it always holds."""
