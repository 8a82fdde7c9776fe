"""The local driver: one run on an asyncio loop.

    event -> redact -> advance (pure) -> append to the journal -> perform the new commands -> wait for an event

Nothing is performed before the turn that asks for it is durable. A run is at rest when it has ended or only waits for
people or messages; `rest()` returns then.

A runner that could not append (the disk is full, another process moved the run on) is abandoned: what it has in flight
is cut off and nothing is written any more. Its run is taken up again from the journal, as after a crash.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

from stepladder.commands import AnyCommand, AskModel, CallAgent, Wait
from stepladder.drivers.clock import Cancel
from stepladder.drivers.perform import ask, call_agent
from stepladder.drivers.resources import Resources
from stepladder.drivers.rows import row_of
from stepladder.events import Event
from stepladder.journal import RunRow, encode_turn
from stepladder.orchestrator import Machine, advance, due, fold, wake_at
from stepladder.record import Asked, Entry
from stepladder.state import RunState

Listener = Callable[["Runner", Sequence[Event | Entry]], None]
Inbox = Callable[[RunState], tuple[Event, int] | None]
"""The first item of a run's inbox that it can take in this state, as the event it becomes, with its number."""
Post = tuple[Event, int, dict[str, bytes]]

CUT_OFF_S: Final = 5.0
"""Seconds that agents which are cut off have for tidying up."""


class _Flight(NamedTuple):
    task: asyncio.Task[None]
    can_be_cut: bool


class Runner:
    """One run while it is worked on: its state, what is in flight, and the events that have come in.

    Args:
        machine: the run's workflow and policy.
        resources: what runs have in common.
        state: where the run is.
        seq: how many entries its journal has.
        listener: told the new entries of each turn, after they are durable.
        inbox: gives what the run can take from its inbox.
        rested: told whenever there is nothing more to do.
    """

    def __init__(
        self,
        machine: Machine,
        resources: Resources,
        state: RunState,
        seq: int,
        listener: Listener,
        inbox: Inbox = lambda _: None,
        rested: Callable[[Runner], None] = lambda _: None,
    ) -> None:
        self.machine, self.resources, self.state, self.seq = machine, resources, state, seq
        self._listener, self._inbox, self._rested = listener, inbox, rested
        self._flying: dict[tuple[int, int], _Flight] = {}
        self._stragglers: set[asyncio.Task[None]] = set()
        self._posts: deque[Post] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._row: RunRow | None = None
        self._asked_in: dict[int, RunState] = {}
        self._forget: Cancel | None = None
        self._broken: BaseException | None = None
        self._gone = False

    # --- from outside

    def post(self, event: Event, *, taken: int = 0, kept: dict[str, bytes] | None = None) -> None:
        """Hand in an event; `taken` is the inbox item it comes from, `kept` the artifacts to keep with it."""
        if self._gone:
            return
        self._posts.append((event, taken, kept or {}))
        self._ring()
        self.go()

    def queue(self, event: Event) -> None:
        """Hand in an event that waits for the run to be worked on."""
        self._posts.append((event, 0, {}))

    def go(self) -> None:
        """Work on the run, on the running loop."""
        if not self._gone and not self._at_work:
            self._task = asyncio.get_running_loop().create_task(self._go())
            self._task.add_done_callback(lambda _: self._rested(self))

    def tell(self, entries: Sequence[Event | Entry]) -> None:
        """Tell the listener. It only looks on: what it raises goes to the loop's exception handler."""
        try:
            self._listener(self, entries)
        except Exception as error:
            message = f"a listener of run {self.state.run_id!r} raised; the run goes on"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight, so that the run can be forgotten until it is needed again."""
        return not (self._flying or self._stragglers or self._posts or self._at_work)

    @property
    def watching(self) -> bool:
        """Whether it will come back by itself, for a deadline."""
        return self._forget is not None

    def forget(self) -> None:
        """Do not come back for a deadline."""
        if self._forget is not None:
            self._forget()
        self._forget = None

    async def rest(self) -> RunState:
        """Work until the run rests or has ended; the state then. What is in its inbox is taken."""
        if self._wake is not None:
            self._look()
        self.go()
        assert self._task is not None, "go() leaves a task"
        await asyncio.shield(self._task)
        return self.state

    async def close(self, grace_s: float = 0.0) -> None:
        """Stop working; what is in flight is cut off, after `grace_s` seconds for answers that nobody waits for.

        Raises:
            Exception: what a model in shadow raised that is no failure of a model (a script ran dry).
        """
        shadows = [flight.task for (number, _), flight in self._flying.items() if number in self.state.shadows]
        if shadows and grace_s and not self._gone:
            await asyncio.wait(shadows, timeout=grace_s)
            await asyncio.sleep(0)
        tasks = [*self._stragglers, *(flight.task for flight in self._flying.values())]
        if self._task is not None:
            tasks.append(self._task)
        self._abandon()
        if self._task is not None:
            self._task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CUT_OFF_S)
        if self._broken is not None:
            raise self._broken

    # --- the loop

    async def _go(self) -> None:
        try:
            await self._work()
        except BaseException:
            self._abandon()
            raise

    async def _work(self) -> None:
        self.forget()
        self._look()
        while True:
            self._take_posts()
            if self._broken is not None:
                raise self._broken
            self._perform()
            for event in due(self.machine, self.state, self.resources.clock.now()):
                self._posts.append((event, 0, {}))
            if self._posts:
                continue
            if self._working():
                await self._event()
            elif not self._look():
                self._watch()
                return

    def _abandon(self) -> None:
        self._gone = True
        self.forget()
        self._posts.clear()
        for flight in self._flying.values():
            flight.task.cancel()
        for straggler in self._stragglers:
            straggler.cancel()
        self._flying.clear()
        self._stragglers.clear()

    @property
    def _at_work(self) -> bool:
        return self._task is not None and not self._task.done()

    def _working(self) -> bool:
        """Whether something is in flight that the run itself waits for."""
        if self.state.status == "ended":
            return False
        return any(
            isinstance(command, CallAgent) or (isinstance(command, AskModel) and not command.shadow) or _soon(command)
            for command in self.state.outstanding.values()
        )

    async def _event(self) -> None:
        """Until an event is posted or time is up."""
        self._wake = asyncio.get_running_loop().create_future()
        forget = self._alarm(self._ring)
        try:
            await self._wake
        finally:
            self._wake = None
            if forget is not None:
                forget()

    def _alarm(self, ring: Callable[[], None]) -> Cancel | None:
        at = wake_at(self.machine, self.state)
        starts = [
            command.not_before
            for command in self.state.outstanding.values()
            if isinstance(command, CallAgent) and (command.number, command.attempt) not in self._flying
        ]
        times = [time for time in (at, *starts) if time is not None]
        return self.resources.clock.call_at(min(times), ring) if times else None

    def _ring(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _watch(self) -> None:
        """At rest, a deadline still has to be kept: come back for it as long as the process lives."""
        self._forget = self._alarm(self._come_back) if self.state.status == "working" else None

    def _come_back(self) -> None:
        self._forget = None
        written = sum(len(turn.entries) for turn in self.resources.journal.turns(self.state.run_id))
        if written == self.seq:
            self.go()
        else:  # another process has moved the run on, and keeps its deadlines
            self._rested(self)

    def _look(self) -> bool:
        """Post what can be taken from the inbox, one item at a time; whether there was one."""
        if any(taken for _, taken, _ in self._posts):
            return False
        found = self._inbox(self.state)
        if found is not None:
            event, number = found
            self.post(event, taken=number)
        return found is not None

    def _take_posts(self) -> None:
        while self._posts:
            event, taken, kept = self._posts.popleft()
            self._take(event, taken, kept)
            if taken:
                self._look()

    def _take(self, event: Event, taken: int, kept: dict[str, bytes]) -> None:
        """Redact, advance, append: only then has it happened."""
        clean = self.resources.redactor.event(event)
        moved = advance(self.machine, self.state, clean)
        for digest, body in kept.items():
            self.resources.journal.keep_artifact(digest, body)
        before = self.state
        self._append(moved.state, moved.entries, taken)
        self._remember_shadows(before, moved.entries)
        self._drop_flights()
        self.tell(moved.entries)

    def _append(self, state: RunState, entries: Sequence[Event | Entry], taken: int) -> None:
        row = row_of(self.machine, state)
        changed = row if self._row is None or _differs(row, self._row) else None
        self.resources.journal.append(state.run_id, self.seq + 1, encode_turn(entries), changed, taken)
        self.state, self.seq, self._row = state, self.seq + len(entries), row

    def _remember_shadows(self, before: RunState, entries: Sequence[Event | Entry]) -> None:
        """A shadow is asked about the state in which its decision was open; the run has gone on since."""
        for index, entry in enumerate(entries):
            if isinstance(entry, Asked) and entry.shadow:
                state = fold(self.machine, entries[: index + 1], before)
                self._asked_in |= dict.fromkeys(entry.commands, state)

    # --- commands

    def _perform(self) -> None:
        now = self.resources.clock.now()
        for command in self.state.outstanding.values():
            flight = (command.number, getattr(command, "attempt", 1))
            if flight in self._flying:
                continue
            if isinstance(command, CallAgent) and command.not_before <= now:
                self._fly(flight, self._call(command), self.resources.agents[command.agent].is_async)
            elif isinstance(command, AskModel):
                self._fly(flight, self._ask(command), can_be_cut=True)

    def _fly(self, flight: tuple[int, int], work: Coroutine[Any, Any, None], can_be_cut: bool) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._flying[flight] = _Flight(task, can_be_cut)
        task.add_done_callback(lambda done: self._landed(flight, done))

    def _landed(self, flight: tuple[int, int], done: asyncio.Task[None]) -> None:
        self._stragglers.discard(done)
        if flight in self._flying and self._flying[flight].task is done:
            del self._flying[flight]
        error = None if done.cancelled() else done.exception()
        if error is not None and not self._gone:
            self._broken = error
            self._ring()
            self.go()
        elif not self._at_work:
            self._rested(self)

    def _drop_flights(self) -> None:
        """Cut off what nobody awaits any more. A synchronous agent cannot be cut off; it lands late."""
        wanted = {(command.number, getattr(command, "attempt", 1)) for command in self.state.outstanding.values()}
        for flight in [flight for flight in self._flying if flight not in wanted]:
            task, can_be_cut = self._flying.pop(flight)
            self._stragglers.add(task)
            if can_be_cut:
                task.cancel()

    async def _ask(self, command: AskModel) -> None:
        state = self._asked_in.pop(command.number, None) if command.shadow else self.state
        self.post(await ask(self.resources, self.machine, state, command))

    async def _call(self, command: CallAgent) -> None:
        event, kept = await call_agent(self.resources, self.machine, self.state.run_id, command)
        self.post(event, kept=kept)


def _soon(command: AnyCommand) -> bool:
    """A wait for a time is worked on; a wait for people or messages is a rest."""
    return isinstance(command, Wait) and not command.message


def _differs(row: RunRow, before: RunRow) -> bool:
    return (row.status, row.waiting, row.end) != (before.status, before.waiting, before.end)
