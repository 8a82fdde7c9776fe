"""The plan's validator: scores from checking the plan against the data, and findings that say what to revise."""

from __future__ import annotations

from typing import Any

from .datasets import DatasetError
from .plain import Json, text
from .plan_checks import PLAN_CHECKS
from .plan_form import read_plan
from .profiling import Facts, facts_of
from .scoring import Finding, judge


def validate_plan(plan: Any, dataset: str, target: str | None = None) -> Json:
    """Judge a plan of any form for a data set; never raises.

    Returns `{alignment_score, standardization_score, compatibility_score, findings}`, scores from 0 to 10, findings
    `[{check, severity, message, section, suggestion}]`. Without `target` the plan's own is taken.
    """
    sections = read_plan(plan)
    facts = _facts(dataset, target or sections.get("target"))
    if isinstance(facts, DatasetError):
        return {**judge(PLAN_CHECKS, {}), "findings": [_unreadable(facts)]}
    parts = {**sections, "given": dataset, "asked": text(target) or "", "columns": facts.columns}
    if facts.target is not None and "target" in sections:
        parts["facts"] = facts.target
    return judge(PLAN_CHECKS, parts)


def _facts(dataset: str, target: str | None) -> Facts | DatasetError:
    """The facts; without those of the target if there is no such column."""
    try:
        return facts_of(dataset, target)
    except DatasetError as error:
        return error if target is None else _facts(dataset, None)


def _unreadable(error: DatasetError) -> Json:
    found = Finding("dataset_readable", "error", str(error), "dataset", f"give {error.expected}")
    return {name: getattr(found, name) for name in found.__dataclass_fields__}
