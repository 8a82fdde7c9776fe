"""The text of a training script. Values from plan and data enter as literals; names come from the catalogue only."""

from __future__ import annotations

from collections import defaultdict
from pprint import pformat
from typing import TYPE_CHECKING, Any

from .catalogue import defaults
from .datasets import MISSING_MARKERS, delimiter_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .blueprint import Blueprint, Group, Made

WIDTH = 100
NEXT_LINE = "\n "
CARES = ("missing_values", "missing_dates", "header_form", "new_categories", "dense_matrix", "more_iterations")
"""What a script can mind beyond the plan; a first draft minds none of it."""

_MAIN = '''\
def main():
    """Train on one part, score on the other, print the result."""
    features, target = read()
    x_train, x_test, y_train, y_test = train_test_split(
        features, target, {split}
    )
    model = make_pipeline(preparation(), {model})
    model.fit(x_train, y_train)
    baseline = {baseline}
    baseline.fit(x_train, y_train)
    scorer = get_scorer(METRIC)
    result = {{
        "metric": METRIC,
        "score": float(scorer(model, x_test, y_test)),
        "baseline_score": float(scorer(baseline, x_test, y_test)),
        "n_train": len(y_train),
        "n_test": len(y_test),
    }}
    print(json.dumps(result))


if __name__ == "__main__":
    main()'''

_READ_BUNDLED = '''\
def read():
    """Return the features by row, in the order of FEATURES, and the target."""
    data = {loader}()
    names = [str(name) for name in data.feature_names]
    return data.data[:, [names.index(name) for name in FEATURES]], data.target'''

_READ_CSV = '''\
def read():
    """Return the features by row, in the order of FEATURES, and the target."""
    with Path(DATASET).open({opening}, newline="") as file:
        rows = list(csv.DictReader(file{dialect}))
{keeping}    features = [[cell(name, row[name]) for name in FEATURES] for row in rows]
    target = [{label} for row in rows]
    return np.array(features, dtype=object), np.array(target)'''

_KEEP_WITH_TARGET = "    rows = [row for row in rows if row[TARGET].strip().lower() not in MISSING]\n"

_CELL = '''\
def cell(name, text):
    """A number where the column holds numbers, else text; nan where there is no value."""
    if {missing}:
        return np.nan
    return float(text) if name in NUMBERS else text.strip()'''

_DATE_PARTS = '''\
def day_parts(text):
    """Turn an ISO date into the number of the day, its month and its weekday."""
{gap}    day = datetime.fromisoformat(text)
    return [day.toordinal(), day.month, day.weekday()]


def date_parts(rows):
    """Turn columns of dates into three columns of numbers each."""
    return np.array([[part for text in row for part in day_parts(text)] for row in rows], dtype=float)'''

_DATE_GAP = """\
    if not isinstance(text, str):
        return [np.nan, np.nan, np.nan]
"""

_PREPARATION = '''\
def columns(names):
    """Where these features stand in a row."""
    return [FEATURES.index(name) for name in names]


def preparation():
    """What happens to each column; inside the pipeline, so that it is fitted on the training rows only."""
    return ColumnTransformer(
        [
{groups}
        ]{options}
    )'''

_GROUP = """\
            (
                "{name}",
                {does},
                columns({columns}),
            ),"""


def write_script(plan: Blueprint, cares: frozenset[str]) -> str:
    """Write the script for a plan, minding the given cares."""
    doc = f'"""Train {plan.model.of.name} as planned and print one line of JSON."""'
    body = [_reading(plan, cares), *_date_functions(plan, cares), _preparation(plan, cares), _main(plan, cares)]
    return "\n\n".join([doc, _imports(plan), _constants(plan, cares)]) + "\n\n\n" + "\n\n\n".join(body) + "\n"


def literal(value: Any) -> str:
    """Write a JSON value as Python that means exactly this value."""
    text = pformat(value, width=WIDTH, compact=True, sort_dicts=False)
    if not isinstance(value, list) or "\n" not in text:
        return text
    return f"[\n    {text[1:-1].replace(NEXT_LINE, NEXT_LINE + '   ')},\n]"


def _imports(plan: Blueprint) -> str:
    csv_only = [] if plan.bundled else ["import csv", "from pathlib import Path"]
    dates = ["from datetime import datetime"] if _has_dates(plan) else []
    standard = sorted(["import json", *csv_only, *dates], key=lambda line: (line.startswith("from"), line))
    arrays = [] if plan.bundled and not dates else ["import numpy as np"]
    return "\n".join([*standard, "", *arrays, *_sklearn_imports(plan)])


def _sklearn_imports(plan: Blueprint) -> Iterator[str]:
    names: dict[str, set[str]] = defaultdict(set)
    for made in (*plan.transformers, plan.model, plan.baseline):
        names[made.of.module].add(made.of.name)
    names["sklearn.compose"].add("ColumnTransformer")
    names["sklearn.metrics"].add("get_scorer")
    names["sklearn.model_selection"].add("train_test_split")
    names["sklearn.pipeline"].add("make_pipeline")
    if plan.bundled:
        names["sklearn.datasets"].add(f"load_{plan.dataset}")
    return (f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names))


def _constants(plan: Blueprint, cares: frozenset[str]) -> str:
    values: dict[str, Any] = {"FEATURES": plan.features, "METRIC": plan.metric}
    if not plan.bundled:
        values |= {"DATASET": plan.dataset, "TARGET": plan.target, "NUMBERS": plan.numbers}
        values |= {"MISSING": list(MISSING_MARKERS)} if "missing_values" in cares else {}
    values |= {_group_name(place): group.columns for place, group in enumerate(plan.groups, start=1)}
    return "\n".join(f"{name} = {literal(value)}" for name, value in values.items())


def _group_name(place: int) -> str:
    return f"GROUP_{place}"


def _reading(plan: Blueprint, cares: frozenset[str]) -> str:
    if plan.bundled:
        return _READ_BUNDLED.format(loader=f"load_{plan.dataset}")
    minds_gaps, minds_header = "missing_values" in cares, "header_form" in cares
    cell = _CELL.format(missing="text.strip().lower() in MISSING" if minds_gaps else "not text")
    read = _READ_CSV.format(
        opening='encoding="utf-8-sig"' if minds_header else 'encoding="utf-8"',
        dialect=f", delimiter={delimiter_of(plan.dataset)!r}" if minds_header else "",
        keeping=_KEEP_WITH_TARGET if minds_gaps else "",
        label="row[TARGET].strip()" if plan.classifies else "cell(TARGET, row[TARGET])",
    )
    return f"{cell}\n\n\n{read}"


def _has_dates(plan: Blueprint) -> bool:
    return any(made.of.name == "FunctionTransformer" for made in plan.transformers)


def _date_functions(plan: Blueprint, cares: frozenset[str]) -> list[str]:
    return [_DATE_PARTS.format(gap=_DATE_GAP if "missing_dates" in cares else "")] if _has_dates(plan) else []


def _preparation(plan: Blueprint, cares: frozenset[str]) -> str:
    groups = (_group(place, group, cares) for place, group in enumerate(plan.groups, start=1))
    options = ",\n        sparse_threshold=0," if "dense_matrix" in cares else ","
    return _PREPARATION.format(groups="\n".join(groups), options=options)


def _group(place: int, group: Group, cares: frozenset[str]) -> str:
    steps = [_call(step, cares) for step in group.steps]
    does = f"make_pipeline({', '.join(steps)})" if steps else '"passthrough"'
    return _GROUP.format(name=f"group_{place}", does=does, columns=_group_name(place))


def _main(plan: Blueprint, cares: frozenset[str]) -> str:
    split = [f"test_size={plan.test_share!r}"]
    split += [] if plan.seed is None else [f"random_state={plan.seed}"]
    split += ["stratify=target"] if plan.stratify else []
    return _MAIN.format(split=", ".join(split), model=_call(plan.model, cares), baseline=_call(plan.baseline, cares))


def _call(made: Made, cares: frozenset[str]) -> str:
    params = {**made.params, **_minded(made, cares)}
    return f"{made.of.name}({', '.join(f'{key}={_argument(made, key, value)}' for key, value in params.items())})"


def _argument(made: Made, key: str, value: Any) -> str:
    """A function goes in by its name, which the blueprint has checked; anything else as a literal."""
    is_function = made.of.name == "FunctionTransformer" and key == "func"
    return str(value) if is_function else repr(value)


def _minded(made: Made, cares: frozenset[str]) -> dict[str, Any]:
    """The parameters that cares add."""
    if made.of.name == "OneHotEncoder" and "new_categories" in cares:
        return {"handle_unknown": "ignore"}
    if made.of.name == "OrdinalEncoder" and "new_categories" in cares:
        return {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    known = defaults(made.of.name).get("max_iter")
    if isinstance(known, int) and "more_iterations" in cares:
        planned = made.params.get("max_iter", known)
        return {"max_iter": 10 * planned if isinstance(planned, int) else 1000}
    return {}
