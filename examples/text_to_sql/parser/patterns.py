"""Patterns of items, and finding them in a question.

A pattern is a row of slots. In capitals: an item of that kind (`A|B` for either); in small letters: an item that can be
an entity, a column, a number and so on (`SLOTS`). `slot:name` names it for the maker, `?` makes it optional.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from . import facts as f
from .items import Item

Found = dict[str, Item]
Maker = Callable[[Found], "f.Fact | tuple[f.Fact, ...] | None"]
NUMERIC = ("number", "year")
ARTICLES = frozenset(("a", "an", "any", "some"))


def has_column(item: Item, *kinds: str) -> bool:
    return any(link.column.kind in kinds for link in item.columns)


SLOTS: dict[str, Callable[[Item], bool]] = {
    "entity": lambda item: bool(item.tables or item.roles),
    "column": lambda item: bool(item.columns or item.incomes),
    "numcol": lambda item: has_column(item, *NUMERIC) or bool(item.incomes),
    "datecol": lambda item: has_column(item, "date", "year"),
    "textcol": lambda item: has_column(item, "text", "other"),
    "flag": lambda item: has_column(item, "flag"),
    "value": lambda item: bool(item.values),
    "thing": lambda item: bool(item.tables or item.roles or item.columns or item.incomes),
    "number": lambda item: item.number is not None,
    "plain_number": lambda item: item.number is not None and not item.dated,
    "date": lambda item: item.dated and item.period is not None,
    "year_number": lambda item: item.number is not None and item.period is not None,
    "avg": lambda item: item.kind == "AGG" and item.says == "avg",
    "income": lambda item: bool(item.incomes),
    "verb": lambda item: item.verbal,
    "own": lambda item: bool(item.columns) and (not item.verbal) and bool(ARTICLES & set(item.before)),
    "from_date": lambda item: item.period is not None and "from" in item.before,
    "to_date": lambda item: item.period is not None,
    "firm_value": lambda item: bool(item.values) and item.links[0] in item.values,
}


class Slot(NamedTuple):
    """One place of a pattern."""

    name: str
    accepts: Callable[[Item], bool]
    optional: bool


class Rule(NamedTuple):
    """A pattern and what to make of it; None from the maker lets the next rule try."""

    pattern: str
    make: Maker


@lru_cache(maxsize=256)
def _slots(pattern: str) -> tuple[Slot, ...]:
    return tuple(_slot(part) for part in pattern.split())


def _slot(part: str) -> Slot:
    bare = part.rstrip("?")
    kind, _, name = bare.partition(":")
    if kind.isupper():
        kinds = kind.split("|")
        return Slot(name or kinds[0].lower(), lambda item: item.kind in kinds, part.endswith("?"))
    return Slot(name or kind, SLOTS[kind], part.endswith("?"))


def matched(slots: tuple[Slot, ...], row: list[Item | None], at: int) -> list[tuple[str, int]] | None:
    """Where each slot's item is when the pattern begins exactly at `at`, the longest match first."""
    if not slots:
        return []
    first, rest = slots[0], slots[1:]
    item = row[at] if at < len(row) else None
    if item is not None and first.accepts(item):
        tail = matched(rest, row, at + 1)
        if tail is not None:
            return [(first.name, at), *tail]
    return matched(rest, row, at) if first.optional else None


Made = list[tuple[int, f.Fact]]


def applied(row: list[Item | None], rule: Rule) -> Made:
    slots, made = _slots(rule.pattern), []
    for at in range(len(row)):
        places = matched(slots, row, at)
        if not places:
            continue
        new = rule.make({name: item for name, place in places if (item := row[place]) is not None})
        if new is None:
            continue
        first = next((item.at for _, place in places if (item := row[place])), 0)
        made += [(first, fact) for fact in (new if isinstance(new, tuple) else (new,))]
        for _, place in places:
            row[place] = None
    return made
