"""The Orchestrator: one workflow, its agents, one journal, and the verbs.

run       start and work until it rests          start    the same, without waiting
answer    what a person says                     send     a message it waits for
resume    take up what a process left            retry    take up what failed
cancel    end it                                 outcome  say later how it turned out
listen    see every run move                     change_policy  decide by another policy from now on
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from stepladder.app.answers import check_answer, check_message, checked_outcome, waits_for
from stepladder.app.at_work import AtWork, Listener
from stepladder.app.definitions import Definitions
from stepladder.app.history import History
from stepladder.app.ids import new_id
from stepladder.app.inputs import (
    check_agents,
    check_id,
    check_models,
    plain_mapping,
    plain_text,
    run_input,
)
from stepladder.app.journals import open_journal
from stepladder.app.loading import Agents, Workflow
from stepladder.app.reading import entries_of, replay_run
from stepladder.app.run import Run
from stepladder.app.secrets import secrets_of
from stepladder.app.streaming import Entries, streamed
from stepladder.app.upgrading import OnChanged, Upgrading
from stepladder.drivers import Clock, Replayed, Resources, Runner, SystemClock
from stepladder.errors import InputError, RunConflict, RunEnded, RunNotWaiting, RunOwned, RunPruned
from stepladder.events import OutcomeAttached, PolicyChanged, RunStarted
from stepladder.journal import Journal, Redactor, RunRow
from stepladder.llm import Provider, Providers
from stepladder.llm.purse import Purse
from stepladder.orchestrator import Machine

KEEP_EVERY_S: Final = 3600.0
"""Seconds between two signs that a workflow is in use."""


class Orchestrator:
    """Runs a workflow with these agents.

    Args:
        workflow: the workflow, or the path of its file.
        agents: a callable for every agent the workflow names.
        journal: a journal, the path of a SQLite file (made where it is missing), or the address of a Postgres database
            (postgresql://...); None keeps runs in memory.
        providers: providers by name, as `{"scripted": ScriptedProvider([...])}`; others are opened when first asked.
            `Providers(..., health=Health(...))` sets breakers and limits, before `policy.models`.
        secrets: values by name for `secret.NAME`; the environment's come after them.
        clock: where time comes from.
        listen: called with the run and the new entries of each turn, after they are durable.
        options: arguments for opening providers, by provider name (base_url, api_key, ...).
        on_changed: what becomes of a run that is pinned to another workflow: refuse it, pin it to the one that the
            journal keeps (whose agents may then be among `agents`), or migrate it as the workflow's `migrates` says.
        at_once: how many runs that were begun here are worked on at the same time; `run` and `start` wait for a place
            before they begin another one. None is any number.
        purse: who pays for every attempt at a model; nothing is set aside where none is given.
        breakers: where the breakers of models are kept: `memory`, a file, or redis://...; without it in memory, or
            beside the journal where `policy.models` says `shared`.

    Raises:
        InputError: an agent is missing or unknown, or a rung asks a model of an unknown provider, or one without a
            price though there is a cap on money; breakers cannot be kept where they shall be.
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
        on_changed: OnChanged = "refuse",
        at_once: int | None = None,
        purse: Purse | None = None,
        breakers: str | Path | None = None,
    ) -> None:
        self.workflow = workflow if isinstance(workflow, Workflow) else Workflow.load(workflow)
        self.machine: Machine = self.workflow.machine
        check_agents(self.workflow.definition, agents or {}, others=on_changed == "pin")
        models = providers if isinstance(providers, Providers) else Providers(providers, options=options)
        check_models(self.machine, models)
        self.journal = open_journal(journal)
        self._definitions = Definitions(self.journal, self.workflow.signals)
        self._upgrading = Upgrading(self._definitions, self.workflow, agents or {}, on_changed)
        known, values = secrets_of(secrets or {}, os.environ)
        self.clock: Clock = clock or SystemClock()
        self._resources = Resources(
            journal=self.journal,
            clock=self.clock,
            agents=agents or {},
            providers=models,
            redactor=Redactor(values),
            secrets=known,
            owns_journal=self.journal is not journal,
            purse=purse,
            targets=self.machine.policy.ladder.targets,
            breakers=breakers,
        )
        history = History(self.journal, self._upgrading)
        self._runs = AtWork(self._resources, history, [listen] if listen else [], at_once)
        self._kept_at = float("-inf")
        self._keep()

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
        await self._runs.close(grace_s)

    async def drain(self, within_s: float = 30.0) -> bool:
        """Before a stop: begin nothing new, and let agents and models in flight come to their ends and be written.

        Gives whether they did within so many seconds. Then `close`, which leaves every run resumable either way; what
        was let come to its end need not be done again, or put to a person. New runs are refused with Draining.
        """
        return await self._runs.drain(within_s)

    # --- verbs

    async def run(self, input: Mapping[str, Any], *, run_id: str | None = None) -> Run:  # noqa: A002
        """Start a run and work until it rests: it has ended, or waits for a person or a message.

        The same `run_id` with the same input is the same run: it is taken up where it is.

        Raises:
            InputError: the input does not fit the workflow.
            RunConflict: the id is taken by a run with another input.
        """
        return await self._runs.rest(await self._begin(input, run_id))

    async def start(self, input: Mapping[str, Any], *, run_id: str | None = None) -> Run:  # noqa: A002
        """Start a run and come back at once; it is worked on meanwhile. `wait` for it later. Raises as `run`."""
        return self._runs.seen(self._runs.set_off(await self._begin(input, run_id)))

    async def wait(self, run_id: str) -> Run:
        """Work until the run rests. Raises RunNotFound."""
        return await self._runs.rest(self._runs.taken(run_id))

    async def answer(self, run_id: str, value: Mapping[str, Any], *, by: str = "") -> Run:
        """Hand in what a person says, and work on until the run rests.

        Raises:
            InputError: it does not fit the question; the run waits on.
            RunNotWaiting: nobody was asked, or the question was settled in this moment, by another answer.
        """
        kept: dict[str, bytes] = {}
        given = self._resources.redactor.value(plain_mapping(value, "answer", kept))
        run = await self._current(run_id)
        asked = check_answer(run.machine, run.state, given)
        body = {"command": asked.number, "value": given, "by": plain_text(by, "answer", "by")}
        item = self._runs.put(run_id, "answer", body, kept)
        with self._runs.offering(item.number) as counts:
            run = await self._go_on(run_id)
            if not counts():
                raise RunNotWaiting(run_id, "an answer", f"{waits_for(run.state)} by now")
        return run

    async def send(self, run_id: str, name: str, payload: Mapping[str, Any] | None = None) -> Run:
        """Send a message. It is kept until the run waits for a message of this name.

        A run that another process is working on, or has left in the middle of its work, is not taken up for it. Where
        the message is refused, nothing of it is kept.

        Raises:
            RunEnded: nothing will wait for it any more.
            InputError: no step of the workflow ever waits for it.
            WrongDefinition: the run cannot go on here.
        """
        run = self.get(run_id)
        elsewhere = self._elsewhere(run)
        if not elsewhere:
            run, _ = self._going_on(run_id)
        self._must_go_on(run)
        kept: dict[str, bytes] = {}
        body = {"name": plain_text(name, "message", "name"), "payload": plain_mapping(payload or {}, "message", kept)}
        check_message(run.machine, name)
        self._runs.put(run_id, "message", self._resources.redactor.value(body), kept)
        return run if elsewhere else await self._go_on(run_id)

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "") -> Run:
        """End the run now. Raises RunEnded where it has ended already."""
        self._must_go_on(self._going_on(run_id)[0])
        said = {"reason": plain_text(reason, "cancel", "reason"), "by": plain_text(by, "cancel", "by")}
        self._runs.put(run_id, "cancel", said, {})
        return await self._go_on(run_id)

    async def resume(self, run_id: str) -> Run:
        """Take up a run that another process left, and work until it rests. A run at rest stays as it is."""
        return await self._runs.rest(self._runs.taken(run_id))

    async def retry(self, run_id: str, *, by: str = "") -> Run:
        """Take up a run that failed or was cancelled, in the step it ended from. Raises RunEnded where it succeeded."""
        run, _ = self._going_on(run_id, again=True)
        if run.status != "ended" or run.success:
            raise RunEnded(run_id, run.end or f"no end: it is {run.status}")
        self._runs.put(run_id, "retry", {"by": plain_text(by, "retry", "by")}, {})
        return await self._go_on(run_id, again=True)

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
        runner = self._runs.taken(run_id)
        said = OutcomeAttached(self._now(), decision, success, quality, elapsed_s, note, by)
        runner.queue(checked_outcome(said, runner.state.opened))
        return await self._runs.rest(runner)

    def change_policy(self, policy: Workflow | str | Path, *, because: str = "") -> None:
        """Decide by another policy of this workflow from now on: a Workflow, or the path of a policy file.

        New runs begin under it. Runs at work here change at their next turn, all others when they are taken up; each
        journals that it does, and `because`. A decision that is open is made anew. Breakers, rates and retries of
        `policy.models` hold for every model that is asked from now on, with what is known of it until now; a question
        that is being asked goes on under what it began with. All of it changes, or with an error nothing.

        Raises:
            InputError: it is of another workflow, asks models that cannot be asked, or breakers cannot be kept where
                they shall be.
            DefinitionError: the file cannot be used.
        """
        other = policy if isinstance(policy, Workflow) else self.workflow.under(policy)
        if (other.name, other.hash) != (self.workflow.name, self.workflow.hash):
            found, expected = f"{other.name} {other.hash}", f"a policy of {self.workflow.name} {self.workflow.hash}"
            raise InputError("change_policy", "", found, expected)
        check_models(other.machine, self._resources.providers)
        health = self._resources.health_under(other.machine.policy.ladder.targets)
        said = self._resources.redactor.value(because)
        self._definitions.keep(other)
        self.workflow, self.machine = other, other.machine
        self._upgrading.workflow, self._upgrading.because = other, said
        self._resources.owner.under(health)
        self._runs.change(other.machine, self._changed())

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every run and its new entries, after they are durable; gives what makes it stop."""
        return self._runs.listen(listener)

    def get(self, run_id: str) -> Run:
        """The run as its journal has it. Raises RunNotFound, RunPruned (it was pruned whole), WrongDefinition."""
        live = self._runs.live(run_id)
        if live is not None:
            return self._runs.seen(live)
        found = self._runs.history.seen(run_id)
        return Run(found.machine, found.state, self.journal, found.seq, pruned=found.pruned)

    def runs(self, limit: int = 100) -> list[RunRow]:
        """The newest runs of this workflow."""
        return self.journal.rows(limit, workflow=self.machine.definition.name)

    def replay(self, run_id: str) -> Replayed:
        """Decide the run again from its journal, under the policies it had: no agent is called and no model asked.

        Raises:
            RunNotFound, WrongDefinition: there is no such run of this workflow.
            JournalError: the journal does not keep a policy that it was decided by.
        """
        entries = entries_of(self.journal, run_id)
        if isinstance(entries[0], RunStarted):
            self._upgrading.machine(run_id, entries)
        return replay_run(self.journal, run_id, definitions=self._definitions)

    def stream(
        self,
        input: Mapping[str, Any],  # noqa: A002
        *,
        run_id: str | None = None,
    ) -> AbstractAsyncContextManager[Entries]:
        """Start a run and see every entry as it becomes durable: `async with o.stream(...) as entries: async for ...`.

        The iterator ends when the run rests.
        """
        name = new_id(self._now()) if run_id is None else run_id
        return streamed(self._runs, name, lambda: self._begin(input, name))

    # --- inside

    def _changed(self) -> PolicyChanged:
        return PolicyChanged(self._now(), self.machine.policy.hash, self._upgrading.because)

    def _now(self) -> float:
        return self._resources.clock.now()

    def _keep(self) -> None:
        """Keep the workflow for later replays, and from time to time say that it is in use: it is not pruned then."""
        if abs(self._now() - self._kept_at) > KEEP_EVERY_S:
            self._definitions.keep(self.workflow)
            self._kept_at = self._now()

    async def _begin(self, given: Mapping[str, Any], run_id: str | None) -> Runner:
        name = new_id(self._now()) if run_id is None else run_id
        check_id(name)
        kept: dict[str, bytes] = {}
        found = self._resources.redactor.value(plain_mapping(given, "input", kept))
        if name in self._runs:
            return self._same(name, found)
        self._keep()
        value = run_input(self.machine.definition, found)
        hashes = (self.machine.definition.hash, self.machine.policy.hash)
        try:
            started = RunStarted(self._now(), name, self.machine.definition.name, *hashes, value)
            machine = self.machine
            runner = await self._runs.begin(machine, started, kept)
            if self.machine is not machine:  # the policy was changed while it was being begun
                runner.change(self.machine, self._changed())
            return runner
        except RunConflict:
            return self._same(name, found)

    def _same(self, run_id: str, given: dict[str, Any]) -> Runner:
        """The same id is the same run, if the input is the same."""
        run = self.get(run_id)
        if run.pruned:
            raise RunPruned(run_id)
        if run.state.input != run_input(run.machine.definition, given):
            raise RunConflict(run_id, "there is already a run of this id with another input; choose another id")
        return self._runs.taken(run_id)

    async def _go_on(self, run_id: str, *, again: bool = False) -> Run:
        """Work on the run until it rests; where another process works on it, it takes what is in the inbox."""
        try:
            runner = self._runs.taken(run_id, again=again)
        except RunOwned:
            return self.get(run_id)
        return await self._runs.rest(runner)

    async def _current(self, run_id: str) -> Run:
        """The run; where another policy decides from now on, after a decision that is open was made anew."""
        run, changes = self._going_on(run_id)
        return await self._go_on(run_id) if changes else run

    def _going_on(self, run_id: str, *, again: bool = False) -> tuple[Run, bool]:
        """The run as it would be gone on with, and whether its journal has to say first under what.

        Raises:
            WrongDefinition: it cannot go on.
        """
        live = self._runs.live(run_id)
        if live is not None:
            return self._runs.seen(live), False
        found = self._runs.history.taken(run_id, self._now(), again=again)
        return Run(found.machine, found.state, self.journal, found.seq), found.change is not None

    def _elsewhere(self, run: Run) -> bool:
        """Whether it is in the middle of its work, and not in this process."""
        return run.state.status == "working" and not run.state.resting and self._runs.live(run.id) is None

    def _must_go_on(self, run: Run) -> None:
        if run.state.status == "ended":
            raise RunEnded(run.id, run.state.end)
