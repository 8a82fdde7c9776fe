import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.ml_pipeline.plan_form import SECTIONS
from examples.ml_pipeline.planner import plan
from examples.ml_pipeline.scoring import THRESHOLDS, converged
from examples.ml_pipeline.validator import validate_plan

FRAUD = ("predict fraud", "fraud")


@pytest.fixture(scope="module")
def good(fraud_csv, shop_csv, rent_csv):
    """Good plans by the name of their data, with the data set itself."""
    sets = {"wine": "wine", "fraud": fraud_csv, "shop": shop_csv, "rent": rent_csv}
    targets = {"fraud": "fraud", "shop": "bought", "rent": "rent"}
    return {name: (plan("know it", path, targets.get(name), detail="thorough"), path) for name, path in sets.items()}


def changed(written, path, value):
    """The plan with the value at a path, written as 'split.seed', replaced; or removed if it is None."""
    copied = copy.deepcopy(written)
    *way, last = path.split(".")
    place = copied
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copied


def use(name, **params):
    return {"use": name, "with": params}


FLAWS = {
    "another data set": ("wine", "dataset", "iris", "plans_this_dataset"),
    "no such target": ("wine", "target", "price", "target_exists"),
    "the wrong task": ("wine", "task", "regression", "task_fits_target"),
    "an unknown feature": ("wine", "features", ["weather"], "features_exist"),
    "a feature twice": ("wine", "features", ["hue", "hue"], "features_exist"),
    "the target among the features": ("wine", "features", ["hue", "target"], "target_stays_out"),
    "a column that repeats the target": ("fraud", "features", ["case_state"], "target_stays_out"),
    "a column that names rows": ("fraud", "features", ["amount", "customer"], "features_inform"),
    "an empty column": ("rent", "features", ["size", "remarks"], "features_inform"),
    "a metric for another task": ("rent", "metric", {"name": "accuracy"}, "metric_suits_task"),
    "accuracy for few of one class": ("fraud", "metric", {"name": "accuracy"}, "metric_suits_balance"),
    "nothing held out": ("wine", "split.test_share", 0, "share_held_out"),
    "nearly all held out": ("wine", "split.test_share", 0.9, "share_held_out"),
    "no seed": ("wine", "split.seed", None, "split_seeded"),
    "not stratified": ("wine", "split.stratify", None, "split_stratified"),
    "a stratified regression": ("rent", "split.stratify", True, "split_stratified"),
    "fitted on everything": ("wine", "preprocessing.fit_on", "all", "fitted_on_train"),
    "a baseline for another task": ("rent", "baseline", {"name": "DummyClassifier"}, "baseline_stated"),
    "an unknown metric": ("wine", "metric", {"name": "beauty"}, "metric_stated"),
    "good enough is not said": ("wine", "acceptance.by_at_least", None, "acceptance_stated"),
    "steps left out": ("wine", "steps", ["fit"], "steps_complete"),
    "an unknown model": ("wine", "model", {"name": "Oracle"}, "model_exists"),
    "a model for another task": ("wine", "model", {"name": "Ridge"}, "model_suits_task"),
    "an unknown parameter": ("wine", "model.params", {"magic": 1}, "model_parameters_exist"),
    "classes not weighed": ("fraud", "model.params", {}, "model_minds_balance"),
    "an unknown transformer": ("wine", "preprocessing.groups.0.steps", [use("Wand")], "transformers_exist"),
    "an unknown function": ("wine", "preprocessing.groups.0.steps", [use("FunctionTransformer")], "transformers_exist"),
    "a column not prepared": ("wine", "preprocessing.groups.0.columns", ["hue"], "columns_covered"),
    "text not encoded": ("shop", "preprocessing.groups.1.steps", [], "kinds_encoded"),
    "text scaled": ("shop", "preprocessing.groups.1.steps", [use("StandardScaler")], "kinds_encoded"),
    "the mean of text": (
        "shop",
        "preprocessing.groups.1.steps",
        [use("SimpleImputer"), use("OneHotEncoder")],
        "kinds_encoded",
    ),
    "dates as categories": ("rent", "preprocessing.groups.2.steps", [use("OneHotEncoder")], "kinds_encoded"),
    "gaps not filled": ("shop", "preprocessing.groups.0.steps", [use("StandardScaler")], "missing_filled"),
    "scales left apart": ("wine", "preprocessing.groups.0.steps", [], "scaled_if_needed"),
}


@pytest.mark.parametrize(("name", "path", "value", "check"), FLAWS.values(), ids=FLAWS)
def test_a_flaw_is_found_and_lowers_the_scores(good, name, path, value, check):
    written, dataset = good[name]
    before, after = validate_plan(written, dataset), validate_plan(changed(written, path, value), dataset)
    assert check not in {finding["check"] for finding in before["findings"]}
    assert check in {finding["check"] for finding in after["findings"]}
    assert sum(map(after.get, THRESHOLDS)) < sum(map(before.get, THRESHOLDS))
    errors = [finding for finding in after["findings"] if finding["severity"] == "error"]
    assert not errors or not converged(after)


def test_good_bad_and_empty_plans_differ_clearly(good):
    written, dataset = good["wine"]
    bad = plan("predict", dataset)
    bad = {**bad, "features": [*bad["features"], "target"], "metric": {"name": "r2"}}
    sums = [sum(map(validate_plan(one, dataset).get, THRESHOLDS)) for one in (written, bad, {})]
    assert sums[0] == 30
    assert 5 < sums[1] < 22
    assert sums[2] == 0


def test_a_model_that_takes_gaps_needs_no_imputer_for_numbers(good):
    written, dataset = good["shop"]
    steps = changed(written, "preprocessing.groups.0.steps", [use("StandardScaler")])
    boosted = {**steps, "model": {"name": "HistGradientBoostingClassifier", "params": {}}}
    assert validate_plan(boosted, dataset)["findings"] == []


def test_data_that_cannot_be_read_is_a_finding():
    verdict = validate_plan({"goal": "x"}, "nowhere.csv")
    assert [finding["check"] for finding in verdict["findings"]] == ["dataset_readable"]
    assert not any(map(verdict.get, THRESHOLDS))


def test_a_target_asked_for_must_be_planned(good):
    written, dataset = good["fraud"]
    assert {finding["check"] for finding in validate_plan(written, dataset, "hour")["findings"]} >= {"target_exists"}


def test_every_finding_says_where_and_what_helps(good):
    for finding in validate_plan({}, "iris")["findings"]:
        assert set(finding) == {"check", "severity", "message", "section", "suggestion"}
        assert finding["section"] in SECTIONS


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([*SECTIONS, "iris"])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*SECTIONS, "name", "params", "groups", "columns", "steps", "use", "with"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
odd_plans = st.dictionaries(st.sampled_from(list(SECTIONS)), anything, max_size=12)


@given(anything | odd_plans)
@settings(max_examples=150, deadline=None)
def test_law_any_json_is_judged_from_0_to_10(written):
    verdict = validate_plan(written, "iris")
    assert all(0 <= verdict[name] <= 10 for name in THRESHOLDS)


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_law_leaving_a_section_out_never_raises_a_score(good, data):
    written, dataset = good[data.draw(st.sampled_from(["wine", "rent"]))]
    oddly = {**written, **data.draw(st.dictionaries(st.sampled_from(list(SECTIONS)), anything, max_size=3))}
    section = data.draw(st.sampled_from(list(SECTIONS)))
    before = validate_plan(oddly, dataset)
    after = validate_plan({name: value for name, value in oddly.items() if name != section}, dataset)
    assert all(after[name] <= before[name] for name in THRESHOLDS)
