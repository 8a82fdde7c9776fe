"""The questions a plan is judged by; each looks at the plan's sections and the facts of the data, never at its author.

Parts: the plan's sections by name, `given` (the data set asked for), `asked` (the target asked for, or ""),
`columns` (facts by column) and `facts` (facts of the target).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .catalogue import BASELINES, COLUMN_FUNCTIONS, METRICS, MODELS, TRANSFORMERS, defaults, flow
from .plain import Json, number, whole
from .plan_form import STANDARD_STEPS
from .scoring import Check, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .profiling import ColumnFacts, TargetFacts

Columns = dict[str, "ColumnFacts"]
EVEN_SPREADS = (0.1, 10.0)
"""Deviations within these bounds need no scaling."""


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _known(name: object, table: Any, what: str) -> Problem | None:
    if name in table:
        return None
    return Problem(f"{name!r} is no {what} this pipeline knows", "use one of " + ", ".join(table))


# alignment: does the plan fit its goal and its data?


def plans_this_dataset(dataset: str, given: str, _columns: Columns) -> Problem | None:
    return None if dataset == given else Problem(f"the plan is for {dataset!r}, not {given!r}", f"plan for {given!r}")


def target_exists(target: str, columns: Columns, asked: str) -> Problem | None:
    if asked and target != asked:
        return Problem(f"the plan predicts {target!r}, asked for was {asked!r}", f"predict {asked!r}")
    return None if target in columns else Problem(f"there is no column {target!r}", "name an existing column")


def task_fits_target(task: str, facts: TargetFacts) -> Problem | None:
    if task == facts.kind:
        return None
    return Problem(f"the task is {task!r}, but {facts.name!r} calls for {facts.kind}", f"make it {facts.kind}")


def features_exist(features: list[str], columns: Columns) -> Problem | None:
    unknown = [name for name in features if name not in columns]
    if unknown:
        return Problem(f"there are no columns {_some(unknown)}", "name existing columns")
    twice = len(features) - len(set(features))
    return Problem(f"{twice} features are named twice", "name each feature once") if twice else None


def target_stays_out(features: list[str], target: str, columns: Columns) -> Problem | None:
    leaks = [name for name in features if name == target or (name in columns and columns[name].mirrors_target)]
    return Problem(f"{_some(leaks)} give the target away", "leave them out of the features") if leaks else None


def features_inform(features: list[str], columns: Columns) -> Problem | None:
    names = [name for name in features if name in columns and columns[name].kind in ("id", "empty")]
    if not names:
        return None
    return Problem(f"{_some(names)} only name rows or hold nothing", "leave them out of the features")


def metric_suits_task(metric: Json, facts: TargetFacts) -> Problem | None:
    fitting = {name: known for name, known in METRICS.items() if known.task == facts.kind}
    return _known(metric["name"], fitting, f"{facts.kind} metric")


def metric_suits_balance(metric: Json, facts: TargetFacts) -> Problem | None:
    known = METRICS.get(metric["name"])
    if known is None or known.fair or not facts.imbalanced:
        return None
    message = f"{known.name} hides the minority: its classes are {facts.balance:g} of the majority"
    return Problem(message, "use balanced_accuracy or f1_macro")


# standardization: does the plan say what every plan must say?


def goal_stated(_goal: str) -> None:
    """The section's form is all that is asked."""


def share_held_out(split: Json) -> Problem | None:
    share = number(split.get("test_share"))
    if share is not None and 0 < share <= 0.5:
        return None
    return Problem(f"test_share is {split.get('test_share')!r}", "hold out a share above 0, at most 0.5")


def split_seeded(split: Json) -> Problem | None:
    return None if whole(split.get("seed")) is not None else Problem("the split has no seed", "add a whole-number seed")


def split_stratified(split: Json, facts: TargetFacts) -> Problem | None:
    stratified, possible = split.get("stratify") is True, facts.can_stratify
    if stratified == possible:
        return None
    if possible:
        return Problem("the split may change the shares of the classes", "set stratify to true")
    return Problem("this target cannot be stratified", "leave stratify out")


def fitted_on_train(preprocessing: Json) -> Problem | None:
    if preprocessing["fit_on"] == "train":
        return None
    return Problem("preprocessing is not said to be fitted on the training rows only", "set fit_on to train")


def baseline_stated(baseline: Json, facts: TargetFacts) -> Problem | None:
    fitting = {name: known for name, known in BASELINES.items() if known.task == facts.kind}
    return _known(baseline["name"], fitting, f"{facts.kind} baseline") or _parameters(baseline)


def metric_stated(metric: Json) -> Problem | None:
    return _known(metric["name"], METRICS, "metric")


def acceptance_stated(acceptance: Json) -> Problem | None:
    least = number(acceptance.get("by_at_least"))
    if acceptance.get("better_than") == "baseline" and least is not None and least > 0:
        return None
    return Problem("it is not said when the model is good enough", "say by how much the baseline must be beaten")


def steps_complete(steps: list[str]) -> Problem | None:
    absent = [step for step in STANDARD_STEPS if step not in steps]
    return Problem(f"the steps leave out {_some(absent)}", "list every standard step") if absent else None


# compatibility: does it exist in scikit-learn, and does it take this data?


def model_exists(model: Json) -> Problem | None:
    return _known(model["name"], MODELS, "model")


def model_suits_task(model: Json, facts: TargetFacts) -> Problem | None:
    known = MODELS.get(model["name"])
    if known is not None and known.task == facts.kind:
        return None
    return Problem(f"{model['name']} does not do {facts.kind}", f"use a model for {facts.kind}")


def model_parameters_exist(model: Json) -> Problem | None:
    return _parameters(model)


def _parameters(thing: Json) -> Problem | None:
    unknown = [key for key in thing["params"] if key not in defaults(thing["name"])]
    return Problem(f"{thing['name']} has no parameters {_some(unknown)}", "leave them out") if unknown else None


def model_minds_balance(model: Json, metric: Json, facts: TargetFacts) -> Problem | None:
    known, seen = MODELS.get(model["name"]), METRICS.get(metric["name"])
    if not facts.imbalanced or known is None or seen is None:
        return None
    if not known.weighs_classes or model["params"].get("class_weight"):
        return None
    return Problem(f"{known.name} is fitted as if the classes were even", "set class_weight to balanced")


def transformers_exist(preprocessing: Json) -> Problem | None:
    return next(filter(None, map(_step_problem, _steps(preprocessing))), None)


def _step_problem(step: Json) -> Problem | None:
    if step["use"] not in TRANSFORMERS:
        return _known(step["use"], TRANSFORMERS, "transformer")
    if step["use"] == "FunctionTransformer" and step["with"].get("func") not in COLUMN_FUNCTIONS:
        return Problem(f"func is {step['with'].get('func')!r}", "use one of " + ", ".join(COLUMN_FUNCTIONS))
    return _parameters({"name": step["use"], "params": step["with"]})


def _steps(preprocessing: Json) -> Iterator[Json]:
    return (step for group in preprocessing["groups"] for step in group["steps"])


def _paths(preprocessing: Json) -> dict[str, list[Json]]:
    """Column by column, the steps it goes through."""
    return {name: group["steps"] for group in preprocessing["groups"] for name in group["columns"]}


def columns_covered(preprocessing: Json, features: list[str]) -> Problem | None:
    covered = [name for group in preprocessing["groups"] for name in group["columns"]]
    if sorted(covered) == sorted(set(features)):
        return None
    uneven = sorted(set(covered) ^ set(features)) or sorted({name for name in covered if covered.count(name) > 1})
    return Problem(f"{_some(uneven)} are not prepared exactly once", "put each feature into one group")


def kinds_encoded(preprocessing: Json, columns: Columns, features: list[str]) -> Problem | None:
    for name, steps in _chosen(preprocessing, columns, features):
        wrong = flow(columns[name].kind, steps)[1] if columns[name].kind not in ("id", "empty") else None
        if wrong:
            return Problem(f"{name!r} is {columns[name].kind}: {wrong}", "encode text, expand dates, scale numbers")
    return None


def missing_filled(preprocessing: Json, columns: Columns, features: list[str], model: Json) -> Problem | None:
    known = MODELS.get(model["name"])
    gaps = [
        name
        for name, steps in _chosen(preprocessing, columns, features)
        if columns[name].missing_share and not _filled(columns[name], steps, known is not None and known.takes_missing)
    ]
    return Problem(f"{_some(gaps)} have missing values that nothing fills", "add an imputer") if gaps else None


def _filled(column: ColumnFacts, steps: list[Json], model_takes_missing: bool) -> bool:
    imputed = any(step["use"] == "SimpleImputer" for step in steps)
    return imputed or (model_takes_missing and column.kind == "numeric")


def scaled_if_needed(preprocessing: Json, columns: Columns, features: list[str], model: Json) -> Problem | None:
    known = MODELS.get(model["name"])
    if known is None or not known.scale_sensitive:
        return None
    uneven = [
        name
        for name, steps in _chosen(preprocessing, columns, features)
        if _uneven(columns[name].spread) and not any(_role(step) == "scale" for step in steps)
    ]
    message = f"{known.name} minds scales, and those of {_some(uneven)} are far from 1"
    return Problem(message, "add a scaler") if uneven else None


def _uneven(spread: float | None) -> bool:
    return bool(spread) and not EVEN_SPREADS[0] <= (spread or 0) <= EVEN_SPREADS[1]


def _role(step: Json) -> str:
    known = TRANSFORMERS.get(step["use"])
    return known.role if known else ""


def _chosen(preprocessing: Json, columns: Columns, features: list[str]) -> Iterator[tuple[str, list[Json]]]:
    """Walk over the features with their steps; one in no group goes through none."""
    paths = _paths(preprocessing)
    return ((name, paths.get(name, [])) for name in features if name in columns)


_ALIGN, _STANDARD, _COMPATIBLE = "alignment_score", "standardization_score", "compatibility_score"
_PREPARED = ("preprocessing", "columns", "features")

PLAN_CHECKS = (
    Check("plans_this_dataset", _ALIGN, "dataset", 1, ("dataset", "given", "columns"), plans_this_dataset),
    Check("target_exists", _ALIGN, "target", 2, ("target", "columns", "asked"), target_exists),
    Check("task_fits_target", _ALIGN, "task", 2, ("task", "facts"), task_fits_target),
    Check("features_exist", _ALIGN, "features", 2, ("features", "columns"), features_exist),
    Check("target_stays_out", _ALIGN, "features", 2, ("features", "target", "columns"), target_stays_out),
    Check("features_inform", _ALIGN, "features", 1, ("features", "columns"), features_inform),
    Check("metric_suits_task", _ALIGN, "metric", 2, ("metric", "facts"), metric_suits_task),
    Check("metric_suits_balance", _ALIGN, "metric", 1, ("metric", "facts"), metric_suits_balance),
    Check("goal_stated", _STANDARD, "goal", 1, ("goal",), goal_stated, "warning"),
    Check("share_held_out", _STANDARD, "split", 1, ("split",), share_held_out),
    Check("split_seeded", _STANDARD, "split", 1, ("split",), split_seeded),
    Check("split_stratified", _STANDARD, "split", 1, ("split", "facts"), split_stratified),
    Check("fitted_on_train", _STANDARD, "preprocessing", 2, ("preprocessing",), fitted_on_train),
    Check("baseline_stated", _STANDARD, "baseline", 2, ("baseline", "facts"), baseline_stated),
    Check("metric_stated", _STANDARD, "metric", 2, ("metric",), metric_stated),
    Check("acceptance_stated", _STANDARD, "acceptance", 1, ("acceptance",), acceptance_stated),
    Check("steps_complete", _STANDARD, "steps", 1, ("steps",), steps_complete, "warning"),
    Check("model_exists", _COMPATIBLE, "model", 2, ("model",), model_exists),
    Check("model_suits_task", _COMPATIBLE, "model", 2, ("model", "facts"), model_suits_task),
    Check("model_parameters_exist", _COMPATIBLE, "model", 1, ("model",), model_parameters_exist),
    Check("model_minds_balance", _COMPATIBLE, "model", 1, ("model", "metric", "facts"), model_minds_balance, "warning"),
    Check("transformers_exist", _COMPATIBLE, "preprocessing", 2, ("preprocessing",), transformers_exist),
    Check("columns_covered", _COMPATIBLE, "preprocessing", 2, ("preprocessing", "features"), columns_covered),
    Check("kinds_encoded", _COMPATIBLE, "preprocessing", 2, _PREPARED, kinds_encoded),
    Check("missing_filled", _COMPATIBLE, "preprocessing", 2, (*_PREPARED, "model"), missing_filled),
    Check("scaled_if_needed", _COMPATIBLE, "preprocessing", 1, (*_PREPARED, "model"), scaled_if_needed),
)
