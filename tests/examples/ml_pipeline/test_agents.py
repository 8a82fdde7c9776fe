"""The plain functions as agents: what the workflow reads of them."""

import pytest

from examples.ml_pipeline import agents as offered
from examples.ml_pipeline import plan, validate_plan
from examples.ml_pipeline.data import make
from examples.ml_pipeline.datasets import DatasetError, csv_path


def test_the_planner_drafts_and_then_says_whether_a_revision_changed_anything():
    draft = offered.planner("tell the species", "iris")
    assert draft["changed"] is True
    assert draft["human_intervention_required"] is False
    findings = validate_plan(draft["plan"], "iris")["findings"]
    revised = offered.planner("tell the species", "iris", findings=findings, previous=draft["plan"])
    assert (revised["revision"], revised["changed"]) == (1, True)
    same = offered.planner("tell the species", "iris", findings=[], previous=revised["plan"])
    assert (same["revision"], same["changed"]) == (2, False)


def test_the_planner_asks_where_nobody_names_the_target():
    asked = offered.planner("tell who goes", "customers.csv")
    assert asked["human_intervention_required"] is True
    assert "age, income, town, left" in asked["question"]
    assert "plan" not in asked
    assert offered.planner("tell who goes", "customers.csv", advice="left")["plan"]["target"] == "left"


def test_advice_comes_before_findings():
    draft = plan("tell the species", "iris")
    revised = offered.planner("", "iris", advice="use another model", findings=[{"section": "split"}], previous=draft)
    assert [change["section"] for change in revised["changes"]] == ["model"]


def test_unusable_data_is_an_error():
    with pytest.raises(DatasetError, match="a readable CSV file"):
        offered.planner("tell anything", "no_such_file.csv", "anything")


def test_a_plan_that_no_script_can_be_written_for_is_not_written():
    script = offered.programmer(plan("tell the species", "iris"), "iris")
    assert (script["written"], script["code"]) == (False, "")
    assert {finding["section"] for finding in script["findings"]} == {"baseline"}


@pytest.mark.parametrize(
    ("checks", "fault"),
    [
        (["number_unreadable"], "code"),
        (["beats_baseline", "category_unknown"], "code"),
        (["beats_baseline"], "plan"),
        (["took_too_long"], "plan"),
    ],
)
def test_what_has_a_repair_is_the_fault_of_the_code(checks, fault):
    assert offered.fault({"passed": False, "findings": [{"check": check} for check in checks]}) == fault


def test_what_passes_is_nobodys_fault():
    assert offered.fault({"passed": True, "findings": [{"check": "warns_not"}]}) == "none"


def test_the_csv_files_are_what_their_maker_writes(tmp_path):
    make.write(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: csv_path(name).read_text() for name in make.FILES
    }


def test_a_file_of_ones_own_comes_before_the_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert csv_path("coins.csv").is_absolute()
    (tmp_path / "coins.csv").write_text("side\nheads\n")
    assert not csv_path("coins.csv").is_absolute()
