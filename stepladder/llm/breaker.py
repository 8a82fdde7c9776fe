"""A circuit breaker around an await: `allow` before it, `record` after it.

pybreaker keeps the state, tells the listeners and offers the storages; what opens a breaker, and who may probe, is
decided here, by the window in `stepladder.fallback.window` and the lease of the storage. Its own `call` counts no
failure of a coroutine, holds a lock while it waits, and lets every caller through when it is half open.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
import pybreaker

from stepladder.fallback import BreakerPolicy, Outcome, Window
from stepladder.llm.breaker_storage import CLOSED, HALF_OPEN, MemoryStorage, Storage

FRESH_S: Final = 0.05
"""For so long a shared storage that said closed is taken at its word, and not told of another success."""


class Permit(msgspec.Struct, frozen=True):
    """Leave for one call; `probe` is the token of the one that is let through half open."""

    probe: str = ""


LEAVE: Final = Permit()


class Breaker:
    """One target's breaker, shared between tasks and threads; with a shared storage, between processes.

    Args:
        name: what listeners are told.
        policy: when it opens and for how long.
        storage: where its state is kept; in this process where none is given.
        listeners: pybreaker listeners, told of every change of state.
        clock, chance: monotonic seconds, and a number from 0 to 1.
    """

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy | None = None,
        *,
        storage: Storage | None = None,
        listeners: Iterable[pybreaker.CircuitBreakerListener] = (),
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name, self.policy = name, policy or BreakerPolicy()
        self._storage: Storage = storage or MemoryStorage(clock)
        held: Any = self._storage
        self._circuit = pybreaker.CircuitBreaker(state_storage=held, listeners=list(listeners), name=name)
        self._window = Window(self.policy)
        self._lock = threading.Lock()
        self._clock, self._chance = clock, chance
        self._closed_at = self._answered_at = float("-inf")

    @property
    def storage(self) -> Storage:
        """Where its state is kept."""
        return self._storage

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        return self._storage.state

    def closed(self) -> bool:
        """Whether calls go through; what a shared storage said a moment ago will do."""
        if not self._storage.shared:
            return self._storage.state == CLOSED
        now = self._clock()
        if now - self._closed_at < FRESH_S:
            return True
        closed = self._storage.state == CLOSED
        self._closed_at = now if closed else float("-inf")
        return closed

    def looks_open(self) -> bool:
        """Whether a call would be refused now, as far as can be seen without taking the probe."""
        return not self.closed() and self._storage.resting()

    def allow(self) -> Permit | None:
        """Leave for one call, or None. Whoever has it records what came of the call, also where it was cut off."""
        if self.closed():
            return LEAVE
        token = self._storage.lease(self.policy.probe_s)
        if not token:
            return LEAVE if self._storage.state == CLOSED else None
        if self._storage.state != HALF_OPEN:
            self._circuit.half_open()
        return Permit(token)

    def record(self, permit: Permit, outcome: Outcome, took_s: float = 0.0) -> None:
        """What came of the call. `ignored` (429, 4xx, cut off by us) neither counts nor resets anything."""
        if permit.probe:
            self._probed(permit, outcome)
        elif outcome != "ignored" and self.closed():
            with self._lock:
                opens = self._window.add(outcome == "failure", took_s, self._clock())
                if opens or (self._storage.shared and self._elsewhere(outcome)):
                    self._open()

    def _elsewhere(self, outcome: Outcome) -> bool:
        """Whether it has to open for what all processes have seen: failures in a row with nothing else between."""
        if outcome == "failure":
            return self._storage.failed(self.policy.window_s) >= self.policy.straight
        now = self._clock()
        if now - self._answered_at >= FRESH_S:
            self._answered_at = now
            self._storage.answered()
        return False

    def _probed(self, permit: Permit, outcome: Outcome) -> None:
        with self._lock:
            if outcome == "ignored":
                self._storage.release(permit.probe)
            elif outcome == "failure":
                self._open()
                self._storage.release(permit.probe)
            elif self._storage.release(permit.probe):
                self._window.clear()
                self._storage.answered()
                self._storage.healed()
                self._circuit.close()

    def _open(self) -> None:
        self._storage.rest(self.policy.open_for_s(self._storage.openings + 1, self._chance()))
        self._window.clear()
        self._closed_at = float("-inf")
        self._circuit.open()
