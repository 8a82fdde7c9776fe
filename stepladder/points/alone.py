"""A decision that stands alone, as a fold: the same entries as inside a workflow, after one `question_put`.

evolve  applies an entry        decide  concludes        advance  evolves, then decides until something is awaited
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from stepladder.commands import AskModel, AskPerson
from stepladder.decision import Question, answer_decision, join_shadow, open_decision
from stepladder.errors import NoRule
from stepladder.events import Event, ModelAnswered, ModelFailed, PersonAnswered, QuestionPut, TimePassed
from stepladder.points.point import Point
from stepladder.record import Answered, Asked, Entry, Opened, Settled, Shadowed, Verdict
from stepladder.rules import choose
from stepladder.state import Answer, Asking

Commands = dict[int, AskModel | AskPerson]


class Standing(msgspec.Struct, frozen=True):
    """Where a lone decision stands."""

    put: QuestionPut | None = None
    asking: Asking | None = None
    outstanding: Commands = {}
    shadows: dict[int, Asking] = {}
    shadow_answers: tuple[Answer, ...] = ()
    settled: Settled | None = None
    now: float = 0.0
    next_command: int = 1
    usd: float = 0.0


class Moved(msgspec.Struct, frozen=True):
    """The standing after an event, and the entries to journal."""

    standing: Standing
    entries: tuple[Event | Entry, ...]


def advance_alone(point: Point, standing: Standing, event: Event) -> Moved:
    """Apply the event, then decide until something must be awaited.

    Raises:
        NoRule: no rule holds whose action is legal (when the question is put).
    """
    standing = _evolve(standing, event)
    entries: list[Event | Entry] = [event]
    while conclusions := _decide(point, standing):
        for entry in conclusions:
            standing = _evolve(standing, entry)
        entries.extend(conclusions)
    return Moved(standing, tuple(entries))


def fold_alone(entries: Iterable[Event | Entry]) -> Standing:
    """The standing that a journal leads to. Runs no rule."""
    standing = Standing()
    for entry in entries:
        standing = _evolve(standing, entry)
    return standing


def _decide(point: Point, standing: Standing) -> tuple[Any, ...]:
    if standing.shadow_answers:
        event = standing.shadow_answers[0]
        shadow = standing.shadows[event.command]
        return (join_shadow(shadow, event, point.options(shadow.opened.legal)),)
    if standing.settled is not None or standing.put is None:
        return ()
    question = _question(point, standing, standing.put)
    asking = standing.asking
    if asking is None:
        return open_decision(point.ladder, question)
    if asking.asked is None:  # its journal ends behind `opened`
        return asking.unrecorded(open_decision(point.ladder, question), shadowed=bool(standing.shadows))
    if asking.received:
        return answer_decision(point.ladder, question, asking)
    return ()


def _question(point: Point, standing: Standing, put: QuestionPut) -> Question:
    options = point.options(put.legal)
    choice = choose(point.deciding, put.facts, options)
    if choice.rule is None:
        raise NoRule(point.name, put.legal, [rule.do for rule in point.deciding])
    return Question(
        n=1,
        step=put.point,
        facts=put.facts,
        options=options,
        verdict=Verdict(choice.rule.do, choice.rule.parameters, choice.rule.because),
        stop="",
        now=standing.now,
        next_command=standing.next_command,
        rule=choice.rule.name,
        point=put.point,
        passed_over=choice.passed_over,
        signals=put.facts,
        run_key=put.decision_id,
        settles=choice.rule.settles,
    )


def _evolve(standing: Standing, entry: Event | Entry) -> Standing:
    if isinstance(entry, Event):
        return _event(replace(standing, now=max(standing.now, entry.at)), entry)
    match entry:
        case Opened():
            return replace(standing, asking=Asking(entry))
        case Asked():
            return _asked(standing, entry)
        case Answered():
            return _answered(standing, entry)
        case Settled():
            left = {number: command for number, command in standing.outstanding.items() if number in standing.shadows}
            return replace(standing, settled=entry, outstanding=left)
        case Shadowed():
            shadows = {number: asking for number, asking in standing.shadows.items() if number != entry.command}
            return replace(standing, shadows=shadows, shadow_answers=standing.shadow_answers[1:])
        case _:
            return standing


def _event(standing: Standing, event: Event) -> Standing:
    if isinstance(event, QuestionPut):
        return replace(standing, put=event)
    if not isinstance(event, (ModelAnswered, ModelFailed, PersonAnswered, TimePassed)):
        return standing
    usage = getattr(event, "usage", None)
    standing = replace(standing, usd=standing.usd + ((usage.cost_usd or 0.0) if usage else 0.0))
    if event.command not in standing.outstanding:
        return standing
    outstanding = {number: command for number, command in standing.outstanding.items() if number != event.command}
    if event.command in standing.shadows:
        return replace(standing, outstanding=outstanding, shadow_answers=(*standing.shadow_answers, event))
    asking = standing.asking
    assert asking is not None, "a rung is asked only while the decision is open"
    return replace(standing, outstanding=outstanding, asking=replace(asking, received=(*asking.received, event)))


def _asked(standing: Standing, entry: Asked) -> Standing:
    asking = standing.asking
    assert asking is not None, "a decision is open when its rung is asked"
    asking = asking.with_asked(entry)
    commands = _commands(entry, asking.opened)
    standing = replace(
        standing,
        outstanding={**standing.outstanding, **commands},
        next_command=max(commands) + 1,
    )
    if entry.shadow:
        return replace(standing, shadows={**standing.shadows, **dict.fromkeys(commands, asking)})
    return replace(standing, asking=asking)


def _commands(entry: Asked, opened: Opened) -> Commands:
    if not entry.models:
        number = entry.commands[0]
        return {
            number: AskPerson(number, "decision", opened.step, "which action?", opened.legal, deadline=entry.deadline)
        }
    return {
        number: AskModel(number, entry.n, entry.rung, model, entry.deadline, entry.shadow)
        for number, model in zip(entry.commands, entry.models, strict=True)
    }


def _answered(standing: Standing, entry: Answered) -> Standing:
    asking = standing.asking
    assert asking is not None, "an answer belongs to an open decision"
    return replace(standing, asking=asking.with_answered(entry))
