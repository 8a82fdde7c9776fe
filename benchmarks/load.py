"""What a measurement puts on a store: where to write, how many runs at once, and agents that take the time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Literal

from workload import EXPECTED

Run = Callable[[], Awaitable[list[str]]]
Laps = list[tuple[str, float]]
LAPS: ContextVar[Laps] = ContextVar("laps")
"""The steps of the run that this task makes, each with the time its agent was called at."""


@dataclass(frozen=True)
class Place:
    """Where a store keeps runs: an SQLite file, or a database of a Postgres server where `url` is one."""

    path: Path
    url: str = ""
    synchronous: Literal["full", "normal"] = "full"
    flight: int = 1
    """Runs in flight."""


class Load:
    """The agents' side. Those of the step `gate` wait until it is opened.

    Attributes:
        waiting: how many agents wait.
    """

    def __init__(self, gate: str = "") -> None:
        self.waiting = 0
        self._gate, self._open = gate, asyncio.Event()

    def passes(self, step: str) -> None:
        """Called by a synchronous agent, first of all."""
        laps = LAPS.get(None)
        if laps is not None:
            laps.append((step, perf_counter()))

    async def reaches(self, step: str) -> None:
        """Called by an asynchronous agent, first of all."""
        self.passes(step)
        if step == self._gate:
            self.waiting += 1
            await self._open.wait()

    def let_go(self) -> None:
        """Open the gate."""
        self._open.set()


async def lap(run: Run) -> list[float]:
    """Make one run: the seconds from each agent's call to the next one, the last to the end of the run."""
    laps: Laps = []
    LAPS.set(laps)
    visited = await run()
    times = [at for _, at in laps] + [perf_counter()]
    if visited != EXPECTED or [step for step, _ in laps] != EXPECTED[:-1]:
        raise AssertionError(f"visited {visited}, called {[step for step, _ in laps]}, expected {EXPECTED}")
    return [after - before for before, after in pairwise(times)]
