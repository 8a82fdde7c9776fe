"""Opening and answering one decision: a row for each way that it can go."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stepladder.classifier import Classifier
from stepladder.clauses import AnyOf
from stepladder.decision import Ladder, Option, Question, Route, Rung, answer_decision, join_shadow, open_decision
from stepladder.events import ModelAnswered, ModelFailed, PersonAnswered, TimePassed
from stepladder.record import STOP, Answered, Asked, Opened, Settled, Shadowed, Verdict
from stepladder.state import Asking

RUNGS: Final = {
    "one": Rung("one", ("x:one",), deadline_s=5.0, prompt="supervisor@1"),
    "two": Rung("two", ("x:two",), deadline_s=5.0),
    "panel": Rung("panel", ("x:a", "x:b", "x:c"), 2, deadline_s=8.0),
    "jury": Rung("jury", ("x:a", "x:b", "x:c", "x:d", "x:e"), 3),
    "unanimous": Rung("unanimous", ("x:a", "x:b"), 2),
    "sure": Rung("sure", ("x:sure",), accept=AnyOf({"agrees": ["agrees == true"], "sure": ["confidence >= 0.7"]})),
    "sure_panel": Rung("sure_panel", ("x:a", "x:b", "x:c"), 2, accept=AnyOf({"sure": ["confidence >= 0.7"]})),
    "only_b": Rung("only_b", ("x:b",), accept=AnyOf({"b": ["action == B"]})),
    "person": Rung("person", deadline_s=600.0),
}
COMPLEX: Final = Classifier(AnyOf({"odd": ["odd == true"]}), AnyOf({"little_odd": ["little_odd == true"]}))
OPTIONS: Final = {
    "A": Option("A", "step_a"),
    "B": Option("B", "step_b"),
    "C": Option("C", "step_c", significant=("how",)),
}
ODD: Final = {"odd": True}


def ladder(*ask: str, mode: Any = "model_wins", standard: tuple[str, ...] = (), **changes: Any) -> Ladder:
    route = Route(ask, mode, changes.pop("confidence", 0.8), changes.pop("rollout", None), changes.pop("share", 0.0))
    routes = {"complex": route, "hybrid": Route(("one",)), "standard": Route(standard)}
    return Ladder(COMPLEX, RUNGS, changes.pop("routes", routes), **changes)


def ask(facts: dict[str, Any] | None = None, **changes: Any) -> Question:
    settings: dict[str, Any] = {
        "n": 1,
        "step": "here",
        "facts": ODD if facts is None else facts,
        "options": OPTIONS,
        "verdict": Verdict("A", {}, "the rule says so"),
        "stop": "given_up",
        "now": 100.0,
        "next_command": 7,
        "rule": "first",
        "run_key": "run",
    }
    return Question(**{**settings, **changes})


class Told(NamedTuple):
    """A whole decision: its entries, and where it stands."""

    entries: list[Any]
    asking: Asking

    def of(self, kind: type) -> list[Any]:
        return [entry for entry in self.entries if isinstance(entry, kind)]

    @property
    def settled(self) -> Settled | None:
        found = self.of(Settled)
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def rungs(self) -> list[str]:
        return [entry.rung for entry in self.of(Asked)]

    @property
    def outcomes(self) -> list[str]:
        return [entry.outcome for entry in self.of(Answered)]


def tell(ladder: Ladder, question: Question, *answers: Any) -> Told:
    """Open, then answer the outstanding commands in turn; each answer goes to the next one not yet answered.

    An answer is a mapping or text (a model's, or a person's), an Exception (the model failed) or None (the deadline).
    """
    entries = list(open_decision(ladder, question))
    asking = Asking(entries[0])
    number = question.next_command
    open_commands: list[int] = []
    for entry in entries[1:]:
        asking, number, open_commands = _applied(asking, number, open_commands, entry)
    for answer in answers:
        assert open_commands, f"nobody is asked any more: {entries[-1]}"
        command = open_commands.pop(0)
        event = _event(asking, command, answer)
        asking = replace(asking, received=(*asking.received, event))
        new = answer_decision(ladder, replace(question, next_command=number), asking)
        for entry in new:
            asking, number, open_commands = _applied(asking, number, open_commands, entry)
        entries += new
    return Told(entries, asking)


def _event(asking: Asking, command: int, answer: Any) -> Any:
    if answer is None:
        return TimePassed(200.0, command)
    if isinstance(answer, Exception):
        return ModelFailed(101.0, command, str(answer))
    if asking.asked and not asking.asked.models:
        return PersonAnswered(101.0, command, answer, "ada")
    return ModelAnswered(101.0, command, answer if isinstance(answer, str) else json.dumps(answer))


def _applied(asking: Asking, number: int, commands: list[int], entry: Any) -> tuple[Asking, int, list[int]]:
    if isinstance(entry, Asked) and not entry.shadow:
        assert entry.commands == tuple(range(number, number + len(entry.commands)))
        return asking.with_asked(entry), number + len(entry.commands), list(entry.commands)
    if isinstance(entry, Answered):
        return asking.with_answered(entry), number, commands
    return asking, number, [] if isinstance(entry, Settled) else commands


def say(action: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "reason": "I think so", **more}


# --- who settles what


class Row(NamedTuple):
    case: str
    ladder: Ladder
    answers: list[Any]
    rungs: list[str]
    outcomes: list[str]
    settled: tuple[str, str, str, str]
    """action, source, relation, fallback"""


A, B = say("A"), say("B")
FAILED = ConnectionError("unavailable")
NOT_ACCEPTED = "accept condition does not hold (confidence None)"

ROWS = [
    # modes
    Row("model_wins: the model overrides", ladder("one"), [B], ["one"], ["accepted"], ("B", "model", "override", "")),
    Row(
        "model_wins: agreement is the rule's decision",
        ladder("one"),
        [A],
        ["one"],
        ["agrees"],
        ("A", "rule", "agreement", ""),
    ),
    Row(
        "rule_wins: the model is kept on record",
        ladder("one", mode="rule_wins"),
        [B],
        ["one"],
        ["accepted"],
        ("A", "rule", "kept", ""),
    ),
    Row(
        "rule_wins: agreement",
        ladder("one", mode="rule_wins"),
        [A],
        ["one"],
        ["agrees"],
        ("A", "rule", "agreement", ""),
    ),
    Row(
        "confident_model: sure enough",
        ladder("one", mode="confident_model"),
        [say("B", confidence=0.8)],
        ["one"],
        ["accepted"],
        ("B", "model", "override", ""),
    ),
    Row(
        "confident_model: not sure enough",
        ladder("one", mode="confident_model"),
        [say("B", confidence=0.79)],
        ["one"],
        ["accepted"],
        ("A", "rule", "kept", ""),
    ),
    Row(
        "confident_model: says nothing of it",
        ladder("one", mode="confident_model"),
        [B],
        ["one"],
        ["accepted"],
        ("A", "rule", "kept", ""),
    ),
    Row(
        "confident_model: a threshold of its own",
        ladder("one", mode="confident_model", confidence=0.3),
        [say("B", confidence=0.3)],
        ["one"],
        ["accepted"],
        ("B", "model", "override", ""),
    ),
    Row(
        "person_on_conflict: agreement asks nobody",
        ladder("one", mode="person_on_conflict"),
        [A],
        ["one"],
        ["agrees"],
        ("A", "rule", "agreement", ""),
    ),
    Row(
        "person_on_conflict: the person sides with the model",
        ladder("one", mode="person_on_conflict"),
        [B, B],
        ["one", "person"],
        ["accepted", "accepted"],
        ("B", "person", "override", ""),
    ),
    Row(
        "person_on_conflict: the person sides with the rule",
        ladder("one", mode="person_on_conflict"),
        [B, A],
        ["one", "person"],
        ["accepted", "agrees"],
        ("A", "person", "agreement", ""),
    ),
    Row(
        "person_on_conflict: the person does a third thing",
        ladder("one", mode="person_on_conflict"),
        [B, say("C")],
        ["one", "person"],
        ["accepted", "accepted"],
        ("C", "person", "override", ""),
    ),
    Row(
        "person_on_conflict: nobody answers",
        ladder("one", mode="person_on_conflict"),
        [B, None],
        ["one", "person"],
        ["accepted", "failed"],
        ("A", "rule", "none", "person: late"),
    ),
    # failures climb to models only
    Row(
        "a failed model climbs to the next",
        ladder("one", "two"),
        [FAILED, B],
        ["one", "two"],
        ["failed", "accepted"],
        ("B", "model", "override", ""),
    ),
    Row(
        "a late model climbs to the next",
        ladder("one", "two"),
        [None, A],
        ["one", "two"],
        ["failed", "agrees"],
        ("A", "rule", "agreement", ""),
    ),
    Row(
        "all failed: the rule stands, with the causes",
        ladder("one", "two"),
        [FAILED, None],
        ["one", "two"],
        ["failed", "failed"],
        ("A", "rule", "none", "one: unavailable; two: late"),
    ),
    Row(
        "a failure never climbs to a person",
        ladder("one", "person"),
        [FAILED],
        ["one"],
        ["failed"],
        ("A", "rule", "none", "one: unavailable"),
    ),
    Row(
        "a failure climbs past a person to a model",
        ladder("one", "person", "two"),
        [FAILED, B],
        ["one", "two"],
        ["failed", "accepted"],
        ("B", "model", "override", ""),
    ),
    Row(
        "a failure climbs to a panel",
        ladder("one", "panel"),
        [FAILED, B, B],
        ["one", "panel"],
        ["failed", "vote", "vote", "accepted"],
        ("B", "panel", "override", ""),
    ),
    # invalid answers
    Row(
        "on_invalid rule",
        ladder("one", "two"),
        ["nonsense"],
        ["one"],
        ["invalid"],
        ("A", "rule", "none", "one: the answer is not strict JSON: Expecting value: line 1 column 1 (char 0)"),
    ),
    Row(
        "on_invalid next_rung",
        ladder("one", "two", on_invalid="next_rung"),
        ["nonsense", B],
        ["one", "two"],
        ["invalid", "accepted"],
        ("B", "model", "override", ""),
    ),
    Row(
        "on_invalid next_rung, but not to a person",
        ladder("one", "person", on_invalid="next_rung"),
        [""],
        ["one"],
        ["invalid"],
        ("A", "rule", "none", "one: the answer is empty"),
    ),
    Row(
        "on_invalid give_up",
        ladder("one", "two", on_invalid="give_up"),
        [""],
        ["one"],
        ["invalid"],
        (STOP, "rule", "none", "one: the answer is empty"),
    ),
    Row(
        "an action that is not legal is invalid",
        ladder("one"),
        [say("D")],
        ["one"],
        ["invalid"],
        ("A", "rule", "none", "one: action 'D' is not legal here; legal: A, B, C"),
    ),
    Row(
        "STOP is not a model's to say",
        ladder("one"),
        [say(STOP)],
        ["one"],
        ["invalid"],
        ("A", "rule", "none", "one: action 'STOP' is not legal here; legal: A, B, C"),
    ),
    # accept conditions
    Row(
        "accepted, since sure",
        ladder("sure"),
        [say("B", confidence=0.7)],
        ["sure"],
        ["accepted"],
        ("B", "model", "override", ""),
    ),
    Row(
        "unsure: the rule stands where nobody is left",
        ladder("sure"),
        [say("B", confidence=0.6)],
        ["sure"],
        ["unsure"],
        ("A", "rule", "none", "sure: accept condition does not hold (confidence 0.6)"),
    ),
    Row(
        "agreement needs no confidence",
        ladder("sure"),
        [say("A", confidence=0.1)],
        ["sure"],
        ["agrees"],
        ("A", "rule", "agreement", ""),
    ),
    Row(
        "an action can be the condition",
        ladder("only_b"),
        [say("C")],
        ["only_b"],
        ["unsure"],
        ("A", "rule", "none", f"only_b: {NOT_ACCEPTED}"),
    ),
    Row(
        "on_low_confidence next_rung",
        ladder("sure", "two"),
        [B, B],
        ["sure", "two"],
        ["unsure", "accepted"],
        ("B", "model", "override", ""),
    ),
    Row(
        "on_low_confidence next_rung may be a person",
        ladder("sure", "person"),
        [B, B],
        ["sure", "person"],
        ["unsure", "accepted"],
        ("B", "person", "override", ""),
    ),
    Row(
        "on_low_confidence rule",
        ladder("sure", "two", on_low_confidence="rule"),
        [B],
        ["sure"],
        ["unsure"],
        ("A", "rule", "none", f"sure: {NOT_ACCEPTED}"),
    ),
    Row(
        "on_low_confidence person",
        ladder("sure", "two", on_low_confidence="person"),
        [B, A],
        ["sure", "person"],
        ["unsure", "agrees"],
        ("A", "person", "agreement", ""),
    ),
    Row(
        "unsure, then failed: both causes",
        ladder("sure", "two"),
        [B, FAILED],
        ["sure", "two"],
        ["unsure", "failed"],
        ("A", "rule", "none", f"sure: {NOT_ACCEPTED}; two: unavailable"),
    ),
    # panels
    Row(
        "a panel settles early",
        ladder("panel"),
        [B, B],
        ["panel"],
        ["vote", "vote", "accepted"],
        ("B", "panel", "override", ""),
    ),
    Row(
        "a panel settles late",
        ladder("panel"),
        [A, B, B],
        ["panel"],
        ["vote", "vote", "vote", "accepted"],
        ("B", "panel", "override", ""),
    ),
    Row(
        "a panel that agrees with the rule",
        ladder("panel"),
        [A, A],
        ["panel"],
        ["vote", "vote", "agrees"],
        ("A", "rule", "agreement", ""),
    ),
    Row(
        "a panel with one invalid vote",
        ladder("panel"),
        ["?", B, B],
        ["panel"],
        ["invalid", "vote", "vote", "accepted"],
        ("B", "panel", "override", ""),
    ),
    Row(
        "a panel with one failure",
        ladder("panel"),
        [B, FAILED, B],
        ["panel"],
        ["vote", "failed", "vote", "accepted"],
        ("B", "panel", "override", ""),
    ),
    Row(
        "a split panel is unsure",
        ladder("panel"),
        [A, B, say("C")],
        ["panel"],
        ["vote", "vote", "vote", "unsure"],
        ("A", "rule", "none", "panel: no 2 of 3 said the same"),
    ),
    Row(
        "a split panel climbs to a person",
        ladder("panel", "person"),
        [A, B, say("C"), B],
        ["panel", "person"],
        ["vote", "vote", "vote", "unsure", "accepted"],
        ("B", "person", "override", ""),
    ),
    Row(
        "a panel that failed gives up at once",
        ladder("panel", "two"),
        [FAILED, None, B],
        ["panel", "two"],
        ["failed", "failed", "failed", "accepted"],
        ("B", "model", "override", ""),
    ),
    Row(
        "a panel that failed, and nobody above",
        ladder("panel", "person"),
        [FAILED, None],
        ["panel"],
        ["failed", "failed", "failed"],
        ("A", "rule", "none", "panel: only 0 of 3 gave a legal answer"),
    ),
    Row(
        "a split is known before the last vote",
        ladder("unanimous"),
        [A, B],
        ["unanimous"],
        ["vote", "vote", "unsure"],
        ("A", "rule", "none", "unanimous: no 2 of 2 said the same"),
    ),
    Row(
        "a jury of five: three of five",
        ladder("jury"),
        [A, B, A, B, B],
        ["jury"],
        ["vote"] * 5 + ["accepted"],
        ("B", "panel", "override", ""),
    ),
    Row(
        "a panel that is not sure climbs",
        ladder("sure_panel", "person"),
        [say("B", confidence=0.9), say("B", confidence=0.3), A],
        ["sure_panel", "person"],
        ["vote", "vote", "unsure", "agrees"],
        ("A", "person", "agreement", ""),
    ),
    Row(
        "a panel that is sure on average",
        ladder("sure_panel"),
        [say("B", confidence=0.9), say("B", confidence=0.5)],
        ["sure_panel"],
        ["vote", "vote", "accepted"],
        ("B", "panel", "override", ""),
    ),
    # persons
    Row(
        "a person's legal answer stands",
        ladder("person"),
        [B],
        ["person"],
        ["accepted"],
        ("B", "person", "override", ""),
    ),
    Row("a person agrees", ladder("person"), [A], ["person"], ["agrees"], ("A", "person", "agreement", "")),
    Row(
        "a person's illegal answer: the rule stands",
        ladder("person"),
        [say("D")],
        ["person"],
        ["invalid"],
        ("A", "rule", "none", "person: action 'D' is not legal here; legal: A, B, C"),
    ),
    Row(
        "a person without an answer",
        ladder("person"),
        [{}],
        ["person"],
        ["invalid"],
        ("A", "rule", "none", "person: the answer has no action"),
    ),
    Row(
        "a person who is late: the rule stands",
        ladder("person"),
        [None],
        ["person"],
        ["failed"],
        ("A", "rule", "none", "person: late"),
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.case for row in ROWS])
def test_settling(row: Row) -> None:
    told = tell(row.ladder, ask(), *row.answers)
    assert told.rungs == row.rungs
    assert told.outcomes == row.outcomes
    assert told.settled is not None
    found = told.settled
    assert (found.action, found.source, found.relation, found.fallback) == row.settled
    assert found.to == {"A": "step_a", "B": "step_b", "C": "step_c", STOP: "given_up"}[found.action]


@pytest.mark.parametrize("row", ROWS, ids=[row.case for row in ROWS])
def test_before_the_last_answer_it_is_open(row: Row) -> None:
    for known in range(len(row.answers)):
        assert tell(row.ladder, ask(), *row.answers[:known]).settled is None


# --- nobody asked


@pytest.mark.parametrize(
    ("case", "given", "question", "expected"),
    [
        ("a standard state", ladder("one"), ask({}), ("A", "rule", "none", "")),
        ("programmatic", ladder("one", how="programmatic"), ask(), ("A", "rule", "none", "")),
        ("one legal action", ladder("one"), ask(options={"A": OPTIONS["A"]}), ("A", "rule", "none", "")),
        (
            "one legal action, llm",
            ladder("one", how="llm"),
            ask(options={"A": OPTIONS["A"]}),
            ("A", "rule", "none", ""),
        ),
        (
            "nothing legal",
            ladder("one"),
            ask(options={}, verdict=Verdict(STOP, reason="nothing")),
            (STOP, "rule", "none", ""),
        ),
        ("a route that asks nobody", ladder(), ask(), ("A", "rule", "none", "")),
        ("a limit", ladder("one"), ask(limit="limit of 3 decisions reached"), (STOP, "limit", "none", "")),
        (
            "the budget is spent",
            ladder("one", "two"),
            ask(models_closed="budget of $1 is spent"),
            ("A", "rule", "none", "one: budget of $1 is spent; two: budget of $1 is spent"),
        ),
        (
            "the budget is spent: no person either",
            ladder("one", "person"),
            ask(models_closed="spent"),
            ("A", "rule", "none", "one: spent"),
        ),
        (
            "the budget is spent, in shadow",
            ladder("one", mode="shadow"),
            ask(models_closed="spent"),
            ("A", "rule", "none", "spent"),
        ),
        ("shadow of a person", ladder("person", mode="shadow"), ask(), ("A", "rule", "none", "")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nobody_is_asked(case: str, given: Ladder, question: Question, expected: tuple[str, ...]) -> None:
    told = tell(given, question)
    assert told.rungs == []
    assert told.settled is not None
    found = told.settled
    assert (found.action, found.source, found.relation, found.fallback) == expected


def test_a_spent_budget_leaves_persons() -> None:
    assert tell(ladder("person"), ask(models_closed="spent"), B).settled.source == "person"


def test_a_budget_spent_on_the_way_ends_the_climb() -> None:
    """The second rung costs money that is gone by now."""
    given, question = ladder("one", "two"), ask()
    told = tell(given, question)
    asking = replace(told.asking, received=(ModelFailed(101.0, 7, "unavailable"),))
    last = answer_decision(given, replace(question, models_closed="spent"), asking)[-1]
    assert isinstance(last, Settled)
    assert last.fallback == "one: unavailable; two: spent"


def test_a_limit_is_looked_at_again_when_it_settles() -> None:
    given = ladder("one")
    told = tell(given, ask())
    for answer in (A, B, "nonsense"):
        text = answer if isinstance(answer, str) else json.dumps(answer)
        asking = replace(told.asking, received=(ModelAnswered(101.0, 7, text),))
        last = answer_decision(given, ask(limit="limit of 60 s of working time reached"), asking)[-1]
        assert last == Settled(1, STOP, "given_up", "limit of 60 s of working time reached", source="limit")


# --- what is asked


def test_what_was_asked_is_on_record() -> None:
    told = tell(ladder("one"), ask())
    assert told.of(Asked) == [Asked(1, "one", (7,), ("x:one",), "supervisor@1", deadline=105.0)]
    told = tell(ladder("panel"), ask())
    assert told.of(Asked) == [Asked(1, "panel", (7, 8, 9), ("x:a", "x:b", "x:c"), deadline=108.0)]
    told = tell(ladder("person"), ask())
    assert told.of(Asked) == [Asked(1, "person", (7,), deadline=700.0)]


def test_what_is_fixed_when_it_opens_is_on_record() -> None:
    question = ask(passed_over=("zero",), signals={"odd": True}, broken={"mine": "KeyError"})
    opened = tell(ladder("one"), question).of(Opened)[0]
    assert (opened.n, opened.step, opened.legal, opened.verdict, opened.rule) == (
        1,
        "here",
        ("A", "B", "C"),
        question.verdict,
        "first",
    )
    assert (opened.route, [fired.name for fired in opened.fired], opened.mode) == ("complex", ["odd"], "model_wins")
    assert (opened.passed_over, opened.signals, opened.broken) == (("zero",), {"odd": True}, {"mine": "KeyError"})


def test_a_panels_verdict_is_joined() -> None:
    told = tell(ladder("panel"), ask(), say("B", confidence=0.9, reason="first"), say("B", confidence=0.5))
    assert told.of(Answered)[-1].verdict == Verdict("B", {}, "first", 0.7)
    assert told.of(Answered)[-1].command == 0


def test_each_route_has_its_own_rungs() -> None:
    given = ladder("two", standard=("panel",))
    assert tell(given, ask({})).rungs == ["panel"]
    assert tell(given, ask({"little_odd": True})).rungs == ["one"]
    assert tell(given, ask({"odd": True, "little_odd": True})).rungs == ["two"]


# --- llm


@pytest.mark.parametrize(
    ("case", "routes", "rung"),
    [
        ("the route's own", {"standard": Route(("two",)), "hybrid": Route(("one",))}, "two"),
        ("else the hybrid one", {"hybrid": Route(("one",)), "complex": Route(("two",))}, "one"),
        ("else the complex one", {"complex": Route(("two",))}, "two"),
        ("a hybrid route that asks nobody does not count", {"hybrid": Route(), "complex": Route(("two",))}, "two"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_llm_asks_at_every_decision(case: str, routes: dict[str, Route], rung: str) -> None:
    assert tell(ladder(how="llm", routes=routes), ask({})).rungs == [rung]


def test_llm_without_any_rung_falls_to_the_rule() -> None:
    assert tell(ladder(how="llm", routes={}), ask()).settled.source == "rule"


def test_llm_the_rule_is_the_fallback() -> None:
    told = tell(ladder("one", how="llm"), ask({}), FAILED)
    assert (told.settled.action, told.settled.fallback) == ("A", "one: unavailable")


# --- agreement


@pytest.mark.parametrize(
    ("case", "rule", "model", "agrees"),
    [
        ("same action, nothing significant", Verdict("A", {"x": 1}), say("A", parameters={"x": 2}), True),
        (
            "same significant parameter",
            Verdict("C", {"how": "fast", "x": 1}),
            say("C", parameters={"how": "fast"}),
            True,
        ),
        ("another significant parameter", Verdict("C", {"how": "fast"}), say("C", parameters={"how": "slow"}), False),
        ("a significant parameter is missing", Verdict("C", {"how": "fast"}), say("C"), False),
        ("missing on both sides", Verdict("C"), say("C", parameters={"x": 3}), True),
        ("another action", Verdict("C"), say("A"), False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_agreement(case: str, rule: Verdict, model: dict[str, Any], agrees: bool) -> None:
    settled = tell(ladder("one"), ask(verdict=rule), model).settled
    assert (settled.source, settled.relation) == (("rule", "agreement") if agrees else ("model", "override"))
    assert settled.parameters == (rule.parameters if agrees else model.get("parameters", {}))


def test_a_panel_counts_meanings_not_spellings() -> None:
    """The same significant parameters, written in another order, are the same vote; a different one is not."""
    one = say("C", parameters={"how": {"a": 1, "b": 2}, "x": 1})
    same = say("C", parameters={"x": 5, "how": {"b": 2, "a": 1.0}})
    other = say("C", parameters={"how": {"a": 1}})
    assert tell(ladder("panel"), ask(), one, same).settled.source == "panel"
    assert tell(ladder("panel"), ask(), one, other).settled is None
    assert tell(ladder("panel"), ask(), one, other, A).settled.fallback == "panel: no 2 of 3 said the same"


# --- shadow and rollout


def test_shadow_settles_by_the_rule_and_asks_beside() -> None:
    told = tell(ladder("one", "two", mode="shadow"), ask())
    asked, settled = told.entries[1:]
    assert asked == Asked(1, "one", (7,), ("x:one",), "supervisor@1", deadline=105.0, shadow=True)
    assert (settled.action, settled.source, settled.relation, settled.fallback) == ("A", "rule", "none", "")


def test_shadow_skips_the_person() -> None:
    assert tell(ladder("person", "two", mode="shadow"), ask()).rungs == ["two"]


def test_shadow_of_a_panel_asks_each() -> None:
    assert tell(ladder("panel", mode="shadow"), ask()).of(Asked)[0].commands == (7, 8, 9)


@pytest.mark.parametrize(
    ("event", "outcome", "cause"),
    [
        (ModelAnswered(101.0, 7, json.dumps(A)), "agrees", ""),
        (ModelAnswered(101.0, 7, json.dumps(B)), "differs", ""),
        (ModelAnswered(101.0, 7, ""), "invalid", "the answer is empty"),
        (ModelFailed(101.0, 7, "unavailable"), "failed", "unavailable"),
        (TimePassed(105.0, 7), "failed", "late"),
    ],
)
def test_a_shadow_joins_the_record(event: Any, outcome: str, cause: str) -> None:
    told = tell(ladder("one", mode="shadow"), ask())
    asking = Asking(told.entries[0], told.entries[1])
    found = join_shadow(asking, event, OPTIONS)
    assert isinstance(found, Shadowed)
    assert (found.n, found.rung, found.outcome, found.command, found.cause) == (1, "one", outcome, 7, cause)


def mode(run: str, share: float, point: str = "next_action") -> str:
    given = ladder("one", mode="shadow", rollout="model_wins", share=share)
    return tell(given, ask(run_key=run, point=point)).of(Opened)[0].mode


def test_a_rollout_is_stable_for_a_run() -> None:
    for number in range(50):
        assert len({mode(f"run-{number}", 0.5) for _ in range(3)}) == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_rollout_has_about_its_share(share: float) -> None:
    route = Route(("one",), "shadow", rollout="model_wins", share=share)
    chosen = [route.mode_for(f"run-{number}", "next_action") == "model_wins" for number in range(4000)]
    assert abs(sum(chosen) / len(chosen) - share) < 0.03
    assert share not in (0.0, 1.0) or sum(chosen) == share * len(chosen)


def test_a_larger_share_keeps_the_runs_it_has() -> None:
    for number in range(200):
        if mode(f"run-{number}", 0.2) == "model_wins":
            assert mode(f"run-{number}", 0.6) == "model_wins"


def test_points_roll_out_apart() -> None:
    runs = [f"run-{number}" for number in range(100)]
    assert [mode(run, 0.5) for run in runs] != [mode(run, 0.5, "intervene") for run in runs]


def test_a_rollout_may_be_to_shadow() -> None:
    told = tell(ladder("one", rollout="shadow", share=1.0), ask())
    assert (told.of(Opened)[0].mode, told.settled.source) == ("shadow", "rule")


# --- laws

MODES = ["model_wins", "rule_wins", "confident_model", "person_on_conflict", "shadow"]
LADDERS = st.builds(
    lambda rungs, mode, invalid, low, how: ladder(
        *rungs, mode=mode, on_invalid=invalid, on_low_confidence=low, how=how
    ),
    st.lists(st.sampled_from(list(RUNGS)), unique=True, max_size=4),
    st.sampled_from(MODES),
    st.sampled_from(["rule", "next_rung", "give_up"]),
    st.sampled_from(["next_rung", "rule", "person"]),
    st.sampled_from(["programmatic", "llm", "hybrid"]),
)
ACTIONS = st.sampled_from(["A", "B", "C", "D", STOP])
CONFIDENCES = st.none() | st.floats(0, 1)
ANSWERS = st.lists(
    st.builds(lambda action, sure: say(action, confidence=sure), ACTIONS, CONFIDENCES)
    | st.just(FAILED)
    | st.none()
    | st.builds(lambda key: {key: "A"}, st.text(max_size=3)),
    min_size=20,
    max_size=20,
)
QUESTIONS = st.builds(
    lambda facts, options, closed: ask(facts, options={name: OPTIONS[name] for name in options}, models_closed=closed),
    st.sampled_from([{}, ODD, {"little_odd": True}]),
    st.sampled_from([("A",), ("A", "B"), ("A", "B", "C")]),
    st.sampled_from(["", "", "spent"]),
)


def ended(ladder: Ladder, question: Question, answers: list[Any]) -> Told:
    """Answered until it is settled, one answer more each time."""
    for known in range(len(answers) + 1):
        told = tell(ladder, question, *answers[:known])
        if told.settled:
            return told
    raise AssertionError("never settled")


@given(LADDERS, QUESTIONS, ANSWERS)
def test_every_decision_settles_on_something_legal(
    given_ladder: Ladder, question: Question, answers: list[Any]
) -> None:
    told = ended(given_ladder, question, answers)
    settled = told.settled
    assert settled.action in question.options or (settled.action, settled.fallback != "") == (STOP, True)
    assert settled.to == question.leads_to(settled.action)
    assert (settled.source == "rule") == (settled.relation != "override" and settled.source not in ("person",))
    assert settled.action == "A" or settled.source != "rule" or settled.action == STOP
    if len(question.options) == 1 or given_ladder.how == "programmatic":
        assert told.rungs == []
    assert len(told.rungs) == len(set(told.rungs)), "no rung is asked twice"
    for entry in told.entries:
        assert msgspec.json.decode(msgspec.json.encode(entry), type=type(entry)) == entry


@given(LADDERS, QUESTIONS, ANSWERS)
def test_a_person_is_never_asked_because_a_model_failed(ladder: Ladder, question: Question, answers: list[Any]) -> None:
    told = ended(ladder, question, answers)
    before: Any = None
    for entry in told.entries:
        if isinstance(entry, Asked) and entry.rung == "person" and isinstance(before, Answered):
            assert before.outcome in ("unsure", "accepted")
        before = entry
