import pytest

from examples.ml_pipeline.finish import report

PLAN = {"dataset": "iris", "model": {"name": "Ridge"}}
RESULT = {"metric": "r2", "score": 0.75, "baseline_score": 0.25, "n_train": 30, "n_test": 10}


def test_a_report_sets_the_score_against_the_baseline():
    said = report(PLAN, {"passed": True, "result": RESULT})
    assert (said["accepted"], said["gain"]) == (True, 0.5)
    assert said["text"] == "Ridge on iris: r2 0.750, baseline 0.250 (30 rows to train, 10 to test); accepted."


@pytest.mark.parametrize("validation", [None, {}, {"passed": True}, {"passed": True, "result": {"score": "high"}}])
def test_without_a_score_nothing_is_accepted(validation):
    said = report(PLAN, validation)
    assert (said["accepted"], said["text"]) == (False, "No score was measured on iris.")


def test_a_run_that_did_not_pass_is_reported_as_such():
    assert "not accepted" in report(None, {"passed": False, "result": RESULT})["text"]
