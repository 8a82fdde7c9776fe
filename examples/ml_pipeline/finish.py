"""The last step: say what was trained, how well it does, and against what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .plain import mapping, number
from .plan_form import read_plan

if TYPE_CHECKING:
    from .plain import Json


def report(plan: Any, validation: Any) -> Json:
    """Sum up plan and code validation: `{accepted, model, metric, score, baseline_score, gain, n_train, n_test, text}`.

    Fields that the validation does not hold are None; `accepted` is then False.
    """
    checked = validation if isinstance(validation, dict) else {}
    result = mapping(checked.get("result")) or {}
    score, baseline = number(result.get("score")), number(result.get("baseline_score"))
    sections = read_plan(plan)
    facts = {
        "accepted": checked.get("passed") is True and score is not None and baseline is not None,
        "model": sections.get("model", {}).get("name"),
        "metric": result.get("metric"),
        "score": score,
        "baseline_score": baseline,
        "gain": None if score is None or baseline is None else score - baseline,
        "n_train": result.get("n_train"),
        "n_test": result.get("n_test"),
    }
    return {**facts, "text": _words(facts, sections.get("dataset", "the data"))}


def _words(facts: Json, dataset: str) -> str:
    if facts["gain"] is None:
        return f"No score was measured on {dataset}."
    verdict = "accepted" if facts["accepted"] else "not accepted"
    scores = f"{facts['metric']} {facts['score']:.3f}, baseline {facts['baseline_score']:.3f}"
    rows = f"{facts['n_train']} rows to train, {facts['n_test']} to test"
    return f"{facts['model']} on {dataset}: {scores} ({rows}); {verdict}."
