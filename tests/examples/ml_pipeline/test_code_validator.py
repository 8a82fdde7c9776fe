import asyncio
import json
import time

import pytest

from examples.ml_pipeline.child import Ran
from examples.ml_pipeline.code_checks import CODE_CHECKS, SYMPTOMS, runs
from examples.ml_pipeline.code_validator import validate_code
from examples.ml_pipeline.planner import plan
from examples.ml_pipeline.programmer import REPAIRS
from examples.ml_pipeline.scoring import THRESHOLDS

GOOD = {"metric": "accuracy", "score": 0.95, "baseline_score": 0.3, "n_train": 112, "n_test": 38}
MADE = "def train_test_split(**how): pass\ntrain_test_split(test_size=1, random_state=1, stratify=1)\n"
MODELS = "class LogisticRegression: pass\nclass DummyClassifier: pass\nLogisticRegression(), DummyClassifier()\n"


@pytest.fixture(scope="module")
def iris_plan():
    return plan("predict", "iris", detail="thorough")


def judge(code, written, timeout_s=20.0):
    return asyncio.run(validate_code(code, written, timeout_s))


def printing(result, more=""):
    """A script that looks as planned and prints this; it takes milliseconds."""
    text = result if isinstance(result, str) else json.dumps(result)
    return f"{MADE}{MODELS}{more}\nprint({text!r})"


def test_code_as_planned_with_a_good_result_passes(iris_plan):
    verdict = judge(printing(GOOD), iris_plan)
    assert [verdict[name] for name in THRESHOLDS] == [10, 10, 10], verdict["findings"]
    assert (verdict["passed"], verdict["findings"], verdict["result"]) == (True, [], GOOD)


FLAWS = {
    "not finite": (printing({**GOOD, "score": float("nan")}), {"scores_finite", "beats_baseline"}),
    "a field left out": (printing({**GOOD, "n_test": None} | {"score": 0.9}), {"rows_counted", "share_as_planned"}),
    "no result": (printing("done"), {"prints_one_object"}),
    "chatter": (printing(GOOD, "print('hello')"), {"prints_result"}),
    "another metric": (printing({**GOOD, "metric": "r2"}), {"metric_as_planned"}),
    "too few rows": (printing({**GOOD, "n_train": 100}), {"rows_counted"}),
    "another share": (printing({**GOOD, "n_train": 38, "n_test": 112}), {"share_as_planned"}),
    "no gain": (printing({**GOOD, "score": 0.3}), {"beats_baseline"}),
    "a gain too small": (printing({**GOOD, "score": 0.32}), {"beats_baseline"}),
    "another model": (printing(GOOD).replace("LogisticRegression()", "print"), {"model_as_planned"}),
    "no seed": (printing(GOOD).replace("random_state=1, ", ""), {"split_is_seeded"}),
    "a warning": (printing(GOOD, "import warnings; warnings.warn('hm')"), {"warns_not"}),
    "not converged": (
        printing(GOOD, "import warnings; warnings.warn('lbfgs failed to converge: ConvergenceWarning')"),
        {"fit_unfinished"},
    ),
    "an error": (printing(GOOD, "1 / 0"), {"run_failed"}),
    "a key error": (printing(GOOD, "{}['age']"), {"column_unreadable"}),
    "an exit": (printing(GOOD, "raise SystemExit(3)"), {"run_failed"}),
    "no code": ("", {"parses"}),
    "no Python": ("def", {"parses"}),
    "a foreign import": (printing(GOOD, "import urllib3"), {"imports_allowed"}),
    "a forbidden use": (printing(GOOD, "eval('1')"), {"uses_allowed"}),
}


@pytest.mark.parametrize(("code", "checks"), FLAWS.values(), ids=FLAWS)
def test_a_flaw_is_found_by_name(iris_plan, code, checks):
    verdict = judge(code, iris_plan)
    assert {finding["check"] for finding in verdict["findings"]} == checks
    assert not verdict["passed"]


def test_code_that_is_not_allowed_is_not_run(iris_plan, tmp_path):
    mark = tmp_path / "ran"
    verdict = judge(f"import os\nos.mkdir({str(mark)!r})", iris_plan)
    assert not mark.exists()
    assert (verdict["result"], verdict["stderr_tail"]) == ({}, "")


def test_what_takes_too_long_is_stopped(iris_plan):
    start = time.monotonic()
    verdict = judge("while True: pass", iris_plan, timeout_s=0.5)
    assert time.monotonic() - start < 3
    assert "took_too_long" in {finding["check"] for finding in verdict["findings"]}


def test_cancelling_ends_the_run(iris_plan):
    async def cancel():
        task = asyncio.create_task(validate_code("while True: pass", iris_plan))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    start = time.monotonic()
    asyncio.run(cancel())
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("code", [None, 3, ["x"], {"code": "x"}])
@pytest.mark.parametrize("written", [None, {}, {"model": 3}])
def test_any_json_is_judged(code, written):
    verdict = judge(code, written)
    assert [verdict[name] for name in THRESHOLDS] == [0, 0, 0]


SAID = {
    "ValueError: could not convert string to float: 'NA'": "number_unreadable",
    "ValueError: Input y contains NaN.": "target_has_gaps",
    "ValueError: The least populated classes in y have only 1 member: ['']": "class_too_small",
    "TypeError: fromisoformat: argument must be str": "date_unreadable",
    "ValueError: Invalid isoformat string: 'NA'": "date_unreadable",
    "KeyError: 'age'": "column_unreadable",
    "ValueError: Found unknown categories ['Oslo'] in column 0 during transform": "category_unknown",
    "TypeError: Sparse data was passed for X, but dense data is required.": "matrix_sparse",
    "ZeroDivisionError: division by zero": "run_failed",
}


@pytest.mark.parametrize(("line", "check"), SAID.items(), ids=SAID.values())
def test_the_last_line_of_an_error_is_read(line, check):
    assert runs(Ran(1, "", f"Traceback\n{line}\n")).check == check


def test_every_symptom_has_a_repair():
    assert {check for _, check, _, _ in SYMPTOMS} <= set(REPAIRS)
    assert set(REPAIRS) <= {check for _, check, _, _ in SYMPTOMS} | {check.name for check in CODE_CHECKS}
