"""Values of one column in a row, `X`, `X or Y`, `X, Y and Z`, with the column named before or after."""

from __future__ import annotations

from collections.abc import Iterator

from . import facts as f
from .items import Item
from .patterns import Made


def value_rows(row: list[Item | None]) -> Made:
    """`X`, `X or Y`, `X, Y and Z` of one column, with the column named before or after."""
    made: Made = []
    at = 0
    while at < len(row):
        run = list(_run(row, at))
        if run:
            place = getattr(row[at], "at", at)
            made.append((place, _valued(row, run)))
            at = run[-1]
        at += 1
    return made


def _run(row: list[Item | None], at: int) -> Iterator[int]:
    """The places of a row of values of one column, with what joins them."""
    first = row[at]
    if first is None or not _is_value(row, at):
        return
    yield at
    columns = _columns(first)
    while at + 1 < len(row):
        joins = [
            place
            for place in (at + 1, at + 2)
            if (item := row[place] if place < len(row) else None) and item.kind in ("AND", "OR")
        ]
        after = joins[-1] + 1 if joins else 0
        item = row[after] if 0 < after < len(row) else None
        if not joins or joins[0] != at + 1 or item is None or not _is_value(row, after) or not columns & _columns(item):
            return
        columns &= _columns(item)
        yield from (*joins, after)
        at = after


def _columns(item: Item) -> set[tuple[str, str]]:
    return {(link.column.table, link.column.name) for link in item.values}


def _is_value(row: list[Item | None], at: int) -> bool:
    """Surely a value: nothing else that it may be is likelier, or its own column stands beside it."""
    item = row[at]
    if item is None or not item.values or item.kind not in ("MENTION", "QUOTED", "NUMBER", "BARE", "VAGUE", "PART"):
        return False
    if item.kind == "MENTION" and not item.values[0].whole and item.links[0] != item.values[0]:
        return False
    other = max((link.score for link in item.links if link not in item.values), default=0.0)
    if other < item.values[0].score:
        return True
    beside = [row[place] for place in (at - 1, at + 1) if 0 <= place < len(row)]
    return any(near is not None and _hint_of(near, item) for near in beside) or (
        item.text[:1].isupper() and at > 0 and not item.tables
    )


def _hint_of(near: Item, value: Item) -> bool:
    columns = _columns(value)
    named = any((link.column.table, link.column.name) in columns for link in near.columns)
    return named or any(link.table in {table for table, _ in columns} for link in near.tables)


def _valued(row: list[Item | None], run: list[int]) -> f.Valued:
    items = [item for place in run if (item := row[place]) is not None]
    hint = _take_hint(row, run, items[0])
    row[run[0] : run[-1] + 1] = [None] * (run[-1] + 1 - run[0])
    located = row[run[0] - 1] if run[0] else None
    if located is not None and located.kind in ("LOCATED", "NAMED", "LIKE", "BY"):
        row[run[0] - 1] = None
    all_of = len(items) > 1 and not any(item.kind == "OR" for item in items)
    return f.Valued(tuple(item for item in items if item.kind not in ("AND", "OR")), hint, all_of=all_of)


def _take_hint(row: list[Item | None], run: list[int], value: Item) -> Item | None:
    """The word beside that names the value's column or, as in `the X album`, its table."""
    columns = _columns(value)
    for place in (run[0] - 1, run[-1] + 1):
        near = row[place] if 0 <= place < len(row) else None
        if near is None or near.kind not in ("MENTION", "PART"):
            continue
        if any((link.column.table, link.column.name) in columns for link in near.columns) and not near.tables:
            row[place] = None
            return near
        if any(
            link.table in {table for table, _ in columns} for link in near.tables
        ) and not near.text.lower().endswith("s"):
            return near
    return None
