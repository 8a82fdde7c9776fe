"""The first rule that holds and is legal, and those it passes over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.clauses import ClauseError
from stepladder.rules import choose, rule

RULES = (
    rule("REPAIR", when=["returned == failed", "taken.REPAIR < 2"], because="it may be repaired"),
    rule("ASK", when=["returned == failed"], because="it cannot be repaired", name="ask_somebody"),
    rule("GO", because="all is well"),
)
FAILED = {"returned": "failed", "taken": {"REPAIR": 0}}
SPENT = {"returned": "failed", "taken": {"REPAIR": 2}}
EVERY = ("REPAIR", "ASK", "GO")

ROWS = [
    ("the first that holds", FAILED, EVERY, "repair", ()),
    ("one that does not hold is not mentioned", SPENT, EVERY, "ask_somebody", ()),
    ("one that holds but is not legal is passed over", FAILED, ("ASK", "GO"), "ask_somebody", ("repair",)),
    ("several are", FAILED, ("GO",), "go", ("repair", "ask_somebody")),
    ("none is legal", FAILED, (), None, ("repair", "ask_somebody", "go")),
    ("nothing is known", {}, EVERY, "go", ()),
    ("nothing is known and nothing legal", {}, ("ASK",), None, ("go",)),
]


@pytest.mark.parametrize(("case", "facts", "legal", "chosen", "passed_over"), ROWS, ids=[row[0] for row in ROWS])
def test_choosing(
    case: str, facts: dict[str, Any], legal: tuple[str, ...], chosen: str | None, passed_over: Any
) -> None:
    choice = choose(RULES, facts, legal)
    assert (choice.rule.name if choice.rule else None, choice.passed_over) == (chosen, passed_over)


def test_without_rules_nothing_is_chosen() -> None:
    assert choose((), FAILED, EVERY).rule is None


def test_a_rule_has_a_name() -> None:
    assert [each.name for each in RULES] == ["repair", "ask_somebody", "go"]


def test_a_rule_says_what_is_no_clause() -> None:
    with pytest.raises(ClauseError):
        rule("GO", when=["error_count >"])


@given(st.lists(st.sampled_from(EVERY)), st.sampled_from([FAILED, SPENT, {}]))
def test_a_rule_never_makes_anything_legal(legal: list[str], facts: dict[str, Any]) -> None:
    choice = choose(RULES, facts, legal)
    assert choice.rule is None or (choice.rule.do in legal and choice.rule.when.holds(facts))
    assert all(each.do not in legal for each in RULES if each.name in choice.passed_over)
