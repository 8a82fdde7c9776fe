"""The runs that an Orchestrator works on: begun, taken up from the journal, watched, and forgotten when they rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from stepladder.app.history import Found, History
from stepladder.app.inbox import event_of, is_too_late
from stepladder.app.run import Run
from stepladder.drivers import Resources, Runner
from stepladder.errors import JournalError, RunConflict, RunError
from stepladder.events import Event, RunResumed, RunStarted
from stepladder.journal import NO_DIGEST
from stepladder.orchestrator import Machine
from stepladder.record import Entry
from stepladder.state import RunState

Listener = Callable[[Run, Sequence[Event | Entry]], None]


class AtWork:
    """Runners by run. A run that only rests here may have moved on elsewhere: it is read from the journal again.

    Args:
        resources: what the runs have in common.
        history: the runs as the journal has them.
        listeners: called with the run and the new entries of each turn, after they are durable.
    """

    def __init__(self, resources: Resources, history: History, listeners: Sequence[Listener]) -> None:
        self.resources, self.history = resources, history
        self._listeners = listeners
        self._streams: dict[str, list[Listener]] = {}
        self._runners: dict[str, Runner] = {}
        self._beginning: dict[str, asyncio.Future[None]] = {}
        self._offered: dict[int, bool] = {}
        self._untold: list[Exception] = []
        resources.ownership.look = self.look

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runners

    def __len__(self) -> int:
        return len(self._runners)

    # --- taking runs up

    async def begin(self, machine: Machine, started: RunStarted, kept: dict[str, bytes]) -> Runner:
        """A new run, written and not worked on yet. Raises RunConflict where the id is taken."""
        run_id = started.run_id
        while run_id in self._beginning:
            await asyncio.wait([self._beginning[run_id]])
        if run_id in self._runners:
            raise RunConflict(run_id, "is at work here")
        self.resources.ownership.alive()
        runner = self._made(Found(machine, RunState(run_id=run_id), 0, NO_DIGEST))
        begun = self._beginning[run_id] = asyncio.get_running_loop().create_future()
        try:
            await runner.begin(started, kept)
        finally:
            del self._beginning[run_id]
            begun.set_result(None)
        self._runners[run_id] = runner
        return runner

    def live(self, run_id: str) -> Runner | None:
        """The run, if something is in flight for it here."""
        live = self._runners.get(run_id)
        return live if live is not None and not live.idle else None

    def taken(self, run_id: str, *, again: bool = False) -> Runner:
        """The run at work here, or taken up from the journal; `again`: it will go on even if it has ended.

        Raises:
            RunOwned: a living process is working on it.
            RunNotFound, WrongDefinition.
        """
        live = self._runners.get(run_id)
        if live is not None and not live.idle and live.own():
            return live
        if live is not None:
            live.forget()
        self.resources.ownership.claim(run_id)
        try:
            found = self.history.taken(run_id, self.resources.clock.now(), again=again)
        except BaseException:
            self.resources.journal.release(run_id, self.resources.ownership.id)
            raise
        runner = self._made(found)
        if found.change is not None:
            runner.queue(found.change)
        if found.state.status == "working" and not found.state.resting:
            runner.queue(RunResumed(self.resources.clock.now()))
        return runner

    def _made(self, found: Found) -> Runner:
        inbox = partial(self._next_item, found.machine)
        runner = Runner(
            found.machine, self.resources, found.state, found.seq, found.digest, self._heard, inbox, self._rested
        )
        runner.owned = True
        return runner

    def set_off(self, runner: Runner) -> Runner:
        """Work on it."""
        self._runners[runner.state.run_id] = runner
        runner.go()
        return runner

    async def rest(self, runner: Runner) -> Run:
        """Work until the run rests and nothing in its inbox can move it."""
        await self.set_off(runner).rest()
        return self.seen(runner)

    def seen(self, runner: Runner) -> Run:
        """The run now."""
        return Run(runner.machine, runner.state, self.resources.journal, runner.seq)

    def look(self, run_ids: list[str]) -> None:
        """Somebody else has put something into the inboxes of these runs."""
        for run_id in run_ids:
            if run_id in self._runners:
                self._runners[run_id].look()

    def _rested(self, runner: Runner) -> None:
        """Forget a runner that has nothing more to do; one that watches a deadline is kept."""
        run_id = runner.state.run_id
        if runner.at_rest and runner.owned:
            runner.owned = False
            self.resources.journal.release(run_id, self.resources.ownership.id)
        if runner.untold is not None and not isinstance(runner.untold, (RunError, JournalError)):
            self._untold.append(runner.untold)
        if self._runners.get(run_id) is runner and runner.idle and not runner.watching:
            del self._runners[run_id]

    async def close(self, grace_s: float) -> None:
        """Cut off what is in flight; it can be resumed. Raises what a script in shadow raised."""
        runners = list(self._runners.values())
        found = await asyncio.gather(*(runner.close(grace_s) for runner in runners), return_exceptions=True)
        self._runners.clear()
        raised, self._untold = [*self._untold, *found], []
        await self.resources.close()
        for error in raised:
            if error is not None:
                raise error

    # --- their inboxes

    @contextmanager
    def offering(self, number: int) -> Any:
        """While an answer lies in an inbox under this number: gives a function that says whether it still counts."""
        self._offered[number] = True
        try:
            yield lambda: self._offered[number]
        finally:
            del self._offered[number]

    def _next_item(self, machine: Machine, state: RunState) -> tuple[Event, int] | None:
        """The first item of the run's inbox that it can take now, as an event. What is too late is dropped."""
        for item in self.resources.journal.inbox(state.run_id):
            if is_too_late(state, item):
                self._drop(state.run_id, item.number)
            elif (event := event_of(machine, state, item, self.resources.clock.now())) is not None:
                return event, item.number
        return None

    def _drop(self, run_id: str, number: int) -> None:
        if number in self._offered:
            self._offered[number] = False
        with suppress(RunConflict):  # another process has dropped it
            self.resources.journal.drop(run_id, number)

    # --- whoever watches

    def watch(self, run_id: str, listener: Listener) -> Callable[[], None]:
        """Let `listener` see the entries of this run; gives what makes it stop."""
        streams = self._streams.setdefault(run_id, [])
        streams.append(listener)

        def forget() -> None:
            streams.remove(listener)
            if not streams:
                self._streams.pop(run_id, None)

        return forget

    def _heard(self, runner: Runner, entries: Sequence[Event | Entry]) -> None:
        streams = self._streams.get(runner.state.run_id, ())
        if not self._listeners and not streams:
            return
        run = self.seen(runner)
        for listener in (*streams, *self._listeners):
            listener(run, entries)
