"""Turns the items of a question into facts.

What no rule of the grammar matched becomes a `Mentioned` or a `Leftover`, so that no word is lost silently.
"""

from __future__ import annotations

from . import facts as f
from .grammar import FILTERS, SHAPES
from .items import Item
from .named_texts import written_texts
from .patterns import SLOTS, Made, applied
from .value_rows import value_rows

SILENT = frozenset(("HAVING", "AND", "WHO", "THEIR", "KNOWN", "ALTOGETHER"))


def facts(question: tuple[Item, ...]) -> tuple[f.Fact, ...]:
    """The facts of a question, in the order of its words."""
    row: list[Item | None] = list(question)
    made: list[tuple[int, f.Fact]] = []
    for step in (written_texts, _first_rules, value_rows, _later_rules):
        made += step(row)
    made += _rest(row, any(map(SLOTS["textcol"], question)))
    return tuple(fact for _, fact in sorted(made, key=lambda pair: pair[0]))


def _first_rules(row: list[Item | None]) -> Made:
    return [pair for rule in FILTERS for pair in applied(row, rule)]


def _later_rules(row: list[Item | None]) -> Made:
    """Rules for which it does not matter what was used up between their words."""
    made: Made = []
    for rule in SHAPES:
        row[:] = [item for item in row if item is not None]
        made += applied(row, rule)
    return made


def _rest(row: list[Item | None], placed: bool) -> Made:
    """Mentions that no rule used, and what was not understood."""
    return [(item.at, _left(item)) for item in row if item is not None and not _is_silent(item, placed)]


def _is_silent(item: Item, placed: bool) -> bool:
    """Whether an item says nothing more; `placed` when the question names something that places can be texts of."""
    return not item.links and (item.kind in SILENT or (placed and item.kind == "LOCATED"))


def _left(item: Item) -> f.Fact:
    if item.period is not None and item.kind == "NUMBER":
        return f.Dated(None, "=", (item.period,), item.at)
    if SLOTS["thing"](item) or item.values:
        return f.Mentioned(item)
    return f.Leftover(item)
