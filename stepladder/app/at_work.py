"""The runs that an Orchestrator works on: begun, taken up from the journal, watched, and forgotten when they rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from stepladder.app.history import Found, History
from stepladder.app.inbox import event_of, is_too_late
from stepladder.app.run import Run
from stepladder.drivers import Resources, Runner
from stepladder.errors import Draining, JournalError, RunConflict, RunError
from stepladder.events import Event, PolicyChanged, RunResumed, RunStarted
from stepladder.journal import NO_DIGEST, InboxItem, InboxKind
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
        at_once: how many may be at work before a new one has to wait for its turn; None is any number.
    """

    def __init__(
        self, resources: Resources, history: History, listeners: Sequence[Listener], at_once: int | None = None
    ) -> None:
        self.resources, self.history = resources, history
        self._listeners = list(listeners)
        self._places = None if at_once is None else asyncio.Semaphore(at_once)
        self._placed: set[str] = set()
        self._queued = 0
        self._streams: dict[str, list[Listener]] = {}
        self._runners: dict[str, Runner] = {}
        self._beginning: dict[str, asyncio.Future[None]] = {}
        self._offered: dict[int, bool] = {}
        self._posted: set[str] = set()
        self._untold: list[Exception] = []
        self._told = (self._heard, self._next_item, self._rested)
        resources.ownership.look = self.look

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runners

    def __len__(self) -> int:
        return len(self._runners)

    # --- taking runs up

    async def begin(self, machine: Machine, started: RunStarted, kept: dict[str, bytes]) -> Runner:
        """A new run, written and not worked on yet. Raises RunConflict where the id is taken."""
        run_id = started.run_id
        self._must_take(run_id)
        while run_id in self._beginning:
            await asyncio.wait([self._beginning[run_id]])
        if run_id in self._runners:
            raise RunConflict(run_id, "is at work here")
        begun = self._beginning[run_id] = asyncio.get_running_loop().create_future()
        try:
            await self._place(run_id)
            self.resources.ownership.alive()
            runner = self._made(Found(machine, RunState(run_id=run_id), 0, NO_DIGEST))
            await runner.begin(started, kept)
        except BaseException:
            self._leave_place(run_id)
            raise
        finally:
            del self._beginning[run_id]
            begun.set_result(None)
        self._runners[run_id] = runner
        return runner

    async def _place(self, run_id: str) -> None:
        """Wait, first come first served, until another run may begin. Raises Draining where it was closed meanwhile."""
        if self._places is None:
            return
        self._queued += 1
        try:
            await self._places.acquire()
        finally:
            self._queued -= 1
        self._placed.add(run_id)
        self._must_take(run_id)

    def _leave_place(self, run_id: str) -> None:
        if self._places is not None and run_id in self._placed:
            self._placed.discard(run_id)
            self._places.release()

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
        self._must_take(run_id)
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
        self._posted.add(run_id)
        runner = self._made(found)
        if found.change is not None:
            runner.queue(found.change)
        if found.state.status == "working" and not found.state.resting:
            runner.queue(RunResumed(self.resources.clock.now()))
        return runner

    def _must_take(self, run_id: str) -> None:
        if self.resources.draining:
            raise Draining(run_id)

    def _made(self, found: Found) -> Runner:
        runner = Runner(found.machine, self.resources, found.state, found.seq, found.digest, *self._told)
        runner.turns.owned = True
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
        return Run(runner.machine, runner.state, self.resources.journal, runner.turns.seq)

    def look(self, run_ids: list[str]) -> None:
        """Somebody else has put something into the inboxes of these runs."""
        for run_id in run_ids:
            if run_id in self._runners:
                self._posted.add(run_id)
                self._runners[run_id].look()

    def _rested(self, runner: Runner) -> None:
        """Forget a runner that has nothing more to do; one that watches a deadline is kept."""
        run_id = runner.state.run_id
        if runner.turns.owned and not runner.at_work:  # what nobody awaits may still be in flight
            runner.turns.owned = False
            with suppress(JournalError):  # whoever waits for the run has been told of the disk
                self.resources.journal.release(run_id, self.resources.ownership.id)
        if runner.untold is not None and not isinstance(runner.untold, (RunError, JournalError)):
            self._untold.append(runner.untold)
        if self._runners.get(run_id) is runner and runner.idle and not runner.watching:
            del self._runners[run_id]
            self._posted.discard(run_id)
        if not runner.at_work:
            self._leave_place(run_id)

    async def drain(self, within_s: float) -> bool:
        """Begin nothing new, and let what is in flight come to its end; whether it did in this time (seconds)."""
        self.resources.draining = True
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while flights := [task for runner in self._runners.values() for task in runner.flights]:
            if loop.time() >= until:
                return False
            await asyncio.wait(flights, timeout=until - loop.time())
        while self._runners and any(runner.writing for runner in self._runners.values()):
            await asyncio.sleep(0)
        return True

    async def close(self, grace_s: float) -> None:
        """Cut off what is in flight; it can be resumed. Raises what a script in shadow raised."""
        self.resources.draining = True
        if self._places is not None:
            for _ in range(self._queued):  # whoever waits for a place is told
                self._places.release()
        runners = list(self._runners.values())
        found = await asyncio.gather(*(runner.close(grace_s) for runner in runners), return_exceptions=True)
        self._runners.clear()
        raised, self._untold = [*self._untold, *found], []
        await self.resources.close()
        for error in raised:
            if error is not None:
                raise error

    def change(self, machine: Machine, event: PolicyChanged) -> None:
        """Let the runs that are here go on under another policy; the others hear of it when they are taken up."""
        for runner in list(self._runners.values()):
            runner.change(machine, event)

    # --- their inboxes

    def put(self, run_id: str, kind: InboxKind, body: dict[str, Any], kept: Mapping[str, bytes]) -> InboxItem:
        """Put something into a run's inbox, with the bytes that it refers to."""
        item = self.resources.journal.put(run_id, kind, body, self.resources.clock.now(), kept)
        self._posted.add(run_id)
        return item

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
        if state.status == "ended" and state.run_id not in self._posted:
            return None  # it was begun here, and nobody has put anything
        items = self.resources.journal.inbox(state.run_id)
        if not items:
            self._posted.discard(state.run_id)
        for item in items:
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

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Let `listener` see the entries of every run; gives what makes it stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _heard(self, runner: Runner, entries: Sequence[Event | Entry]) -> None:
        streams = self._streams.get(runner.state.run_id, ()) if self._streams else ()
        if not self._listeners and not streams:
            return
        run = self.seen(runner)
        for listener in (*streams, *self._listeners):
            listener(run, entries)
