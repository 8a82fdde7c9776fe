"""The planner: a quick first draft, and revisions of exactly what the findings name."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from .datasets import BUNDLED, BUNDLED_TARGET, DatasetError, load
from .plain import Json, text
from .plan_form import read_plan
from .plan_writing import LEVELS, QUICK, THOROUGH, Desk
from .profiling import Facts, facts_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class TargetUnclearError(DatasetError):
    """Nobody says which column is the target; an answer helps."""


GLANCE_ROWS = 20
ASKING = re.compile(r"\b(?:predict|classify|estimate|forecast|find|explain)\b", re.IGNORECASE)
DRAFTS = {"quick": QUICK, "thorough": THOROUGH}


def plan(
    goal: str,
    dataset: str,
    target: str | None = None,
    feedback: Any = None,
    previous: Any = None,
    detail: str = "quick",
) -> Json:
    """Write a plan, or revise `previous` where `feedback` says so; raises DatasetError for unusable data.

    `feedback` is a list of findings, a validator's result, or a person's words that name sections. Without a previous
    plan the draft has the detail asked for, quick or thorough. The result holds the plan's sections, and
    `detail` (section: level), `revision` (0 for a draft) and `changes` ([{section, level, because}]).
    """
    chosen = target or _kept_target(previous) or target_of(goal, dataset)
    if not isinstance(previous, dict):
        return _written(goal, dataset, chosen, {}, DRAFTS.get(detail, QUICK), {"draft": [detail]})
    named = sections_named(feedback)
    levels = {section: _next_level(section, previous) for section in LEVELS if section in named}
    return _written(goal, dataset, chosen, previous, levels, named)


def target_of(goal: str, dataset: str) -> str:
    """Find the target where nobody says it; raises DatasetError, or TargetUnclearError where it cannot tell.

    It is the fixed one of a bundled set, else the column named first after a word like predict, else the only column
    that the goal names.
    """
    if dataset in BUNDLED:
        return BUNDLED_TARGET
    columns = list(load(dataset, rows=1).columns)
    places = {name: place for name in columns if (place := _place(name, goal)) is not None}
    verb = ASKING.search(goal)
    after = [name for name in places if verb and places[name] >= verb.end()]
    if not after and len(places) != 1:
        found, expected = "a goal that names no target", f"one of {', '.join(columns)} as the target"
        raise TargetUnclearError(dataset, found=found, expected=expected)
    return min(after or places, key=lambda name: places[name])


def sections_named(feedback: Any) -> dict[str, list[str]]:
    """Read which sections feedback names, and why: `{section: [check, ...]}`."""
    if isinstance(feedback, str):
        return {section: ["said in words"] for section in LEVELS if _place(section, feedback) is not None}
    findings = feedback.get("findings") if isinstance(feedback, dict) else feedback
    named: dict[str, list[str]] = {}
    for finding in findings if isinstance(findings, list) else []:
        if isinstance(finding, dict) and text(finding.get("section")) in LEVELS:
            named.setdefault(finding["section"], []).append(str(finding.get("check", "unnamed")))
    return named


def _place(word: str, said: str) -> int | None:
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said, re.IGNORECASE)
    return found.start() if found else None


def _kept_target(previous: Any) -> str | None:
    """The target of the previous plan, for as long as nobody asks for another."""
    return text(previous.get("target")) if isinstance(previous, dict) else None


def _level(section: str, previous: Json) -> int:
    """How detailed a section is; one from another hand counts as a first draft."""
    if section not in previous:
        return 0
    levels = previous.get("detail")
    known = levels.get(section) if isinstance(levels, dict) else None
    return known if isinstance(known, int) and 0 < known <= len(LEVELS[section]) else 1


def _next_level(section: str, previous: Json) -> int:
    return min(_level(section, previous) + 1, len(LEVELS[section]))


def _written(
    goal: str, dataset: str, target: str, previous: Json, levels: Mapping[str, int], why: Mapping[str, list[str]]
) -> Json:
    look = cache(lambda deep: facts_of(dataset, target, None if deep else GLANCE_ROWS))
    sections = {section: previous[section] for section in LEVELS if section in previous}
    for section in LEVELS:
        if level := levels.get(section, 0):
            desk = _desk(goal, look(level > 1), sections)
            sections[section] = LEVELS[section][level - 1](desk)
    written = [section for section in LEVELS if levels.get(section, 0)]
    changes = [{"section": one, "level": levels[one], "because": why.get(one, ["draft"])} for one in written]
    detail = {one: levels.get(one) or _level(one, previous) for one in LEVELS}
    ordered = {section: sections[section] for section in LEVELS if section in sections}
    return {**ordered, "detail": detail, "revision": _revision(previous), "changes": changes}


def _desk(goal: str, facts: Facts, written: Mapping[str, Any]) -> Desk:
    assert facts.target is not None, "facts are asked for with a target"
    return Desk(goal, facts, facts.target, read_plan(dict(written)))


def _revision(previous: Json) -> int:
    before = previous.get("revision")
    return (before if isinstance(before, int) else 0) + 1 if previous else 0
