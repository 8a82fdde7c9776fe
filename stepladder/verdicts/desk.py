"""Looking verdicts up, and asking once what many want to know at the same time.

Whoever finds nothing asks the model; whoever looks for the same situation meanwhile waits for what comes of it. Where
nothing comes of it, the next one asks. A question that is never asked blocks nobody for longer than its deadline. For
other processes that share the file a lease says that somebody asks; they look again from time to time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from stepladder.decision import Caching
from stepladder.errors import StepladderError
from stepladder.journal import Journal, beside
from stepladder.verdicts.similar import likeness
from stepladder.verdicts.situation import Situation
from stepladder.verdicts.store import Kept, MemoryStore, Store

LOOK_EVERY_S: Final = 0.02
"""How often is looked for what another process asks."""


class Found(msgspec.Struct, frozen=True):
    """What a look-up gave: a verdict and how (`exact`, or `similar` with how alike), or None and what went wrong."""

    kept: Kept | None = None
    how: str = ""
    trouble: str = ""


class _Flight(NamedTuple):
    landed: asyncio.Future[None]
    until: float


class Verdicts:
    """The verdicts that one application's models gave.

    Args:
        now: the time, in seconds since 1970.
        journal: shared verdicts are kept in a file beside it; without one, and where it is no file, in memory.
    """

    def __init__(self, now: Callable[[], float], journal: Journal | None = None) -> None:
        self._now, self._journal = now, journal
        self._stores: dict[Caching, Store] = {}
        self._flights: dict[str, _Flight] = {}

    async def look(self, situation: Situation, caching: Caching, within_s: float) -> Found:
        """The verdict of this situation; without one, whoever looks has `within_s` seconds to ask the model."""
        while True:
            try:
                found = self._there(situation, caching)
            except StepladderError as error:
                return Found(trouble=str(error))
            if found.kept is not None:
                return found
            flight = self._flights.get(situation.exact)
            if flight is None or flight.until <= self._now() or flight.landed.get_loop() is not _loop():
                until = self._now() + within_s
                if self._ours(situation, caching, until):
                    self._flights[situation.exact] = _Flight(_loop().create_future(), until)
                    return found
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                await asyncio.shield(flight.landed)

    def learn(self, situation: Situation, caching: Caching, kept: Kept | None) -> str:
        """Keep what came of a question (None: nothing that may be kept); what went wrong with it, or ""."""
        flight, trouble = self._flights.pop(situation.exact, None), ""
        try:
            store = self._store(caching)
            if kept is not None:
                store.put(situation, kept)
            store.release(situation)
        except StepladderError as error:
            trouble = str(error)
        if flight is not None and not flight.landed.done() and not flight.landed.get_loop().is_closed():
            flight.landed.get_loop().call_soon_threadsafe(_land, flight.landed)
        return trouble

    def close(self) -> None:
        """Let go of the files."""
        for store in self._stores.values():
            store.close()
        self._stores.clear()

    def _ours(self, situation: Situation, caching: Caching, until: float) -> bool:
        """Whether no other process asks; what cannot be written down keeps nobody from asking."""
        try:
            return self._store(caching).lease(situation, until)
        except StepladderError:
            return True

    def _there(self, situation: Situation, caching: Caching) -> Found:
        store = self._store(caching)
        kept = store.get(situation)
        if kept is not None:
            return Found(kept, "exact")
        if caching.similar is None or situation.features is None:
            return Found()
        features = situation.features
        rated = ((likeness(features, each.features or {}), each) for each in store.of_kind(situation))
        best = max(rated, key=lambda pair: pair[0], default=None)
        if best is None or best[0] < caching.similar:
            return Found()
        return Found(best[1], f"similar {best[0]:.2f}")

    def _store(self, caching: Caching) -> Store:
        if caching not in self._stores:
            self._stores[caching] = self._opened(caching)
        return self._stores[caching]

    def _opened(self, caching: Caching) -> Store:
        if caching.shared and self._journal is not None:
            from stepladder.verdicts.sqlite import SUFFIX, SqliteStore

            if (file := beside(self._journal, SUFFIX)) is not None:
                return SqliteStore(file, caching.entries, caching.ttl_s, self._now)
        return MemoryStore(caching.entries, caching.ttl_s, self._now)


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _land(landed: asyncio.Future[None]) -> None:
    if not landed.done():
        landed.set_result(None)
