"""The rung `cache` as a driver performs it: looking up what a model said before, and keeping what one says now.

A hit is an answer of the model that gave it, marked `cached`; a miss is a failure with the code `miss`. Kept are
answers that came whole and are legal where they were given: no refusal, no error, nothing that had to be repaired.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import NamedTuple

from stepladder.clauses import Facts
from stepladder.commands import AskModel
from stepladder.decision import CACHE, Caching, Ladder, Option, Rung, judge_answer
from stepladder.decision.point import MISS
from stepladder.drivers.clock import Clock
from stepladder.drivers.models import ModelEvent
from stepladder.events import ModelAnswered, ModelFailed
from stepladder.journal import Redactor
from stepladder.prompts import Rendered
from stepladder.record import Opened, Verdict
from stepladder.values import to_json
from stepladder.verdicts import Kept, Situation, Verdicts, situation

LOOKING_S = 60.0
"""Seconds that a question may take before somebody else asks it, where the rung has no deadline."""


class Posed(NamedTuple):
    """A question as a driver is about to put it: where, with which legal set, facts, prompt and attachments."""

    ladder: Ladder
    opened: Opened
    options: Mapping[str, Option]
    facts: Facts
    rendered: Rendered
    versions: tuple[str, ...]
    attached: tuple[str, ...] = ()


class Recalling:
    """The cache as it stands to one question to one model."""

    def __init__(
        self, verdicts: Verdicts, clock: Clock, redactor: Redactor, posed: Posed, command: AskModel, rung: Rung
    ) -> None:
        self._verdicts, self._clock, self._redactor, self._posed = verdicts, clock, redactor, posed
        self._command = command
        assert rung.caching is not None, "the cache's rung says how it looks verdicts up"
        self._caching: Caching = rung.caching
        self._situation: Situation = situation(
            rung,
            command.model,
            posed.rendered,
            versions=posed.versions,
            place=(posed.opened.point, posed.opened.step),
            legal=posed.opened.legal,
            facts=posed.facts,
            attached=posed.attached,
        )

    async def look(self) -> ModelAnswered | ModelFailed:
        """The verdict that is known, or the miss."""
        command, before = self._command, self._clock.now()
        within_s = LOOKING_S if command.deadline is None else max(0.0, command.deadline - before)
        found = await self._verdicts.look(self._situation, self._caching, within_s)
        now = self._clock.now()
        if found.kept is None:
            return ModelFailed(now, command.number, MISS, found.trouble, CACHE, command.model, elapsed_s=now - before)
        return ModelAnswered(
            now,
            command.number,
            found.kept.text,
            CACHE,
            found.kept.model,
            prompt=self._situation.exact,
            elapsed_s=now - before,
            cached=found.how,
        )

    def learn(self, event: ModelAnswered | ModelFailed | None) -> None:
        """Keep the model's answer, if it may be kept (None: the question was cut off)."""
        trouble = self._verdicts.learn(self._situation, self._caching, self._kept(event))
        if trouble:
            from loguru import logger

            logger.warning("a verdict was not kept: {}", trouble)

    def _kept(self, event: ModelAnswered | ModelFailed | None) -> Kept | None:
        if not isinstance(event, ModelAnswered) or not _as_asked(event, self._command.model):
            return None
        clean = self._redactor.event(event)
        assert isinstance(clean, ModelAnswered), "redaction keeps the kind of an event"
        found = judge_answer(clean, self._posed.options)
        return (
            Kept(_spelt(found), clean.model, event.at, self._situation.features) if isinstance(found, Verdict) else None
        )


def _as_asked(event: ModelAnswered, model: str) -> bool:
    """Whether this very model gave it at once: not one that stands in for it, not after a second question, and with
    nothing to be put right."""
    if event.repaired:
        return False
    last = event.attempts[-1] if event.attempts else None
    return last is None or (last.target == model and not last.reask)


def _spelt(verdict: Verdict) -> str:
    """The verdict as an answer in our own fields."""
    said = {"reason": verdict.reason, "action": verdict.action, "parameters": verdict.parameters}
    sure = {} if verdict.confidence is None else {"confidence": verdict.confidence}
    return to_json({**said, **sure})


async def learning(cache: Recalling | None, asking: Awaitable[ModelEvent]) -> ModelEvent:
    """What comes of asking, which the cache learns from; whoever waits for it is let go also where it is cut off."""
    event = None
    try:
        event = await asking
        return event
    finally:
        if cache is not None:
            cache.learn(event)


def recalling(
    verdicts: Verdicts, clock: Clock, redactor: Redactor, posed: Posed, command: AskModel
) -> Recalling | None:
    """The cache for this question, where its route asks the cache first; None where it does not."""
    ladder, route = posed.ladder, posed.opened.route
    covered = ladder.covered(route)
    if covered is None or command.shadow or command.rung not in (CACHE, covered.name):
        return None
    return Recalling(verdicts, clock, redactor, posed, command, ladder.rung(CACHE, route))
