"""Performing what a run asks for: each agent that is called and each model that is asked is a flight."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from contextvars import Context
from functools import partial
from typing import Any

from stepladder.commands import AskModel, CallAgent
from stepladder.drivers.flights import Flights, Landed, Post
from stepladder.drivers.perform import ask, call_agent
from stepladder.drivers.resources import Resources
from stepladder.drivers.turns import Turns
from stepladder.events import Event
from stepladder.orchestrator import fold
from stepladder.record import Asked, Entry
from stepladder.state import RunState


class Performing:
    """What is in flight for a run, as its state has it outstanding.

    Args:
        turns: the run, as far as it is durable.
        resources: what runs have in common.
        context: the context variables that each flight starts with a copy of.
    """

    def __init__(self, turns: Turns, resources: Resources, context: Context) -> None:
        self._turns, self._resources, self._flights = turns, resources, Flights(context)
        self._asked_in: dict[int, RunState] = {}

    @property
    def none(self) -> bool:
        """Whether nothing is in flight, not even what nobody awaits any more."""
        return self._flights.none

    def tasks(self, numbers: Collection[int] | None = None) -> list[asyncio.Task[None]]:
        """What is awaited, or that of these commands."""
        return self._flights.tasks(numbers)

    def begin(self, now: float, landed: Landed) -> None:
        """Begin what is outstanding and not in flight yet, unless the process drains."""
        if self._resources.draining:
            return
        flights, state = self._flights, self._turns.state
        for command in state.outstanding.values():
            if isinstance(command, CallAgent):
                flight = (command.number, command.attempt)
                if flight not in flights and command.not_before <= now:
                    can_be_cut = self._resources.agents[command.agent].is_async
                    flights.begin(flight, self._call, command, landed, can_be_cut=can_be_cut)
            elif isinstance(command, AskModel) and (command.number, 1) not in flights:
                asked_in = self._asked_in.pop(command.number, None) if command.shadow else state
                flights.begin((command.number, 1), partial(self._ask, asked_in), command, landed, can_be_cut=True)

    def next_start(self) -> float | None:
        """When the next call may start that waits for its time; none does while the process drains."""
        outstanding = self._turns.state.outstanding
        if len(self._flights) >= len(outstanding) or self._resources.draining:
            return None
        calls = [command for command in outstanding.values() if isinstance(command, CallAgent)]
        waiting = (call.not_before for call in calls if (call.number, call.attempt) not in self._flights)
        return min(waiting, default=None)

    def follow(self, before: RunState, entries: Sequence[Event | Entry]) -> None:
        """A turn has happened: cut off what nobody awaits any more.

        A shadow is asked about the state in which its decision was open; the run may have gone on since.
        """
        after = self._turns.state
        if after.shadows:
            for index, entry in enumerate(entries):
                if isinstance(entry, Asked) and entry.shadow:
                    state = fold(self._turns.machine, entries[: index + 1], before)
                    self._asked_in |= dict.fromkeys(entry.commands, state)
        if self._flights:
            commands = after.outstanding.values()
            self._flights.drop_all_but({(each.number, getattr(each, "attempt", 1)) for each in commands})

    def cut_off(self) -> list[asyncio.Task[None]]:
        """Cut everything off; the tasks that this concerns."""
        return self._flights.cut_off()

    async def _ask(self, state: RunState | None, command: AskModel) -> Post:
        return Post(await ask(self._resources, self._turns.machine, state, command))

    def _call(self, command: CallAgent) -> Coroutine[Any, Any, Post]:
        return call_agent(self._resources, self._turns.machine, self._turns.state.run_id, command)
