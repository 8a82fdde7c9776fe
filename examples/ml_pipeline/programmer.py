"""The programmer: a draft straight from the plan, then repairs of exactly what the findings name.

The draft is written from the plan alone. What only the data shows (a marker like NA, a byte order mark, a category
that is in no training row, a model that needs more iterations) comes up when the code is run, and is repaired then.
"""

from __future__ import annotations

from typing import Any

from .blueprint import PlanError, blueprint
from .plain import Json, text
from .script import CARES, write_script

REPAIRS = {
    "number_unreadable": "missing_values",
    "rows_counted": "missing_values",
    "target_has_gaps": "missing_values",
    "class_too_small": "missing_values",
    "date_unreadable": "missing_dates",
    "column_unreadable": "header_form",
    "category_unknown": "new_categories",
    "matrix_sparse": "dense_matrix",
    "fit_unfinished": "more_iterations",
}
"""What each finding of the code's validator calls for; findings about the text itself are met by writing it anew."""


def write_code(plan: Any, dataset: str, target: str | None = None, findings: Any = None, previous: Any = None) -> Json:
    """Write the training script for a plan, or repair `previous` where `findings` say so.

    `findings` is a list of findings or a validator's result, `previous` what this function returned before. Returns
    `{code, cares, revision, changes, problems}`: `cares` is what the script minds beyond the plan, `changes` says per
    finding what was done (`{check, repair}`, repair None if there is none), `problems` is a list of findings about
    the plan, empty unless no code could be written. A script of another hand is written anew from the plan.
    """
    before = previous if isinstance(previous, dict) else {}
    changes = [{"check": check, "repair": REPAIRS.get(check)} for check in _checks(findings)]
    cares = _cares(before) | {change["repair"] for change in changes if change["repair"]}
    try:
        code, problems = write_script(blueprint(plan, dataset, target), frozenset(cares)), []
    except PlanError as error:
        code, problems = "", error.findings
    kept = [care for care in CARES if care in cares]
    return {"code": code, "cares": kept, "revision": _revision(before), "changes": changes, "problems": problems}


def _checks(findings: Any) -> list[str]:
    listed = findings.get("findings") if isinstance(findings, dict) else findings
    named = [item.get("check") for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return list(dict.fromkeys(check for check in map(text, named) if check))


def _cares(before: Json) -> set[str]:
    listed = before.get("cares")
    return {care for care in CARES if care in listed} if isinstance(listed, list) else set()


def _revision(before: Json) -> int:
    count = before.get("revision")
    return (count if isinstance(count, int) else 0) + 1 if before else 0
