"""How near the rule's action is to being another one."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.clauses import parse_clause
from stepladder.orchestrator.margin import rule_margin
from tests.example_workflows import REVIEW, machine
from tests.orchestrator.play import Play

CLAUSES = [parse_clause(text) for text in ("score.a >= 9.0", "score.b > 8.0", "returned == ok")]


def go_or_stay(facts: dict[str, Any]) -> str:
    return "GO" if facts["score"].get("a", 0) >= 9.0 and facts["score"].get("b", 0) > 8.0 else "STAY"


@pytest.mark.parametrize(
    ("case", "scores", "margin"),
    [
        ("a little above", {"a": 9.1, "b": 9.5}, 0.01),
        ("the nearest counts", {"a": 9.5, "b": 8.2}, 0.02),
        ("a little below", {"a": 8.9, "b": 9.5}, 0.01),
        ("one alone could not change it", {"a": 8.9, "b": 7.0}, None),
        ("on the threshold", {"a": 9.0, "b": 9.5}, 0.0),
        ("just not above it", {"a": 9.5, "b": 8.0}, 0.0),
        ("no score", {}, None),
        ("one is missing", {"b": 9.0}, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_margin(case: str, scores: dict[str, float], margin: float | None) -> None:
    found = rule_margin(CLAUSES, {"score": scores}, go_or_stay)
    assert found == (None if margin is None else pytest.approx(margin, abs=1e-9))


def test_a_threshold_may_be_met_exactly() -> None:
    exact = [parse_clause("score.a == 10")]
    for score, margin in ((9.0, 0.1), (10.0, 0.0)):
        assert rule_margin(exact, {"score": {"a": score}}, lambda facts: str(facts["score"]["a"] == 10)) == margin


def test_a_close_call_is_hybrid() -> None:
    changes = {"policy": {"classifier": {"hybrid": {"close": ["rule_margin < 0.02"]}}}}
    for score, route in ((9.1, "hybrid"), (9.9, "standard"), (8.9, "hybrid"), (5.0, "standard")):
        play = (
            Play(machine(REVIEW, changes))
            .returns({})
            .returns({"alignment_score": score, "standardization_score": 10.0})
        )
        checked = [entry for entry in play.journal if getattr(entry, "point", "") == "next_action"][-1]
        assert (score, checked.route) == (score, route)


def test_the_declared_range_of_a_score_is_its_scale() -> None:
    exact = [parse_clause("score.a >= 0.5")]

    def action(facts: dict[str, Any]) -> str:
        return str(facts["score"]["a"] >= 0.5)

    assert rule_margin(exact, {"score": {"a": 0.6}}, action, {"a": 1.0}) == pytest.approx(0.1)
    assert rule_margin(exact, {"score": {"a": 0.6}}, action) == pytest.approx(0.01)
