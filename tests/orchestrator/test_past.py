"""A past decided again under another definition: same, another way, or not comparable; and retold in other names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from stepladder.events import ModelAnswered, PersonAnswered, Renames, WorkflowChanged
from stepladder.orchestrator import compare, retold
from stepladder.record import Opened
from tests.example_workflows import TRIAGE, machine
from tests.orchestrator.play import Play

ASK_FIRST: Final = {"policy": {"routes": {"complex": {"ask": ["first"]}}}}


def by_rule() -> Play:
    return Play(machine(TRIAGE, {"policy": {"mode": "programmatic"}})).returns({"done": True})


def by_model() -> Play:
    return Play(machine(TRIAGE, ASK_FIRST)).answers({"action": "TRY", "confidence": 0.9})


Changes = dict[str, Any]
ROWS: Final[dict[str, tuple[Callable[[], Play], Changes, str]]] = {
    "nothing": (by_rule, {"policy": {"mode": "programmatic"}}, "same, 2 decisions"),
    "another reason": (
        by_rule,
        {"policy": {"mode": "programmatic"}, "rules": {"arrived": {"first": {"because": "so"}}}},
        "same, 2 decisions",
    ),
    "another rule": (
        by_rule,
        {"policy": {"mode": "programmatic"}, "rules": {"arrived": {"first": {"do": "ASK"}}}},
        "diverges at decision 1 in arrived: was TRY -> trying, would be ASK -> asking",
    ),
    "another end": (
        by_rule,
        {"policy": {"mode": "programmatic"}, "actions": {"CLOSE": {"to": "closed"}, "SOLVE": {"to": "closed"}}},
        "diverges at decision 2 in trying: was SOLVE -> solved, would be SOLVE -> closed",
    ),
    "an approval": (
        by_rule,
        {"policy": {"mode": "programmatic", "approvals": {"eyes": {"entering": "solved"}}}},
        "diverges at decision 2 in trying: was SOLVE -> solved, would be SOLVE -> solved (once approved)",
    ),
    "a model is asked": (
        by_rule,
        ASK_FIRST,
        "diverges at decision 1 in arrived: was TRY -> trying, would be a question to first",
    ),
    "a model's answer counts again": (by_model, ASK_FIRST, "same, 1 decision"),
    "no model is asked": (
        by_model,
        {"policy": {"mode": "programmatic"}},
        "diverges at decision 1 in arrived: was TRY -> trying (asked first), would be TRY -> trying",
    ),
    "an input that does not fit": (
        by_rule,
        {"input": {"ticket": "string"}},
        "cannot be compared: its input does not fit: ",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_past(name: str) -> None:
    story, changes, expected = ROWS[name]
    found = str(compare(machine(TRIAGE, changes), story().journal))
    assert found.startswith(expected), found


def test_what_has_no_beginning_cannot_be_compared() -> None:
    for entries in ((), by_rule().journal[1:]):
        assert str(compare(machine(TRIAGE), entries)) == "cannot be compared: its beginning is missing"


def change(**renames: dict[str, str]) -> WorkflowChanged:
    return WorkflowChanged(2_000.0, "other", "policy", Renames(**renames))


def test_answers_to_decisions_are_retold_to_the_letter() -> None:
    story = by_model()
    told, _ = retold(story.journal, change(actions={"TRY": "ATTEMPT"}, steps={"trying": "at_it"}))
    (answer,) = (entry for entry in told if isinstance(entry, ModelAnswered))
    assert json.loads(answer.text)["action"] == "ATTEMPT"
    opened = next(entry for entry in told if isinstance(entry, Opened))
    assert "ATTEMPT" in opened.legal
    assert "TRY" not in opened.legal
    assert opened.verdict.action == "ATTEMPT"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"action" : "TRY", "next_state": "trying"}', '{"action" : "ATTEMPT", "next_state": "at_it"}'),
        ('{"action": "TRYING"}', '{"action": "TRYING"}'),
        ('{"reason": "TRY", "action": 1}', '{"reason": "TRY", "action": 1}'),
        ("not JSON: TRY", "not JSON: TRY"),
    ],
)
def test_only_what_names_an_action_or_a_place_is_retold(text: str, told: str) -> None:
    (found,), _ = retold([ModelAnswered(1.0, 1, text)], change(actions={"TRY": "ATTEMPT"}, steps={"trying": "at_it"}))
    assert isinstance(found, ModelAnswered)
    assert found.text == told


def test_an_answer_to_a_question_is_not_about_actions() -> None:
    answer = PersonAnswered(1.0, 7, {"action": "TRY"})
    assert retold([answer], change(actions={"TRY": "ATTEMPT"}))[0] == [answer]


def test_a_journal_that_never_changed_is_itself() -> None:
    journal = by_rule().journal
    assert retold(journal) == (journal, {})


def test_steps_keep_the_name_that_they_were_first_known_by() -> None:
    first, second = change(steps={"a": "b"}), WorkflowChanged(3_000.0, "newest", "p", Renames({"b": "c", "x": "b"}))
    assert retold([first])[1] == {"a": "a@other", "b": "a"}
    assert retold([first], second)[1] == {"a": "a@other", "x": "x@newest", "b": "x", "c": "a"}
