"""Where verdicts are kept: in memory, by cachetools under our clock, or in a file (see `sqlite`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import msgspec
from cachetools import TTLCache

from stepladder.verdicts.situation import Situation

COMPARED: Final = 256
"""Situations of a kind that a look for a similar one compares at most, the newest first."""


class Kept(msgspec.Struct, frozen=True):
    """A model's answer as it was received, with who gave it, when (seconds since 1970), and in which situation."""

    text: str
    model: str
    at: float
    features: dict[str, Any] | None = None


class Store(Protocol):
    """Verdicts by situation. What is older than its time is not there any more."""

    def get(self, situation: Situation) -> Kept | None:
        """The verdict of exactly this situation."""
        ...

    def of_kind(self, situation: Situation) -> Iterable[Kept]:
        """The newest verdicts of its kind."""
        ...

    def put(self, situation: Situation, kept: Kept) -> None:
        """Keep a verdict, in the place of one of the same situation."""
        ...

    def lease(self, situation: Situation, until: float) -> bool:
        """Take it on to ask about this situation until then; False where another process has."""
        ...

    def release(self, situation: Situation) -> None:
        """It was asked, whatever came of it."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class MemoryStore:
    """At most `entries` verdicts for `ttl_s` seconds by `now`, the least recently used leaving first.

    cachetools is not safe between threads, and its timer is the process's own: hence the lock and the clock.
    """

    def __init__(self, entries: int, ttl_s: float, now: Callable[[], float]) -> None:
        self._lock = threading.Lock()
        self._kept: TTLCache[str, tuple[str, Kept]] = TTLCache(entries, ttl_s, timer=now)

    def get(self, situation: Situation) -> Kept | None:
        """The verdict of exactly this situation."""
        with self._lock:
            found = self._kept.get(situation.exact)
        return None if found is None else found[1]

    def of_kind(self, situation: Situation) -> list[Kept]:
        """The newest verdicts of its kind."""
        with self._lock:
            self._kept.expire()
            found = [kept for kind, kept in self._kept.values() if kind == situation.kind]
        return sorted(found, key=lambda kept: -kept.at)[:COMPARED]

    def put(self, situation: Situation, kept: Kept) -> None:
        """Keep a verdict."""
        with self._lock:
            self._kept[situation.exact] = (situation.kind, kept)

    def lease(self, situation: Situation, until: float) -> bool:
        """No other process can see it."""
        return True

    def release(self, situation: Situation) -> None:
        """Nothing was taken."""

    def close(self) -> None:
        """Nothing to give back."""
