"""The local driver: one run on an asyncio loop.

    event -> redact -> advance (pure) -> append to the journal -> perform the new commands -> wait for an event

Nothing is performed before the turn that asks for it is durable. A run is at rest when it has ended or only waits for
people, messages or a time further off; `rest()` returns then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from stepladder.commands import AnyCommand, AskModel, CallAgent, Wait
from stepladder.drivers.agents import Agent, AgentCall, returned
from stepladder.drivers.clock import Cancel
from stepladder.drivers.models import ask_model, cut_off
from stepladder.drivers.resources import Resources
from stepladder.drivers.rows import row_of
from stepladder.events import AgentFailed, Event
from stepladder.journal import RunRow, encode_turn
from stepladder.orchestrator import Machine, advance, due, fold, wake_at
from stepladder.prompts import agent_prompt, supervisor_prompt
from stepladder.record import Asked, Entry
from stepladder.state import RunState
from stepladder.workflow.definition import CallEffect

Listener = Callable[[RunState, Sequence[Event | Entry]], None]
Post = tuple[Event, int, dict[str, bytes]]


class Runner:
    """One run while it is worked on: its state, what is in flight, and the events that have come in."""

    def __init__(self, machine: Machine, resources: Resources, state: RunState, seq: int, listener: Listener) -> None:
        self.machine, self.resources, self.state, self.seq = machine, resources, state, seq
        self._listener = listener
        self._flying: dict[tuple[int, int], asyncio.Future[Any]] = {}
        self._posts: deque[Post] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._row: RunRow | None = None
        self._asked_in: dict[int, RunState] = {}
        self._forget: Cancel | None = None
        self._broken: BaseException | None = None

    # --- from outside

    def post(self, event: Event, *, taken: int = 0, kept: dict[str, bytes] | None = None) -> None:
        """Hand in an event; `taken` is the inbox item it comes from, `kept` the artifacts to keep with it."""
        self._posts.append((event, taken, kept or {}))
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        else:
            self.go()

    def queue(self, event: Event) -> None:
        """Hand in an event that waits for the run to be worked on."""
        self._posts.append((event, 0, {}))

    def go(self) -> None:
        """Work on the run, on the running loop."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._go())

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight, so that the run can be forgotten until it is needed again."""
        return not self._flying and not self._posts and (self._task is None or self._task.done())

    async def rest(self) -> RunState:
        """Work until the run rests or has ended; the state then."""
        self.go()
        assert self._task is not None, "go() leaves a task"
        await asyncio.shield(self._task)
        return self.state

    async def close(self, grace_s: float = 0.0) -> None:
        """Stop working; what is in flight is cut off, after `grace_s` seconds for answers that nobody waits for."""
        shadows = [flight for (number, _), flight in self._flying.items() if number in self.state.shadows]
        if shadows and grace_s:
            await asyncio.wait(shadows, timeout=grace_s)
            await asyncio.sleep(0)
        tasks = [*self._flying.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the loop

    async def _go(self) -> None:
        while True:
            while self._posts:
                self._take(*self._posts.popleft())
            if self._broken is not None:
                raise self._broken
            self._perform()
            for event in due(self.machine, self.state, self.resources.clock.now()):
                self._posts.append((event, 0, {}))
            if self._posts:
                continue
            if not self._working():
                self._watch()
                return
            await self._event()

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
        if self._forget is not None:
            self._forget()
        self._forget = self._alarm(self.go) if self.state.status == "working" else None

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
        self._listener(self.state, moved.entries)

    def _append(self, state: RunState, entries: Sequence[Event | Entry], taken: int) -> None:
        row = row_of(self.machine, state)
        changed = row if self._row is None or _differs(row, self._row) else None
        self.resources.journal.append(state.run_id, self.seq + 1, encode_turn(entries), changed, taken)
        self.state, self.seq, self._row = state, self.seq + len(entries), row

    def _remember_shadows(self, before: RunState, entries: Sequence[Event | Entry]) -> None:
        """A shadow is asked about the state in which its decision was open; the run has gone on since."""
        for index, entry in enumerate(entries):
            if isinstance(entry, Asked) and entry.shadow:
                self._asked_in[entry.commands[0]] = fold(self.machine, entries[: index + 1], before)

    # --- commands

    def _perform(self) -> None:
        now = self.resources.clock.now()
        for command in self.state.outstanding.values():
            flight = (command.number, getattr(command, "attempt", 1))
            if flight in self._flying:
                continue
            if isinstance(command, CallAgent) and command.not_before <= now:
                self._fly(flight, self._call(command))
            elif isinstance(command, AskModel):
                self._fly(flight, self._ask(command))

    def _fly(self, flight: tuple[int, int], work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._flying[flight] = task
        task.add_done_callback(lambda done: self._landed(flight, done))

    def _landed(self, flight: tuple[int, int], done: asyncio.Future[Any]) -> None:
        if self._flying.get(flight) is done:
            del self._flying[flight]
        if not done.cancelled() and (error := done.exception()) is not None:
            self._broken = error
            self._ring()

    def _drop_flights(self) -> None:
        """Cut off what nobody awaits any more. A synchronous agent cannot be cut off; it lands late."""
        wanted = {(command.number, getattr(command, "attempt", 1)) for command in self.state.outstanding.values()}
        for flight in [flight for flight in self._flying if flight not in wanted]:
            self._flying.pop(flight).cancel()

    async def _ask(self, command: AskModel) -> None:
        state = self._asked_in.pop(command.number, None) if command.shadow else self.state
        asking = self.state.shadows.get(command.number) if command.shadow else self.state.asking
        if state is None or asking is None:
            self.post(cut_off(command, self.resources.clock.now()))
            return
        rendered = supervisor_prompt(self.machine, state, asking)
        self.post(await ask_model(self.resources.providers, self.resources.clock, command, rendered))

    async def _call(self, command: CallAgent) -> None:
        agent = self.resources.agents[command.agent]
        started = self.resources.clock.now()
        try:
            result = await self._result(agent, command)
        except Exception as error:  # noqa: BLE001 - an agent may raise anything; the rules deal with it
            at = self.resources.clock.now()
            kind = type(error).__name__
            self.post(AgentFailed(at, command.number, "raised", str(error), kind, command.attempt, elapsed_s=at - started))
            return
        at = self.resources.clock.now()
        check = self.machine.definition.agents[command.agent].check
        event, kept = returned(command, result, at, at - started, check)
        self.post(event, kept=kept)

    async def _result(self, agent: Agent, command: CallAgent) -> object:
        arguments = agent.arguments(command, self._agent_call(command), self.resources.secret)
        if agent.is_async:
            return await agent.function(**arguments)
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self.resources.threads, lambda: agent.function(**arguments))
        return await result if asyncio.iscoroutine(result) else result

    def _agent_call(self, command: CallAgent) -> AgentCall:
        effect = self.machine.definition.steps[command.step].effect
        name = effect.prompt if isinstance(effect, CallEffect) else ""
        text = self.machine.definition.prompts.get(name, "")
        return AgentCall(
            self.state.run_id,
            command.step,
            command.agent,
            command.key,
            command.attempt,
            command.deadline,
            name,
            self._prompt(name, text, command) if text else "",
            self.resources.journal.artifact,
        )

    @staticmethod
    def _prompt(name: str, text: str, command: CallAgent) -> str:
        rendered = agent_prompt(text, command.arguments, {"step": command.step, "agent": command.agent}, name=name)
        return f"{rendered.system}\n\n{rendered.prompt}" if rendered.system else rendered.prompt


def _soon(command: AnyCommand) -> bool:
    """A wait for a time is worked on; a wait for people or messages is a rest."""
    return isinstance(command, Wait) and not command.message


def _differs(row: RunRow, before: RunRow) -> bool:
    return (row.status, row.waiting, row.end) != (before.status, before.waiting, before.end)
