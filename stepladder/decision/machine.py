"""The decision machine.

    facts -> rule's verdict -> classify -- standard -------------------------------------> settled by the rule
                                  \\-- the rungs of the route, in order:
       answer -> legal? -> agrees with the rule? settled -> accepted? no: climb -> mode of the reconciler -> settled

`open_decision` gives the first entries of a decision, `answer_decision` those that follow from what came back. Both are
pure; the last entry says where it stands: `Settled`, or `Asked` (then its commands are outstanding). A rung that failed
climbs only to another model rung, never to a person; when the rungs are used up the rule stands, with the causes.
The cache is a rung like those of models; what it has not, and what does not count any more, climbs without a trace in
the causes. Where a cap closes the models, the policy's `on_cap` says whether the rule stands, a person is asked, or the
run stops.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from stepladder.classifier import classify
from stepladder.clauses import Fired
from stepladder.decision.judge import Invalid, judge, judge_answer
from stepladder.decision.point import (
    CACHE,
    MISS,
    NOBODY_ASKED,
    OVER_CAP,
    PERSON,
    Ladder,
    Question,
    Route,
    Rung,
    audited,
)
from stepladder.decision.reconcile import agrees, winner
from stepladder.events import ModelAnswered, ModelFailed, PersonAnswered
from stepladder.record import STOP, Answered, AnyEntry, Asked, Mode, Opened, Relation, Settled, Source, Verdict
from stepladder.record import Route as RouteName
from stepladder.state import Answer, Asking

Entries = tuple[AnyEntry, ...]


def open_decision(ladder: Ladder, question: Question) -> Entries:
    """Open the decision: settle it at once, or ask the first rung of its route."""
    if question.limit:
        return _opened(question), _stop(question, question.limit)
    route_name, fired = classify(ladder.classifier, question.facts)
    route = ladder.route(route_name) if len(question.options) > 1 else NOBODY_ASKED
    settles = bool(route.ask) and route_name in question.settles and not audited(question.run_key)
    route = NOBODY_ASKED if settles else route
    mode = route.mode_for(question.run_key, question.point)
    opened = _opened(question, route_name, fired, mode, settles=settles)
    if not route.ask:
        return opened, _by_rule(question)
    if mode == "shadow":
        return opened, *_in_shadow(ladder, question, route)
    return opened, *_climb(ladder, question, Asking(opened))


def answer_decision(ladder: Ladder, question: Question, asking: Asking) -> Entries:
    """What follows from the answers that the rung asked has given, less what the decision holds already."""
    return asking.unrecorded(_answered(ladder, question, asking))


def _answered(ladder: Ladder, question: Question, asking: Asking) -> Entries:
    assert asking.asked is not None, "only a decision that asked can be answered"
    rung = ladder.rung(asking.asked.rung, asking.opened.route)
    answered = tuple(_judge(question, rung, event) for event in asking.received)
    if rung.is_person:
        return _after_person(ladder, question, asking, answered[-1])
    if len(rung.models) > 1:
        return *answered, *_after_votes(ladder, question, asking, rung, answered)
    return _after_model(ladder, question, asking, rung, answered[-1])


def _opened(
    question: Question,
    route: RouteName = "standard",
    fired: tuple[Fired, ...] = (),
    mode: Mode = "model_wins",
    *,
    settles: bool = False,
) -> Opened:
    return Opened(
        question.n,
        question.step,
        tuple(question.options),
        question.verdict,
        question.rule,
        question.point,
        question.blocked,
        question.passed_over,
        route,
        fired,
        question.signals,
        mode,
        question.limit,
        question.broken,
        settles,
    )


# --- settling


def _stop(question: Question, limit: str) -> Settled:
    return Settled(question.n, STOP, question.stop, limit, source="limit")


def _by_rule(question: Question, fallback: str = "", relation: Relation = "none") -> Settled:
    verdict = question.verdict
    return _settled(question, verdict, "rule", relation, fallback)


def _settled(question: Question, verdict: Verdict, source: Source, relation: Relation, fallback: str = "") -> Settled:
    if limit := question.limit or (question.used_up or {}).get(verdict.action):
        return _stop(question, limit)
    return Settled(
        question.n,
        verdict.action,
        question.leads_to(verdict.action),
        verdict.reason,
        verdict.parameters,
        source,
        relation,
        fallback,
    )


# --- asking


def _climb(ladder: Ladder, question: Question, asking: Asking, *, failed: bool = False) -> Entries:
    """Ask the next rung; after a failure only a model rung; without one the rule stands."""
    causes, closed = asking.causes, False
    for rung in _rungs_above(ladder, asking):
        if rung.is_person and failed:
            continue
        if rung.models and not rung.is_cache and question.models_closed:
            causes, failed, closed = (*causes, f"{rung.name}: {question.models_closed}"), True, True
            continue
        return (_ask(question, rung),)
    if closed:
        return _at_a_cap(ladder, question, causes, question.models_closed)
    return (_by_rule(question, fallback="; ".join(causes)),)


def _at_a_cap(ladder: Ladder, question: Question, causes: tuple[str, ...], why: str) -> Entries:
    """No model may be asked any more: the rule stands, a person is asked, or the run stops."""
    match ladder.budget.on_cap if ladder.budget else "rule":
        case "person" if PERSON in ladder.rungs:
            asked = _ask(question, ladder.rungs[PERSON])
            return (msgspec.structs.replace(asked, because="; ".join(causes)),)
        case "stop":
            return (Settled(question.n, STOP, question.stop, why, source="limit", fallback="; ".join(causes)),)
        case _:
            return (_by_rule(question, fallback="; ".join(causes)),)


def _rungs_above(ladder: Ladder, asking: Asking) -> list[Rung]:
    names = ladder.route(asking.opened.route).ask
    if asking.asked is not None:
        names = names[names.index(asking.asked.rung) + 1 :] if asking.asked.rung in names else ()
    return [ladder.rung(name, asking.opened.route) for name in names]


def _models_above(ladder: Ladder, asking: Asking) -> bool:
    return any(rung.models for rung in _rungs_above(ladder, asking))


def _ask(question: Question, rung: Rung, *, shadow: bool = False) -> Asked:
    count = len(rung.models) or 1
    return Asked(
        question.n,
        rung.name,
        tuple(range(question.next_command, question.next_command + count)),
        rung.models,
        rung.prompt,
        deadline=None if rung.deadline_s is None else question.now + rung.deadline_s,
        shadow=shadow,
    )


def _in_shadow(ladder: Ladder, question: Question, route: Route) -> Entries:
    rungs = [ladder.rungs[name] for name in route.ask if ladder.rungs[name].models]
    if not rungs or question.models_closed:
        return (_by_rule(question, fallback=question.models_closed),)
    return _ask(question, rungs[0], shadow=True), _by_rule(question)


# --- judging


def _judge(question: Question, rung: Rung, event: Answer) -> Answered:
    match event:
        case ModelAnswered():
            found = judge_answer(event, question.options)
        case PersonAnswered():
            found = judge(event.value, question.options)
        case ModelFailed():
            if rung.is_cache and event.code == MISS:
                return Answered(question.n, rung.name, "miss", event.command, cause=event.error)
            return Answered(question.n, rung.name, "failed", event.command, cause=event.code)
        case _:
            return Answered(question.n, rung.name, "failed", event.command, cause="late")
    if isinstance(found, Invalid):
        return Answered(question.n, rung.name, "invalid", event.command, cause=found.cause)
    return Answered(question.n, rung.name, "vote", event.command, found)


def _after_person(ladder: Ladder, question: Question, asking: Asking, answered: Answered) -> Entries:
    if answered.verdict is None:
        return answered, *_climb(ladder, question, _because(asking, answered), failed=True)
    option = question.options[answered.verdict.action]
    if agrees(question.verdict, answered.verdict, option):
        return _marked(answered, "agrees"), _settled(question, answered.verdict, "person", "agreement")
    return _marked(answered, "accepted"), _settled(question, answered.verdict, "person", "override")


def _after_model(ladder: Ladder, question: Question, asking: Asking, rung: Rung, vote: Answered) -> Entries:
    if vote.verdict is None:
        return vote, *_without_verdict(ladder, question, asking, vote)
    return _weigh(ladder, question, asking, rung, vote)


def _after_votes(
    ladder: Ladder, question: Question, asking: Asking, rung: Rung, answered: tuple[Answered, ...]
) -> Entries:
    """A panel: settled as soon as a quorum says the same, given up as soon as none can."""
    votes = [each.verdict for each in answered if each.verdict is not None]
    voices = max((_same(vote, votes, question) for vote in votes), key=len, default=[])
    if len(voices) >= rung.quorum:
        return _weigh(ladder, question, asking, rung, Answered(question.n, rung.name, "vote", verdict=_joint(voices)))
    if len(voices) + len(rung.models) - len(answered) >= rung.quorum:
        return ()
    if len(votes) >= rung.quorum:
        split = Answered(question.n, rung.name, "unsure", cause=f"no {rung.quorum} of {len(rung.models)} said the same")
        return split, *_unsure(ladder, question, asking, split)
    outcome: Literal["invalid", "failed", "miss"] = (
        "invalid" if any(each.outcome == "invalid" for each in answered) else "failed"
    )
    cause = f"only {len(votes)} of {len(rung.models)} gave a legal answer"
    if any(each.outcome == "miss" for each in answered):
        outcome, cause = "miss", ""
    elif any(each.cause == OVER_CAP for each in answered):
        outcome, cause = "failed", OVER_CAP
    failed = Answered(question.n, rung.name, outcome, cause=cause)
    return failed, *_without_verdict(ladder, question, asking, failed)


def _same(verdict: Verdict, votes: list[Verdict], question: Question) -> list[Verdict]:
    return [vote for vote in votes if agrees(verdict, vote, question.options[verdict.action])]


def _joint(voices: list[Verdict]) -> Verdict:
    known = [voice.confidence for voice in voices if voice.confidence is not None]
    confidence = sum(known) / len(known) if known else None
    return msgspec.structs.replace(voices[0], confidence=confidence)


def _weigh(ladder: Ladder, question: Question, asking: Asking, rung: Rung, vote: Answered) -> Entries:
    """A legal verdict: does it agree, is it accepted, who wins?"""
    verdict = vote.verdict
    assert verdict is not None
    same = agrees(question.verdict, verdict, question.options[verdict.action])
    if same:
        return _marked(vote, "agrees"), _by_rule(question, relation="agreement")
    if rung.accept and not rung.accept.fired(answer_facts(verdict, same)):
        unsure = _marked(vote, "unsure", f"accept condition does not hold (confidence {verdict.confidence})")
        return unsure, *_unsure(ladder, question, asking, unsure)
    return _marked(vote, "accepted"), *_reconcile(ladder, question, asking, rung, verdict)


def answer_facts(verdict: Verdict, same: bool) -> dict[str, object]:
    """What conditions on an answer may read."""
    facts: dict[str, object] = {"agrees": same, "action": verdict.action}
    return facts if verdict.confidence is None else {**facts, "confidence": verdict.confidence}


def _marked(vote: Answered, outcome: str, cause: str = "") -> Answered:
    return msgspec.structs.replace(vote, outcome=outcome, cause=cause)


def _reconcile(ladder: Ladder, question: Question, asking: Asking, rung: Rung, verdict: Verdict) -> Entries:
    route = ladder.route(asking.opened.route)
    match winner(asking.opened.mode, verdict, route.confidence):
        case "model":
            source: Source = "cache" if rung.is_cache else "panel" if len(rung.models) > 1 else "model"
            return (_settled(question, verdict, source, "override"),)
        case "person":
            return (_ask(question, ladder.rungs[PERSON]),)
        case "rule":
            return (_by_rule(question, relation="kept"),)


# --- what else an answer may be


def _without_verdict(ladder: Ladder, question: Question, asking: Asking, answered: Answered) -> Entries:
    if answered.rung == CACHE and answered.outcome in ("miss", "invalid"):
        return _climb(ladder, question, asking)
    asking = _because(asking, answered)
    fallback = "; ".join(asking.causes)
    if answered.cause == OVER_CAP and not _models_above(ladder, asking):
        return _at_a_cap(ladder, question, asking.causes, f"{answered.rung}: {OVER_CAP}")
    if answered.outcome == "invalid" and ladder.on_invalid == "rule":
        return (_by_rule(question, fallback=fallback),)
    if answered.outcome == "invalid" and ladder.on_invalid == "give_up":
        verdict = Verdict(STOP, reason=f"{answered.rung} gave an answer that does not count: {answered.cause}")
        return (_settled(question, verdict, "rule", "none", fallback),)
    return _climb(ladder, question, asking, failed=True)


def _unsure(ladder: Ladder, question: Question, asking: Asking, answered: Answered) -> Entries:
    asking = _because(asking, answered)
    match ladder.on_low_confidence:
        case "rule":
            return (_by_rule(question, fallback="; ".join(asking.causes)),)
        case "person" if PERSON in ladder.rungs:
            return (_ask(question, ladder.rungs[PERSON]),)
        case _:
            return _climb(ladder, question, asking)


def _because(asking: Asking, answered: Answered) -> Asking:
    """The same, with one more cause why the rung did not settle it."""
    return msgspec.structs.replace(asking, causes=(*asking.causes, f"{answered.rung}: {answered.cause}"))
