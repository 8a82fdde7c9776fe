"""Tuning by clauses alone: which, with which thresholds, and what they reach on runs they were not chosen on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.asked import Asked, Point, Tell, Way
from stepladder.evaluation.clause_sets import CANDIDATES, NONE, SLOTS, Extremes, value_of
from stepladder.evaluation.folds import grouped_folds
from stepladder.evaluation.held_out import FOLDS
from stepladder.evaluation.ranking import Held, Spread
from stepladder.evaluation.steps import Steps, Truth
from stepladder.evaluation.study import Studies

Array = NDArray[Any]
TRIALS = 150
"""Clause sets that are tried where nothing else is said."""


def tune_clauses(steps: Steps, truth: Truth, asked: Asked, studies: Studies, tell: Tell) -> Way:
    """Clauses for each domain, any of which is enough."""
    extremes, names = Extremes.of(steps), np.array(steps.domain)
    domains = sorted(set(steps.domain)) if asked.per_domain else [""]
    trials = asked.trials or TRIALS
    whole = {d: np.flatnonzero(names == d) if d else np.arange(len(names)) for d in domains}
    seen: list[Point] = []
    chosen: dict[str, dict[str, float]] = {}
    for number, domain in enumerate(domains, 1):
        runs = whole[domain]
        chosen[domain] = _search(
            extremes.take(runs), truth.failed[runs], asked, studies, f"clauses/{domain}", trials, seen
        )
        tell("searching clauses", number, len(domains))
    held = _held_clauses(extremes, truth, whole, asked, trials, tell)
    complexes = {domain: _conditions(found) for domain, found in chosen.items()}
    first = _search(extremes, truth.failed, asked, studies, "clauses", trials, seen) if domains != [""] else chosen[""]
    section: dict[str, Any] = {"classifier": {"complex": _conditions(first)}}
    if domains != [""]:
        section["by_domain"] = {domain: {"complex": each} for domain, each in complexes.items()}
    return section, held, tuple(seen)


def _conditions(chosen: Mapping[str, float]) -> dict[str, list[str]]:
    return {
        f"much_{name}" if name[0].islower() else name: [f"{name} >= {value:g}"]
        for name, value in sorted(chosen.items())
    }


def _search(
    extremes: Extremes,
    failed: Array,
    asked: Asked,
    studies: Studies,
    name: str,
    trials: int,
    seen: list[Point] | None = None,
) -> dict[str, float]:
    tried = {each: extremes.thresholds(each) for each in CANDIDATES if each in extremes.whole}
    usable = [NONE, *(each for each, values in tried.items() if values)]

    def chosen_by(suggested: Mapping[str, Any]) -> dict[str, float]:
        found: dict[str, float] = {}
        for slot in range(SLOTS):
            signal = suggested[f"signal_{slot}"]
            if signal != NONE:
                values = tried[signal]
                value = values[min(len(values) - 1, int(suggested[f"level_{slot}"] * len(values)))]
                found[signal] = min(value, found.get(signal, value))
        return found

    def objective(trial: Any) -> float:
        suggested = {f"signal_{slot}": trial.suggest_categorical(f"signal_{slot}", usable) for slot in range(SLOTS)}
        suggested |= {f"level_{slot}": trial.suggest_float(f"level_{slot}", 0.0, 1.0) for slot in range(SLOTS)}
        escalated = extremes.escalated(chosen_by(suggested))
        if seen is not None and escalated.any():
            caught = float((escalated & (failed == 1)).sum())
            recall, precision = caught / max(1.0, float((failed == 1).sum())), caught / float(escalated.sum())
            seen.append(Point(round(float(escalated.mean()), 4), round(recall, 4), round(precision, 4), "clauses"))
        return value_of(escalated, failed, asked.budget, asked.catch_value, asked.escalation_cost)

    best, _ = studies.best(name, objective, trials, asked.seed)
    return chosen_by(best)


def _held_clauses(
    extremes: Extremes, truth: Truth, whole: Mapping[str, Array], asked: Asked, trials: int, tell: Tell
) -> Held:
    """The figures of clause sets on folds that they were not searched on, at the share that they come to."""
    nowhere = Studies(None, "held out")
    spreads: dict[str, list[dict[str, float]]] = {"all": [], **{domain: [] for domain in whole if domain}}
    for partition in range(asked.partitions):
        escalated, early = np.zeros(len(truth.run), np.bool_), np.zeros(len(truth.run), np.bool_)
        fold = grouped_folds(truth.split_key, FOLDS, partition)
        for domain, runs in whole.items():
            for each in range(FOLDS):
                rest, held = runs[fold[runs] != each], runs[fold[runs] == each]
                if not len(rest) or not len(held):
                    continue
                name = f"{partition}/{domain}/{each}"
                found = _search(extremes.take(rest), truth.failed[rest], asked, nowhere, name, trials)
                escalated[held] = extremes.take(held).escalated(found)
                early[held] = Extremes(extremes.early, extremes.early).take(held).escalated(found)
        for name, members in {"all": np.arange(len(truth.run)), **{d: r for d, r in whole.items() if d}}.items():
            spreads[name].append(_reached(escalated[members], early[members], truth.failed[members]))
        tell("measuring on held-out runs", partition + 1, asked.partitions)
    told = {
        name: {f"{asked.budget:g}": {key: Spread.of(e[key] for e in each) for key in each[0]}}
        for name, each in spreads.items()
    }
    return Held(asked.partitions, FOLDS, told)


def _reached(escalated: Array, early: Array, failed: Array) -> dict[str, float]:
    failures = max(1.0, float((failed == 1).sum()))
    caught, known = float((escalated & (failed == 1)).sum()), max(1.0, float((escalated & ~np.isnan(failed)).sum()))
    rate = failures / max(1.0, float((~np.isnan(failed)).sum()))
    return {
        "escalated": float(escalated.mean()),
        "precision": caught / known,
        "recall": caught / failures,
        "recall_by_75": float((early & (failed == 1)).sum()) / failures,
        "lift": caught / known / rate,
    }
