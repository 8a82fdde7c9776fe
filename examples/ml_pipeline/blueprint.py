"""A plan as the programmer takes it: every name known, every value checked, nothing that could become code."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .catalogue import BASELINES, COLUMN_FUNCTIONS, METRICS, MODELS, TRANSFORMERS, Model, Transformer, defaults
from .datasets import BUNDLED, csv_path
from .plain import Json, number, whole
from .plan_form import SECTIONS, read_plan
from .scoring import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NEEDED = tuple(section for section in SECTIONS if section not in ("goal", "acceptance", "steps"))
"""The sections that code cannot be written without."""


@dataclass(frozen=True)
class Made:
    """A catalogued class with the parameters to make it with."""

    of: Model | Transformer
    params: Json


@dataclass(frozen=True)
class Group:
    """Columns that go through the same steps."""

    columns: list[str]
    steps: tuple[Made, ...]


@dataclass(frozen=True)
class Blueprint:
    """What the script will do; `dataset` is a bundled name or an absolute path."""

    dataset: str
    target: str
    classifies: bool
    features: list[str]
    numbers: list[str]
    groups: tuple[Group, ...]
    model: Made
    baseline: Made
    metric: str
    test_share: float
    seed: int | None
    stratify: bool

    @property
    def bundled(self) -> bool:
        """Tell whether scikit-learn brings the data."""
        return self.dataset in BUNDLED

    @property
    def transformers(self) -> Iterator[Made]:
        """Every step of every group."""
        return (step for group in self.groups for step in group.steps)


class PlanError(ValueError):
    """A plan that cannot be turned into code; `findings` says why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(finding.message for finding in findings))
        self.findings = [asdict(finding) for finding in findings]


def blueprint(plan: Any, dataset: str, target: str | None = None) -> Blueprint:
    """Read a plan for the programmer; raises PlanError with a finding for the first thing that is not usable."""
    sections = read_plan(plan)
    absent = [_problem(name, f"{name} is missing or has no usable form") for name in NEEDED if name not in sections]
    if absent:
        raise PlanError(absent)
    prepared, split = sections["preprocessing"]["groups"], sections["split"]
    classifies = sections["task"] == "classification"
    numbers = [name for group in prepared if group["kind"] == "numeric" for name in group["columns"]]
    target = target or sections["target"]
    return Blueprint(
        dataset=dataset if dataset in BUNDLED else str(csv_path(dataset).resolve()),
        target=target,
        classifies=classifies,
        features=sections["features"],
        numbers=numbers if classifies else [*numbers, target],
        groups=tuple(_group(group, sections["features"]) for group in prepared),
        model=_made("model", sections["model"], MODELS),
        baseline=_made("baseline", sections["baseline"], BASELINES),
        metric=_metric(sections["metric"]["name"]),
        test_share=_share(split.get("test_share")),
        seed=whole(split.get("seed")),
        stratify=split.get("stratify") is True,
    )


def _problem(section: str, message: str) -> Finding:
    return Finding("plan_usable", "error", message, section, f"revise {section}")


def _refuse(section: str, message: str) -> PlanError:
    return PlanError([_problem(section, message)])


def _group(group: Json, features: list[str]) -> Group:
    strangers = [name for name in group["columns"] if name not in features]
    if strangers:
        raise _refuse("preprocessing", f"{strangers[0]!r} is prepared but is no feature")
    return Group(group["columns"], tuple(_step(step) for step in group["steps"]))


def _step(step: Json) -> Made:
    if step["use"] == "FunctionTransformer" and step["with"].get("func") not in COLUMN_FUNCTIONS:
        raise _refuse("preprocessing", f"there is no column function {step['with'].get('func')!r}")
    return _made("preprocessing", {"name": step["use"], "params": step["with"]}, TRANSFORMERS)


def _made(section: str, thing: Json, table: Any) -> Made:
    name, params = thing["name"], thing["params"]
    if name not in table:
        raise _refuse(section, f"{name!r} is not in the catalogue")
    unknown = [key for key in params if key not in defaults(name)]
    if unknown:
        raise _refuse(section, f"{name} has no parameter {unknown[0]!r}")
    if not all(_is_value(value) for value in params.values()):
        raise _refuse(section, f"{name} has a parameter that is no plain value")
    return Made(table[name], params)


def _is_value(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_value(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(_is_value(inner) for inner in value)
    return value is None or isinstance(value, str | bool) or number(value) is not None


def _metric(name: str) -> str:
    if name not in METRICS:
        raise _refuse("metric", f"{name!r} is not in the catalogue")
    return name


def _share(value: object) -> float:
    share = number(value)
    if share is None or not 0 < share < 1:
        raise _refuse("split", f"test_share is {value!r}")
    return share
