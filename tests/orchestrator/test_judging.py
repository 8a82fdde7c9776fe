"""Steps that judge: an agent's scores become the outcome of the decision that led to what they score."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.events import AgentReturned, OutcomeAttached
from stepladder.orchestrator import decision_records, fold
from stepladder.record import Judged, Settled
from tests.example_workflows import REVIEW, machine, merged
from tests.orchestrator.play import Play

JUDGES = {"phases": {"drafting": {"steps": {"checking": {"judges": ["writing"]}}}}}
"""REVIEW, in which `checking` judges the decisions that led into `writing`."""
GOOD, POOR = ({"alignment_score": score, "standardization_score": score} for score in (9, 5))


def begun(changes: dict[str, Any] | None = None, scores: dict[str, Any] = POOR) -> Play:
    """The first draft was checked; it has these scores."""
    return Play(machine(REVIEW, merged(JUDGES, changes or {})), topic="ladders").returns().returns(scores)


def revised(changes: dict[str, Any] | None = None, scores: dict[str, Any] = POOR) -> Play:
    """The second draft, 30 seconds later, is being checked."""
    return begun(changes, scores).later(30).returns()


def test_the_decision_that_led_there_gets_an_outcome() -> None:
    play = revised()
    assert play.of(Judged) == []  # the first draft was begun by no decision
    (revise,) = (entry for entry in play.of(Settled) if entry.action == "REVISE")
    play.later(5).returns(GOOD)
    assert play.new(Judged) == [Judged(revise.n, "checking", success=True, quality=0.9, elapsed_s=35)]
    assert [type(entry) for entry in play.entries[:2]] == [AgentReturned, Judged]
    assert fold(play.machine, play.journal) == play.state


@pytest.mark.parametrize(
    ("scores", "success", "quality"),
    [
        (POOR, False, 0.5),
        ({"alignment_score": 10, "standardization_score": 7}, False, 0.85),
        ({"alignment_score": 10, "standardization_score": 8}, True, 0.9),
        ({"alignment_score": 10}, False, None),
        ({"alignment_score": 10, "standardization_score": 11}, False, None),
        ({"alignment_score": 10, "standardization_score": True}, False, None),
        ({"alignment_score": "10", "standardization_score": 9}, False, None),
        ({}, False, None),
    ],
)
def test_what_scores_say(scores: dict[str, Any], success: bool, quality: float | None) -> None:
    (judged,) = revised().returns(scores).new(Judged)
    assert (judged.success, judged.quality) == (success, quality)


def test_a_range_may_begin_anywhere() -> None:
    scores = {"alignment_score": [-1, 1], "standardization_score": None}
    converged = {"phases": {"drafting": {"converged": ["score.alignment_score >= 0.5"]}}}
    play = revised(merged(converged, {"agents": {"validator": {"scores": scores}}}), {"alignment_score": -1})
    (judged,) = play.returns({"alignment_score": 0.5}).new(Judged)
    assert (judged.success, judged.quality) == (True, 0.75)


def test_without_convergence_nothing_is_said_of_success() -> None:
    play = revised({"phases": {"drafting": {"converged": []}}, "rules": {"checking": {"good": None}}})
    (judged,) = play.returns(GOOD).new(Judged)
    assert (judged.success, judged.quality) == (None, 0.9)


AGAIN = {
    "actions": {"AGAIN": {"from": "checking", "to": "checking", "guard": ["taken.REVISE >= 1"]}},
    "rules": {
        "checking": {"good": None, "revise": None, "drop": None, "again": {"do": "AGAIN"}, "redo": {"do": "REVISE"}}
    },
}
"""The second draft is checked again and again."""


def test_a_call_that_gave_no_output_judges_nothing_and_the_next_one_does() -> None:
    play = revised(AGAIN)
    assert play.fails().new(Judged) == []
    assert [judged.success for judged in play.returns(GOOD).new(Judged)] == [True]


def test_a_decision_is_judged_once_by_a_step() -> None:
    play = revised(AGAIN)
    assert len(play.returns(GOOD).new(Judged)) == 1
    assert play.returns(POOR).new(Judged) == []


APPROVED = {"policy": {"approvals": {"eyes": {"entering": "writing"}}}}


def test_time_runs_from_the_decision_and_not_from_its_approval() -> None:
    play = begun(APPROVED).later(100).says({"approve": True}).returns().later(1).returns(GOOD)
    (judged,) = play.new(Judged)
    assert judged.elapsed_s == 101


def test_a_refused_decision_led_nowhere() -> None:
    play = begun(APPROVED)
    assert play.asked.about == "approval"
    assert play.says({"approve": False}).state.unjudged == {}


def test_what_people_say_stands_beside_it() -> None:
    play = revised().later(5).returns(GOOD)
    n = play.of(Judged)[0].n
    play.tell(OutcomeAttached(play.at, n, success=False, quality=0.2, note="dull", by="ada"))
    record = decision_records(play.journal)[n - 1]
    assert [(each.by, each.success, each.quality, each.elapsed_s) for each in record.outcomes] == [
        ("checking", True, 0.9, 35),
        ("ada", False, 0.2, None),
    ]
    assert "  outcome   success, quality 0.9, 35 s, by checking" in record.explain()
    assert "  outcome   failure, quality 0.2, dull, by ada" in record.explain()
