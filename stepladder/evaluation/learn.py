"""Learning a scorecard: which bands of which signals go with failing.

A logistic regression with an L2 penalty over bands (Hoerl and Kennard 1970; thermometer-coded quantiles of each
signal), for every run and, added to that, for each domain. Then the signals that move the score least are left out,
and what is left is learned again, so that a person can read it. Each run weighs the same, however many steps it has,
and so does each source.

The target of a step is whether its run fails. Where a source has no run that succeeds, but says which step the decisive
error was, it is whether the step is near that one.

Among the steps of a run each counts by what a catch there is worth: those after 75% of it a part (`Recipe.late_value`)
of the others. Else much is learned of states that all but tell how a run will end, when little of it is left to save.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.errors import InputError
from stepladder.evaluation.extras import needed
from stepladder.evaluation.outcomes import LATE
from stepladder.evaluation.steps import NUMERIC, Steps, Truth
from stepladder.signals import Part, Scorecard, Term

Array = NDArray[Any]
NEAR: Final = 1
"""How many steps from the decisive error count as near it when learning."""
EVERY: Final = 4
"""Every which step is learned from: neighbours say nearly the same."""
CLOCKS: Final = frozenset({"steps_taken", "calls_made", "messages_said", "person_turns"})
"""Signals that say how long a run has lasted and no more: a risk that rises with the clock escalates late, when the
length of the run has all but told its outcome."""
LEARNED: Final = tuple(name for name in NUMERIC if name not in CLOCKS)
"""The signals that a scorecard may read."""
LATE_VALUE: Final = 0.3
"""What a catch after 75% of its run is worth against one before, where nothing else is said."""


class Recipe(msgspec.Struct, frozen=True):
    """How a scorecard is learned: bands for each signal, strength of the data against the penalty, weight of the
    domains' own points, how many (signal, domain) entries are left, which signals may be read, and what a catch after
    75% of its run is worth against one before."""

    bands: int = 6
    strength: float = 0.05
    own: float = 1.5
    entries: int = 80
    signals: tuple[str, ...] = LEARNED
    late_value: float = LATE_VALUE


class Target(msgspec.Struct, frozen=True, eq=False):
    """What is learned: a 0 or 1 for each row, its weight (0: not learned from)."""

    wanted: Array
    weight: Array


def target_of(steps: Steps, truth: Truth) -> Target:
    """The target of each step.

    Raises:
        InputError: of no source it is known what failed and what did not, or where.
    """
    run, place = steps.run, steps.place
    by_step = labelled_only(truth)
    length = np.repeat(steps.length, steps.length)
    thinned = (place % EVERY == EVERY - 1) | (place == length - 2)
    used = steps.counts & np.where(by_step[run], True, thinned)
    near = np.abs(place - truth.label[run]) <= NEAR
    wanted = np.where(by_step[run], near, np.nan_to_num(truth.failed)[run]).astype(np.float64)
    used &= np.where(by_step, truth.label >= 0, ~np.isnan(truth.failed))[run]
    if not used.any() or len(np.unique(wanted[used])) < 2:
        found = "runs that all came to the same, and no step named as the decisive error"
        if not used.any():
            found = "no run whose outcome is known that has a step before its last"
        raise InputError("recordings", "outcome", found, "runs that failed and runs that did not, to learn from")
    rows = np.bincount(run[used], minlength=len(steps.length))
    source_of = np.unique(np.array(truth.source), return_inverse=True)[1]
    runs = np.bincount(source_of[np.unique(run[used])], minlength=source_of.max() + 1)
    share = np.sqrt(runs.max() / np.maximum(runs, 1))[source_of]  # between one vote a run and one vote a source
    weight = np.where(used, share[run] / np.maximum(rows, 1)[run], 0.0)
    return Target(wanted, weight)


def labelled_only(truth: Truth) -> Array:
    """The runs of sources in which nothing succeeds and steps are labelled."""
    source = np.unique(np.array(truth.source), return_inverse=True)[1]
    only = [
        bool((truth.failed[source == each] != 0).all() and (truth.label[source == each] >= 0).any())
        for each in set(source)
    ]
    return np.array(only)[source] if len(source) else np.zeros(0, np.bool_)


RECIPE: Final = Recipe()
"""What is used where nothing else is said."""


def learn(steps: Steps, truth: Truth, recipe: Recipe = RECIPE) -> Scorecard:
    """The scorecard that these runs teach. Raises InputError where they teach nothing.

    A run is escalated at its riskiest step. So half of a run's weight goes to the step that a first scorecard finds
    riskiest, and the scorecard is learned again (what multiple-instance learning does: Andrews 2003).
    """
    target = _worth(steps, truth, target_of(steps, truth), recipe.late_value)
    first = _learned(steps, target, recipe)
    return _learned(
        steps, Target(target.wanted, _half_on_riskiest(steps, target.weight, log_odds(first, steps))), recipe
    )


def _worth(steps: Steps, truth: Truth, target: Target, late_value: float) -> Target:
    """The target, the steps of each run weighed by what a catch there is worth; the run as a whole weighs what it did.
    Where a step is sought, and not an outcome, late ones are worth as much."""
    late = ~steps.within(LATE) & ~labelled_only(truth)[steps.run]
    weight = np.where(late, late_value, 1.0) * target.weight
    before, after = (np.add.reduceat(each, steps.first) for each in (target.weight, weight))
    scale = np.divide(before, after, out=np.zeros_like(before), where=after > 0)
    return Target(target.wanted, weight * scale[steps.run])


def _half_on_riskiest(steps: Steps, weight: Array, scores: Array) -> Array:
    """The weights, half of each run's moved to its step of the highest score among those that count."""
    whole = np.repeat(np.add.reduceat(weight, steps.first), steps.length)
    riskiest = np.repeat(steps.most(scores), steps.length)
    at = np.where(steps.counts & (scores >= riskiest), steps.place, steps.rows)
    chosen = steps.place == np.repeat(np.minimum.reduceat(at, steps.first), steps.length)
    return weight / 2 + np.where(chosen, whole / 2, 0.0)


def _learned(steps: Steps, target: Target, recipe: Recipe) -> Scorecard:
    rows = np.flatnonzero(target.weight > 0)
    domains = np.array(steps.domain)[steps.run[rows]]
    names = sorted(set(domains.tolist()))
    own = [""] if len(names) < 2 else ["", *names]
    table = _Table(steps, rows, domains, recipe)
    entries = [(domain, signal) for domain in own for signal in recipe.signals if table.cuts[signal]]
    wanted, weight = target.wanted[rows], target.weight[rows]
    fitted = table.fit(entries, own, wanted, weight)
    if len(entries) > recipe.entries:
        moved = sorted(entries, key=lambda each: (-table.spread(each, fitted, weight), each))
        entries = sorted(moved[: recipe.entries], key=entries.index)
        fitted = table.fit(entries, own, wanted, weight)
    return fitted.scorecard(entries, own, table.cuts)


class _Fitted(msgspec.Struct, frozen=True, eq=False):
    """Points of each entry's bands, and the base of each domain."""

    points: dict[tuple[str, str], Array]
    base: dict[str, float]

    def scorecard(
        self, entries: Sequence[tuple[str, str]], own: Sequence[str], cuts: dict[str, list[float]]
    ) -> Scorecard:
        parts = {
            domain: Part(
                round(self.base[domain], 3),
                tuple(
                    term
                    for each in entries
                    if each[0] == domain and (term := _term(each[1], cuts[each[1]], self.points[each])) is not None
                ),
            )
            for domain in own
        }
        return Scorecard(parts[""], {domain: part for domain, part in parts.items() if domain})


def _term(signal: str, cuts: list[float], points: Array) -> Term | None:
    """Bands with their points, neighbours of the same points joined; None where no band has any."""
    rounded = np.round(points, 2).tolist()
    kept = [place for place in range(len(cuts)) if rounded[place + 1] != rounded[place]]
    if not kept:
        return None
    return Term(signal, tuple(cuts[place] for place in kept), (rounded[0], *(rounded[place + 1] for place in kept)))


class _Table:
    """The bands of the rows that are learned from."""

    def __init__(self, steps: Steps, rows: Array, domains: Array, recipe: Recipe) -> None:
        self.recipe, self.domains = recipe, domains
        self.cuts: dict[str, list[float]] = {}
        self.coded: dict[str, Array] = {}
        for signal in recipe.signals:
            values = steps.column(signal)[rows].astype(np.float64)
            cuts = band_cuts(values, recipe.bands)
            self.cuts[signal] = cuts
            self.coded[signal] = (values[:, None] >= np.array(cuts)[None, :]).astype(np.float32)

    def _block(self, domain: str, signal: str) -> Array:
        if not domain:
            return self.coded[signal]
        here: Array = (self.recipe.own * (self.domains == domain))[:, None].astype(np.float32)
        return self.coded[signal] * here

    def fit(self, entries: Sequence[tuple[str, str]], own: Sequence[str], wanted: Array, weight: Array) -> _Fitted:
        """Learn the points of these entries."""
        linear = needed("sklearn.linear_model", "learning a risk")
        flags = [(self.domains == domain).astype(np.float32)[:, None] for domain in own if domain]
        design = np.hstack([*(self._block(*each) for each in entries), *flags])
        model = linear.LogisticRegression(C=self.recipe.strength, max_iter=1000, tol=1e-3)
        with one_thread():
            model.fit(design, wanted, sample_weight=weight)
        found, points, at = model.coef_[0], {}, 0
        for domain, signal in entries:
            steps_up = found[at : at + len(self.cuts[signal])] * (self.recipe.own if domain else 1.0)
            at += len(self.cuts[signal])
            points[domain, signal] = np.concatenate([[0.0], np.cumsum(steps_up)])
        bases = found[at:].tolist()
        return _Fitted(points, dict(zip(own, [float(model.intercept_[0]), *bases], strict=True)))

    def spread(self, entry: tuple[str, str], fitted: _Fitted, weight: Array) -> float:
        """How much an entry moves the score, over the rows (standard deviation)."""
        domain, signal = entry
        band = self.coded[signal].sum(axis=1).astype(np.intp)
        added = fitted.points[entry][band] * (self.domains == domain if domain else 1.0)
        mean = np.average(added, weights=weight)
        return float(np.sqrt(np.average((added - mean) ** 2, weights=weight)))


def band_cuts(values: Array, bands: int) -> list[float]:
    """Where the bands of a signal begin: at its values where they are few, else at their quantiles."""
    known = values[~np.isnan(values)]
    if not len(known):
        return []
    distinct = np.unique(known)
    cuts = distinct[1:] if len(distinct) <= bands else np.quantile(known, np.linspace(0, 1, bands + 1)[1:-1])
    rounded = np.unique([float(f"{cut:.4g}") for cut in cuts])
    return [float(cut) for cut in rounded if distinct[0] < cut <= distinct[-1]]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Small problems are solved fastest, and the same everywhere, by one thread."""
    with needed("threadpoolctl", "learning a risk").threadpool_limits(1):
        yield


def log_odds(card: Scorecard, steps: Steps) -> Array:
    """The score of each step: the same numbers as `Scorecard.score` on its facts."""
    domains = np.array(steps.domain)[steps.run]
    total = np.zeros(steps.rows)
    for domain, part in {"": card.every, **card.domains}.items():
        rows = slice(None) if not domain else np.flatnonzero(domains == domain)
        total[rows] += part.base
        for term in part.terms:
            values = np.asarray(steps.column(term.signal)[rows], np.float64)
            band = np.searchsorted(np.array(term.cuts), np.nan_to_num(values), side="right")
            total[rows] += np.where(np.isnan(values), 0.0, np.array(term.points)[band])
    return total


def probabilities(scores: Array) -> Array:
    """Log-odds as probabilities, rounded as `probability` rounds them."""
    found: Array = np.round(1 / (1 + np.exp(-np.clip(scores, -60, 60))), 6)
    return found
