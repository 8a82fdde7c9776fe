import json

import pytest

from examples.ml_pipeline.datasets import BUNDLED, DatasetError
from examples.ml_pipeline.plan_form import SECTIONS
from examples.ml_pipeline.planner import plan, sections_named, target_of
from examples.ml_pipeline.scoring import converged
from examples.ml_pipeline.validator import validate_plan


def named(*sections):
    return [{"section": section, "check": "said so"} for section in sections]


def test_a_quick_draft_goes_by_the_first_rows(fraud_csv):
    draft = plan("predict fraud", fraud_csv)
    assert draft["metric"]["name"] == "accuracy"
    assert "order_id" in draft["features"]
    assert "baseline" not in draft


def test_a_thorough_draft_needs_no_revision(fraud_csv, rent_csv, shop_csv):
    for dataset, target in [("wine", None), (fraud_csv, "fraud"), (rent_csv, "rent"), (shop_csv, "bought")]:
        scores = validate_plan(plan("know it", dataset, target, detail="thorough"), dataset, target)
        assert converged(scores), scores["findings"]


def test_a_revision_changes_exactly_what_is_named(fraud_csv):
    draft = plan("predict fraud", fraud_csv)
    revised = plan("predict fraud", fraud_csv, feedback=named("metric", "baseline"), previous=draft)
    changed = {section for section in SECTIONS if draft.get(section) != revised.get(section)}
    assert changed == {"metric", "baseline"}
    assert [change["section"] for change in revised["changes"]] == ["metric", "baseline"]
    assert (draft["revision"], revised["revision"]) == (0, 1)


def test_a_revision_that_moves_the_features_brings_a_second_one(write_csv):
    """Only the features were at fault, but the columns were prepared for the old ones: the next validation tells."""
    rows = [[f"c{n:03d}", n % 7, n % 5, "yes" if n % 7 > 3 else "no"] for n in range(100)]
    path = write_csv("even.csv", ["customer", "visits", "calls", "bought"], rows)
    current, faults = plan("predict bought", path), []
    while not converged(verdict := validate_plan(current, path)):
        faults.append({finding["check"] for finding in verdict["findings"]})
        current = plan("predict bought", path, feedback=verdict, previous=current)
    assert "features_inform" in faults[0]
    assert faults[1:] == [{"columns_covered"}]


def test_the_model_grows_stronger_when_named_again():
    current, families = plan("predict", "iris"), []
    for _ in range(4):
        current = plan("predict", "iris", feedback=named("model"), previous=current)
        families.append(current["model"]["name"])
    assert families == [
        "LogisticRegression",
        "RandomForestClassifier",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingClassifier",
    ]


def test_a_glance_can_be_wrong_and_is_put_right(write_csv):
    path = write_csv("rings.csv", ["size", "rings"], [[n / 3, max(3, n // 5)] for n in range(300)])
    draft = plan("predict rings", path)
    assert draft["task"] == "classification"
    revised = plan("predict rings", path, feedback=validate_plan(draft, path), previous=draft)
    assert (revised["task"], revised["metric"]["name"], revised["model"]["name"]) == ("regression", "r2", "Ridge")


FEEDBACK = {
    "findings": (named("split"), {"split": ["said so"]}),
    "a validator's result": ({"findings": named("split", "model")}, {"split": ["said so"], "model": ["said so"]}),
    "a person's words": (
        "The split worries me. And the Metric!",
        {"split": ["said in words"], "metric": ["said in words"]},
    ),
    "an unknown section": (named("weather"), {}),
    "nothing": (None, {}),
    "something else": ([1, {"section": {}}, {"section": "split"}], {"split": ["unnamed"]}),
}


@pytest.mark.parametrize(("feedback", "sections"), FEEDBACK.values(), ids=FEEDBACK)
def test_feedback_is_read_for_the_sections_it_names(feedback, sections):
    assert sections_named(feedback) == sections


GOALS = {
    "after the verb": ("Predict bought from age and income", "bought"),
    "verb in the middle": ("From age, predict bought", "bought"),
    "the only one named": ("Who bought?", "bought"),
}


@pytest.mark.parametrize(("goal", "target"), GOALS.values(), ids=GOALS)
def test_a_goal_can_name_the_target(shop_csv, goal, target):
    assert target_of(goal, shop_csv) == target


@pytest.mark.parametrize("goal", ["Make money", "Relate age to income", ""])
def test_a_goal_without_a_clear_target_lists_the_columns(shop_csv, goal):
    with pytest.raises(DatasetError, match="bought"):
        plan(goal, shop_csv)


@pytest.mark.parametrize("previous", [{}, {"features": 3}, {"model": [], "detail": {"model": "x"}, "revision": "y"}])
def test_a_previous_plan_of_any_form_can_be_revised_into_a_good_one(previous):
    current = previous
    for _ in range(4):
        found = validate_plan(current, "wine")
        if converged(found):
            break
        current = plan("predict", "wine", feedback=found, previous=current)
    assert converged(validate_plan(current, "wine"))


@pytest.mark.parametrize("name", BUNDLED)
def test_a_plan_is_plain_json(name):
    draft = plan("predict", name)
    assert json.loads(json.dumps(draft)) == draft
