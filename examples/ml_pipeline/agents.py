"""The pipeline's plain functions as the agents of `workflow.yaml`.

A planner, two validators, a programmer and a reporter; the fifth of the W document's agents, the human, is a step that
asks. All work offline, and each may be called again without harm: they read data and write nothing.
"""

from __future__ import annotations

from typing import Any

from .code_validator import validate_code
from .finish import report
from .plain import Json, text
from .plan_form import read_plan
from .planner import TargetUnclearError, plan
from .programmer import REPAIRS, write_code
from .scoring import converged
from .validator import validate_plan


def agents(timeout_s: str | float = 60.0) -> dict[str, Any]:
    """The agents by name; `timeout_s` is how long a training script may run."""
    limit_s = float(timeout_s)

    async def code_validator(code: Any, plan: Any) -> Json:
        judged = await validate_code(code, plan, limit_s)
        return {**judged, "fault": fault(judged)}

    return {
        "planner": planner,
        "validator": validator,
        "programmer": programmer,
        "code_validator": code_validator,
        "reporter": report,
    }


def planner(
    goal: str,
    dataset: str,
    target: str | None = None,
    advice: str | None = None,
    findings: Any = None,
    previous: Any = None,
) -> Json:
    """Draft a plan, or revise `previous` by a person's advice, else by findings; raises DatasetError for unusable data.

    Before there is a plan, advice is the name of the target. Returns `{revision, changed, changes,
    human_intervention_required, plan}`, and instead of a plan a `question` where only a person knows the target.
    """
    asked = target or (None if previous else text(advice))
    try:
        written = plan(goal, dataset, asked, text(advice) or findings, previous)
    except TargetUnclearError as unclear:
        question = f"Which column is to be predicted? There is no target in the goal; expected {unclear.expected}."
        return {"human_intervention_required": True, "question": question}
    changes = written.pop("changes")
    changed = read_plan(written) != read_plan(previous)
    told = {"revision": written["revision"], "changed": changed, "changes": changes}
    return {**told, "human_intervention_required": False, "plan": written}


def validator(plan: Any, dataset: str, target: str | None = None) -> Json:
    """Score a plan: `{alignment_score, standardization_score, compatibility_score, passed, findings}`."""
    judged = validate_plan(plan, dataset, target)
    return {**judged, "passed": converged(judged)}


def programmer(plan: Any, dataset: str, target: str | None = None, findings: Any = None, previous: Any = None) -> Json:
    """Write the script, or repair it: `{code, cares, revision, changes, written, findings}`.

    `written` is false where the plan is not usable; `findings` then says what to revise.
    """
    script = write_code(plan, dataset, target, findings, previous)
    problems = script.pop("problems")
    return {**script, "written": not problems, "findings": problems}


def fault(judged: Json) -> str:
    """Who has to mend what the code's validator found: none, code or plan.

    A finding that the programmer has a repair for is the code's; what no repair reaches is the plan's.
    """
    if judged["passed"]:
        return "none"
    return "code" if any(finding["check"] in REPAIRS for finding in judged["findings"]) else "plan"
