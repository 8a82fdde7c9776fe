import pytest

from examples.ml_pipeline.scoring import ERROR_CAP, THRESHOLDS, Check, Problem, converged, judge

SCORES = tuple(THRESHOLDS)


def check(name, *, passes=True, weight=1, severity="error", needs=("a",)):
    problem = None if passes else Problem("bad", "do better")
    return Check(name, SCORES[0], "a", weight, needs, lambda *_: problem, severity)


def always(*names):
    """The other two scores, so that every score has a check."""
    return tuple(Check(name, name, "a", 1, (), lambda: None) for name in names or SCORES[1:])


CASES = {
    "all passed": ([check("x"), check("y")], 10.0),
    "a warning costs its weight": ([check("x", weight=9), check("y", passes=False, severity="warning")], 9.0),
    "an error is capped": ([check("x", weight=9), check("y", passes=False)], ERROR_CAP),
    "below the cap weights count": ([check("x"), check("y", passes=False, weight=3)], 2.5),
    "none passed": ([check("x", passes=False)], 0.0),
    "an absent part fails": ([check("x"), check("y", needs=("a", "b"))], 5.0),
}


@pytest.mark.parametrize(("checks", "score"), CASES.values(), ids=CASES)
def test_a_score_is_the_share_of_checks_passed(checks, score):
    assert judge((*checks, *always()), {"a": 1})[SCORES[0]] == score


def test_a_gap_is_reported_once_and_under_its_section():
    found = judge((check("x"), check("y"), *always()), {})["findings"]
    assert [(finding["check"], finding["section"]) for finding in found] == [("section_present", "a")]


def test_a_gap_elsewhere_blocks_silently():
    assert judge((check("x", needs=("b",)), *always()), {"a": 1})["findings"] == []


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        (THRESHOLDS, True),
        ({**THRESHOLDS, "alignment_score": 8.99}, False),
        ({**THRESHOLDS, "compatibility_score": "10"}, False),
        ({**THRESHOLDS, "standardization_score": float("nan")}, False),
        ({}, False),
    ],
)
def test_scores_converge_only_if_all_are_there_and_high_enough(scores, verdict):
    assert converged(scores) is verdict
