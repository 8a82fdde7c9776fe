"""Between two rows every line that goes far to a side has a height of its own, so that no two lie on each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ASIDE: Final = 13.0
"""Pixels to the side that a gentle bend still does; beyond them a line goes across."""
APART: Final = 6.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A line between two rows, from `top` to `bottom` (places x). Pieces of one `net` may lie on each other."""

    top: float
    bottom: float
    net: str

    @property
    def across(self) -> bool:
        """Whether it needs a height of its own."""
        return abs(self.bottom - self.top) > ASIDE

    @property
    def span(self) -> tuple[float, float]:
        """From where to where it goes across."""
        return min(self.top, self.bottom), max(self.top, self.bottom)


def assign(pieces: Iterable[Piece]) -> dict[Piece, int]:
    """A track for each piece that goes across, counted from the top.

    Of lines that go to the right the one that starts rightmost turns first, of those to the left the leftmost: then
    lines that fan out from one box do not cross each other.
    """
    found: dict[Piece, int] = {}
    nets: dict[str, int] = {}
    for piece in sorted((each for each in dict.fromkeys(pieces) if each.across), key=_turn):
        same = nets.get(piece.net)
        track = same if same is not None and _free(piece, same, found) else _first(piece, found)
        found[piece] = track
        nets[piece.net] = track
    return found


def _turn(piece: Piece) -> tuple[bool, float, float, str]:
    right = piece.bottom > piece.top
    return right, -piece.top if right else piece.top, -piece.bottom if right else piece.bottom, piece.net


def _first(piece: Piece, found: dict[Piece, int]) -> int:
    """The first track below those of its own kind that it would meet, and free."""
    alike = [track for other, track in found.items() if _meet(piece, other) and _right(other) == _right(piece)]
    track = max(alike, default=-1) + 1
    while not _free(piece, track, found):
        track += 1
    return track


def _free(piece: Piece, track: int, found: dict[Piece, int]) -> bool:
    return not any(on == track and other.net != piece.net and _meet(piece, other) for other, on in found.items())


def _meet(one: Piece, two: Piece) -> bool:
    (left, right), (other_left, other_right) = one.span, two.span
    return left < other_right + APART and other_left < right + APART


def _right(piece: Piece) -> bool:
    return piece.bottom > piece.top
