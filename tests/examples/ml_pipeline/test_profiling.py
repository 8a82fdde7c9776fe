import json

import pytest

from examples.ml_pipeline.datasets import BUNDLED
from examples.ml_pipeline.profiling import column_kind, profile, target_kind

KINDS = {
    "numbers": ("size", [1.5, 2.0, 2.0], "numeric"),
    "words": ("town", ["Bonn", "Graz", "Bonn"], "categorical"),
    "dates": ("signed", ["2024-01-05", "2024-02-01"], "date"),
    "times": ("at", ["2024-01-05T10:00:00", "2024-02-01 11:30:00"], "date"),
    "nothing": ("remarks", [], "empty"),
    "counted rows": ("row", [float(n) for n in range(1, 30)], "id"),
    "many different words": ("name", [f"n{n}" for n in range(30)], "id"),
    "named an id": ("customer_id", [7.0, 9.0, 12.0], "id"),
    "named an id, camel case": ("orderId", ["a", "b"], "id"),
    "an id that repeats often": ("group_id", [1.0, 1.0, 1.0, 2.0, 2.0, 2.0], "numeric"),
    "different fractions": ("score", [n / 7 for n in range(1, 30)], "numeric"),
    "paid is no id": ("paid", [100.0, 200.0], "numeric"),
}


@pytest.mark.parametrize(("name", "values", "kind"), KINDS.values(), ids=KINDS)
def test_a_column_is_known_by_its_values(name, values, kind):
    assert column_kind(name, values) == kind


TARGETS = {
    "words": (["yes", "no"], "classification"),
    "two numbers": ([0.0, 1.0] * 10, "classification"),
    "few whole numbers": ([float(n % 5) for n in range(100)], "classification"),
    "many whole numbers": ([float(n % 60) for n in range(100)], "regression"),
    "fractions": ([0.5, 1.5] * 30, "regression"),
}


@pytest.mark.parametrize(("values", "kind"), TARGETS.values(), ids=TARGETS)
def test_a_target_calls_for_classification_or_regression(values, kind):
    assert target_kind(values) == kind


@pytest.mark.parametrize("name", BUNDLED)
def test_a_profile_is_plain_json(name):
    facts = profile(name)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["target"]["kind"] == ("regression" if name == "diabetes" else "classification")


def test_a_profile_counts_gaps_and_classes(shop_csv):
    facts = profile(shop_csv, "bought")
    shares = {column["name"]: column["missing_share"] for column in facts["columns"]}
    assert shares["age"] > 0.05
    assert shares["income"] == 0
    assert facts["target"]["rows"] == sum(facts["target"]["classes"].values()) == 234


def test_a_profile_sees_imbalance_ids_and_what_repeats_the_target(fraud_csv):
    facts = profile(fraud_csv, "fraud")
    columns = {column["name"]: column for column in facts["columns"]}
    assert {name for name, column in columns.items() if column["kind"] == "id"} == {"order_id", "customer"}
    assert {name for name, column in columns.items() if column["mirrors_target"]} == {"case_state"}
    assert facts["target"]["balance"] < 0.3


def test_a_straight_line_of_a_numeric_target_mirrors_it(write_csv):
    path = write_csv("line.csv", ["euro", "cent", "size"], [[n, 100 * n + 5, (n * 7) % 13] for n in range(40)])
    columns = {column["name"]: column["mirrors_target"] for column in profile(path, "euro")["columns"]}
    assert columns == {"euro": False, "cent": True, "size": False}


def test_without_a_target_nothing_is_said_about_it(shop_csv):
    assert profile(shop_csv)["target"] is None
