"""The whole loop as plain Python: plan, validate, revise; write code, validate, fix; report."""

import asyncio
from dataclasses import dataclass

import pytest

from examples.ml_pipeline import plan, report, validate_code, validate_plan, write_code
from examples.ml_pipeline.datasets import BUNDLED
from examples.ml_pipeline.scoring import converged

REVISIONS, FIXES = 4, 3


@dataclass
class Course:
    """What came of a run: the findings of each validation, the last versions and the report."""

    plan_findings: list
    code_findings: list
    plan: dict
    code: dict
    report: dict

    @property
    def revisions(self):
        return len(self.plan_findings) - 1

    @property
    def fixes(self):
        return len(self.code_findings) - 1


def checks(verdict):
    return {finding["check"] for finding in verdict["findings"]}


def develop_plan(goal, dataset, target, current=None, feedback=None):
    current, seen = plan(goal, dataset, target, feedback, current), []
    while True:
        verdict = validate_plan(current, dataset, target)
        seen.append(checks(verdict))
        if converged(verdict) or len(seen) > REVISIONS:
            return current, seen
        current = plan(goal, dataset, target, verdict["findings"], current)


def implement(written, dataset, target):
    code, seen = write_code(written, dataset, target), []
    while True:
        verdict = asyncio.run(validate_code(code["code"], written))
        seen.append(checks(verdict))
        if verdict["passed"] or len(seen) > FIXES:
            return code, verdict, seen
        code = write_code(written, dataset, target, verdict["findings"], code)


def drive(dataset, target=None, goal="predict"):
    written, plan_findings = develop_plan(goal, dataset, target)
    code, verdict, code_findings = implement(written, dataset, target)
    return Course(plan_findings, code_findings, written, code, report(written, verdict))


def check_course(course, lacking, repaired, least):
    assert 1 <= course.revisions <= REVISIONS
    assert lacking <= course.plan_findings[0], "the draft lacks these"
    assert course.fixes <= FIXES
    assert set(course.code["cares"]) == repaired
    assert course.report["accepted"], course.report
    assert course.report["score"] > least > course.report["baseline_score"]


LACKING = {
    "iris": {"split_stratified"},
    "wine": {"split_stratified", "scaled_if_needed"},
    "breast_cancer": {"split_stratified", "scaled_if_needed"},
    "digits": {"split_stratified", "scaled_if_needed"},
    "diabetes": {"scaled_if_needed"},
}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_set_is_learned(name):
    check_course(drive(name), LACKING[name], set(), 0.4 if name == "diabetes" else 0.9)


def test_a_csv_with_gaps_and_rare_categories_is_learned(shop_csv):
    course = drive(shop_csv, "bought")
    lacking = {"missing_filled", "scaled_if_needed"}
    check_course(course, lacking, {"missing_values", "new_categories"}, 0.7)
    assert course.code_findings == [{"number_unreadable"}, {"category_unknown"}, set()]


def test_a_csv_with_few_of_one_class_and_ids_is_learned(fraud_csv):
    course = drive(fraud_csv, goal="Find fraud by amount and hour")
    lacking = {"features_inform", "target_stays_out", "metric_suits_balance", "model_minds_balance"}
    check_course(course, lacking, set(), 0.8)
    assert course.plan["features"] == ["amount", "hour"]
    assert course.report["metric"] == "balanced_accuracy"


def test_a_csv_with_dates_is_learned(rent_csv):
    course = drive(rent_csv, "rent")
    check_course(course, {"kinds_encoded", "missing_filled", "features_inform"}, {"missing_dates"}, 0.8)


def test_a_csv_from_a_spreadsheet_is_learned(write_csv):
    """A byte order mark, semicolons, a text feature, and a target that is not always there."""
    rows = [
        [n % 7, "low" if n % 7 < 3 else "high", n % 5, "" if n % 30 == 7 else (n % 7) * 2.5 + n % 5] for n in range(150)
    ]
    path = write_csv("sheet.csv", ["week", "level", "day", "sold"], rows, encoding="utf-8-sig", delimiter=";")
    course = drive(path, "sold")
    assert course.report["accepted"]
    assert {"header_form", "missing_values"} <= set(course.code["cares"])
    assert 1 <= course.fixes <= FIXES


def test_a_model_too_weak_for_the_data_is_planned_stronger(write_csv):
    """What no code can repair goes back to the planner: neither feature tells anything without the other."""
    path = write_csv(
        "xor.csv", ["a", "b", "same"], [[n % 17, n % 13, int((n % 17 < 8) == (n % 13 < 6))] for n in range(400)]
    )
    written, _ = develop_plan("predict same", path, None)
    _, verdict, seen = implement(written, path, None)
    assert seen[-1] == {"beats_baseline"}
    for _ in range(2):
        written, _ = develop_plan("predict same", path, None, written, verdict["findings"])
    _, verdict, _ = implement(written, path, None)
    assert written["model"]["name"] == "RandomForestClassifier"
    assert report(written, verdict)["score"] > 0.9
