"""The code's validator: reads the script, runs it where it can do no harm, and holds its result against the plan."""

from __future__ import annotations

import ast
import asyncio
from typing import TYPE_CHECKING, Any

from .child import Ran, run_script
from .code_checks import CODE_CHECKS, read_result
from .datasets import DatasetError
from .lint import forbidden_uses, foreign_imports, parse
from .plan_form import read_plan
from .profiling import facts_of
from .scoring import converged, judge

if TYPE_CHECKING:
    from .plain import Json

TAIL = 2_000


async def validate_code(code: Any, plan: Any, timeout_s: float = 60.0) -> Json:
    """Judge training code by reading it, running it for at most `timeout_s`, and checking what it prints.

    Returns `{alignment_score, standardization_score, compatibility_score, passed, findings, result, stderr_tail}`;
    `result` is what the script printed, {} if nothing usable. Code that is not allowed is not run. Never raises for
    what code or plan contain; cancelling the call ends the script.
    """
    tree = parse(code)
    ran = await run_script(code, timeout_s) if _may_run(tree) else None
    parts = {"code": code, **await asyncio.to_thread(_plan_parts, plan), **_run_parts(ran)}
    if isinstance(tree, ast.Module):
        parts["tree"] = tree
    judged = judge(CODE_CHECKS, parts)
    result, stderr = parts.get("result", {}), ran.stderr[-TAIL:] if ran else ""
    return {**judged, "passed": converged(judged), "result": result, "stderr_tail": stderr}


def _may_run(tree: ast.Module | str) -> bool:
    return isinstance(tree, ast.Module) and not foreign_imports(tree) and not forbidden_uses(tree)


def _run_parts(ran: Ran | None) -> Json:
    if ran is None or ran.exit_code != 0:
        return {} if ran is None else {"ran": ran}
    result = read_result(ran.stdout)
    return {"ran": ran, "ended": ran} if result is None else {"ran": ran, "ended": ran, "result": result}


def _plan_parts(plan: Any) -> Json:
    """The plan's sections, and how many rows of its data have a target."""
    sections = read_plan(plan)
    try:
        facts = facts_of(sections.get("dataset", ""), sections.get("target"))
    except DatasetError:
        return sections
    return sections if facts.target is None else {**sections, "rows": facts.target.rows}
