"""What a breaker wants of whatever keeps its state."""

from __future__ import annotations

from typing import Final, Protocol

import pybreaker

CLOSED: Final = pybreaker.STATE_CLOSED
OPEN: Final = pybreaker.STATE_OPEN
HALF_OPEN: Final = pybreaker.STATE_HALF_OPEN
LONGEST_S: Final = 3_600.0
"""No rest is longer; one that seems so was written before the machine started anew."""


class Storage(Protocol):
    """A storage of pybreaker's that can also rest and lease. Safe to share between threads."""

    shared: bool
    """Whether other processes use it as well; asking it costs more then."""

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        ...

    @property
    def openings(self) -> int:
        """How often it has opened without a success in between."""
        ...

    def rest(self, seconds: float) -> None:
        """Let nobody probe for so long; one more opening."""
        ...

    def resting(self) -> bool:
        """Whether nobody may probe yet."""
        ...

    def lease(self, seconds: float) -> str:
        """Take the one probe for so long: its token, or "" where it is taken, it rests, or is closed."""
        ...

    def release(self, token: str) -> bool:
        """Give the probe back: whether it was still ours."""
        ...

    def healed(self) -> None:
        """No openings any more, nothing to rest for."""
        ...

    def failed(self, within_s: float) -> int:
        """One more failure: how many there were in a row, over all processes, none longer ago than this. 0 where
        nothing is shared."""
        ...

    def answered(self) -> None:
        """A success after failures: none are in a row any more."""
        ...
