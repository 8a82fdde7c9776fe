"""A decision point that stands alone, for people who own their loop."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from stepladder.app.journals import open_journal
from stepladder.app.run import Waiting
from stepladder.app.secrets import secrets_of
from stepladder.clauses import AnyOf
from stepladder.commands import AskModel, AskPerson
from stepladder.decision import Invalid, Route, Rung, judge
from stepladder.decision.point import PERSON
from stepladder.drivers.clock import Clock, SystemClock
from stepladder.drivers.models import ask_model
from stepladder.errors import InputError, RunConflict, RunNotFound, RunNotWaiting
from stepladder.events import Event, OutcomeAttached, PersonAnswered, QuestionPut, TimePassed
from stepladder.journal import Journal, Redactor, RunRow, encode_turn
from stepladder.llm import Provider, Providers
from stepladder.orchestrator import DecisionRecord, decision_records
from stepladder.points import Standing, advance_alone, fold_alone, make_point
from stepladder.points.point import SignalTypes
from stepladder.prompts import DECISION_PROMPT, decision_prompt
from stepladder.record import Entry, Mode
from stepladder.rules import Rule
from stepladder.values import plain


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
        asked = next((each for each in self.standing.outstanding.values() if isinstance(each, AskPerson)), None)
        if asked is None or self.standing.settled is not None:
            return None
        return Waiting("decision", asked.step, asked.question, asked.options, deadline=asked.deadline)

    def explain(self) -> str:
        """Why it was decided so, for people."""
        return self.record.explain()


class DecisionPoint:
    """A question with a rule, a classifier and a ladder; the legal set comes with each decision.

    Args:
        name: the decision point's name, in records and prompts.
        rules: the first that holds and is legal answers; at least one.
        signals: what is decided on, by name: int, float, bool, str, or the words that are allowed.
        model: a model that hybrid and complex states are put to (`provider:name`); for more, give rungs and routes.
        classifier: named clauses for `complex` and `hybrid`.
        rungs, routes: the ladder in full, as `Rung` and `Route` values.
        reconcile, accept, deadline_s: how the model's answer is settled, and its time in seconds.
        mode: programmatic, llm or hybrid.
        actions: per action `description`, `use_when`, `example`, `parameters` and `significant`.
        journal: a journal or the path of a SQLite file; None keeps decisions in memory.
        providers, options, clock, prompts: as for the Orchestrator.

    Raises:
        DefinitionError: no rule, an unknown signal in a clause, a rung that is not there.
    """

    def __init__(
        self,
        name: str,
        *,
        rules: Sequence[Rule],
        signals: SignalTypes,
        model: str | None = None,
        classifier: Mapping[str, Mapping[str, Iterable[str]]] | None = None,
        rungs: Mapping[str, Rung] | None = None,
        routes: Mapping[str, Route] | None = None,
        reconcile: Mode = "model_wins",
        accept: Mapping[str, Iterable[str]] | None = None,
        deadline_s: float = 5.0,
        mode: str = "hybrid",
        on_invalid: str = "rule",
        on_low_confidence: str = "next_rung",
        actions: Mapping[str, Mapping[str, Any]] | None = None,
        journal: Journal | str | Path | None = None,
        providers: Mapping[str, Provider] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        clock: Clock | None = None,
        prompts: Mapping[str, str] | None = None,
    ) -> None:
        if model is not None:
            rungs = {"model": Rung("model", (model,), 1, DECISION_PROMPT, deadline_s, AnyOf(accept)), **(rungs or {})}
            routes = routes or {route: Route(("model",), reconcile) for route in ("hybrid", "complex")}
        settings = {"how": mode, "on_invalid": on_invalid, "on_low_confidence": on_low_confidence}
        self.point = make_point(
            name,
            rules=rules,
            signals=signals,
            classifier=classifier,
            rungs=rungs,
            routes=routes,
            actions=actions,
            settings=settings,
        )
        self.journal = open_journal(journal)
        self._clock = clock or SystemClock()
        self._providers = Providers(providers, options=options)
        self._redactor = Redactor(secrets_of({}, os.environ)[1])
        self._prompts = dict(prompts or {})
        self._shadows: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of providers and journal, after shadows have answered."""
        await asyncio.gather(*self._shadows, return_exceptions=True)
        await self._providers.close()
        self.journal.close()

    async def decide(
        self,
        facts: Mapping[str, Any],
        *,
        legal: Iterable[str],
        context: Any = None,
        decision_id: str | None = None,
    ) -> Decision:
        """Decide on these signals among these legal actions. `context` is what a model is told besides.

        The same `decision_id` is the same decision: it is not decided again.

        Raises:
            InputError: a signal nobody declared, a value of another kind, a context that is not JSON.
            NoRule: no rule can answer this legal set; nothing is asked.
            RunConflict: the id is taken by a decision on something else.
        """
        put = self._redactor.event(self._put(facts, legal, context, decision_id))
        assert isinstance(put, QuestionPut), "redaction keeps the kind of an event"
        if (known := self._known(put)) is not None:
            return known
        moved = advance_alone(self.point, Standing(), put)
        self.journal.create(self._row(put.decision_id, moved.standing), encode_turn(moved.entries))
        lone = _Lone(self, put.decision_id, moved.standing, list(moved.entries))
        return await lone.settle()

    async def answer(self, decision_id: str, value: Mapping[str, Any], *, by: str = "") -> Decision:
        """Hand in what a person says: action, and parameters and reason where wanted.

        Raises:
            RunNotWaiting: no person is asked.
            InputError: the action is not legal; the decision stays open.
        """
        lone = self._lone(decision_id)
        command = next((each for each in lone.standing.outstanding.values() if isinstance(each, AskPerson)), None)
        if command is None or lone.standing.settled is not None:
            raise RunNotWaiting(decision_id, "an answer", "nobody")
        given = plain(dict(value), "answer")
        found = judge(given, self.point.options(command.options))
        if isinstance(found, Invalid):
            raise InputError("answer", "", f"{given} ({found.cause})", f"an action of {', '.join(command.options)}")
        lone.take(PersonAnswered(self._clock.now(), command.number, given, by))
        return lone.seen()

    async def outcome(self, decision_id: str, *, success: bool | None = None, quality: float | None = None, note: str = "") -> Decision:
        """Attach how it turned out; quality is 0 to 1. Raises RunNotFound or InputError."""
        if quality is not None and not 0 <= quality <= 1:
            raise InputError("outcome", "quality", str(quality), "a number from 0 to 1")
        lone = self._lone(decision_id)
        lone.take(OutcomeAttached(self._clock.now(), 1, success, quality, note=note))
        return lone.seen()

    def get(self, decision_id: str) -> Decision:
        """The decision as the journal has it. Raises RunNotFound."""
        return self._lone(decision_id).seen()

    def replay(self, decision_id: str) -> bool:
        """Whether deciding again gives the same entries. No model is asked. Raises RunNotFound."""
        recorded = self._entries(decision_id)
        standing, again = Standing(), list[Event | Entry]()
        for entry in recorded:
            if isinstance(entry, Event):
                moved = advance_alone(self.point, standing, entry)
                standing, again = moved.standing, [*again, *moved.entries]
        return again == recorded

    # --- inside

    def _put(self, facts: Mapping[str, Any], legal: Iterable[str], context: Any, decision_id: str | None) -> QuestionPut:
        return QuestionPut(
            self._clock.now(),
            self.point.name,
            self.point.hash,
            self.point.facts(facts),
            self.point.legal(legal),
            None if context is None else plain(context, "context"),
            decision_id or uuid.uuid4().hex,
        )

    def _known(self, put: QuestionPut) -> Decision | None:
        if self.journal.row(put.decision_id) is None:
            return None
        before = self._lone(put.decision_id)
        known = before.standing.put
        if known is None or (known.point, known.facts, known.legal) != (put.point, put.facts, put.legal):
            raise RunConflict(put.decision_id, "there is already a decision of this id about something else")
        return before.seen()

    def _entries(self, decision_id: str) -> list[Event | Entry]:
        turns = self.journal.turns(decision_id)
        if not turns:
            raise RunNotFound(decision_id, self.journal.name)
        return [entry for turn in turns for entry in turn.entries]

    def _lone(self, decision_id: str) -> _Lone:
        entries = self._entries(decision_id)
        return _Lone(self, decision_id, fold_alone(entries), entries)

    def _row(self, decision_id: str, standing: Standing) -> RunRow:
        ended = standing.settled is not None
        put = standing.put
        return RunRow(
            run_id=decision_id,
            workflow=self.point.name,
            workflow_hash=self.point.hash,
            started_at=put.at if put else standing.now,
            updated_at=standing.now,
            status="ended" if ended else "waiting" if _resting(standing) else "working",
            step=self.point.name,
            waiting="" if ended or not _resting(standing) else "decision",
            end=standing.settled.action if standing.settled else "",
            success=True if ended else None,
            decisions=1,
            usd=standing.usd,
        )


class _Lone:
    """One lone decision while it is worked on."""

    def __init__(self, owner: DecisionPoint, decision_id: str, standing: Standing, entries: list[Event | Entry]) -> None:
        self.owner, self.id, self.standing, self.entries = owner, decision_id, standing, entries

    async def settle(self) -> Decision:
        """Ask until it is settled, or rests on a person."""
        self._start_shadows()
        while self.standing.settled is None and (asked := self._models(shadow=False)):
            await self._ask(asked)
        return self.seen()

    def seen(self) -> Decision:
        """The decision now."""
        (record,) = decision_records(self.entries)
        return Decision(self.id, self.standing, msgspec.structs.replace(record, run_id=self.id))

    def take(self, event: Event) -> None:
        """Redact, decide, append."""
        owner = self.owner
        moved = advance_alone(owner.point, self.standing, owner._redactor.event(event))
        row = owner._row(self.id, moved.standing)
        owner.journal.append(self.id, len(self.entries) + 1, encode_turn(moved.entries), row)
        self.standing = moved.standing
        self.entries.extend(moved.entries)

    def _models(self, *, shadow: bool) -> list[AskModel]:
        commands = self.standing.outstanding.values()
        return [each for each in commands if isinstance(each, AskModel) and each.shadow == shadow]

    async def _ask(self, asked: list[AskModel]) -> None:
        """Ask the models of a rung at once, until the rung is settled or its time is up."""
        tasks = {asyncio.create_task(self._one(command)): command for command in asked}
        alarm = self._alarm(asked[0].deadline)
        try:
            while tasks and self._open(asked):
                done, _ = await asyncio.wait({*tasks, alarm}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {alarm}:
                    del tasks[task]
                    self.take(await task)
                if alarm in done:
                    self._late(asked)
        finally:
            for task in (*tasks, alarm):
                task.cancel()
            await asyncio.gather(*tasks, alarm, return_exceptions=True)

    def _alarm(self, deadline: float | None) -> asyncio.Future[None]:
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if deadline is not None:
            self.owner._clock.call_at(deadline, lambda: None if alarm.done() else alarm.set_result(None))
        return alarm

    def _open(self, asked: list[AskModel]) -> bool:
        return self.standing.settled is None and any(each.number in self.standing.outstanding for each in asked)

    def _late(self, asked: list[AskModel]) -> None:
        for each in asked:
            if self._open([each]):
                self.take(TimePassed(max(self.owner._clock.now(), each.deadline or 0.0), each.number))

    async def _one(self, command: AskModel) -> Any:
        owner, put = self.owner, self.standing.put
        assert put is not None, "a model is asked about a question that was put"
        rung = owner.point.ladder.rungs[command.rung]
        rendered = decision_prompt(
            put.point,
            put.facts,
            put.context,
            owner.point.options(put.legal),
            owner.point.actions,
            name=rung.prompt or DECISION_PROMPT,
            prompts=owner._prompts,
        )
        return await ask_model(owner._providers, owner._clock, command, rendered)

    def _start_shadows(self) -> None:
        for command in self._models(shadow=True):
            task = asyncio.create_task(self._shadow(command))
            self.owner._shadows.add(task)
            task.add_done_callback(self.owner._shadows.discard)

    async def _shadow(self, command: AskModel) -> None:
        self.take(await self._one(command))


def _resting(standing: Standing) -> bool:
    return any(isinstance(command, AskPerson) for command in standing.outstanding.values())


