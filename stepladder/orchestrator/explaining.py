"""Decision records in words, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepladder.events import Attempt, OutcomeAttached
from stepladder.record import Answered, Asked, Shadowed

if TYPE_CHECKING:  # a record explains itself by this
    from stepladder.orchestrator.records import DecisionRecord, ModelCall


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
