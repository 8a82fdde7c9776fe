"""How each section of a plan is written, at each level of detail.

Level 0 leaves a section out. Level 1 is written from a glance: the header and the first rows, habits, defaults.
From level 2 on every row has been looked at and the writers mind what they find. Later levels of the model are
stronger families, for when a simpler one did not reach the acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .catalogue import BY_TASK, MODELS, Model
from .plan_form import STANDARD_STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .plain import Json
    from .profiling import ColumnFacts, Facts, TargetFacts

SEED = 7
TEST_SHARE = 0.25
TASKS = ("classification", "regression")


@dataclass(frozen=True)
class Desk:
    """What a writer has before it: the goal, the facts at its level of detail, the sections written so far."""

    goal: str
    facts: Facts
    target: TargetFacts
    written: Mapping[str, Any]

    @property
    def task(self) -> str:
        """The task as planned, else as the target calls for it."""
        return self.written["task"] if self.written.get("task") in TASKS else self.target.kind

    @property
    def features(self) -> list[ColumnFacts]:
        """The features as planned, those that exist."""
        names = self.written.get("features", [])
        return [self.facts.columns[name] for name in names if name in self.facts.columns]


def goal(desk: Desk) -> str:
    return desk.goal


def dataset(desk: Desk) -> str:
    return desk.facts.dataset


def target(desk: Desk) -> str:
    return desk.target.name


def task(desk: Desk) -> str:
    return desk.target.kind


def every_column(desk: Desk) -> list[str]:
    return [name for name in desk.facts.columns if name != desk.target.name]


def telling_columns(desk: Desk) -> list[str]:
    """Leave out what names rows, holds nothing or repeats the target."""
    columns = (desk.facts.columns[name] for name in every_column(desk))
    return [column.name for column in columns if column.kind not in ("id", "empty") and not column.mirrors_target]


def plain_split(_desk: Desk) -> Json:
    return {"test_share": TEST_SHARE, "seed": SEED}


def careful_split(desk: Desk) -> Json:
    return {**plain_split(desk), "stratify": desk.target.can_stratify}


def usual_metric(desk: Desk) -> Json:
    return {"name": "accuracy" if desk.task == "classification" else "r2", "params": {}}


def fitting_metric(desk: Desk) -> Json:
    return {"name": "balanced_accuracy", "params": {}} if desk.target.imbalanced else usual_metric(desk)


def simplest_model(desk: Desk) -> Json:
    return {"name": BY_TASK[desk.task]["linear"].name, "params": {}}


def minded_model(family: str) -> Callable[[Desk], Json]:
    """Return the writer that plans this family with what the data calls for."""

    def write(desk: Desk) -> Json:
        model = BY_TASK[desk.task][family]
        return {"name": model.name, "params": _parameters(model, desk.target)}

    return write


def _parameters(model: Model, target: TargetFacts) -> Json:
    params: Json = {"max_iter": 1000} if model.name == "LogisticRegression" else {"random_state": SEED}
    return {**params, "class_weight": "balanced"} if model.weighs_classes and target.imbalanced else params


def quick_preparation(desk: Desk) -> Json:
    """Pass numbers on and encode the rest; fill only the gaps that met the eye."""
    encoded = [*_fill("categorical", desk), _use("OneHotEncoder")]
    return _groups(desk, {"numeric": _fill("numeric", desk), "categorical": encoded})


def full_preparation(desk: Desk) -> Json:
    """Prepare every kind, fill every gap, and scale if the model minds."""
    model = MODELS.get(desk.written.get("model", {}).get("name", ""))
    scale = [_use("StandardScaler")] if model is None or model.scale_sensitive else []
    steps = {
        "numeric": [*_fill("numeric", desk), *scale],
        "categorical": [*_fill("categorical", desk), _use("OneHotEncoder")],
        "date": [_use("FunctionTransformer", func="date_parts"), *_fill("date", desk), *scale],
    }
    return _groups(desk, steps)


def _groups(desk: Desk, steps: Mapping[str, list[Json]]) -> Json:
    """One group per kind that has steps; a column of any other kind counts as categorical."""
    names: dict[str, list[str]] = {kind: [] for kind in steps}
    for column in desk.features:
        names[column.kind if column.kind in steps else "categorical"].append(column.name)
    groups = [{"kind": kind, "columns": names[kind], "steps": steps[kind]} for kind in steps if names[kind]]
    return {"fit_on": "train", "groups": groups}


def _fill(kind: str, desk: Desk) -> list[Json]:
    if not any(column.missing_share for column in desk.features if column.kind == kind):
        return []
    return [_use("SimpleImputer", strategy="most_frequent" if kind == "categorical" else "median")]


def _use(name: str, **params: str) -> Json:
    return {"use": name, "with": params}


def baseline(desk: Desk) -> Json:
    strategy = "prior" if desk.task == "classification" else "mean"
    return {"name": BY_TASK[desk.task]["baseline"].name, "params": {"strategy": strategy}}


def acceptance(_desk: Desk) -> Json:
    return {"better_than": "baseline", "by_at_least": 0.05}


def usual_steps(_desk: Desk) -> list[str]:
    return [step for step in STANDARD_STEPS if step not in ("baseline", "report")]


def standard_steps(_desk: Desk) -> list[str]:
    return list(STANDARD_STEPS)


LEVELS: dict[str, tuple[Callable[[Desk], Any], ...]] = {
    "goal": (goal,),
    "dataset": (dataset,),
    "target": (target,),
    "task": (task, task),
    "features": (every_column, telling_columns),
    "split": (plain_split, careful_split),
    "metric": (usual_metric, fitting_metric),
    "model": (simplest_model, minded_model("linear"), minded_model("forest"), minded_model("boosting")),
    "preprocessing": (quick_preparation, full_preparation),
    "baseline": (baseline,),
    "acceptance": (acceptance,),
    "steps": (usual_steps, standard_steps),
}
"""Section by section in the order of writing, its writers from level 1 on."""

QUICK = {**dict.fromkeys(LEVELS, 1), "baseline": 0, "acceptance": 0}
THOROUGH = {section: min(2, len(writers)) for section, writers in LEVELS.items()}
