"""Settling a model's verdict against the rule's."""

from __future__ import annotations

from typing import Literal

from stepladder.decision.point import Option
from stepladder.record import Mode, Verdict

Winner = Literal["model", "rule", "person"]


def agrees(rule: Verdict, other: Verdict, option: Option | None) -> bool:
    """Whether both mean the same: the same action, with the same of the parameters that count."""
    if rule.action != other.action:
        return False
    names = option.significant if option else ()
    return all(rule.parameters.get(name) == other.parameters.get(name) for name in names)


def winner(mode: Mode, model: Verdict, confidence: float) -> Winner:
    """Whose verdict stands in a conflict."""
    match mode:
        case "model_wins":
            return "model"
        case "confident_model":
            return "model" if (model.confidence or 0.0) >= confidence else "rule"
        case "person_on_conflict":
            return "person"
        case "rule_wins" | "shadow":
            return "rule"
