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
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stepladder.app.answers import check_answer, waits_for_message
from stepladder.app.journals import open_journal
from stepladder.app.loading import Agents, Workflow, restored
from stepladder.app.run import Run
from stepladder.app.secrets import secrets_of
from stepladder.drivers import Clock, Replayed, Resources, Runner, SystemClock, replay
from stepladder.drivers.rows import row_of
from stepladder.errors import InputError, RunConflict, RunEnded, RunNotFound, WrongDefinition
from stepladder.events import (
    Event,
    MessageReceived,
    OutcomeAttached,
    PersonAnswered,
    PolicyChanged,
    RunCancelled,
    RunResumed,
    RunRetried,
    RunStarted,
)
from stepladder.journal import InboxItem, Journal, Redactor, RunRow, encode_turn
from stepladder.llm import Provider, Providers
from stepladder.orchestrator import Machine, advance, fold
from stepladder.record import Entry
from stepladder.state import RunState
from stepladder.values import plain
from stepladder.workflow.schemas import with_defaults

Listener = Callable[[Run, Sequence[Event | Entry]], None]
LONGEST_ID = 200


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
        InputError: an agent is missing or unknown.
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
        self._check_agents(agents or {})
        self.journal = open_journal(journal)
        known, values = secrets_of(secrets or {}, os.environ)
        self._resources = Resources(
            journal=self.journal,
            clock=clock or SystemClock(),
            agents=agents or {},
            providers=providers if isinstance(providers, Providers) else Providers(providers, options=options),
            redactor=Redactor(values),
            secrets=known,
        )
        self._listeners: list[Listener] = [listen] if listen else []
        self._own: dict[str, Listener] = {}
        self._runners: dict[str, Runner] = {}
        self.journal.keep_definition(self._key(self.machine.policy.hash), "workflow", self.workflow.stored())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self, grace_s: float = 10.0) -> None:
        """Stop: what is in flight is cut off (answers in shadow get `grace_s` seconds) and can be resumed."""
        for runner in list(self._runners.values()):
            await runner.close(grace_s)
        self._runners.clear()
        await self._resources.close()

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
        runner = self._begin(input, run_id)
        runner.go()
        return self._seen(runner.state)

    async def wait(self, run_id: str) -> Run:
        """Work until the run rests. Raises RunNotFound."""
        return await self._rest(self._runner(run_id))

    async def answer(self, run_id: str, value: Mapping[str, Any], *, by: str = "") -> Run:
        """Hand in what a person says, and work on until the run rests.

        Raises:
            InputError: it does not fit the question; the run waits on.
            RunNotWaiting: nobody was asked.
        """
        runner = self._runner(run_id)
        given = _mapping(value, "answer")
        check_answer(self.machine, runner.state, given)
        return await self._through_inbox(runner, "answer", {"value": given, "by": by})

    async def send(self, run_id: str, name: str, payload: Mapping[str, Any] | None = None) -> Run:
        """Send a message. It is kept until the run waits for a message of this name.

        Raises:
            RunEnded: nothing will wait for it any more.
        """
        runner = self._runner(run_id)
        self._must_go_on(runner.state)
        return await self._through_inbox(runner, "message", {"name": name, "payload": _mapping(payload or {}, "message")})

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "") -> Run:
        """End the run now. Raises RunEnded where it has ended already."""
        runner = self._runner(run_id)
        self._must_go_on(runner.state)
        return await self._through_inbox(runner, "cancel", {"reason": reason, "by": by})

    async def resume(self, run_id: str) -> Run:
        """Take up a run that another process left, and work until it rests. A run at rest stays as it is."""
        return await self._rest(self._runner(run_id))

    async def retry(self, run_id: str, *, by: str = "") -> Run:
        """Take up a run that failed or was cancelled, in the step it ended from. Raises RunEnded where it succeeded."""
        runner = self._runner(run_id)
        run = self._seen(runner.state)
        if run.status != "ended" or run.success:
            raise RunEnded(run_id, run.end or f"no end: it is {run.status}")
        return await self._through_inbox(runner, "retry", {"by": by})

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
        """
        runner = self._runner(run_id)
        if not 0 <= decision <= runner.state.opened:
            raise InputError("outcome", "decision", str(decision), f"a decision from 1 to {runner.state.opened}, or 0 for the run")
        if quality is not None and not 0 <= quality <= 1:
            raise InputError("outcome", "quality", str(quality), "a number from 0 to 1")
        runner.post(OutcomeAttached(self._now(), decision, success, quality, elapsed_s, note, by))
        return await self._rest(runner)

    def get(self, run_id: str) -> Run:
        """The run as its journal has it. Raises RunNotFound."""
        live = self._runners.get(run_id)
        if live is not None:
            return self._seen(live.state)
        return self._seen(self._folded(run_id)[0])

    def runs(self, limit: int = 100) -> list[RunRow]:
        """The newest runs of this workflow."""
        return self.journal.rows(limit, workflow=self.machine.definition.name)

    def replay(self, run_id: str) -> Replayed:
        """Decide the run again from its journal: no agent is called and no model asked."""
        turns = self.journal.turns(run_id)
        if not turns:
            raise RunNotFound(run_id, self.journal.name)
        started = turns[0].entries[0]
        assert isinstance(started, RunStarted), "a run's journal begins with its start"
        machine = self.machine_of(started.policy_hash) or self.machine
        return replay(machine, run_id, turns, self.machine_of)

    def machine_of(self, policy_hash: str) -> Machine | None:
        """The machine of this workflow under another policy that the journal knows."""
        if policy_hash == self.machine.policy.hash:
            return self.machine
        kept = self.journal.definition(self._key(policy_hash))
        return restored(kept, self.workflow.signals).machine if kept else None

    @asynccontextmanager
    async def stream(
        self, input: Mapping[str, Any], *, run_id: str | None = None  # noqa: A002
    ) -> AsyncIterator[AsyncIterator[tuple[Run, Event | Entry]]]:
        """Start a run and see every entry as it becomes durable: `async with o.stream(...) as entries: async for ...`.

        The iterator ends when the run rests.
        """
        queue: asyncio.Queue[tuple[Run, Event | Entry] | None] = asyncio.Queue()
        runner = self._begin(input, run_id, lambda run, entries: [queue.put_nowait((run, each)) for each in entries])
        task = asyncio.create_task(self._rest(runner))
        task.add_done_callback(lambda _: queue.put_nowait(None))

        async def entries() -> AsyncIterator[tuple[Run, Event | Entry]]:
            while (each := await queue.get()) is not None:
                yield each
            await task

        try:
            yield entries()
        finally:
            self._unlisten(runner.state.run_id)
            if not task.done():
                await asyncio.wait([task])

    # --- inside

    def _check_agents(self, agents: Agents) -> None:
        wanted, given = set(self.workflow.definition.agents), set(agents)
        used = {
            agent
            for step in self.workflow.definition.steps.values()
            for agent in getattr(step.effect, "agents", ())
        }
        if missing := sorted(used - given):
            raise InputError("agents", ", ".join(missing), "nothing", f"a callable for each agent of {self.workflow.name}")
        if unknown := sorted(given - wanted):
            raise InputError("agents", ", ".join(unknown), "an agent the workflow does not name", f"one of {sorted(wanted)}")

    def _key(self, policy_hash: str) -> str:
        return f"{self.machine.definition.hash}/{policy_hash}"

    def _now(self) -> float:
        return self._resources.clock.now()

    def _seen(self, state: RunState) -> Run:
        return Run(self.machine, state, self.journal)

    def _begin(self, given: Mapping[str, Any], run_id: str | None, listener: Listener | None = None) -> Runner:
        name = uuid.uuid4().hex if run_id is None else run_id
        _check_id(name)
        value = self._resources.redactor.value(self._input(given))
        if listener is not None:
            self._own[name] = listener
        if name in self._runners or self.journal.row(name) is not None:
            return self._same(name, value)
        event = RunStarted(
            self._now(), name, self.machine.definition.name, self.machine.definition.hash, self.machine.policy.hash, value
        )
        moved = advance(self.machine, RunState(), event)
        try:
            self.journal.create(row_of(self.machine, moved.state), encode_turn(moved.entries))
        except RunConflict:
            return self._same(name, value)
        runner = Runner(self.machine, self._resources, moved.state, len(moved.entries), self._listened)
        self._runners[name] = runner
        self._listened(moved.state, moved.entries)
        return runner

    def _same(self, run_id: str, value: dict[str, Any]) -> Runner:
        """The same id is the same run, if the input is the same."""
        runner = self._runner(run_id)
        if runner.state.input != value:
            raise RunConflict(run_id, "there is already a run of this id with another input; choose another id")
        return runner

    def _input(self, given: Mapping[str, Any]) -> dict[str, Any]:
        value = _mapping(given, "input")
        definition = self.machine.definition
        wrong = definition.check_input(value) if definition.check_input else ""
        if wrong:
            raise InputError(f"input of {definition.name}", "", wrong, f"the fields {list(definition.input['properties'])}")
        return with_defaults(definition.input, value)

    def _runner(self, run_id: str) -> Runner:
        """The run at work here, or taken up from the journal."""
        live = self._runners.get(run_id)
        if live is not None:
            return live
        state, seq = self._folded(run_id)
        runner = Runner(self.machine, self._resources, state, seq, self._listened)
        self._runners[run_id] = runner
        if state.status == "working" and state.policy_hash != self.machine.policy.hash:
            runner.queue(PolicyChanged(self._now(), self.machine.policy.hash))
        if state.status == "working" and not state.resting:
            runner.queue(RunResumed(self._now()))
        return runner

    def _folded(self, run_id: str) -> tuple[RunState, int]:
        turns = self.journal.turns(run_id)
        if not turns:
            raise RunNotFound(run_id, self.journal.name)
        entries = [entry for turn in turns for entry in turn.entries]
        started = entries[0]
        if not isinstance(started, RunStarted) or started.workflow_hash != self.machine.definition.hash:
            pinned = f"{started.workflow} {started.workflow_hash}" if isinstance(started, RunStarted) else "nothing"
            raise WrongDefinition(run_id, f"{self.workflow.name} {self.workflow.hash}", pinned)
        return fold(self.machine, entries), len(entries)

    async def _rest(self, runner: Runner) -> Run:
        run_id = runner.state.run_id
        self._runners[run_id] = runner
        try:
            state = await self._worked(runner)
        finally:
            if runner.idle:
                self._runners.pop(run_id, None)
        return self._seen(state)

    async def _worked(self, runner: Runner) -> RunState:
        """Work until the run rests and nothing in its inbox can move it."""
        self._take_inbox(runner)
        while True:
            state = await runner.rest()
            if not self._take_inbox(runner):
                return state

    async def _through_inbox(self, runner: Runner, kind: Any, body: dict[str, Any]) -> Run:
        self.journal.put(runner.state.run_id, kind, self._resources.redactor.value(body), self._now())
        return await self._rest(runner)

    def _take_inbox(self, runner: Runner) -> bool:
        """Hand over the first item that the run can take now; whether there was one."""
        for item in self.journal.inbox(runner.state.run_id):
            event = self._event_of(runner.state, item)
            if event is not None:
                runner.post(event, taken=item.number)
                return True
        return False

    def _event_of(self, state: RunState, item: InboxItem) -> Event | None:
        now, body = self._now(), item.body
        match item.kind:
            case "cancel":
                return RunCancelled(now, body["by"], body["reason"])
            case "retry":
                return RunRetried(now, body["by"])
            case "message":
                wait = waits_for_message(state, body["name"])
                return wait and MessageReceived(now, wait.number, body["name"], body["payload"])
            case "answer":
                return self._answer_event(state, item)

    def _answer_event(self, state: RunState, item: InboxItem) -> Event | None:
        try:
            command = check_answer(self.machine, state, item.body["value"])
        except Exception:  # noqa: BLE001 - an answer that fits nothing any more stays where it is
            return None
        return PersonAnswered(self._now(), command.number, item.body["value"], item.body["by"])

    def _must_go_on(self, state: RunState) -> None:
        if state.status == "ended":
            raise RunEnded(state.run_id, state.end)

    def _listened(self, state: RunState, entries: Sequence[Event | Entry]) -> None:
        if not self._listeners and state.run_id not in self._own:
            return
        run = self._seen(state)
        own = self._own.get(state.run_id)
        for listener in (*self._listeners, *((own,) if own else ())):
            listener(run, entries)

    def _unlisten(self, run_id: str) -> None:
        self._own.pop(run_id, None)


def _mapping(value: object, what: str) -> dict[str, Any]:
    found = plain(value, what)
    if not isinstance(found, dict):
        raise InputError(what, "", f"a {type(value).__name__}", "a mapping of fields")
    return found


def _check_id(run_id: str) -> None:
    printable = isinstance(run_id, str) and run_id.isprintable() and run_id.strip() == run_id
    if not printable or not 0 < len(run_id) <= LONGEST_ID:
        raise InputError("run_id", "", repr(run_id)[:80], f"1 to {LONGEST_ID} printable characters, not beginning or ending with a space")

