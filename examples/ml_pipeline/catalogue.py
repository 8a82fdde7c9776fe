"""What this pipeline can plan and write: models, column transformers and metrics, with what each one needs.

The names are scikit-learn's own. Code is only ever written from names that stand in these tables.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Model:
    """An estimator: the task it does and how it takes its data."""

    name: str
    module: str
    task: str
    family: str
    scale_sensitive: bool = False
    takes_missing: bool = False
    weighs_classes: bool = False


@dataclass(frozen=True)
class Transformer:
    """A step for columns: what it is for, the kinds it takes and the kind it gives (None: the same)."""

    name: str
    module: str
    role: str
    takes: frozenset[str]
    gives: str | None = None


@dataclass(frozen=True)
class Metric:
    """A scikit-learn scorer, higher is better; `fair` if a majority cannot hide a minority."""

    name: str
    task: str
    fair: bool = True


LOGISTIC = Model("LogisticRegression", "sklearn.linear_model", "classification", "linear", True, False, True)
FOREST = Model("RandomForestClassifier", "sklearn.ensemble", "classification", "forest", False, True, True)
BOOSTING = Model("HistGradientBoostingClassifier", "sklearn.ensemble", "classification", "boosting", False, True, True)
NEIGHBOURS = Model("KNeighborsClassifier", "sklearn.neighbors", "classification", "neighbours", True)
RIDGE = Model("Ridge", "sklearn.linear_model", "regression", "linear", True)
FOREST_REGRESSOR = Model("RandomForestRegressor", "sklearn.ensemble", "regression", "forest", False, True)
BOOSTING_REGRESSOR = Model("HistGradientBoostingRegressor", "sklearn.ensemble", "regression", "boosting", False, True)
NEIGHBOURS_REGRESSOR = Model("KNeighborsRegressor", "sklearn.neighbors", "regression", "neighbours", True)
MODELS = {
    model.name: model
    for model in (
        LOGISTIC,
        FOREST,
        BOOSTING,
        NEIGHBOURS,
        RIDGE,
        FOREST_REGRESSOR,
        BOOSTING_REGRESSOR,
        NEIGHBOURS_REGRESSOR,
    )
}
BASELINES = {
    model.name: model
    for model in (
        Model("DummyClassifier", "sklearn.dummy", "classification", "baseline", takes_missing=True),
        Model("DummyRegressor", "sklearn.dummy", "regression", "baseline", takes_missing=True),
    )
}

_NUMERIC, _TEXT, _DATE = frozenset({"numeric"}), frozenset({"categorical"}), frozenset({"date"})
TRANSFORMERS = {
    step.name: step
    for step in (
        Transformer("SimpleImputer", "sklearn.impute", "impute", _NUMERIC | _TEXT),
        Transformer("StandardScaler", "sklearn.preprocessing", "scale", _NUMERIC),
        Transformer("MinMaxScaler", "sklearn.preprocessing", "scale", _NUMERIC),
        Transformer("RobustScaler", "sklearn.preprocessing", "scale", _NUMERIC),
        Transformer("OneHotEncoder", "sklearn.preprocessing", "encode", _NUMERIC | _TEXT, "numeric"),
        Transformer("OrdinalEncoder", "sklearn.preprocessing", "encode", _NUMERIC | _TEXT, "numeric"),
        Transformer("FunctionTransformer", "sklearn.preprocessing", "expand", _DATE, "numeric"),
    )
}
NUMERIC_IMPUTING = ("mean", "median")
COLUMN_FUNCTIONS = ("date_parts",)
"""What FunctionTransformer may be given as `func`, by name; the programmer writes these functions."""

METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "classification", fair=False),
        Metric("balanced_accuracy", "classification"),
        Metric("f1_macro", "classification"),
        Metric("r2", "regression"),
        Metric("neg_root_mean_squared_error", "regression"),
        Metric("neg_mean_absolute_error", "regression"),
    )
}

BY_TASK: dict[str, dict[str, Model]] = {
    task: {model.family: model for model in (*MODELS.values(), *BASELINES.values()) if model.task == task}
    for task in ("classification", "regression")
}


def entry(name: str) -> Model | Transformer | None:
    """Look up a name among models, baselines and transformers."""
    return MODELS.get(name) or BASELINES.get(name) or TRANSFORMERS.get(name)


@cache
def defaults(name: str) -> dict[str, Any]:
    """Return the constructor's parameters with their defaults, as the installed scikit-learn has them."""
    found = entry(name)
    if found is None:
        return {}
    made = getattr(import_module(found.module), name)
    return {key: parameter.default for key, parameter in inspect.signature(made).parameters.items()}


def flow(kind: str, steps: list[dict[str, Any]]) -> tuple[str, str | None]:
    """Follow a column of one kind through the steps: the kind that comes out, and what went wrong or None."""
    for step in steps:
        found = TRANSFORMERS.get(step["use"])
        if found is None or kind not in _takes(found, step["with"]):
            return kind, f"{step['use']} does not take {kind} values"
        kind = found.gives or kind
    return kind, None if kind == "numeric" else f"{kind} values reach the model unencoded"


def _takes(step: Transformer, params: dict[str, Any]) -> frozenset[str]:
    if step.role == "impute" and params.get("strategy", "mean") in NUMERIC_IMPUTING:
        return _NUMERIC
    return step.takes
