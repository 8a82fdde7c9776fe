"""Working on one decision that stands alone: its models are asked, its deadlines kept, every turn appended."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from stepladder.app.left import is_pruned
from stepladder.app.run import Waiting
from stepladder.commands import AskModel, AskPerson
from stepladder.decision import CACHE, Budget
from stepladder.drivers.artifacts import noted
from stepladder.drivers.attachments import attach
from stepladder.drivers.clock import Clock
from stepladder.drivers.contract import contract_for
from stepladder.drivers.models import ModelEvent, ask_model
from stepladder.drivers.paying import payer_of
from stepladder.drivers.recalling import Posed, learning, recalling
from stepladder.events import Event, ModelAnswered, ModelFailed, TimePassed
from stepladder.journal import (
    NO_DIGEST,
    Journal,
    Redactor,
    RunRow,
    Turn,
    append,
    chain,
    encode_turn,
    entries_in,
    turns_of,
)
from stepladder.llm import Providers
from stepladder.llm.owner import Owner
from stepladder.llm.purse import Purse
from stepladder.money import LedgerPurse, Till
from stepladder.orchestrator import DecisionRecord, decision_records
from stepladder.points import Moved, Point, Standing, advance_alone, fold_alone
from stepladder.prompts import DECISION_PROMPT, decision_prompt
from stepladder.record import Entry
from stepladder.verdicts import Verdicts


class Decision:
    """A lone decision as its caller sees it."""

    def __init__(self, decision_id: str, standing: Standing, record: DecisionRecord) -> None:
        self.id, self.standing, self.record = decision_id, standing, record

    def __repr__(self) -> str:
        return f"Decision({self.id!r}, action={self.action!r}, source={self.source!r})"

    @property
    def action(self) -> str:
        """What was chosen ("" while a person is asked)."""
        return self.record.action

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the action."""
        return self.record.settled.parameters if self.record.settled else {}

    @property
    def source(self) -> str:
        """Who chose: rule, model, panel or person."""
        return self.record.source

    @property
    def reason(self) -> str:
        """Why."""
        return self.record.reason

    @property
    def waiting(self) -> Waiting | None:
        """The person it rests on, or None."""
        asked = asked_person(self.standing)
        if asked is None:
            return None
        return Waiting("decision", asked.step, asked.question, asked.options, deadline=asked.deadline)

    def explain(self) -> str:
        """Why it was decided so, for people."""
        return self.record.explain()


GRACE_S: Final = 0.05
"""What models get beyond their time to say that it is up."""


class Desk:
    """What the decisions of one point have in common."""

    def __init__(
        self,
        point: Point,
        journal: Journal,
        clock: Clock,
        providers: Providers,
        redactor: Redactor,
        prompts: dict[str, str],
        purse: Purse | None = None,
    ) -> None:
        self.point, self.journal, self.clock = point, journal, clock
        self.providers, self.redactor, self.prompts = providers, redactor, prompts
        self.till, self.verdicts = Till(journal), Verdicts(clock.now, journal)
        self.owner = Owner(providers, purse=purse or LedgerPurse(self.till, providers, clock))
        self._shadows: set[asyncio.Task[None]] = set()

    def put(self, decision_id: str, event: Event, kept: dict[str, bytes]) -> Lone:
        """A new decision. Raises NoRule, and RunConflict where the id is taken."""
        moved = advance_alone(self.point, Standing(), event)
        lone = Lone(self, decision_id, Standing(), [], NO_DIGEST)
        lone.append(moved, kept)
        return lone

    def lone(self, decision_id: str) -> Lone:
        """A decision from the journal, its deadline kept. Raises RunNotFound."""
        turns = turns_of(self.journal, decision_id)
        entries = entries_in(turns)
        lone = Lone(self, decision_id, fold_alone(entries), entries, turns[-1].digest)
        lone.keep_deadline()
        return lone

    async def ask(self, standing: Standing, command: AskModel) -> ModelEvent:
        """A model's answer."""
        put = standing.put
        assert put is not None, "a model is asked about a question that was put"
        asking = standing.shadows.get(command.number) or standing.asking
        assert asking is not None, "a model is asked while its decision is open"
        rung = self.point.ladder.rung(command.rung, asking.opened.route)
        attached = attach(rung.attachments, (put.context,), self.journal.artifact)
        rendered = decision_prompt(
            put.point,
            put.facts,
            noted(put.context, attached.notes),
            self.point.options(put.legal),
            self.point.actions,
            name=rung.prompt or DECISION_PROMPT,
            prompts=self.prompts,
        )
        options, versions = self.point.options(put.legal), (self.point.hash,)
        posed = Posed(self.point.ladder, asking.opened, options, put.facts, rendered, versions, tuple(attached.sent))
        cache = recalling(self.verdicts, self.clock, self.redactor, posed, command)
        if cache is not None and command.rung == CACHE:
            return await cache.look()
        payer = payer_of(command, asking.opened, put.decision_id, self.point.ladder.budget or Budget())
        asks = contract_for(options, asking.opened.verdict)
        return await learning(cache, ask_model(self.owner, self.clock, command, rung, rendered, attached, asks, payer))

    def in_shadow(self, lone: Lone, command: AskModel) -> None:
        """Ask a model that nobody waits for."""
        task = asyncio.create_task(lone.one(command))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def close(self) -> None:
        """Let go of the providers, after shadows have answered."""
        await asyncio.gather(*self._shadows, return_exceptions=True)
        await self.providers.close()
        self.verdicts.close()
        self.till.close()


class Lone:
    """One lone decision while it is worked on."""

    def __init__(
        self, desk: Desk, decision_id: str, standing: Standing, entries: list[Event | Entry], digest: bytes
    ) -> None:
        self.desk, self.id, self.standing, self.entries, self.digest = desk, decision_id, standing, entries, digest

    async def settle(self) -> Decision:
        """Ask until it is settled, or rests on a person."""
        for command in self._models(shadow=True):
            self.desk.in_shadow(self, command)
        while asked := self._models(shadow=False):
            await self._ask(asked)
        return self.seen()

    def seen(self) -> Decision:
        """The decision now."""
        (record,) = decision_records(self.entries)
        return Decision(self.id, self.standing, msgspec.structs.replace(record, run_id=self.id))

    def take(self, event: Event) -> None:
        """Redact, decide, append."""
        self.append(advance_alone(self.desk.point, self.standing, self.desk.redactor.event(event)))

    def append(self, moved: Moved, kept: dict[str, bytes] | None = None) -> None:
        """Write a turn down: only then has it happened. Raises RunConflict, JournalError."""
        body = encode_turn(moved.entries)
        digest = chain(self.digest, body)
        row = msgspec.structs.replace(row_of(self.id, moved.standing), pruned=is_pruned(self.entries))
        append(self.desk.journal, Turn(self.id, len(self.entries) + 1, body, digest, row, artifacts=kept or {}))
        self.standing, self.digest = moved.standing, digest
        self.entries.extend(moved.entries)

    def keep_deadline(self) -> None:
        """A person who was asked until a time that has passed is not asked any more."""
        asked, now = asked_person(self.standing), self.desk.clock.now()
        if asked is not None and asked.deadline is not None and asked.deadline <= now:
            self.take(TimePassed(now, asked.number))

    async def one(self, command: AskModel) -> None:
        """Ask one model and take its answer."""
        self.take(await self.desk.ask(self.standing, command))

    def _models(self, *, shadow: bool) -> list[AskModel]:
        commands = self.standing.outstanding.values()
        return [each for each in commands if isinstance(each, AskModel) and each.shadow == shadow]

    async def _ask(self, asked: list[AskModel]) -> None:
        """Ask the models of a rung at once, until the rung is settled or its time is up.

        The time counts from now: a process that takes up what another one left gives the models their time again.
        """
        asking = self.standing.asking
        assert asking is not None, "a rung is asked while the decision is open"
        rung = self.desk.point.ladder.rung(asked[0].rung, asking.opened.route)
        until = None if rung.deadline_s is None else self.desk.clock.now() + rung.deadline_s
        asked = [msgspec.structs.replace(each, deadline=until) for each in asked]
        tasks = {asyncio.create_task(self.desk.ask(self.standing, command)) for command in asked}
        alarm = self._alarm(until)
        try:
            while tasks and self._open(asked):
                flying: list[asyncio.Future[Any]] = [*tasks, alarm]
                await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in tasks if task.done()]:
                    tasks.discard(task)
                    self.take(task.result())
                if alarm.done() and tasks:
                    await asyncio.wait(tasks, timeout=GRACE_S)  # whoever owns the calls ends them in time
                if alarm.done() and not any(task.done() for task in tasks):
                    self._late(asked, until or 0.0)
        finally:
            alarm.cancel()
            await self._cut_off(tasks)

    async def _cut_off(self, tasks: set[asyncio.Task[ModelEvent]]) -> None:
        """Nobody waits for these any more; what they had sent by then is written down all the same."""
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, ModelAnswered | ModelFailed):
                self.take(ended)

    def _alarm(self, until: float | None) -> asyncio.Future[None]:
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if until is not None:
            self.desk.clock.call_at(until, lambda: None if alarm.done() else alarm.set_result(None))
        return alarm

    def _open(self, asked: list[AskModel]) -> bool:
        return self.standing.settled is None and any(each.number in self.standing.outstanding for each in asked)

    def _late(self, asked: list[AskModel], until: float) -> None:
        for each in asked:
            if self._open([each]):
                self.take(TimePassed(max(self.desk.clock.now(), until), each.number))


def asked_person(standing: Standing) -> AskPerson | None:
    """The person who is asked now, or None."""
    if standing.settled is not None:
        return None
    return next((each for each in standing.outstanding.values() if isinstance(each, AskPerson)), None)


def row_of(decision_id: str, standing: Standing) -> RunRow:
    """A lone decision's line in the list of runs."""
    put, settled, waiting = standing.put, standing.settled, asked_person(standing) is not None
    assert put is not None, "a decision begins with its question"
    return RunRow(
        run_id=decision_id,
        workflow=put.point,
        workflow_hash=put.policy_hash,
        started_at=put.at,
        updated_at=standing.now,
        status="ended" if settled else "waiting" if waiting else "working",
        step=put.point,
        waiting="decision" if waiting else "",
        end=settled.action if settled else "",
        success=True if settled else None,
        decisions=1,
        usd=standing.usd,
    )
