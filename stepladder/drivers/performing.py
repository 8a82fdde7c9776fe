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
from stepladder.events import Event
from stepladder.orchestrator import Machine, fold
from stepladder.record import Asked, Entry
from stepladder.state import RunState


class Performing:
    """What is in flight for a run, as its state has it outstanding.

    Args:
        machine: the run's workflow and policy.
        resources: what runs have in common.
        run_id: the run.
        context: the context variables that each flight starts with a copy of.
    """

    def __init__(self, machine: Machine, resources: Resources, run_id: str, context: Context) -> None:
        self._machine, self._resources, self._run_id = machine, resources, run_id
        self._flights = Flights(context)
        self._asked_in: dict[int, RunState] = {}

    @property
    def none(self) -> bool:
        """Whether nothing is in flight, not even what nobody awaits any more."""
        return self._flights.none

    def tasks(self, numbers: Collection[int] | None = None) -> list[asyncio.Task[None]]:
        """What is awaited, or that of these commands."""
        return self._flights.tasks(numbers)

    def begin(self, state: RunState, now: float, landed: Landed) -> None:
        """Begin what is outstanding and not in flight yet, unless the process drains."""
        if self._resources.draining:
            return
        flights = self._flights
        for command in state.outstanding.values():
            if isinstance(command, CallAgent):
                flight = (command.number, command.attempt)
                if flight not in flights and command.not_before <= now:
                    can_be_cut = self._resources.agents[command.agent].is_async
                    flights.begin(flight, self._call, command, landed, can_be_cut=can_be_cut)
            elif isinstance(command, AskModel) and (command.number, 1) not in flights:
                asked_in = self._asked_in.pop(command.number, None) if command.shadow else state
                flights.begin((command.number, 1), partial(self._ask, asked_in), command, landed, can_be_cut=True)

    def next_start(self, state: RunState) -> float | None:
        """When the next call may start that waits for its time; none does while the process drains."""
        if len(self._flights) >= len(state.outstanding) or self._resources.draining:
            return None
        calls = [command for command in state.outstanding.values() if isinstance(command, CallAgent)]
        waiting = (call.not_before for call in calls if (call.number, call.attempt) not in self._flights)
        return min(waiting, default=None)

    def follow(self, before: RunState, after: RunState, entries: Sequence[Event | Entry]) -> None:
        """A turn has happened: cut off what nobody awaits any more.

        A shadow is asked about the state in which its decision was open; the run may have gone on since.
        """
        if after.shadows:
            for index, entry in enumerate(entries):
                if isinstance(entry, Asked) and entry.shadow:
                    state = fold(self._machine, entries[: index + 1], before)
                    self._asked_in |= dict.fromkeys(entry.commands, state)
        if self._flights:
            commands = after.outstanding.values()
            self._flights.drop_all_but({(each.number, getattr(each, "attempt", 1)) for each in commands})

    def cut_off(self) -> list[asyncio.Task[None]]:
        """Cut everything off; the tasks that this concerns."""
        return self._flights.cut_off()

    async def _ask(self, state: RunState | None, command: AskModel) -> Post:
        return Post(await ask(self._resources, self._machine, state, command))

    def _call(self, command: CallAgent) -> Coroutine[Any, Any, Post]:
        return call_agent(self._resources, self._machine, self._run_id, command)
