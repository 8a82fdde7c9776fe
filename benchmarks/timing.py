"""Measuring side by side: every contestant once per round, round after round, so that noise falls on all alike."""

import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Batch = list[Any]
WARM_UP_CALLS = 20


@dataclass(frozen=True)
class Spread:
    """The middle of what the rounds measured, in the unit of the measurements."""

    median: float
    low: float
    """A quarter of the rounds was faster than this."""
    high: float
    """A quarter of the rounds was slower than this."""

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """The median and the quartiles of at least two values."""
        low, _, high = statistics.quantiles(values, n=4)
        return cls(median=statistics.median(values), low=low, high=high)


def measure(
    calls: Mapping[str, Callable[[], object]], *, runs: int, rounds: int, inspect: Callable[[str, Batch], None]
) -> dict[str, list[float]]:
    """Microseconds a call, one value per round, by the names of `calls`.

    A round is A B C D: `runs` calls of each, one after the other. What a batch returned goes to `inspect` after the
    clock has stopped. The garbage collector stays on, as it would be in production.
    """
    for call in calls.values():
        for _ in range(WARM_UP_CALLS):
            call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()  # not timed: the caches still belong to the one before
            took_us, batch = timed(call, runs)
            inspect(name, batch)
            taken[name].append(took_us)
    return taken


def timed(call: Callable[[], object], runs: int) -> tuple[float, Batch]:
    """Microseconds a call over `runs` calls, and what they returned."""
    began_ns = time.perf_counter_ns()
    batch = [call() for _ in range(runs)]
    took_ns = time.perf_counter_ns() - began_ns
    return took_ns / runs / 1000, batch


def on_loop(run: Callable[[], Coroutine[Any, Any, T]]) -> Callable[[], T]:
    """A plain call that awaits `run()` on the one event loop that all asynchronous peers share.

    Entering the loop costs a few microseconds a run, which `enter_loop` measures: it is those peers' set-up.
    """
    loop = shared_loop()
    return lambda: loop.run_until_complete(run())


def enter_loop() -> Callable[[], None]:
    """A call that enters the shared loop and does nothing there."""
    return on_loop(nothing)


async def nothing() -> None:
    """Awaits nothing."""


@cache
def shared_loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()
