"""What an application knows of its targets: breakers, limits, latches, how long they take and how reliable they are.

One `Health` belongs to one set of providers. It is shared by every run and decision that asks them, and holds the one
retry budget.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from stepladder.fallback import (
    BreakerPolicy,
    Failure,
    Handling,
    Limiter,
    Limiters,
    Outcome,
    Pace,
    Rate,
    Retries,
    View,
    latched_for_s,
)
from stepladder.llm.known import Key, Known
from stepladder.llm.purse import Target

if TYPE_CHECKING:  # pybreaker brings Redis along, 10 MB of it: who asks no model has no breakers
    import pybreaker

    from stepladder.llm.breaker import Breaker, Permit
    from stepladder.llm.breaker_storage import Storage

UNTOLD_S: Final = 0.25
"""How long a target is left alone after a 429 that names no time."""


class Health:
    """Everything that is remembered of targets.

    It judges under one policy; what it judges by is `known`, which several may share. A policy that changes is another
    `Health` on the same `known`.

    Args:
        breaker: when breakers open; one policy for all.
        rates: what is sent at most: by `provider:model`, by `provider:*` for all its models together, and by `*` for
            everything together; each that covers a target counts.
        retry_share: retries as a share of first attempts, over a minute.
        retries: the same with the number that is free and the window; comes before `retry_share`.
        storage: gives the storage of the breaker of a name; this process's memory where none is given. With
            `SqliteStorage` or `RedisStorage` processes share their breakers.
        listeners: pybreaker listeners, told of every change of a breaker's state.
        clock, chance: monotonic seconds, and a number from 0 to 1.
        known: what was seen of targets before; then storage, listeners, clock and chance are its own.
    """

    def __init__(
        self,
        *,
        breaker: BreakerPolicy | None = None,
        rates: Mapping[str, Rate] | None = None,
        retry_share: float = 0.1,
        retries: Retries | None = None,
        storage: Callable[[str], Storage] | None = None,
        listeners: Iterable[pybreaker.CircuitBreakerListener] = (),
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        known: Known | None = None,
    ) -> None:
        self.known = known or Known(storage=storage, listeners=listeners, clock=clock, chance=chance)
        self.clock, self.chance = self.known.clock, self.known.chance
        self.budget = self.known.budget(retries or Retries(retry_share))
        self._policy, self._rates = breaker or BreakerPolicy(), dict(rates or {})
        self._shared = {
            name: Limiter(rate, self.known.traffic(name)) for name, rate in self._rates.items() if name.endswith("*")
        }
        self._targets: dict[Target, TargetHealth] = {}
        self._breakers: dict[str, Breaker] = {}
        self.latches = self.known.latches
        self.unknown = Pace()

    def of(self, target: Target) -> TargetHealth:
        """What is known of a target."""
        found = self._targets.get(target)
        if found is None:
            found = self._targets[target] = TargetHealth(self, target)
        return found

    def breaker(self, name: str) -> Breaker:
        """The breaker of a name."""
        if name not in self._breakers:
            self._breakers[name] = self.known.breaker(name, self._policy)
        return self._breakers[name]

    def limiter(self, target: Target) -> Limiter | Limiters:
        """All that a request to a target has to pass."""
        own = Limiter(self._rates.get(target.name), self.known.traffic(target))
        wider = [self._shared[name] for name in (f"{target.provider}:*", "*") if name in self._shared]
        return Limiters(own, wider) if wider else own

    def reset(self) -> None:
        """The configuration has changed: what was switched off until then is on again."""
        self.latches.clear()

    def states(self) -> dict[str, str]:
        """The state of every breaker, and what is switched off, by name."""
        now = self.clock()
        off = {
            ":".join(each for each in key if each): f"off: {why}"
            for key, (why, until) in self.latches.items()
            if until is None or until > now
        }
        return {name: breaker.state for name, breaker in (self.known.breakers | self._breakers).items()} | off


class TargetHealth:
    """What is known of one target."""

    def __init__(self, health: Health, target: Target) -> None:
        self._health, self.target = health, target
        place = f"{target.provider}@{target.base_url}" if target.base_url else target.provider
        self.endpoint = health.breaker(place)
        self.model = health.breaker(f"{place}/{target.model}")
        self.limiter = health.limiter(target)
        self.pace = health.known.pace(target)
        self.window: int | None = None
        self._keys: dict[str, Key] = {
            "provider": (target.provider, target.base_url),
            "api_key": (target.provider, target.base_url, "key"),
            "model": (target.provider, target.base_url, target.model),
        }

    def view(self, left_s: float, *, window: int | None = None) -> View:
        """What a pure function may know of it now."""
        now = self._health.clock()
        blocked = 0.01 if self.limiter.full() else self.limiter.blocked_s(now)
        return View(self._closed(now), blocked, self.pace.patience_s(left_s), self.pace.usual_s, window or self.window)

    def _closed(self, now: float) -> str:
        if self._health.latches and (why := self._latched(now)):
            return why
        if self.endpoint.looks_open() or self.model.looks_open():
            return "its breaker is open"
        return ""

    def _latched(self, now: float) -> str:
        for key in self._keys.values():
            why, until = self._health.latches.get(key, ("", None))
            if why and until is not None and until <= now:
                del self._health.latches[key]
            elif why:
                return f"switched off: {why}"
        return ""

    def allow(self) -> tuple[Permit, Permit] | None:
        """Leave of both breakers for one call, or None."""
        endpoint = self.endpoint.allow()
        if endpoint is None:
            return None
        model = self.model.allow()
        if model is None:
            self.endpoint.record(endpoint, "ignored")
            return None
        return endpoint, model

    def answered(self, permits: tuple[Permit, Permit], took_s: float) -> None:
        """It answered: a success, whatever the answer is worth."""
        self.pace.answered(took_s)
        self.endpoint.record(permits[0], "success", took_s)
        self.model.record(permits[1], "success", took_s)

    def failed(self, permits: tuple[Permit, Permit], failure: Failure, found: Handling) -> None:
        """It did not: what counts goes to the breaker of its scope, 429 to the limiter, what lasts to a latch."""
        endpoint: Outcome = "failure" if found.breaker == "endpoint" else "ignored"
        model: Outcome = "failure" if found.breaker == "model" else "ignored"
        self.endpoint.record(permits[0], endpoint)
        self.model.record(permits[1], model)
        if found.breaker:
            self.pace.failed(late=failure.code == "late")
        now = self._health.clock()
        if failure.code == "rate_limited" or failure.retry_after_s:
            self.limiter.told_to_wait(now, UNTOLD_S if failure.retry_after_s is None else failure.retry_after_s)
        if found.latch:
            key = self._keys.get(found.latch, self._keys["model"])
            seconds = latched_for_s(found, failure)
            said = failure.sign or failure.code
            if self._health.latches.get(key, ("", now))[1] is not None:  # what lasts is not made shorter
                self._health.latches[key] = (said, None if seconds is None else now + seconds)

    def cut_off(self, permits: tuple[Permit, Permit]) -> None:
        """Nobody waits for it any more: that says nothing about it."""
        self.endpoint.record(permits[0], "ignored")
        self.model.record(permits[1], "ignored")
