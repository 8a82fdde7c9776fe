"""Tuning by a learned scorecard: its recipe, its thresholds, and what it reaches on runs it was not learned from."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.asked import Asked, Point, Tell, Way
from stepladder.evaluation.held_out import (
    FOLDS,
    all_scores,
    calibration,
    calibration_error,
    held_figures,
    partition_scores,
)
from stepladder.evaluation.learn import Recipe, learn, log_odds, probabilities, target_of
from stepladder.evaluation.ranking import SHARES, Ranked, thresholds
from stepladder.evaluation.steps import Steps, Truth
from stepladder.evaluation.study import Studies
from stepladder.evaluation.until import Untils, learn_untils, limited
from stepladder.signals import Part, Scorecard, Term

Array = NDArray[Any]
CHOOSING: Final = 1_000
"""The partitions that recipes and last steps are chosen on begin here; those that are reported begin at 0."""
SPREAD_OVER: Final = 4
"""Partitions whose held-out scores thresholds are read off."""


def tune_risk(steps: Steps, truth: Truth, asked: Asked, studies: Studies, tell: Tell) -> Way:
    """A scorecard, and thresholds on it."""
    recipe = _recipe(steps, truth, asked, studies, tell)
    done, total = 0, asked.partitions * FOLDS

    def on_fold() -> None:
        nonlocal done
        done += 1
        tell("measuring on held-out runs", done, total)

    scored = list(all_scores(steps, truth, recipe, asked.partitions, on_fold))
    choosing = [partition_scores(steps, truth, recipe, CHOOSING + asked.seed + more) for more in range(2)]
    untils = learn_untils(steps, truth, choosing, asked.budget, per_domain=asked.per_domain)
    ranked = [Ranked.of(steps, limited(steps, scores, untils)) for scores in scored]
    held = held_figures(steps, truth, ranked, sorted({*SHARES, asked.budget}))
    target = target_of(steps, truth)
    factor, shift = calibration(scored[0], target.wanted, target.weight)
    card = scaled(learn(steps, truth, recipe), factor, shift)
    whole = np.mean([part.whole for part in ranked[:SPREAD_OVER]], axis=0) * factor + shift
    section = _risk_section(card, whole, steps, truth, asked, untils)
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
        return Recipe(late_value=asked.late_value)

    def objective(trial: Any) -> float:
        recipe = Recipe(
            trial.suggest_int("bands", 4, 10),
            trial.suggest_float("strength", 0.01, 1.0, log=True),
            trial.suggest_float("own", 0.5, 2.5),
            trial.suggest_int("entries", 20, 80, step=10),
            late_value=asked.late_value,
        )
        ranked = Ranked.of(steps, partition_scores(steps, truth, recipe, CHOOSING + asked.seed))
        figures = ranked.at(truth.failed, asked.budget)
        return figures["recall"] + figures["recall_by_75"] / 2

    best, _ = studies.best(
        "recipe", objective, asked.trials, asked.seed, lambda n, _: tell("choosing a recipe", n, asked.trials)
    )
    strength, own = round(best["strength"], 4), round(best["own"], 2)
    return Recipe(best["bands"], strength, own, best["entries"], late_value=asked.late_value)


def scaled(card: Scorecard, factor: float, shift: float) -> Scorecard:
    """The scorecard with its log-odds scaled, rounded as a file holds it."""

    def part(of: Part, more: float) -> Part:
        terms = (Term(t.signal, t.cuts, tuple(round(p * factor, 2) for p in t.points)) for t in of.terms)
        return Part(round(of.base * factor + more, 3), tuple(term for term in terms if any(term.points)))

    return Scorecard(part(card.every, shift), {name: part(each, 0.0) for name, each in card.domains.items()})


def _risk_section(
    card: Scorecard, whole: Array, steps: Steps, truth: Truth, asked: Asked, untils: Untils
) -> dict[str, Any]:
    now = steps.most(limited(steps, log_odds(card, steps), untils))

    def clauses(runs: Array, domain: str = "") -> dict[str, Any]:
        cost = np.where(truth.failed[runs] == 1, asked.escalation_cost - asked.catch_value, asked.escalation_cost)
        cut = thresholds(whole[runs], asked.budget, cost if asked.escalation_cost else None)
        cut = _within(now[runs], cut, asked.budget)
        last = [f"steps_taken <= {untils[domain]}"] if domain in untils else []
        twice = thresholds(whole[runs], min(1.0, 2 * asked.budget))
        high, low = (float(probabilities(np.array([each]))[0]) for each in (cut, twice))
        return {
            "complex": {"at_risk": [f"risk.value >= {high}", *last]},
            "hybrid": {"some_risk": [f"risk.value >= {min(low, high)}"]},
        }

    if not asked.per_domain or len(set(steps.domain)) == 1:
        domain = steps.domain[0] if asked.per_domain else ""
        return {"classifier": clauses(np.arange(len(truth.run)), domain), "risk": _card_section(card)}
    names = np.array(steps.domain)
    section: dict[str, Any] = {"classifier": _elsewhere(card, steps, asked.budget)}
    section["by_domain"] = {name: clauses(np.flatnonzero(names == name), name) for name in sorted(set(steps.domain))}
    section["risk"] = _card_section(card)
    return section


def _within(now: Array, cut: float, share: float) -> float:
    """The cut, or where the card itself escalates clearly more than the share by it (many runs may come to one score),
    the lowest score by which it does not."""
    if (now >= cut).mean() <= 1.25 * share:
        return cut
    tried = np.unique(now)
    fitting = tried[[bool((now >= each).mean() <= share) for each in tried.tolist()]]
    return float(fitting[0]) if len(fitting) else float(now.max()) + 1e-3


def _elsewhere(card: Scorecard, steps: Steps, budget: float) -> dict[str, Any]:
    """Thresholds for domains that were not learned from: those at which each known one, weighing the same and without
    its own points, would have the budget."""
    whole = np.maximum(steps.most(log_odds(Scorecard(card.every), steps)), -60.0)  # a run of one step has no score
    names = np.array(steps.domain)
    quantiles = np.linspace(0, 1, 1001)
    even = np.concatenate([np.quantile(whole[names == name], quantiles) for name in sorted(set(steps.domain))])
    high, low = probabilities(np.quantile(even, [1 - budget, max(0.0, 1 - 2 * budget)])).tolist()
    return {
        "complex": {"at_risk": [f"risk.value >= {high}"]},
        "hybrid": {"some_risk": [f"risk.value >= {low}"]},
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
