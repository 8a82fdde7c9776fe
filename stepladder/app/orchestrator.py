"""The Orchestrator: one workflow, its agents, one journal, and the verbs.

run       start and work until it rests          start    the same, without waiting
answer    what a person says                     send     a message it waits for
resume    take up what a process left            retry    take up what failed
cancel    end it                                 outcome  say later how it turned out
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stepladder.app.answers import check_answer, checked_outcome, waits_for
from stepladder.app.inbox import event_of, is_too_late
from stepladder.app.inputs import check_agents, check_id, check_providers, plain_mapping, plain_text, run_input
from stepladder.app.journals import open_journal
from stepladder.app.loading import Agents, Workflow
from stepladder.app.reading import entries_of, replay_run, workflow_at
from stepladder.app.run import Run
from stepladder.app.secrets import secrets_of
from stepladder.drivers import Clock, Replayed, Resources, Runner, SystemClock
from stepladder.drivers.rows import row_of
from stepladder.errors import (
    JournalError,
    RunConflict,
    RunEnded,
    RunNotFound,
    RunNotWaiting,
    WrongDefinition,
)
from stepladder.events import (
    Event,
    OutcomeAttached,
    PolicyChanged,
    RunResumed,
    RunStarted,
)
from stepladder.journal import InboxItem, InboxKind, Journal, Redactor, RunRow, encode_turn
from stepladder.llm import Provider, Providers
from stepladder.orchestrator import Machine, advance, fold
from stepladder.record import Entry
from stepladder.state import RunState

Listener = Callable[[Run, Sequence[Event | Entry]], None]


class Orchestrator:
    """Runs a workflow with these agents.

    Args:
        workflow: the workflow, or the path of its file.
        agents: a callable for every agent the workflow names.
        journal: a journal, or the path of a SQLite file (made where it is missing); None keeps runs in memory.
        providers: providers by name, as `{"scripted": ScriptedProvider([...])}`; others are opened when first asked.
        secrets: values by name for `secret.NAME`; the environment's come after them.
        clock: where time comes from.
        listen: called with the run and the new entries of each turn, after they are durable.
        options: arguments for opening providers, by provider name (base_url, api_key, ...).

    Raises:
        InputError: an agent is missing or unknown, or a rung asks a model of an unknown provider.
    """

    def __init__(
        self,
        workflow: Workflow | str | Path,
        *,
        agents: Agents | None = None,
        journal: Journal | str | Path | None = None,
        providers: Mapping[str, Provider] | Providers | None = None,
        secrets: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        listen: Listener | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.workflow = workflow if isinstance(workflow, Workflow) else Workflow.load(workflow)
        self.machine: Machine = self.workflow.machine
        check_agents(self.workflow.definition, agents or {})
        models = providers if isinstance(providers, Providers) else Providers(providers, options=options)
        check_providers(self.workflow.definition, models.names)
        self.journal = open_journal(journal)
        known, values = secrets_of(secrets or {}, os.environ)
        self._resources = Resources(
            journal=self.journal,
            clock=clock or SystemClock(),
            agents=agents or {},
            providers=models,
            redactor=Redactor(values),
            secrets=known,
            owns_journal=self.journal is not journal,
        )
        self._listeners: list[Listener] = [listen] if listen else []
        self._streams: dict[str, list[Listener]] = {}
        self._runners: dict[str, Runner] = {}
        self._offered: dict[int, bool] = {}
        self.journal.keep_definition(self._key(self.machine.policy.hash), "workflow", self.workflow.stored())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace_s: float = 10.0) -> None:
        """Stop: what is in flight is cut off (answers in shadow get `grace_s` seconds) and can be resumed.

        Whoever awaits a run that is cut off gets a CancelledError.
        """
        runners = list(self._runners.values())
        found = await asyncio.gather(*(runner.close(grace_s) for runner in runners), return_exceptions=True)
        self._runners.clear()
        await self._resources.close()
        for error in found:
            if error is not None:
                raise error

    # --- verbs

    async def run(self, input: Mapping[str, Any], *, run_id: str | None = None) -> Run:  # noqa: A002
        """Start a run and work until it rests: it has ended, or waits for a person or a message.

        The same `run_id` with the same input is the same run: it is taken up where it is.

        Raises:
            InputError: the input does not fit the workflow.
            RunConflict: the id is taken by a run with another input.
        """
        runner = self._begin(input, run_id)
        return await self._rest(runner)

    async def start(self, input: Mapping[str, Any], *, run_id: str | None = None) -> Run:  # noqa: A002
        """Start a run and come back at once; it is worked on meanwhile. `wait` for it later. Raises as `run`."""
        return self._seen(self._set_off(self._begin(input, run_id)))

    async def wait(self, run_id: str) -> Run:
        """Work until the run rests. Raises RunNotFound."""
        return await self._rest(self._runner(run_id))

    async def answer(self, run_id: str, value: Mapping[str, Any], *, by: str = "") -> Run:
        """Hand in what a person says, and work on until the run rests.

        Raises:
            InputError: it does not fit the question; the run waits on.
            RunNotWaiting: nobody was asked, or the question was settled in this moment, by another answer.
        """
        runner = self._runner(run_id)
        given = self._resources.redactor.value(plain_mapping(value, "answer"))
        asked = check_answer(self.machine, runner.state, given)
        body = {"command": asked.number, "value": given, "by": plain_text(by, "answer", "by")}
        item = self._put(runner, "answer", body)
        self._offered[item.number] = True
        try:
            run = await self._rest(runner)
        finally:
            counted = self._offered.pop(item.number)
        if not counted:
            raise RunNotWaiting(run_id, "an answer", f"{waits_for(run.state)} by now")
        return run

    async def send(self, run_id: str, name: str, payload: Mapping[str, Any] | None = None) -> Run:
        """Send a message. It is kept until the run waits for a message of this name.

        A run that another process is working on, or has left in the middle of its work, is not taken up for it.

        Raises:
            RunEnded: nothing will wait for it any more.
        """
        run = self.get(run_id)
        self._must_go_on(run.state)
        body = {"name": plain_text(name, "message", "name"), "payload": plain_mapping(payload or {}, "message")}
        self.journal.put(run_id, "message", self._resources.redactor.value(body), self._now())
        return run if self._elsewhere(run) else await self._rest(self._runner(run_id))

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "") -> Run:
        """End the run now. Raises RunEnded where it has ended already."""
        runner = self._runner(run_id)
        self._must_go_on(runner.state)
        self._put(
            runner, "cancel", {"reason": plain_text(reason, "cancel", "reason"), "by": plain_text(by, "cancel", "by")}
        )
        return await self._rest(runner)

    async def resume(self, run_id: str) -> Run:
        """Take up a run that another process left, and work until it rests. A run at rest stays as it is."""
        return await self._rest(self._runner(run_id))

    async def retry(self, run_id: str, *, by: str = "") -> Run:
        """Take up a run that failed or was cancelled, in the step it ended from. Raises RunEnded where it succeeded."""
        runner = self._runner(run_id)
        run = self._seen(runner)
        if run.status != "ended" or run.success:
            raise RunEnded(run_id, run.end or f"no end: it is {run.status}")
        self._put(runner, "retry", {"by": plain_text(by, "retry", "by")})
        return await self._rest(runner)

    async def outcome(
        self,
        run_id: str,
        *,
        decision: int = 0,
        success: bool | None = None,
        quality: float | None = None,
        elapsed_s: float | None = None,
        note: str = "",
        by: str = "",
    ) -> Run:
        """Attach how a run (or one decision of it) turned out.

        Raises:
            InputError: there is no such decision, or quality is not from 0 to 1.
            RunConflict: another process is working on it, or has left it in the middle of its work.
        """
        if self._elsewhere(self.get(run_id)):
            raise RunConflict(run_id, "is at work; say how it turned out when it rests, or resume it first")
        runner = self._runner(run_id)
        said = OutcomeAttached(self._now(), decision, success, quality, elapsed_s, note, by)
        runner.queue(checked_outcome(said, runner.state.opened))
        return await self._rest(runner)

    def get(self, run_id: str) -> Run:
        """The run as its journal has it. Raises RunNotFound."""
        live = self._runners.get(run_id)
        if live is not None and not live.idle:
            return self._seen(live)
        state, seq = self._folded(run_id)
        return Run(self.machine, state, self.journal, seq)

    def runs(self, limit: int = 100) -> list[RunRow]:
        """The newest runs of this workflow."""
        return self.journal.rows(limit, workflow=self.machine.definition.name)

    def replay(self, run_id: str) -> Replayed:
        """Decide the run again from its journal, under the policies it had: no agent is called and no model asked.

        Raises:
            RunNotFound, WrongDefinition: there is no such run of this workflow.
            JournalError: the journal does not keep a policy that it was decided by.
        """
        first = next(iter(entries_of(self.journal, run_id)), None)
        if isinstance(first, RunStarted):
            self._must_be_mine(run_id, first)
        return replay_run(self.journal, run_id, self.workflow.signals)

    def machine_of(self, policy_hash: str) -> Machine | None:
        """The machine of this workflow under another policy that the journal knows."""
        if policy_hash == self.machine.policy.hash:
            return self.machine
        kept = workflow_at(self.journal, self.workflow.hash, policy_hash, self.workflow.signals)
        return kept.machine if kept else None

    @asynccontextmanager
    async def stream(
        self,
        input: Mapping[str, Any],  # noqa: A002
        *,
        run_id: str | None = None,
    ) -> AsyncIterator[AsyncIterator[tuple[Run, Event | Entry]]]:
        """Start a run and see every entry as it becomes durable: `async with o.stream(...) as entries: async for ...`.

        The iterator ends when the run rests.
        """
        queue: asyncio.Queue[tuple[Run, Event | Entry] | None] = asyncio.Queue()

        def listen(run: Run, new: Sequence[Event | Entry]) -> None:
            for each in new:
                queue.put_nowait((run, each))

        runner, forget = self._begin_stream(input, run_id, listen)
        task = asyncio.create_task(self._rest(self._set_off(runner)))
        task.add_done_callback(lambda _: queue.put_nowait(None))

        async def entries() -> AsyncIterator[tuple[Run, Event | Entry]]:
            while (each := await queue.get()) is not None:
                yield each
            await task

        try:
            yield entries()
        finally:
            forget()
            if not task.done():
                await asyncio.wait([task])
        task.result()

    # --- inside

    def _key(self, policy_hash: str) -> str:
        return f"{self.machine.definition.hash}/{policy_hash}"

    def _now(self) -> float:
        return self._resources.clock.now()

    def _seen(self, runner: Runner) -> Run:
        return Run(self.machine, runner.state, self.journal, runner.seq)

    def _begin_stream(
        self, given: Mapping[str, Any], run_id: str | None, listener: Listener
    ) -> tuple[Runner, Callable[[], None]]:
        """Begin a run that `listener` sees from its first entry on; and what makes it stop."""
        name = uuid.uuid4().hex if run_id is None else run_id
        streams = self._streams.setdefault(name, [])
        streams.append(listener)

        def forget() -> None:
            streams.remove(listener)
            if not streams:
                self._streams.pop(name, None)

        try:
            return self._begin(given, name), forget
        except BaseException:
            forget()
            raise

    def _begin(self, given: Mapping[str, Any], run_id: str | None) -> Runner:
        name = uuid.uuid4().hex if run_id is None else run_id
        check_id(name)
        value = run_input(self.machine.definition, self._resources.redactor.value(plain_mapping(given, "input")))
        if name in self._runners or self.journal.row(name) is not None:
            return self._same(name, value)
        event = RunStarted(
            self._now(),
            name,
            self.machine.definition.name,
            self.machine.definition.hash,
            self.machine.policy.hash,
            value,
        )
        moved = advance(self.machine, RunState(), event)
        try:
            self.journal.create(row_of(self.machine, moved.state), encode_turn(moved.entries))
        except RunConflict:
            return self._same(name, value)
        runner = self._at_work(moved.state, len(moved.entries))
        self._runners[name] = runner
        runner.tell(moved.entries)
        return runner

    def _same(self, run_id: str, value: dict[str, Any]) -> Runner:
        """The same id is the same run, if the input is the same."""
        runner = self._runner(run_id)
        if runner.state.input != value:
            raise RunConflict(run_id, "there is already a run of this id with another input; choose another id")
        return runner

    def _runner(self, run_id: str) -> Runner:
        """The run at work here, or taken up from the journal: one that only rests here may have moved on elsewhere."""
        live = self._runners.get(run_id)
        if live is not None:
            if not live.idle:
                return live
            live.forget()
        state, seq = self._folded(run_id)
        runner = self._at_work(state, seq)
        if state.status == "working" and state.policy_hash != self.machine.policy.hash:
            runner.queue(PolicyChanged(self._now(), self.machine.policy.hash))
        if state.status == "working" and not state.resting:
            runner.queue(RunResumed(self._now()))
        return runner

    def _elsewhere(self, run: Run) -> bool:
        """Whether it is in the middle of its work, and not in this process."""
        live = self._runners.get(run.id)
        here = live is not None and not live.idle
        return run.state.status == "working" and not run.state.resting and not here

    def _at_work(self, state: RunState, seq: int) -> Runner:
        return Runner(self.machine, self._resources, state, seq, self._listened, self._next_item, self._rested)

    def _rested(self, runner: Runner) -> None:
        """Forget a runner that has nothing more to do; one that watches a deadline is kept."""
        run_id = runner.state.run_id
        if self._runners.get(run_id) is runner and runner.idle and not runner.watching:
            del self._runners[run_id]

    def _folded(self, run_id: str) -> tuple[RunState, int]:
        turns = self.journal.turns(run_id)
        if not turns:
            raise RunNotFound(run_id, self.journal.name)
        entries = [entry for turn in turns for entry in turn.entries]
        if not entries or not isinstance(entries[0], RunStarted):
            raise JournalError(
                self.journal.name, f"run {run_id!r} without its beginning", "its first entry, run_started"
            )
        self._must_be_mine(run_id, entries[0])
        return fold(self.machine, entries), len(entries)

    def _must_be_mine(self, run_id: str, started: RunStarted) -> None:
        if started.workflow_hash != self.machine.definition.hash:
            pinned = f"{started.workflow} {started.workflow_hash}"
            raise WrongDefinition(run_id, f"{self.workflow.name} {self.workflow.hash}", pinned)

    async def _rest(self, runner: Runner) -> Run:
        """Work until the run rests and nothing in its inbox can move it."""
        await self._set_off(runner).rest()
        return self._seen(runner)

    def _set_off(self, runner: Runner) -> Runner:
        self._runners[runner.state.run_id] = runner
        runner.go()
        return runner

    def _put(self, runner: Runner, kind: InboxKind, body: dict[str, Any]) -> InboxItem:
        return self.journal.put(runner.state.run_id, kind, body, self._now())

    def _next_item(self, state: RunState) -> tuple[Event, int] | None:
        """The first item of the run's inbox that it can take now, as an event. What is too late is dropped."""
        for item in self.journal.inbox(state.run_id):
            if is_too_late(state, item):
                self._drop(state.run_id, item.number)
            elif (event := event_of(self.machine, state, item, self._now())) is not None:
                return event, item.number
        return None

    def _drop(self, run_id: str, number: int) -> None:
        if number in self._offered:
            self._offered[number] = False
        with suppress(RunConflict):  # another process has dropped it
            self.journal.drop(run_id, number)

    def _must_go_on(self, state: RunState) -> None:
        if state.status == "ended":
            raise RunEnded(state.run_id, state.end)

    def _listened(self, runner: Runner, entries: Sequence[Event | Entry]) -> None:
        streams = self._streams.get(runner.state.run_id, ())
        if not self._listeners and not streams:
            return
        run = self._seen(runner)
        for listener in (*streams, *self._listeners):
            listener(run, entries)
