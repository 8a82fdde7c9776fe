"""Decision records, folded from a run's entries: the view that audits and counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from stepladder.decision import CACHE
from stepladder.events import (
    Attempt,
    Event,
    ModelAnswered,
    ModelFailed,
    OutcomeAttached,
    PersonAnswered,
    PolicyChanged,
    RunStarted,
    Usage,
    WorkflowChanged,
)
from stepladder.orchestrator.explaining import explain
from stepladder.record import Answered, Asked, Entry, Judged, Opened, Settled, Shadowed

W_SOURCES: Final = {
    "rule": "programmatic",
    "model": "llm_override",
    "panel": "llm_override",
    "cache": "llm_override",
    "person": "human",
}
"""The W document's names of who chose."""


class ModelCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a model for a decision: who was asked, who served, what it used, and how it went.

    `failure` is the class of its failure ("" where it answered), `error` what was said about it. `attached` are the
    digests of the artifacts that went with the question, `left_out` those that did not, with why. `cached` says that
    the model was not asked this time: exact, or similar with how alike the situation was. `attempts` are all that were
    made for it, at `asked` and at what stands in for it.
    """

    command: int
    rung: str
    asked: str
    provider: str = ""
    served: str = ""
    usage: Usage = Usage()
    elapsed_s: float = 0.0
    failure: str = ""
    error: str = ""
    attached: tuple[str, ...] = ()
    left_out: dict[str, str] = {}
    cached: str = ""
    attempts: tuple[Attempt, ...] = ()


class DecisionRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was known, asked, answered and chosen.

    `at` and `settled_at` are seconds since 1970, `signals` every recorded signal's value; `settled` is None while the
    decision is open.
    """

    run_id: str
    opened: Opened
    at: float
    policy_hash: str = ""
    signals: dict[str, Any] = {}
    asked: tuple[Asked, ...] = ()
    calls: tuple[ModelCall, ...] = ()
    answered: tuple[Answered, ...] = ()
    settled: Settled | None = None
    settled_at: float = 0.0
    shadows: tuple[Shadowed, ...] = ()
    by: str = ""
    outcomes: tuple[OutcomeAttached, ...] = ()

    @property
    def number(self) -> int:
        """Its number in the run, from 1."""
        return self.opened.n

    @property
    def action(self) -> str:
        """What was chosen ("" while open)."""
        return self.settled.action if self.settled else ""

    @property
    def source(self) -> str:
        """Who chose ("" while open)."""
        return self.settled.source if self.settled else ""

    @property
    def reason(self) -> str:
        """Why ("" while open)."""
        return self.settled.reason if self.settled else ""

    @property
    def cost_usd(self) -> float:
        """What its model calls cost; an unpriced call counts nothing here and is listed in `calls`."""
        return sum(call.usage.cost_usd or 0.0 for call in self.calls)

    @property
    def cached(self) -> str:
        """How the cache had the verdict that counted: exact, or similar with how alike; "" where it had none."""
        last = self.answered[-1] if self.answered else None
        if last is None or last.rung != CACHE or last.outcome not in ("agrees", "accepted"):
            return ""
        return next((call.cached for call in reversed(self.calls) if call.cached), "")

    @property
    def asked_models(self) -> int:
        """How many questions went to models; what the cache had is none."""
        return sum(not call.cached for call in self.calls)

    @property
    def latency_s(self) -> float:
        """Seconds from opening to settling."""
        return max(0.0, self.settled_at - self.at) if self.settled else 0.0

    @property
    def decision_source(self) -> str:
        """The W document's name of who decided: programmatic, agreement, llm_override, human, fallback or limit."""
        if self.settled is None:
            return ""
        if self.settled.fallback:
            return "fallback"
        if self.settled.relation == "agreement" and self.settled.source == "rule":
            return "agreement"
        return W_SOURCES.get(self.settled.source, self.settled.source)

    @property
    def programmatic_alternative(self) -> dict[str, Any] | None:
        """What the rule would have done, where something else was chosen (the W document's name)."""
        if self.settled is None or self.settled.relation != "override":
            return None
        verdict = self.opened.verdict
        return {
            "action": verdict.action,
            "parameters": verdict.parameters,
            "reason": verdict.reason,
            "rule": self.opened.rule,
        }

    @property
    def conflict_reason(self) -> str:
        """Where rung and rule differ, in one line (the W document's name)."""
        alternative = self.programmatic_alternative
        if alternative is None or self.settled is None:
            return ""
        rule = f"rule {self.opened.rule}" if self.opened.rule else "the built-in STOP"
        return (
            f"{self.settled.source} chose {self.settled.action} ({self.settled.reason or 'no reason given'}); "
            f"{rule} would do {alternative['action']} ({alternative['reason'] or 'no reason given'})"
        )

    def as_dict(self) -> dict[str, Any]:
        """The record as plain JSON, with the W document's names beside our own."""
        told = {
            "number": self.number,
            "action": self.action,
            "source": self.source,
            "reason": self.reason,
            "cost_usd": self.cost_usd,
            "latency_s": self.latency_s,
            "cached": self.cached,
            "decision_source": self.decision_source,
            "programmatic_alternative": self.programmatic_alternative,
            "conflict_reason": self.conflict_reason,
        }
        return {**told, **msgspec.to_builtins(self)}

    def explain(self) -> str:
        """Why it went there, for people: one line what, then the evidence."""
        return "\n".join(explain(self))


def decision_records(
    entries: Iterable[Event | Entry], signals: dict[str, Any] | None = None
) -> tuple[DecisionRecord, ...]:
    """The records of a run, in order. `signals` are the values a run starts with (`Machine.starting_signals`)."""
    view = _View(dict(signals or {}))
    for entry in entries:
        view.see(entry)
    return tuple(view.records.values())


class _View:
    def __init__(self, signals: dict[str, Any]) -> None:
        self.records: dict[int, DecisionRecord] = {}
        self.signals = signals
        self.at = 0.0
        self.run_id = self.policy = ""
        self.commands: dict[int, tuple[int, str, str]] = {}

    def see(self, entry: Event | Entry) -> None:
        if isinstance(entry, Event):
            self._event(entry)
        elif isinstance(entry, Opened):
            self.signals = {**self.signals, **entry.signals}
            self.records[entry.n] = DecisionRecord(self.run_id, entry, self.at, self.policy, self.signals)
        elif isinstance(entry, Entry) and entry.n in self.records:
            self._conclusion(entry, self.records[entry.n])

    def _event(self, event: Event) -> None:
        if not isinstance(event, OutcomeAttached):
            self.at = max(self.at, event.at)
        match event:
            case RunStarted():
                self.run_id, self.policy = event.run_id, event.policy_hash
            case PolicyChanged() | WorkflowChanged():
                self.policy = event.policy_hash
            case ModelFailed(code="miss", provider="cache"):
                pass
            case ModelAnswered() | ModelFailed() if event.command in self.commands:
                n, rung, asked = self.commands[event.command]
                call = _model_call(event, rung, asked)
                self._change(n, calls=(*self.records[n].calls, call))
            case PersonAnswered() if event.command in self.commands:
                self._change(self.commands[event.command][0], by=event.by)
            case OutcomeAttached() if event.decision in self.records:
                self._change(event.decision, outcomes=(*self.records[event.decision].outcomes, event))

    def _conclusion(self, entry: Entry, record: DecisionRecord) -> None:
        match entry:
            case Asked():
                models = entry.models or ("person",)
                for command, model in zip(entry.commands, models, strict=False):
                    self.commands[command] = (entry.n, entry.rung, model)
                self._change(entry.n, asked=(*record.asked, entry))
            case Answered():
                self._change(entry.n, answered=(*record.answered, entry))
            case Settled():
                self._change(entry.n, settled=entry, settled_at=self.at)
            case Shadowed():
                self._change(entry.n, shadows=(*record.shadows, entry))
            case Judged():
                said = OutcomeAttached(self.at, entry.n, entry.success, entry.quality, entry.elapsed_s, by=entry.by)
                self._change(entry.n, outcomes=(*record.outcomes, said))

    def _change(self, n: int, **changes: Any) -> None:
        self.records[n] = replace(self.records[n], **changes)


def _model_call(event: ModelAnswered | ModelFailed, rung: str, asked: str) -> ModelCall:
    call = ModelCall(event.command, rung, asked, event.provider, event.model, event.usage, event.elapsed_s)
    call = replace(
        call, attached=event.attached, left_out=event.left_out, attempts=event.attempts or _only(event, asked)
    )
    if isinstance(event, ModelFailed):
        return replace(call, failure=event.code, error=event.error)
    return replace(call, cached=event.cached)


def _only(event: ModelAnswered | ModelFailed, asked: str) -> tuple[Attempt, ...]:
    """The one attempt of an answer whose event says everything about it, or of a journal from before attempts."""
    if isinstance(event, ModelFailed):
        return ()
    return (Attempt(asked, elapsed_s=event.elapsed_s, usage=event.usage),)
