"""What is in flight for one run: calls of agents and questions to models, each a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextvars import Context
from typing import Any

import msgspec

from stepladder.commands import CallAgent
from stepladder.events import Event
from stepladder.orchestrator import Machine

Flight = tuple[int, int]
"""A command's number and attempt."""


class Post(msgspec.Struct, frozen=True, gc=False):
    """An event handed in, the inbox item it comes from, the artifacts to keep with it, and the machine to go on under
    from this event on (None: the same)."""

    event: Event
    taken: int = 0
    kept: dict[str, bytes] = {}
    under: Machine | None = None


Work = Callable[[Any], Coroutine[Any, Any, Post]]
Landed = Callable[[Post | None, Exception | None], None]
"""Told what came of a flight: an event, an exception that is no event, or neither where it was cut off."""


class _Flying(msgspec.Struct, frozen=True):
    task: asyncio.Task[None]
    can_be_cut: bool


class Flights:
    """The flights of a run.

    Args:
        context: the context variables that each of them starts with a copy of.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._flying: dict[Flight, _Flying] = {}
        self._stragglers: dict[asyncio.Task[None], None] = {}  # an empty set takes three times as much

    def __contains__(self, flight: Flight) -> bool:
        return flight in self._flying

    def __len__(self) -> int:
        return len(self._flying)

    @property
    def none(self) -> bool:
        """Whether nothing flies, not even what nobody awaits any more."""
        return not (self._flying or self._stragglers)

    def tasks(self, numbers: Collection[int] | None = None) -> list[asyncio.Task[None]]:
        """The tasks that are awaited, or those of these commands."""
        return [each.task for (number, _), each in self._flying.items() if numbers is None or number in numbers]

    def begin(self, flight: Flight, work: Work, command: Any, landed: Landed, *, can_be_cut: bool) -> None:
        """Start one. `landed` is told in its own task what came of it; so nothing but a flight knows its run, and one
        that is over is given back at once."""
        flying = self._fly(flight, work, command, landed)
        name = command.agent if isinstance(command, CallAgent) else command.model
        task = asyncio.get_running_loop().create_task(flying, name=name, context=self._context.copy())
        self._flying[flight] = _Flying(task, can_be_cut)

    def drop_all_but(self, wanted: Collection[Flight]) -> None:
        """Cut off what nobody awaits any more. A synchronous agent cannot be cut off; it lands late."""
        for flight in [flight for flight in self._flying if flight not in wanted]:
            dropped = self._flying.pop(flight)
            self._stragglers[dropped.task] = None
            if dropped.can_be_cut:
                dropped.task.cancel()

    def cut_off(self) -> list[asyncio.Task[None]]:
        """Cut everything off; the tasks that this concerns."""
        tasks = [*self._stragglers, *self.tasks()]
        for task in tasks:
            task.cancel()
        self._flying.clear()
        self._stragglers.clear()
        return tasks

    async def _fly(self, flight: Flight, work: Work, command: Any, landed: Landed) -> None:
        post = raised = None
        try:
            post = await work(command)
        except Exception as error:
            raised = error
        finally:
            if not self._is_straggler():
                self._flying.pop(flight, None)
            landed(post, raised)

    def _is_straggler(self) -> bool:
        """Whether nobody awaits the task that runs now any more; it is forgotten with that."""
        if not self._stragglers:
            return False
        task = asyncio.current_task()
        assert task is not None, "flights are tasks"
        return self._stragglers.pop(task, False) is None
