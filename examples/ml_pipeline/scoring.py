"""Scores by checking: each score is the weighted share of its checks that passed, from 0 to 10.

A check sees only the parts it needs. A part that is absent fails every check that needs it, so leaving something
out never raises a score; the gap itself is reported once, under the section it belongs to. A failed check of
severity error also holds its score at `ERROR_CAP`, which is below every threshold: a plan that is fine but for one
fatal mistake does not converge.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .plain import Json, number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

THRESHOLDS = {"alignment_score": 9.0, "standardization_score": 8.0, "compatibility_score": 8.0}
ERROR_CAP = 7.0


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and what would help; `severity` is error or warning."""

    check: str
    severity: str
    message: str
    section: str
    suggestion: str


@dataclass(frozen=True)
class Problem:
    """Why a check failed; `check` and `section` name it more precisely than the check itself could."""

    message: str
    suggestion: str
    check: str | None = None
    section: str | None = None


@dataclass(frozen=True)
class Check:
    """One question about the artefact: `ask` gets the needed parts in order and answers None if all is well."""

    name: str
    score: str
    section: str
    weight: float
    needs: tuple[str, ...]
    ask: Callable[..., Problem | None]
    severity: str = "error"


@dataclass(frozen=True)
class _Outcome:
    check: Check
    passed: bool
    finding: Finding | None = None


def judge(checks: Sequence[Check], parts: Mapping[str, Any]) -> Json:
    """Run every check: `{alignment_score, standardization_score, compatibility_score, findings}`."""
    outcomes = [_outcome(check, parts) for check in checks]
    scores = {name: _score([one for one in outcomes if one.check.score == name]) for name in THRESHOLDS}
    found = dict.fromkeys(one.finding for one in outcomes if one.finding)
    return {**scores, "findings": [asdict(finding) for finding in found]}


def converged(scores: Mapping[str, Any]) -> bool:
    """Tell whether every score is there and reaches its threshold."""
    return all((number(scores.get(name)) or 0.0) >= least for name, least in THRESHOLDS.items())


def _outcome(check: Check, parts: Mapping[str, Any]) -> _Outcome:
    absent = [need for need in check.needs if need not in parts]
    if absent:
        return _Outcome(check, False, _gap(check.section) if check.section in absent else None)
    problem = check.ask(*(parts[need] for need in check.needs))
    return _Outcome(check, problem is None, _finding(check, problem) if problem else None)


def _gap(section: str) -> Finding:
    return Finding("section_present", "error", f"{section} is missing or has no usable form", section, f"add {section}")


def _finding(check: Check, problem: Problem) -> Finding:
    name, section = problem.check or check.name, problem.section or check.section
    return Finding(name, check.severity, problem.message, section, problem.suggestion)


def _score(outcomes: Sequence[_Outcome]) -> float:
    whole = sum(one.check.weight for one in outcomes)
    earned = sum(one.check.weight for one in outcomes if one.passed)
    fatal = any(not one.passed and one.check.severity == "error" for one in outcomes)
    return round(min(10 * earned / whole, ERROR_CAP if fatal else 10.0), 2)
