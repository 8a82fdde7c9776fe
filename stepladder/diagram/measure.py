"""How much room texts take, without asking a font: estimates on the wide side."""

from __future__ import annotations

import unicodedata
from typing import Final

from stepladder.diagram.picture import Arrow, Box, shortened

PHASE: Final = 12.0
NAME: Final = 14.0
DETAIL: Final = 11.5
ACTION: Final = 11.0
GUARD: Final = 10.0
"""Sizes of letters in pixels."""
MONO: Final = 0.61
_NARROW: Final = frozenset("iljtfr.,:;'|!()[] ")
_WIDE: Final = frozenset("mwMW@%—…")


def width(text: str, size: float, *, mono: bool = False) -> float:
    """Pixels that the text is wide, at most."""
    return size * sum(MONO if mono and character.isascii() else _em(character) for character in text)


def _em(character: str) -> float:
    if character in _NARROW:
        return 0.34
    if character in _WIDE or unicodedata.east_asian_width(character) in "WF":
        return 1.02
    return 0.72 if character.isupper() else 0.6


def box_size(box: Box) -> tuple[float, float]:
    """Width and height of a step's or end's box."""
    across = max(width(box.name, NAME) * 1.06, width(shortened(box.detail), DETAIL)) + 34
    counted = 2 * badge_width(box.visits) - 10 if box.visits > 1 else 0
    return max(across, 104.0) + counted, 52.0 if box.detail else 38.0


def badge_width(count: int) -> float:
    """Width of the mark that says how often."""
    return 7.0 + 7.5 * len(f"×{count}")


def label_lines(arrow: Arrow) -> tuple[str, str]:
    """What stands on an arrow: the action with its count, and the guard."""
    count = f" ×{arrow.taken}" if arrow.taken > 1 else ""
    return arrow.action + count, arrow.guard


def label_size(arrows: tuple[Arrow, ...]) -> tuple[float, float]:
    """Width and height of the label of arrows that share a way."""
    across = high = 0.0
    for arrow in arrows:
        action, guard = label_lines(arrow)
        across = max(across, width(action, ACTION, mono=True), width(guard, GUARD))
        high += label_height(arrow)
    return across + 14, high + 6


def label_height(arrow: Arrow) -> float:
    """Height of one arrow's part of a label."""
    return 29.0 if arrow.guard else 15.0
