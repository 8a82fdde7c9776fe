"""What was seen of targets, whoever asked and under whatever policy: it outlives a change of the policy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from stepladder.fallback import BreakerPolicy, Pace, Retries, RetryBudget, Traffic
from stepladder.llm.purse import Target

if TYPE_CHECKING:  # pybreaker brings Redis along, 10 MB of it: who asks no model has no breakers
    import pybreaker

    from stepladder.llm.breaker import Breaker
    from stepladder.llm.breaker_storage import Storage

Key = tuple[str, ...]


class Known:
    """The memory behind one `Health` or several, which judge by it, each under its own policy.

    A policy is one value: breakers under the same one are the same breakers, windows included. Under another one a
    breaker has the same state (open, half open, how often it has opened) and a window of its own.

    Args:
        storage, listeners, clock, chance: as of `Health`.
    """

    def __init__(
        self,
        *,
        storage: Callable[[str], Storage] | None = None,
        listeners: Iterable[pybreaker.CircuitBreakerListener] = (),
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.clock, self.chance = clock, chance
        self._storage, self._listeners = storage, tuple(listeners)
        self.breakers: dict[str, Breaker] = {}
        """The newest breaker of every name."""
        self.latches: dict[Key, tuple[str, float | None]] = {}
        """What is switched off, why, and until when: None until the configuration changes."""
        self._paces: dict[Target, Pace] = {}
        self._traffic: dict[Target | str, Traffic] = {}
        self._budgets: dict[Retries, RetryBudget] = {}

    def breaker(self, name: str, policy: BreakerPolicy) -> Breaker:
        """The breaker of this name under this policy."""
        from stepladder.llm.breaker import Breaker

        newest = self.breakers.get(name)
        if newest is not None and newest.policy == policy:
            return newest
        storage = newest.storage if newest is not None else self._storage(name) if self._storage else None
        made = Breaker(name, policy, storage=storage, listeners=self._listeners, clock=self.clock, chance=self.chance)
        self.breakers[name] = made
        return made

    def pace(self, target: Target) -> Pace:
        """How long it takes, and how reliable it is."""
        return self._paces.setdefault(target, Pace())

    def traffic(self, limited: Target | str) -> Traffic:
        """What goes to a target, or to all that a name with a star stands for."""
        return self._traffic.setdefault(limited, Traffic())

    def budget(self, retries: Retries) -> RetryBudget:
        """The retries of all who ask under this section."""
        if retries not in self._budgets:
            self._budgets[retries] = RetryBudget(retries.share, retries.least, retries.window_s)
        return self._budgets[retries]
