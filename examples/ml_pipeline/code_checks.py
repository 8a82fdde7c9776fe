"""The questions training code is judged by: read it, run it, hold its result against the plan and the data.

Parts: `code`, `tree` (it parses), `ran` (it was run), `ended` (it ran to its end), `result` (it printed one), and the
plan's sections that the questions need, with `rows` (how many rows have a target).
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from .lint import called, forbidden_uses, foreign_imports, parse, split_arguments
from .plain import Json, number
from .scoring import Check, Problem

if TYPE_CHECKING:
    import ast

    from .child import Ran

RESULT_FIELDS = ("metric", "score", "baseline_score", "n_train", "n_test")

SYMPTOMS = (
    (r"could not convert string to float", "number_unreadable", "reading", "read markers such as NA as missing"),
    (r"Input y contains NaN", "target_has_gaps", "reading", "leave out the rows without a target"),
    (r"least populated class", "class_too_small", "reading", "leave out the rows without a target"),
    (r"fromisoformat|isoformat string", "date_unreadable", "preprocessing", "turn missing dates into nan"),
    (r"^KeyError", "column_unreadable", "reading", "mind the byte order mark and the delimiter"),
    (r"Found unknown categor", "category_unknown", "preprocessing", "let the encoder ignore unknown categories"),
    (r"[Ss]parse data was passed", "matrix_sparse", "preprocessing", "give the model a dense matrix"),
    (r"ConvergenceWarning|failed to converge", "fit_unfinished", "model", "allow more iterations"),
)
"""What the last line of an error, or a warning, means: pattern, finding, section, suggestion."""


# standardization: is it the kind of script that was asked for?


def parses(code: object) -> Problem | None:
    tree = parse(code)
    return Problem(tree, "write the code anew") if isinstance(tree, str) else None


def imports_allowed(tree: ast.Module) -> Problem | None:
    foreign = foreign_imports(tree)
    return Problem(f"it imports {', '.join(foreign)}", "use scikit-learn, numpy and plain reading") if foreign else None


def uses_allowed(tree: ast.Module) -> Problem | None:
    uses = forbidden_uses(tree)
    return Problem(f"it uses {', '.join(uses)}", "compute and print, nothing else") if uses else None


def split_is_seeded(tree: ast.Module, split: Json) -> Problem | None:
    asked = [name for name, planned in _SPLIT if split.get(planned) not in (None, False)]
    absent = [name for name in asked if name not in split_arguments(tree)]
    return Problem(f"the split leaves out {', '.join(absent)}", "split as planned") if absent else None


_SPLIT = (("test_size", "test_share"), ("random_state", "seed"), ("stratify", "stratify"))


def prints_result(ended: Ran, result: Json) -> Problem | None:
    absent = [name for name in RESULT_FIELDS if name not in result]
    if absent:
        return Problem(f"the result has no {', '.join(absent)}", "print every field of the result")
    lines = len(ended.stdout.strip().splitlines())
    return Problem(f"it prints {lines} lines", "print the result and nothing else") if lines > 1 else None


# compatibility: does it run on this data?


def runs(ran: Ran) -> Problem | None:
    if ran.exit_code == 0:
        return None
    if ran.exit_code is None:
        return Problem(f"the script was {ran.stderr}", "use less time", "took_too_long")
    line = (ran.stderr.strip().splitlines() or [f"exit code {ran.exit_code}"])[-1]
    return _symptom(line) or Problem(f"the script failed: {line}", "find the cause", "run_failed")


def warns_not(ended: Ran) -> Problem | None:
    lines = [line for line in ended.stderr.splitlines() if "Warning" in line]
    return next((_symptom(line) or Problem(f"it warns: {line}", "find the cause") for line in lines), None)


def _symptom(line: str) -> Problem | None:
    for pattern, check, section, suggestion in SYMPTOMS:
        if re.search(pattern, line):
            return Problem(f"the script says: {line}", suggestion, check, section)
    return None


def prints_one_object(ended: Ran) -> Problem | None:
    if read_result(ended.stdout) is not None:
        return None
    return Problem("its last line is no JSON object", "print the result as one line of JSON")


def scores_finite(result: Json) -> Problem | None:
    bad = [name for name in ("score", "baseline_score") if number(result.get(name)) is None]
    return Problem(f"{', '.join(bad)} is no finite number", "print numbers") if bad else None


# alignment: is the result the one that was planned, and good enough?


def metric_as_planned(result: Json, metric: Json) -> Problem | None:
    if result.get("metric") == metric["name"]:
        return None
    return Problem(f"it measures {result.get('metric')!r}, planned was {metric['name']!r}", "measure what is planned")


def model_as_planned(tree: ast.Module, model: Json, baseline: Json) -> Problem | None:
    absent = [thing["name"] for thing in (model, baseline) if thing["name"] not in called(tree)]
    return Problem(f"it never makes {', '.join(absent)}", "make what is planned") if absent else None


def rows_counted(result: Json, rows: int) -> Problem | None:
    used = (number(result.get("n_train")) or 0) + (number(result.get("n_test")) or 0)
    if used == rows:
        return None
    return Problem(f"it used {used:g} rows, {rows} have a target", "use the rows that have a target, all of them")


def share_as_planned(result: Json, rows: int, split: Json) -> Problem | None:
    test, share = number(result.get("n_test")) or 0, number(split.get("test_share")) or 0
    if abs(test - share * rows) <= 2:
        return None
    return Problem(f"{test:g} of {rows} rows were held out, planned was {share:g} of them", "split as planned")


def beats_baseline(result: Json, acceptance: Json) -> Problem | None:
    score, least = number(result.get("score")), number(acceptance.get("by_at_least")) or 0
    baseline = number(result.get("baseline_score"))
    gain = -math.inf if score is None or baseline is None else score - baseline
    if gain > 0 and gain >= least:
        return None
    return Problem(f"it gains {gain:.4g} over the baseline, accepted is {least:g}", "plan a stronger model")


def read_result(stdout: str) -> Json | None:
    """Read the JSON object on the last line."""
    try:
        read: Any = json.loads((stdout.strip().splitlines() or [""])[-1])
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


_ALIGN, _STANDARD, _COMPATIBLE = "alignment_score", "standardization_score", "compatibility_score"

CODE_CHECKS = (
    Check("parses", _STANDARD, "code", 2, ("code",), parses),
    Check("imports_allowed", _STANDARD, "imports", 2, ("tree",), imports_allowed),
    Check("uses_allowed", _STANDARD, "code", 2, ("tree",), uses_allowed),
    Check("split_is_seeded", _STANDARD, "split", 1, ("tree", "split"), split_is_seeded),
    Check("prints_result", _STANDARD, "output", 2, ("ended", "result"), prints_result),
    Check("runs", _COMPATIBLE, "run", 4, ("ran",), runs),
    Check("warns_not", _COMPATIBLE, "run", 2, ("ended",), warns_not),
    Check("prints_one_object", _COMPATIBLE, "output", 2, ("ended",), prints_one_object),
    Check("scores_finite", _COMPATIBLE, "output", 2, ("result",), scores_finite),
    Check("metric_as_planned", _ALIGN, "output", 2, ("result", "metric"), metric_as_planned),
    Check("model_as_planned", _ALIGN, "model", 2, ("tree", "model", "baseline"), model_as_planned),
    Check("rows_counted", _ALIGN, "reading", 2, ("result", "rows"), rows_counted),
    Check("share_as_planned", _ALIGN, "split", 1, ("result", "rows", "split"), share_as_planned),
    Check("beats_baseline", _ALIGN, "model", 3, ("result", "acceptance"), beats_baseline),
)
