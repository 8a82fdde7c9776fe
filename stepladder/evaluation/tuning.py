"""Tuning a policy for a budget: the clauses, or the scorecard, that spend it best.

What is written is learned from all runs. What is reported was measured on runs that were not learned from: partitions
by split key, the same for everybody, and in each fold the whole procedure again. Only the recipe of a scorecard
(bands, penalty, number of entries) is chosen once, on partitions that are not among those that are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.checkpoints import held_out_near, learn_checkpoints
from stepladder.evaluation.clause_sets import CANDIDATES, NONE, SLOTS, Extremes, value_of
from stepladder.evaluation.folds import grouped_folds
from stepladder.evaluation.held_out import (
    FOLDS,
    all_scores,
    calibration,
    calibration_error,
    held_figures,
    partition_scores,
)
from stepladder.evaluation.learn import RECIPE, Recipe, labelled_only, learn, log_odds, probabilities, target_of
from stepladder.evaluation.ranking import SHARES, Held, Ranked, Spread, thresholds
from stepladder.evaluation.steps import Read, Steps, Truth
from stepladder.evaluation.study import Studies
from stepladder.signals import Part, Scorecard, Term

Array = NDArray[Any]
CHOOSING: Final = 1_000
"""The partitions that recipes are chosen on begin here; those that are reported begin at 0."""
SPREAD_OVER: Final = 4
"""Partitions whose held-out scores thresholds are read off."""


class Asked(msgspec.Struct, frozen=True):
    """What to tune for. `budget`: the share of runs that may be escalated; `catch_value` against `escalation_cost`:
    where a catch is worth less than the escalations it takes, fewer are made; `per_domain`: a threshold for each."""

    budget: float = 0.2
    learn: bool = False
    per_domain: bool = True
    catch_value: float = 1.0
    escalation_cost: float = 0.0
    trials: int = 0
    partitions: int = 20
    seed: int = 0


class Point(msgspec.Struct, frozen=True):
    """One setting that was looked at:

    the share it escalates and what it catches, held out or (`clauses`) on all runs.
    """

    share: float
    recall: float
    precision: float
    kind: str = "risk"


class Tuned(msgspec.Struct, frozen=True):
    """A policy as a mapping (what the file holds), what was measured on held-out runs, and the points of the plot."""

    policy: dict[str, Any]
    held: Held
    points: tuple[Point, ...]
    near_label: Spread | None = None


Tell = Callable[[str, int, int], None]
"""Told of progress: what is done, how many of how many."""


def _quiet(_: str, __: int, ___: int) -> None:
    return


def tune(read: Read, asked: Asked, study: Path | None = None, tell: Tell = _quiet) -> Tuned:
    """Tune. The same runs, whatever their order, and the same `asked` give the same policy.

    Raises:
        InputError: there is nothing to tune on (too few split keys, or all runs came to the same).
        StepladderError: a library is not installed.
    """
    order = np.argsort(np.array(read.truth.run), kind="stable")
    steps, truth = read.steps.take(order), read.truth.take(order)
    studies = Studies(
        study, f"{read.digest[:16]}/{asked.seed}/{asked.budget:g}/{asked.catch_value:g}/{asked.escalation_cost:g}"
    )
    only = labelled_only(truth)
    outcome = np.flatnonzero(~only)
    checked = np.flatnonzero(only & (truth.label >= 0))
    if not len(outcome):
        target_of(steps, truth)  # says what is missing where nothing can be learned at all
        return _checkpoints_only(steps, truth, read, asked)
    way = _learned if asked.learn else _searched
    section, held, points = way(steps.take(outcome), truth.take(outcome), asked, studies, tell)
    near = None
    if len(checked):
        there, known = steps.take(checked), truth.take(checked)
        near = Spread.of(held_out_near(there, known, seed) for seed in range(asked.partitions))
        own = learn_checkpoints(there, known)
        section["by_domain"] = {
            **section.get("by_domain", {}),
            **{name: {"complex": own} for name in sorted(set(there.domain))},
        }
    return Tuned(
        {"policy": {**section, "provenance": _provenance(read, asked, held, near, section)}}, held, points, near
    )


def _checkpoints_only(steps: Steps, truth: Truth, read: Read, asked: Asked) -> Tuned:
    near = Spread.of(held_out_near(steps, truth, seed) for seed in range(asked.partitions))
    section: dict[str, Any] = {"classifier": {"complex": learn_checkpoints(steps, truth)}}
    held = Held(asked.partitions, FOLDS, {})
    return Tuned({"policy": {**section, "provenance": _provenance(read, asked, held, near, section)}}, held, (), near)


Way = tuple[dict[str, Any], Held, tuple[Point, ...]]


# --- a scorecard


def _learned(steps: Steps, truth: Truth, asked: Asked, studies: Studies, tell: Tell) -> Way:
    recipe = _recipe(steps, truth, asked, studies, tell)
    done, total = 0, asked.partitions * FOLDS

    def on_fold() -> None:
        nonlocal done
        done += 1
        tell("measuring on held-out runs", done, total)

    scored = list(all_scores(steps, truth, recipe, asked.partitions, on_fold))
    ranked = [Ranked.of(steps, scores) for scores in scored]
    held = held_figures(steps, truth, ranked, sorted({*SHARES, asked.budget}))
    target = target_of(steps, truth)
    factor, shift = calibration(scored[0], target.wanted, target.weight)
    card = scaled(learn(steps, truth, recipe), factor, shift)
    whole = np.mean([part.whole for part in ranked[:SPREAD_OVER]], axis=0) * factor + shift
    section = _risk_section(card, whole, steps, truth, asked)
    section["risk"]["calibration_error"] = _errors(scored, target.wanted, target.weight)
    section["risk"]["recipe"] = {
        "bands": recipe.bands,
        "strength": recipe.strength,
        "own": recipe.own,
        "entries": recipe.entries,
    }
    return section, held, _curve(ranked, truth)


def _errors(scored: list[Array], wanted: Array, weight: Array) -> dict[str, float]:
    """The calibration error of the first partition as learned, and of the others once scaled as the first says."""
    factor, shift = calibration(scored[0], wanted, weight)
    raw = [calibration_error(probabilities(each), wanted, weight) for each in scored]
    done = [calibration_error(probabilities(each * factor + shift), wanted, weight) for each in scored[1:] or scored]
    return {"learned": round(float(np.mean(raw)), 4), "calibrated": round(float(np.mean(done)), 4)}


def _recipe(steps: Steps, truth: Truth, asked: Asked, studies: Studies, tell: Tell) -> Recipe:
    if not asked.trials:
        return RECIPE

    def objective(trial: Any) -> float:
        recipe = Recipe(
            trial.suggest_int("bands", 4, 10),
            trial.suggest_float("strength", 0.01, 1.0, log=True),
            trial.suggest_float("own", 0.5, 2.5),
            trial.suggest_int("entries", 20, 80, step=10),
        )
        ranked = Ranked.of(steps, partition_scores(steps, truth, recipe, CHOOSING + asked.seed))
        figures = ranked.at(truth.failed, asked.budget)
        return figures["recall"] + figures["recall_by_75"] / 2

    best, _ = studies.best(
        "recipe", objective, asked.trials, asked.seed, lambda n, _: tell("choosing a recipe", n, asked.trials)
    )
    return Recipe(best["bands"], round(best["strength"], 4), round(best["own"], 2), best["entries"])


def scaled(card: Scorecard, factor: float, shift: float) -> Scorecard:
    """The scorecard with its log-odds scaled, rounded as a file holds it."""

    def part(of: Part, more: float) -> Part:
        terms = (Term(t.signal, t.cuts, tuple(round(p * factor, 2) for p in t.points)) for t in of.terms)
        return Part(round(of.base * factor + more, 3), tuple(term for term in terms if any(term.points)))

    return Scorecard(part(card.every, shift), {name: part(each, 0.0) for name, each in card.domains.items()})


def _risk_section(card: Scorecard, whole: Array, steps: Steps, truth: Truth, asked: Asked) -> dict[str, Any]:
    def clauses(runs: Array) -> dict[str, Any]:
        cost = np.where(truth.failed[runs] == 1, asked.escalation_cost - asked.catch_value, asked.escalation_cost)
        cut = thresholds(whole[runs], asked.budget, cost if asked.escalation_cost else None)
        twice = thresholds(whole[runs], min(1.0, 2 * asked.budget))
        high, low = (float(probabilities(np.array([each]))[0]) for each in (cut, twice))
        return {
            "complex": {"at_risk": [f"risk.value >= {round(high, 4)}"]},
            "hybrid": {"some_risk": [f"risk.value >= {round(min(low, high), 4)}"]},
        }

    if not asked.per_domain or len(set(steps.domain)) == 1:
        return {"classifier": clauses(np.arange(len(truth.run))), "risk": _card_section(card)}
    names = np.array(steps.domain)
    section: dict[str, Any] = {"classifier": _elsewhere(card, steps, asked.budget)}
    section["by_domain"] = {name: clauses(np.flatnonzero(names == name)) for name in sorted(set(steps.domain))}
    section["risk"] = _card_section(card)
    return section


def _elsewhere(card: Scorecard, steps: Steps, budget: float) -> dict[str, Any]:
    """Thresholds for domains that were not learned from: those at which each known one, weighing the same and without
    its own points, would have the budget."""
    whole, names = steps.most(log_odds(Scorecard(card.every), steps)), np.array(steps.domain)
    quantiles = np.linspace(0, 1, 1001)
    even = np.concatenate([np.quantile(whole[names == name], quantiles) for name in sorted(set(steps.domain))])
    high, low = probabilities(np.quantile(even, [1 - budget, max(0.0, 1 - 2 * budget)])).tolist()
    return {
        "complex": {"at_risk": [f"risk.value >= {round(high, 4)}"]},
        "hybrid": {"some_risk": [f"risk.value >= {round(low, 4)}"]},
    }


def _card_section(card: Scorecard) -> dict[str, Any]:
    def part(of: Part) -> dict[str, Any]:
        return {
            "base": of.base,
            "terms": {t.signal: {"cuts": list(t.cuts), "points": list(t.points)} for t in of.terms},
        }

    return {**part(card.every), "domains": {name: part(each) for name, each in card.domains.items()}}


def _curve(ranked: list[Ranked], truth: Truth) -> tuple[Point, ...]:
    points = []
    for share in np.linspace(0.02, 1.0, 50).tolist():
        each = [part.at(truth.failed, share) for part in ranked]
        recall, precision = (float(np.mean([one[key] for one in each])) for key in ("recall", "precision"))
        points.append(Point(round(share, 3), round(recall, 4), round(precision, 4)))
    return tuple(points)


# --- clauses


def _searched(steps: Steps, truth: Truth, asked: Asked, studies: Studies, tell: Tell) -> Way:
    extremes, names = Extremes.of(steps), np.array(steps.domain)
    domains = sorted(set(steps.domain)) if asked.per_domain else [""]
    trials = asked.trials or 150
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


# --- provenance


def _provenance(
    read: Read, asked: Asked, held: Held, near: Spread | None, section: Mapping[str, Any]
) -> dict[str, Any]:
    """Where the policy is from, so that it can be made again and doubted with reason."""
    said: dict[str, Any] = {
        "made_by": "stepladder tune",
        "recordings": read.digest,
        "runs": len(read.truth.run),
        "split_keys": len(set(read.truth.split_key)),
        "asked": msgspec.to_builtins(asked),
        "held_out": {
            "partitions": held.partitions,
            "folds": held.folds,
            "figures": {
                group: {
                    share: {key: [s.mean, s.low, s.high] for key, s in figures.items()}
                    for share, figures in shares.items()
                }
                for group, shares in held.groups.items()
            },
        },
    }
    for key in ("calibration_error", "recipe"):
        if key in section.get("risk", {}):
            said[key] = section["risk"].pop(key)
    if near is not None:
        said["held_out"]["near_label"] = [near.mean, near.low, near.high]
    return said


def score_steps(card: Scorecard, steps: Steps) -> Array:
    """The risk of each step."""
    return probabilities(log_odds(card, steps))
