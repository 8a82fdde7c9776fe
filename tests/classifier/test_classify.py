"""The W document's truth table, with its own code as the oracle, and what a verdict carries."""

from __future__ import annotations

from itertools import product
from typing import Any, Final

import pytest

from stepladder.classifier import DEFAULT, Classifier, classify
from stepladder.clauses import AnyOf, Fired, Reading
from tests.example_workflows import TRIAGE, machine
from tests.orchestrator.play import Play

CLASSIFIER: Final = Classifier(AnyOf(DEFAULT["complex"]), AnyOf(DEFAULT["hybrid"]))

STATES = [
    dict(zip(("error_count", "human", "anomalies", "convergence", "unusual"), values, strict=True))
    for values in product((0, 1, 2, 3), (False, True), (0, 1), (False, True), (0, 1))
]


def w_state(state: dict[str, Any]) -> dict[str, Any]:
    """The state as the W document's code reads it."""
    return {
        "error_count": state["error_count"],
        "human_intervention_required": state["human"],
        "validation_anomalies": ["odd"] * state["anomalies"],
        "convergence_issues": state["convergence"],
        "unusual_patterns": ["odd"] * state["unusual"],
    }


def is_standard_progression(workflow_state: dict[str, Any]) -> bool:
    """As printed in the W document."""
    return (
        workflow_state.get("error_count", 0) == 0
        and workflow_state.get("human_intervention_required", False) is False
        and workflow_state.get("unusual_patterns", []) == []
    )


def requires_complex_reasoning(workflow_state: dict[str, Any]) -> bool:
    """As printed in the W document."""
    return (
        workflow_state.get("error_count", 0) > 2
        or workflow_state.get("human_intervention_required", False)
        or workflow_state.get("validation_anomalies", []) != []
        or workflow_state.get("convergence_issues", False)
    )


def w_order(state: dict[str, Any]) -> str:
    """The W document's order: standard first."""
    seen = w_state(state)
    return "standard" if is_standard_progression(seen) else "complex" if requires_complex_reasoning(seen) else "hybrid"


def our_order(state: dict[str, Any]) -> str:
    """The same two questions, complex first."""
    seen = w_state(state)
    return "complex" if requires_complex_reasoning(seen) else "standard" if is_standard_progression(seen) else "hybrid"


def facts(state: dict[str, Any], *, in_a_row: int | None = None) -> dict[str, Any]:
    """The state as our signals say it; all errors in a row unless told."""
    return {
        "error_count": state["error_count"],
        "consecutive_errors": state["error_count"] if in_a_row is None else in_a_row,
        "human_intervention_required": state["human"],
        "validation_anomalies": state["anomalies"],
        "convergence_issues": state["convergence"],
        "unusual_patterns": state["unusual"],
    }


def spelled(state: dict[str, Any]) -> str:
    return ",".join(f"{name}={int(value)}" for name, value in state.items())


def test_the_table_is_whole() -> None:
    assert len(STATES) == 4 * 2**4


@pytest.mark.parametrize("state", STATES, ids=spelled)
def test_complex_first_then_hybrid_then_standard(state: dict[str, Any]) -> None:
    assert classify(CLASSIFIER, facts(state))[0] == our_order(state)


HIDDEN = [state for state in STATES if w_order(state) != our_order(state)]


def test_the_w_order_differs_in_exactly_these_rows() -> None:
    """Standard first hides an anomaly or a convergence issue as long as there is no error: the documented departure."""
    assert [spelled(state) for state in HIDDEN] == [
        "error_count=0,human=0,anomalies=0,convergence=1,unusual=0",
        "error_count=0,human=0,anomalies=1,convergence=0,unusual=0",
        "error_count=0,human=0,anomalies=1,convergence=1,unusual=0",
    ]
    assert {(w_order(state), our_order(state), classify(CLASSIFIER, facts(state))[0]) for state in HIDDEN} == {
        ("standard", "complex", "complex")
    }


@pytest.mark.parametrize("state", [state for state in STATES if state["error_count"] in (1, 2)], ids=spelled)
def test_a_run_that_has_recovered_is_ordinary_again(state: dict[str, Any]) -> None:
    """The second departure: errors in a row make hybrid, for a total would escalate for ever."""
    route, fired = classify(CLASSIFIER, facts(state, in_a_row=0))
    assert route == our_order({**state, "error_count": 0})
    assert "just_failed" not in [each.name for each in fired]


def test_the_w_threshold_can_be_had_by_configuration() -> None:
    total = Classifier(AnyOf(DEFAULT["complex"]), AnyOf({**DEFAULT["hybrid"], "errors": ["error_count >= 1"]}))
    for state in STATES:
        assert classify(total, facts(state, in_a_row=0))[0] == our_order(state)


WHY = {
    "many_errors": ("complex", "error_count > 2", lambda state: state["error_count"] > 2, "error_count"),
    "person_wanted": ("complex", "human_intervention_required == true", lambda state: state["human"], "human"),
    "anomalous_scores": ("complex", "validation_anomalies > 0", lambda state: state["anomalies"] > 0, "anomalies"),
    "not_converging": ("complex", "convergence_issues == true", lambda state: state["convergence"], "convergence"),
    "just_failed": ("hybrid", "consecutive_errors > 0", lambda state: state["error_count"] > 0, "error_count"),
    "unusual": ("hybrid", "unusual_patterns > 0", lambda state: state["unusual"] > 0, "unusual"),
}


@pytest.mark.parametrize("state", STATES, ids=spelled)
def test_a_verdict_carries_every_clause_that_fired_with_value_and_threshold(state: dict[str, Any]) -> None:
    route, fired = classify(CLASSIFIER, facts(state))
    expected = tuple(
        Fired(name, (Reading(clause, state[field]),))
        for name, (of, clause, holds, field) in WHY.items()
        if of == route and holds(state)
    )
    assert fired == expected


def test_nothing_known_is_standard() -> None:
    assert classify(CLASSIFIER, {}) == ("standard", ())


def test_all_clauses_of_a_name_are_needed_and_shown() -> None:
    both = Classifier(AnyOf(), AnyOf({"slow_and_failing": ["time_used > 0.5", "consecutive_errors >= 1"]}))
    assert classify(both, {"time_used": 0.9, "consecutive_errors": 0})[0] == "standard"
    assert classify(both, {"time_used": 0.9, "consecutive_errors": 1}) == (
        "hybrid",
        (Fired("slow_and_failing", (Reading("time_used > 0.5", 0.9), Reading("consecutive_errors >= 1", 1))),),
    )


def test_thresholds_come_from_the_policy() -> None:
    policy = {
        "classifier": {"complex": {"every": None, "errors": ["error_count > 1"]}},
        "routes": {"complex": {"ask": []}},
    }
    play = Play(machine(TRIAGE, {"policy": policy}))
    play.fails().fails()
    assert play.opened.route == "complex"
    assert play.opened.fired == (Fired("errors", (Reading("error_count > 1", 2),)),)


def test_a_workflow_without_a_classifier_has_the_default() -> None:
    play = Play(machine(TRIAGE, {"policy": {"classifier": None, "routes": None}}))
    play.fails()
    assert (play.opened.route, [each.name for each in play.opened.fired]) == ("hybrid", ["just_failed"])
    play.fails().fails()
    assert (play.opened.route, [each.name for each in play.opened.fired]) == ("complex", ["many_errors", "no_progress"])
