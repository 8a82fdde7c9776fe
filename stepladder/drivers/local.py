"""The local driver: one run on an asyncio loop.

    event -> a turn, appended to the journal (turns.py) -> perform the new commands (performing.py) -> wait for an event

Nothing is performed before the turn that asks for it is durable. A run is at rest when it has ended or only waits for
people or messages; `rest()` returns then. There is no task that works on a run: whoever hands in an event takes the run
as far as it goes, and each agent that is called and each model that is asked is a task.

A runner that could not append (the disk is full, another process has taken the run) is abandoned: what it has in flight
is cut off and nothing is written any more. Its run is taken up again from the journal, as after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Final

from stepladder.commands import AskModel, CallAgent, Wait
from stepladder.drivers.alarm import Alarm
from stepladder.drivers.flights import Post
from stepladder.drivers.performing import Performing
from stepladder.drivers.resources import Resources
from stepladder.drivers.turns import Turns
from stepladder.errors import RunConflict
from stepladder.events import Event, PolicyChanged, RunStarted
from stepladder.orchestrator import Machine, due, wake_at
from stepladder.record import Entry
from stepladder.state import RunState

Listener = Callable[["Runner", Sequence[Event | Entry]], None]
Inbox = Callable[[Machine, RunState], tuple[Event, int] | None]
"""The first item of a run's inbox that it can take in this state, as the event it becomes, with its number."""


CUT_OFF_S: Final = 5.0
"""Seconds that agents which are cut off have for tidying up."""


class Runner:
    """One run while it is worked on: its state, what is in flight, and the events that have come in.

    Args:
        machine: the run's workflow and policy.
        resources: what runs have in common.
        state: where the run is.
        seq: how many entries its journal has.
        digest: the digest of its last turn.
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
        digest: bytes,
        listener: Listener,
        inbox: Inbox = lambda *_: None,
        rested: Callable[[Runner], None] = lambda _: None,
    ) -> None:
        self.resources = resources
        self.turns = Turns(machine, resources, state, seq, digest)
        self.untold: Exception | None = None
        self._listener, self._inbox, self._rested = listener, inbox, rested
        self._posts: list[Post] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._alarm = Alarm(resources.clock)
        self._broken: BaseException | None = None
        self._at_work = self._busy = self._gone = self._to_look = False
        self._context = copy_context()
        self._performing = Performing(self.turns, resources, self._context)

    # --- from outside

    async def begin(self, started: RunStarted, kept: dict[str, bytes]) -> None:
        """Write the first turn and the artifacts of its input, and do nothing yet.

        Raises:
            RunConflict: the id is taken.
            JournalError: it was not written.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(error: Exception | None) -> None:
            if error is None:
                self._written()
            if written.cancelled():  # whoever began it has gone; it can be resumed, by anybody
                self._rested(self)
            elif error is None:
                written.set_result(None)
            else:
                written.set_exception(error)

        if self.turns.append(Post(started, 0, kept), done):
            self._written()
        else:
            await written

    def post(self, event: Event, *, taken: int = 0, kept: dict[str, bytes] | None = None) -> None:
        """Hand in an event; `taken` is the inbox item it comes from, `kept` the artifacts to keep with it."""
        if not self._gone:
            self._posts.append(Post(event, taken, kept or {}))
            self._on()

    def queue(self, event: Event) -> None:
        """Hand in an event that waits for the run to be worked on."""
        self._posts.append(Post(event))

    def change(self, machine: Machine, event: PolicyChanged) -> None:
        """Decide by another policy of the same workflow from the next turn on.

        What is in flight goes on; a decision that is open is made anew.
        """
        if not self._gone and self.state.status != "ended":
            self._posts.append(Post(event, under=machine))
            if self._at_work:
                asyncio.get_running_loop().call_soon(self._on)

    def go(self) -> None:
        """Work on the run, from the next turn of the loop on."""
        if not self._gone and not self._at_work:
            self._come_to_work()
            asyncio.get_running_loop().call_soon(self._on)

    def look(self) -> None:
        """Take what has come into the inbox."""
        if self._at_work and self._look():
            asyncio.get_running_loop().call_soon(self._on)

    def own(self) -> bool:
        """Make the run this process's again, after a rest; whether nobody has moved it on meanwhile."""
        if self.turns.owned:
            return True
        try:
            self.resources.ownership.claim(self.state.run_id)
        except RunConflict:
            return False
        self.turns.owned = True
        return not self.resources.journal.turns(self.state.run_id, after=self.turns.seq)

    def tell(self, entries: Sequence[Event | Entry]) -> None:
        """Tell the listener. It only looks on: what it raises goes to the loop's exception handler."""
        try:
            self._listener(self, entries)
        except Exception as error:
            message = f"a listener of run {self.state.run_id!r} raised; the run goes on"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    @property
    def machine(self) -> Machine:
        """The run's workflow and policy."""
        return self.turns.machine

    @property
    def state(self) -> RunState:
        """The run as far as it is durable."""
        return self.turns.state

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight, so that the run can be forgotten until it is needed again."""
        return self._performing.none and not (self._at_work or self._posts)

    @property
    def watching(self) -> bool:
        """Whether it will come back by itself, for a deadline."""
        return self._alarm.is_set

    @property
    def at_work(self) -> bool:
        """Whether it works, or waits for something that is in flight."""
        return self._at_work

    @property
    def writing(self) -> bool:
        """Whether a turn is on its way to the disk."""
        return self.turns.writing

    @property
    def flights(self) -> list[asyncio.Task[None]]:
        """The agents that are called and the models that are asked now."""
        return self._performing.tasks()

    def forget(self) -> None:
        """Do not come back for a deadline."""
        self._alarm.off()

    async def rest(self) -> RunState:
        """Work until the run rests or has ended; the state then. What is in its inbox is taken.

        Raises:
            StepladderError: it could not be worked on any more.
            CancelledError: it was closed.
        """
        self.look()
        self.go()
        if self._at_work:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        elif self._broken is not None:
            raise self._broken
        return self.state

    async def close(self, grace_s: float = 0.0) -> None:
        """Stop working; what is in flight is cut off, after `grace_s` seconds for answers that nobody waits for.

        Raises:
            Exception: what a model in shadow raised that is no failure of a model (a script ran dry).
        """
        shadows = self._performing.tasks(self.state.shadows)
        if shadows and grace_s and not self._gone:
            await asyncio.wait(shadows, timeout=grace_s)
        tasks = self._abandon()
        if tasks:
            await asyncio.wait(tasks, timeout=CUT_OFF_S)
        if self._broken is not None:
            raise self._broken

    # --- as far as it goes

    def _on(self) -> None:
        """Go as far as it goes now, unless somebody is at it, or a turn is being written."""
        if self._gone or self._busy or self.turns.writing:
            return
        if not self._at_work:
            self._come_to_work()
        self._context.run(self._go)

    def _come_to_work(self) -> None:
        self._at_work = True
        self.resources.committer.at_work += 1
        self._to_look = not self.turns.listed_at_work  # otherwise it was begun here just now

    def _go(self) -> None:
        self._busy = True
        try:
            if self.turns.writing:
                self._written()
            if self._to_look:
                self._to_look = False
                self._look()
            while self._step():
                pass
        except Exception as error:
            self._fail(error)
        except BaseException:
            self._abandon()
            raise
        finally:
            self._busy = False
        if not self._at_work:
            self._rested(self)

    def _step(self) -> bool:
        """One event, or what follows from there being none; whether there is more to do at once."""
        if self._gone:
            return False
        if self._posts:
            post = self._posts.pop(0)
            if post.under is not None and not self.turns.become(post.under):
                return True
            return self._take(post)
        machine, state, now = self.turns.machine, self.turns.state, self.resources.clock.now()
        self._performing.begin(now, self._landed)
        wake = wake_at(machine, state)
        if wake is not None and wake <= now:
            self._posts += [Post(event) for event in due(machine, state, now)]
            return True
        if _works(state):
            self._arm(wake)
            return False
        if self._look():
            return True
        self._come_to_rest(wake)
        return False

    def _come_to_rest(self, wake: float | None) -> None:
        self._off_work()
        self.forget()
        if self.state.status == "working":  # at rest, a deadline still has to be kept, as long as the process lives
            self._arm(wake)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _off_work(self) -> None:
        if self._at_work:
            self._at_work = False
            self.resources.committer.at_work -= 1

    def _fail(self, error: Exception) -> None:
        """Whoever waits for the run is told; where nobody does, the loop's exception handler is."""
        self._broken = error
        waiters = [waiter for waiter in self._waiters if not waiter.done()]
        self._waiters.clear()
        self._abandon()
        for waiter in waiters:
            waiter.set_exception(error)
        if not waiters:
            self.untold = error
            message = f"run {self.state.run_id!r} cannot be worked on any more; it can be resumed"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    def _abandon(self) -> list[asyncio.Task[None]]:
        """Write nothing any more; what is cut off with that."""
        self._gone = True
        self._off_work()
        self.forget()
        self._posts.clear()
        for waiter in self._waiters:
            waiter.cancel()
        self._waiters.clear()
        return self._performing.cut_off()

    # --- time

    def _arm(self, at: float | None) -> None:
        """Come back at this time, or when a call that waits may start (none does while the process drains)."""
        start = self._performing.next_start()
        if start is not None:
            at = start if at is None else min(at, start)
        if at is not None:
            self._alarm.set(at, self._come_back)

    def _come_back(self) -> None:
        if self._at_work or (not self._gone and self.own()):
            self._on()
        else:  # another process has moved the run on, and keeps its deadlines
            self._rested(self)

    # --- the inbox

    def _look(self) -> bool:
        """Take in what can be taken from the inbox, one item at a time; whether there was one."""
        if any(post.taken for post in self._posts) or self.turns.taking:
            return False
        found = self._inbox(self.machine, self.state)
        if found is not None:
            self._posts.append(Post(*found))
        return found is not None

    # --- turns

    def _take(self, post: Post) -> bool:
        """Let an event happen: whether it has, or is still being written."""
        durable = self.turns.append(post, self._written_later)
        if durable:
            self._written()
        return durable

    def _written_later(self, error: Exception | None) -> None:
        if self._gone:
            return
        if error is not None:
            self._fail(error)
            self._rested(self)
            return
        self._context.run(self._go)

    def _written(self) -> None:
        """The turn is durable: it has happened."""
        before, taken = self.turns.state, self.turns.taking
        entries = self.turns.written()
        self._performing.follow(before, entries)
        self.tell(entries)
        if taken:
            self._look()

    def _landed(self, post: Post | None, error: Exception | None) -> None:
        if error is not None and not self._gone:
            self._fail(error)
        if post is not None and not self._gone:
            self._posts.append(post)
            self._on()
        elif not self._at_work:
            self._rested(self)


def _works(state: RunState) -> bool:
    """Whether something is in flight that the run itself waits for."""
    if state.status == "ended":
        return False
    for command in state.outstanding.values():
        if isinstance(command, CallAgent) or (isinstance(command, AskModel) and not command.shadow):
            return True
        if isinstance(command, Wait) and not command.message:  # for a time; the rest is for people and messages
            return True
    return False
