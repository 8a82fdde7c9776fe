import ast
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.ml_pipeline.datasets import BUNDLED
from examples.ml_pipeline.lint import forbidden_uses, foreign_imports, parse
from examples.ml_pipeline.plan_form import SECTIONS
from examples.ml_pipeline.planner import plan
from examples.ml_pipeline.programmer import REPAIRS, write_code
from examples.ml_pipeline.script import CARES


@pytest.fixture(scope="module")
def shop_plan(shop_csv):
    return plan("predict bought", shop_csv, detail="thorough")


def found(*checks):
    return [{"check": check, "section": "any"} for check in checks]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_draft_for_a_bundled_set_is_code_that_may_run(name):
    tree = parse(write_code(plan("predict", name, detail="thorough"), name)["code"])
    assert foreign_imports(tree) == forbidden_uses(tree) == []


def test_a_draft_minds_nothing_but_the_plan(shop_plan, shop_csv):
    draft = write_code(shop_plan, shop_csv)
    assert (draft["cares"], draft["revision"], draft["changes"], draft["problems"]) == ([], 0, [], [])
    assert "MISSING" not in draft["code"]
    assert json.loads(json.dumps(draft)) == draft


REPAIRED = {
    "number_unreadable": ("missing_values", "MISSING = ["),
    "rows_counted": ("missing_values", "row[TARGET].strip().lower() not in MISSING"),
    "column_unreadable": ("header_form", "delimiter=','"),
    "category_unknown": ("new_categories", "OneHotEncoder(handle_unknown='ignore')"),
    "matrix_sparse": ("dense_matrix", "sparse_threshold=0"),
    "fit_unfinished": ("more_iterations", "max_iter=10000"),
}


@pytest.mark.parametrize(("check", "care", "text"), [(name, *rest) for name, rest in REPAIRED.items()], ids=REPAIRED)
def test_a_finding_is_repaired_and_nothing_else(shop_plan, shop_csv, check, care, text):
    draft = write_code(shop_plan, shop_csv)
    fixed = write_code(shop_plan, shop_csv, findings=found(check), previous=draft)
    assert text not in draft["code"]
    assert text in fixed["code"]
    assert (fixed["cares"], fixed["revision"]) == ([care], 1)
    assert fixed["changes"] == [{"check": check, "repair": care}]


def test_repairs_add_up(shop_plan, shop_csv):
    written = write_code(shop_plan, shop_csv)
    for check in REPAIRS:
        written = write_code(shop_plan, shop_csv, findings={"findings": found(check)}, previous=written)
    assert written["cares"] == list(CARES)
    assert isinstance(parse(written["code"]), ast.Module)


def test_missing_dates_are_repaired_where_there_are_dates(rent_csv):
    fixed = write_code(plan("predict rent", rent_csv, detail="thorough"), rent_csv, findings=found("date_unreadable"))
    assert "return [np.nan, np.nan, np.nan]" in fixed["code"]


def test_what_has_no_repair_is_said(shop_plan, shop_csv):
    draft = write_code(shop_plan, shop_csv)
    again = write_code(shop_plan, shop_csv, findings=found("beats_baseline"), previous=draft)
    assert again["code"] == draft["code"]
    assert again["changes"] == [{"check": "beats_baseline", "repair": None}]


def test_a_script_of_another_hand_is_written_anew(shop_plan, shop_csv):
    fixed = write_code(
        shop_plan, shop_csv, findings=found("uses_allowed"), previous={"code": "import os", "cares": "all"}
    )
    assert fixed["code"] == write_code(shop_plan, shop_csv)["code"]


UNUSABLE = {
    "nothing": ({}, "dataset"),
    "no model": ({"model": None}, "model"),
    "an unknown model": ({"model": {"name": "__import__('os')"}}, "model"),
    "a parameter that is code": ({"model": {"name": "Ridge", "params": {"alpha=1); import os; (x": 1}}}, "model"),
    "a parameter that is no value": ({"model": {"name": "Ridge", "params": {"alpha": float("nan")}}}, "model"),
    "an unknown metric": ({"metric": {"name": "x"}}, "metric"),
    "an unknown share": ({"split": {"test_share": 2}}, "split"),
    "a stranger prepared": ({"features": ["hue"]}, "preprocessing"),
}


@pytest.mark.parametrize(("change", "section"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_plan_that_cannot_be_written_gives_findings_for_the_planner(change, section):
    good = plan("predict", "wine", detail="thorough")
    written = write_code({**good, **change} if change else {}, "wine")
    assert written["code"] == ""
    assert written["problems"][0]["section"] == section


@given(
    words=st.lists(st.text(min_size=1, max_size=60), min_size=3, max_size=3, unique=True),
    value=st.text(max_size=20) | st.integers() | st.lists(st.text(max_size=5), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_law_values_never_become_code(words, value):
    """Whatever names and values say, the script does the same things as for harmless ones."""

    def shape(one, two, target, value):
        groups = [
            {"kind": "numeric", "columns": [one], "steps": []},
            {"columns": [two], "steps": [{"use": "SimpleImputer", "with": {"fill_value": value}}]},
        ]
        model = {"name": "LogisticRegression", "params": {"solver": value}}
        good = plan("predict", "iris", detail="thorough")
        odd = {"features": [one, two], "target": target, "model": model, "preprocessing": {"groups": groups}}
        tree = ast.parse(write_code({**good, **odd}, "data.csv")["code"])
        return [type(node).__name__ for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.Call)], tree

    if not all(word.strip() for word in words):
        return
    plain, _ = shape("a", "b", "c", "x")
    odd, tree = shape(*words, value)
    assert odd == plain
    assert {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in words} == set(
        words
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(odd=st.dictionaries(st.sampled_from(list(SECTIONS)), anything, max_size=3), findings=anything, previous=anything)
@settings(max_examples=100, deadline=None)
def test_law_any_plan_gives_code_or_problems(odd, findings, previous):
    good = plan("predict", "iris", detail="thorough")
    written = write_code({**good, **odd}, "iris", findings=findings, previous=previous)
    assert bool(written["code"]) != bool(written["problems"])
