"""Rows said in words, the same words for the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

SHOWN_ROWS = 20
SHOWN_WIDTH = 40


def respond(question: str = "", rows: Sequence[Row] | None = None, truncated: bool = False) -> dict[str, str]:
    """Say `rows` in words: one value as a sentence, one row as a list of fields, more as a short text table."""
    return {"text": _said(list(rows or ()), truncated)}


def _said(rows: list[Row], truncated: bool) -> str:
    if not rows:
        return "Nothing in the database matches."
    if len(rows) == 1 and len(rows[0]) == 1:
        return _one_value(rows[0])
    if len(rows) == 1:
        return _one_row(rows[0])
    return _many_rows(rows, truncated)


def _one_value(row: Row) -> str:
    ((name, value),) = row.items()
    return f"{_heading(name)}: {_shown(value)}."


def _one_row(row: Row) -> str:
    return "; ".join(f"{_heading(name)}: {_shown(value)}" for name, value in row.items()) + "."


def _many_rows(rows: list[Row], truncated: bool) -> str:
    count = f"{'The first ' if truncated else ''}{len(rows)} rows"
    hidden = len(rows) - SHOWN_ROWS
    more = [f"... and {hidden} more"] if hidden > 0 else []
    return "\n".join([f"{count}:", *_table(rows[:SHOWN_ROWS]), *more])


def _table(rows: list[Row]) -> list[str]:
    names = list(rows[0])
    cells = [[_heading(name) for name in names]] + [[_shown(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:]]


def _heading(name: str) -> str:
    return name.replace("_", " ").strip() or "value"


def _shown(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}" if abs(value) >= 10_000 else str(value)
        case float():
            return f"{value:,.2f}".rstrip("0").rstrip(".")
        case _:
            return _short(" ".join(str(value).split()))


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_WIDTH else text[: SHOWN_WIDTH - 3] + "..."
