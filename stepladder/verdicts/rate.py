"""How often the cache had what was looked for: a view of journals."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stepladder.decision.point import MISS
from stepladder.events import Event, ModelAnswered, ModelFailed
from stepladder.record import Entry


class HitRate(msgspec.Struct, frozen=True):
    """Look-ups that found a verdict (`similar` of them by likeness), and look-ups that found none."""

    hits: int = 0
    similar: int = 0
    misses: int = 0

    @property
    def look_ups(self) -> int:
        """All of them."""
        return self.hits + self.misses

    @property
    def share(self) -> float:
        """Hits among all look-ups, 0 to 1; 0 where nothing was looked up."""
        return self.hits / self.look_ups if self.look_ups else 0.0

    def __add__(self, other: HitRate) -> HitRate:
        """Both together."""
        return HitRate(self.hits + other.hits, self.similar + other.similar, self.misses + other.misses)


def hit_rate(entries: Iterable[Event | Entry]) -> HitRate:
    """The look-ups in the entries of one run or of many."""
    hits = similar = misses = 0
    for entry in entries:
        if isinstance(entry, ModelAnswered) and entry.cached:
            hits += 1
            similar += entry.cached != "exact"
        elif isinstance(entry, ModelFailed) and entry.code == MISS:
            misses += 1
    return HitRate(hits, similar, misses)
