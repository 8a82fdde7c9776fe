"""Where the product touches the world: clocks, chance, threads. For the length of a simulation they are the loop's.

Everything else is the real code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from stepladder.drivers.clock import Cancel
from stepladder.drivers.committer import Committer
from stepladder.journal import LEASE_S, Owner
from stepladder.journal.owner import new_owner
from tests.simulation.loop import PROCESS, SimulatedLoop

WRITE_S: Final = (0.0, 0.001, 0.01, 0.3)
"""Seconds until a group is gathered, and until it is written."""


class LoopClock:
    """The clock that Orchestrators get: the loop's."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.now

    def call_at(self, at: float, callback: Any) -> Cancel:
        return self._loop.call_at(max(at, self._loop.now), callback).cancel


SLOW = 0.5


class ThreadlessCommitter(Committer):
    """The real one; at times the disk is slow, and what its thread does is done by the loop, with time in between."""

    def _is_slow(self) -> bool:
        return _here().random.random() < SLOW

    def _start(self) -> None:
        self._later(self._gather)

    def _gather(self) -> None:
        group = self._taken(by_thread=True)
        if group:
            self._later(self._write_it, group)

    def _write_it(self, group: list[Any]) -> None:
        self._tell(group, self._write(group))
        self._gather()

    def _later(self, *what: Any) -> None:
        loop = _here()
        loop.call_later(loop.random.choice(WRITE_S), *what)


def _here() -> SimulatedLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop), "only a simulation has no threads"
    return loop


@contextmanager
def simulated(loop: SimulatedLoop, checkpoint_every: int) -> Iterator[None]:
    """Time, ids, owners and threads are the loop's."""
    numbers = count(1)
    time = SimpleNamespace(time=lambda: loop.now, monotonic=lambda: loop.now)

    def owner(owner_id: str) -> Owner:
        host = getattr(PROCESS.get(), "host", "")
        found = new_owner(owner_id, loop.now)
        return Owner(found.id, host, 1, 1.0, loop.now + LEASE_S) if host else found

    edges = {
        "stepladder.journal.owner._started": lambda pid: 1.0,
        "stepladder.journal.owner.time": time,
        "stepladder.journal.memory.time": time,
        "stepladder.drivers.ownership.time": time,
        "stepladder.drivers.ownership.uuid": SimpleNamespace(
            uuid4=lambda: SimpleNamespace(hex=f"{next(numbers):032x}")
        ),
        "stepladder.drivers.ownership.new_owner": owner,
        "stepladder.drivers.resources.Committer": ThreadlessCommitter,
        "stepladder.drivers.turns.CHECKPOINT_EVERY": checkpoint_every,
        "stepladder.app.orchestrator.os": SimpleNamespace(environ={}),
    }
    with ExitStack() as stack:
        for name, value in edges.items():
            stack.enter_context(patch(name, value))
        yield
