"""Decision records, folded from a run's entries: the view that explains, audits and counts."""

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


def went_along(record: DecisionRecord) -> list[tuple[str, str]]:
    """What went with its questions and what was left out, as label and text: each artifact once for each rung."""
    told: list[tuple[str, str]] = []
    for call in record.calls:
        to = f"for {call.rung}"
        told += [("attached", f"artifact {digest[:12]} {to}") for digest in call.attached]
        told += [("left out", f"artifact {digest[:12]} {to}: {why}") for digest, why in call.left_out.items()]
    return list(dict.fromkeys(told))


def explain(record: DecisionRecord) -> list[str]:
    """The lines of an explanation."""
    opened = record.opened
    lines = [_headline(record), f"  route     {opened.route}"]
    lines += [f"            {fired.name}: {', '.join(map(str, fired.readings))}" for fired in opened.fired]
    lines.append(f"  legal     {', '.join(opened.legal) or 'nothing'}")
    lines += [f"  blocked   {action}: {reading}" for action, reading in opened.blocked.items()]
    rule = f"{opened.rule} -> {opened.verdict.action}" if opened.rule else f"none holds -> {opened.verdict.action}"
    lines.append(f"  rule      {rule}" + (f" ({opened.verdict.reason})" if opened.verdict.reason else ""))
    if opened.settles:
        lines.append(f"  nobody    was asked: the rule settles {opened.route}")
    if opened.passed_over:
        lines.append(f"  passed    {', '.join(opened.passed_over)}: held, but the action is not legal here")
    if told := _signals(record.signals):
        lines.append(f"  signals   {told}")
    lines += [f"  broken    {name}: {error}" for name, error in opened.broken.items()]
    lines += _told(record)
    return lines


def _headline(record: DecisionRecord) -> str:
    where = f"decision {record.number} in {record.opened.step}"
    if record.settled is None:
        return f"{where}: open"
    settled = record.settled
    who = (
        f"{settled.source} {record.opened.rule}" if settled.source == "rule" and record.opened.rule else settled.source
    )
    voice = "a cached verdict" if record.cached else "a model"
    relation = {"agreement": f", {voice} agrees", "override": " over the rule", "kept": f" against {voice}"}.get(
        settled.relation, ""
    )
    approval = f", once {settled.approval} is approved" if settled.approval else ""
    because = f": {settled.reason}" if settled.reason else ""
    to = f" -> {settled.to}" if settled.to != settled.action else ""
    return f"{where}: {settled.action}{to}, by {who}{relation}{approval}{because}"


def _signals(signals: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in signals.items() if value not in (0, False, "", {}))


def _told(record: DecisionRecord) -> list[str]:
    lines = [f"  asked     {_who(asked)}" for asked in record.asked]
    lines += [f"  answer    {_answer(answered)}" for answered in record.answered]
    lines += [f"  shadow    {_shadow(shadow)}" for shadow in record.shadows]
    if record.settled and record.settled.fallback:
        lines.append(f"  fallback  {record.settled.fallback}")
    if record.conflict_reason:
        lines.append(f"  conflict  {record.conflict_reason}")
    for call in record.calls:
        if call.cached:
            lines.append(f"  cached    {call.asked} said so before ({call.cached})")
            continue
        price = "unpriced" if call.usage.cost_usd is None else f"${call.usage.cost_usd:.6f}"
        price += " at most" if call.usage.estimated else ""
        tokens = f"{call.usage.input_tokens} + {call.usage.output_tokens} tokens"
        served = (
            f" served by {call.served}"
            if call.served and not call.asked.endswith((":" + call.served, call.served))
            else ""
        )
        lines.append(f"  call      {call.asked}{served}: {tokens}, {price}, {call.elapsed_s:.2f} s" + _failed(call))
        lines += [f"  attempt   {told}" for told in attempts_told(call)]
    lines += [f"  {label}  {text}" for label, text in went_along(record)]
    if record.by:
        lines.append(f"  by        {record.by}")
    lines += [f"  outcome   {_outcome(outcome)}" for outcome in record.outcomes]
    return lines


def _who(asked: Asked) -> str:
    shadow = " in shadow" if asked.shadow else ""
    whom = f" ({', '.join(asked.models)}, prompt {asked.prompt})" if asked.models else ""
    return f"{asked.rung}{shadow}{whom}" + (f": {asked.because}" if asked.because else "")


def _answer(answered: Answered) -> str:
    verdict = answered.verdict
    said = "" if verdict is None else f" {verdict.action}"
    sure = "" if verdict is None or verdict.confidence is None else f" (confidence {verdict.confidence:g})"
    why = f": {answered.cause}" if answered.cause else f": {verdict.reason}" if verdict and verdict.reason else ""
    return f"{answered.rung} {answered.outcome}{said}{sure}{why}"


def _shadow(shadow: Shadowed) -> str:
    return f"{shadow.rung} {shadow.outcome}" + (f" {shadow.verdict.action}" if shadow.verdict else f": {shadow.cause}")


def attempts_told(call: ModelCall) -> list[str]:
    """One line for each attempt of a call; none where there was one and it went well."""
    plain = all(each.handled == "ok" and each.cost == "usage" and not each.over_usd for each in call.attempts)
    if plain and len(call.attempts) < 2:
        return []
    return [f"{number}. {attempt_told(each)}" for number, each in enumerate(call.attempts, 1)]


def attempt_told(attempt: Attempt) -> str:
    """An attempt in one line: target, what came of it and of which class that is, wait, time, how it is booked."""
    if not attempt.sent:
        return f"{attempt.target} passed over: {attempt.cause}"
    waited = f" after {attempt.waited_s:.2f} s" if attempt.waited_s else ""
    reask = ", asked once more" if attempt.reask else ""
    repaired = f", put right: {', '.join(attempt.repaired)}" if attempt.repaired else ""
    cause = f": {attempt.cause}" if attempt.cause else ""
    alert = " (somebody has to look at it)" if attempt.alert else ""
    what = f"{attempt.outcome} ({attempt.handled}){repaired}, {attempt.elapsed_s:.2f} s, {_booked(attempt)}"
    return f"{attempt.target}{waited}{reask}: {what}{cause}{alert}"


def _booked(attempt: Attempt) -> str:
    usd = attempt.reserved_usd if attempt.cost == "reserve" else attempt.usage.cost_usd
    price = "unpriced" if usd is None else f"${usd:.6f}"
    match attempt.cost:
        case "none":
            return "nothing billed"
        case "reserve":
            return f"may be billed: {price} counts as spent"
        case "estimate":
            return f"estimated {price}"
        case _:
            return f"{price}, ${attempt.over_usd:.6f} above what was set aside" if attempt.over_usd else price


def _failed(call: ModelCall) -> str:
    why = f" ({call.error})" if call.error else ""
    return f", failed: {call.failure}{why}" if call.failure else ""


def _outcome(outcome: OutcomeAttached) -> str:
    parts = [
        "" if outcome.success is None else "success" if outcome.success else "failure",
        "" if outcome.quality is None else f"quality {outcome.quality:g}",
        "" if outcome.elapsed_s is None else f"{outcome.elapsed_s:g} s",
        outcome.note,
        f"by {outcome.by}" if outcome.by else "",
    ]
    return ", ".join(part for part in parts if part)
