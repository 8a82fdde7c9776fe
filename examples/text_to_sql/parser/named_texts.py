"""Texts that stand in the question itself: `named X`, `starting with X`, `whose title contains X`."""

from __future__ import annotations

from . import facts as f
from .items import Item
from .patterns import SLOTS, Made


def written_texts(row: list[Item | None]) -> Made:
    """`named X`, `starting with X`, `title contains X`: the text may be any words."""
    made: Made = []
    for at in range(len(row) - 1):
        asked, said = row[at], row[at + 1]
        if asked is None or said is None or asked.kind not in ("NAMED", "LIKE"):
            continue
        if said.kind not in ("QUOTED", "UNKNOWN", "MENTION") and not said.text[:1].isupper() and len(said.text) > 1:
            continue
        if asked.kind == "LIKE" and not _about_text(row, at, asked, said):
            continue
        if _is_whole_value(row, at, asked, said):
            row[at] = None
            continue
        made.append((asked.at, _written(row, at, asked, said)))
    return made


def _about_text(row: list[Item | None], at: int, asked: Item, said: Item) -> bool:
    """Whether containing is said of a text, and not of a thing that holds others (or that somebody likes)."""
    previous = row[at - 1] if at else None
    of_text = previous is not None and (SLOTS["textcol"](previous) or previous.kind == "NOT")
    return of_text or asked.says != "contains" or said.kind == "QUOTED" or "word" in asked.text or bool(said.values)


def _is_whole_value(row: list[Item | None], at: int, asked: Item, said: Item) -> bool:
    """`named X`, `containing X`: X is a known thing and not just a part of a text."""
    previous = row[at - 1] if at else None
    text = asked.kind == "LIKE" and (asked.says != "contains" or (previous is not None and SLOTS["textcol"](previous)))
    return not text and bool(said.values) and said.links[0] in said.values and said.values[0].whole


def _written(row: list[Item | None], at: int, asked: Item, said: Item) -> f.Written:
    negation, what = _before(row, at)
    end = at + 2
    words = [said.text]
    while said.kind == "UNKNOWN" and said.text[:1].isupper() and end < len(row) and _continues(row[end]):
        words.append(getattr(row[end], "text", ""))
        end += 1
    row[at:end] = [None] * (end - at)
    how = asked.says or ("is" if said.kind == "QUOTED" else "contains")
    text = said.says if said.kind == "QUOTED" else " ".join(words)
    return f.Written(how, text, what, negation, at)


def _continues(item: Item | None) -> bool:
    return item is not None and item.kind == "UNKNOWN" and item.text[:1].isupper() and not item.before


def _before(row: list[Item | None], at: int) -> tuple[bool, Item | None]:
    """Whether `not` stands right before, and the text column before that; both are used up."""
    negated = False
    previous = row[at - 1] if at else None
    if previous is not None and previous.kind == "NOT":
        row[at - 1], negated, at = None, True, at - 1
        previous = row[at - 1] if at else None
    if previous is None or not SLOTS["textcol"](previous):
        return negated, None
    row[at - 1] = None
    return negated, previous
