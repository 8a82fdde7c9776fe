"""A decision point that stands alone, for people who own their loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from stepladder.app.ids import new_id
from stepladder.app.inputs import check_prices
from stepladder.app.journals import open_journal
from stepladder.app.left import is_pruned
from stepladder.app.lone import Decision, Desk, Lone, asked_person
from stepladder.app.secrets import secrets_of
from stepladder.clauses import AnyOf
from stepladder.decision import Attachments, Budget, Invalid, Route, Rung, judge
from stepladder.drivers.artifacts import taken_in
from stepladder.drivers.clock import Clock, SystemClock
from stepladder.errors import InputError, RunConflict, RunNotWaiting, RunPruned, WrongDefinition
from stepladder.events import Event, OutcomeAttached, PersonAnswered, QuestionPut
from stepladder.fallback import Link, Retry, full_name
from stepladder.journal import Journal, Redactor, entries_in, turns_of
from stepladder.llm import Provider, Providers
from stepladder.llm.purse import Purse
from stepladder.points import Standing, advance_alone, make_point
from stepladder.points.point import SignalTypes
from stepladder.prompts import DECISION_PROMPT
from stepladder.record import Entry, Mode
from stepladder.rules import Rule
from stepladder.values import plain


class DecisionPoint:
    """A question with a rule, a classifier and a ladder; the legal set comes with each decision.

    Args:
        name: the decision point's name, in records and prompts.
        rules: the first that holds and is legal answers; at least one.
        signals: what is decided on, by name: int, float, bool, str, or the words that are allowed.
        model: a model that hybrid and complex states are put to (`provider:name`, or `google` for its default); for
            more, give rungs and routes.
        classifier: named clauses for `complex` and `hybrid`.
        rungs, routes: the ladder in full, as `Rung` and `Route` values.
        reconcile, accept, deadline_s: how the model's answer is settled, and its time in seconds.
        attachments: media types of artifacts in the context that the model is sent: image/png, image/* ...
        mode: programmatic, llm or hybrid.
        budget: what may be spent on models, a decision and a day, and their prices.
        actions: per action `description`, `use_when`, `example`, `parameters` and `significant`.
        journal: a journal, a SQLite file or a postgresql:// address; None keeps decisions in memory.
        providers, options, clock, prompts, purse: as for the Orchestrator.
        chain: models that stand in for one another, in order, in place of `model`.
        retry: how often each of them is asked.

    Raises:
        DefinitionError: no rule, an unknown signal in a clause, a rung that is not there.
        InputError: a model without a price though there is a cap on money.
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
        attachments: Iterable[str] = (),
        mode: str = "hybrid",
        on_invalid: str = "rule",
        on_low_confidence: str = "next_rung",
        actions: Mapping[str, Mapping[str, Any]] | None = None,
        journal: Journal | str | Path | None = None,
        providers: Mapping[str, Provider] | Providers | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        clock: Clock | None = None,
        prompts: Mapping[str, str] | None = None,
        budget: Budget | None = None,
        chain: Sequence[str | Link] = (),
        retry: Retry | None = None,
        purse: Purse | None = None,
    ) -> None:
        links = _linked(chain)
        first = full_name(model) if model is not None else links[0].model if links else ""
        if first:
            sent, accepted = Attachments(tuple(attachments)), AnyOf(accept)
            rung = Rung("model", (first,), 1, DECISION_PROMPT, deadline_s, accepted, sent, links, retry)
            rungs = {"model": rung, **(rungs or {})}
            routes = routes or {route: Route(("model",), reconcile) for route in ("hybrid", "complex")}
        settings = {"how": mode, "on_invalid": on_invalid, "on_low_confidence": on_low_confidence, "budget": budget}
        self.point = make_point(name, rules, signals, classifier, rungs, routes, actions, settings)
        models = providers if isinstance(providers, Providers) else Providers(providers, options=options)
        check_prices(self.point.ladder, budget or Budget(), models)
        self.journal = open_journal(journal)
        self._owns_journal = journal is not self.journal
        self._clock = clock or SystemClock()
        redactor = Redactor(secrets_of({}, os.environ)[1])
        self._desk = Desk(self.point, self.journal, self._clock, models, redactor, dict(prompts or {}), purse)
        self._asking: dict[str, asyncio.Future[Decision]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of providers, and of a journal that was opened here, after shadows have answered."""
        await self._desk.close()
        if self._owns_journal:
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

        The same `decision_id` is the same decision: it is not decided again. One that a process left open is taken up.

        Raises:
            InputError: a signal nobody declared, a value of another kind, a context that is not JSON.
            NoRule: no rule can answer this legal set; nothing is asked.
            RunConflict: the id is taken by a decision on something else.
            WrongDefinition: it is still open, and was put to another version of this point.
        """
        kept: dict[str, bytes] = {}
        put = self._desk.redactor.event(self._put(facts, legal, taken_in(context, "context", kept), decision_id))
        assert isinstance(put, QuestionPut), "redaction keeps the kind of an event"
        asking = self._asking.get(put.decision_id)
        if asking is not None:
            await asyncio.wait([asking])
        known = self.journal.row(put.decision_id) is not None
        lone = self._known(put) if known else self._desk.put(put.decision_id, put, kept)
        task = self._asking[put.decision_id] = asyncio.ensure_future(lone.settle())
        try:
            return await task
        finally:
            self._asking.pop(put.decision_id, None)

    async def answer(self, decision_id: str, value: Mapping[str, Any], *, by: str = "") -> Decision:
        """Hand in what a person says: action, and parameters and reason where wanted.

        Raises:
            RunNotWaiting: no person is asked.
            InputError: the action is not legal; the decision stays open.
        """
        lone = self._desk.lone(decision_id)
        command = asked_person(lone.standing)
        if command is None:
            raise RunNotWaiting(decision_id, "an answer", "nobody")
        given = plain(dict(value), "answer")
        found = judge(given, self.point.options(command.options))
        if isinstance(found, Invalid):
            raise InputError("answer", "", f"{given} ({found.cause})", f"an action of {', '.join(command.options)}")
        lone.take(PersonAnswered(self._clock.now(), command.number, given, by))
        return await lone.settle()

    async def outcome(
        self, decision_id: str, *, success: bool | None = None, quality: float | None = None, note: str = ""
    ) -> Decision:
        """Attach how it turned out; quality is 0 to 1. Raises RunNotFound or InputError."""
        if quality is not None and not 0 <= quality <= 1:
            raise InputError("outcome", "quality", str(quality), "a number from 0 to 1")
        lone = self._desk.lone(decision_id)
        lone.take(OutcomeAttached(self._clock.now(), 1, success, quality, note=note))
        return lone.seen()

    def get(self, decision_id: str) -> Decision:
        """The decision as the journal has it. Raises RunNotFound."""
        return self._desk.lone(decision_id).seen()

    def replay(self, decision_id: str) -> bool:
        """Whether deciding again gives the same entries. No model is asked. Raises RunNotFound, RunPruned."""
        recorded = entries_in(turns_of(self.journal, decision_id))
        if is_pruned(recorded):
            raise RunPruned(decision_id)
        standing, again = Standing(), list[Event | Entry]()
        for entry in recorded:
            if isinstance(entry, Event):
                moved = advance_alone(self.point, standing, entry)
                standing, again = moved.standing, [*again, *moved.entries]
        return again == recorded

    # --- inside

    def _put(
        self, facts: Mapping[str, Any], legal: Iterable[str], context: Any, decision_id: str | None
    ) -> QuestionPut:
        now = self._clock.now()
        return QuestionPut(
            now,
            self.point.name,
            self.point.hash,
            self.point.facts(facts),
            self.point.legal(legal),
            context,
            decision_id or new_id(now),
        )

    def _known(self, put: QuestionPut) -> Lone:
        """The decision of this id, if it is about the same."""
        lone = self._desk.lone(put.decision_id)
        known = lone.standing.put
        if known is None or (known.point, known.facts, known.legal) != (put.point, put.facts, put.legal):
            raise RunConflict(put.decision_id, "there is already a decision of this id about something else")
        if lone.standing.settled is None and known.policy_hash != self.point.hash:
            raise WrongDefinition(put.decision_id, f"{self.point.name} {self.point.hash}", known.policy_hash)
        return lone


def _linked(chain: Sequence[str | Link]) -> tuple[Link, ...]:
    """The models of a chain by their full names."""
    links = (Link(each) if isinstance(each, str) else each for each in chain)
    return tuple(msgspec.structs.replace(each, model=full_name(each.model)) for each in links)
