"""Evaluating a policy on recordings, beside the policies that anybody would try first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.agent_policy import AgentPolicy, of_clauses
from stepladder.evaluation.landmarks import LANDMARKS, auroc_at
from stepladder.evaluation.outcomes import NEAR_STEPS, Escalations, Figure, Figures, figures_of
from stepladder.evaluation.steps import Steps, Truth

Array = NDArray[Any]
Escalates = Literal["complex", "hybrid"]
CODE: Final[dict[Escalates, int]] = {"complex": 2, "hybrid": 1}
REFERENCES: Final = (
    of_clauses("never", {}),
    of_clauses("always", {"always": ["steps_taken >= 1"]}),
    of_clauses("error_count > 2", {"errors": ["error_count > 2"]}),
    of_clauses("consecutive errors >= 2", {"errors": ["consecutive_errors >= 2"]}),
)
"""The policies that a policy is compared with, besides the same call three times, and escalating runs at random as
often as it does."""


class Landmark(msgspec.Struct, frozen=True):
    """The area under the curve after so many steps, and how many runs went on that long."""

    step: int
    auroc: Figure
    runs: int


class Group(msgspec.Struct, frozen=True):
    """The figures of one policy in one group of runs; `by` is all, source, domain, family, or family and model; of
    `known` runs it is known how they ended."""

    by: str
    name: str
    figures: Figures
    landmarks: tuple[Landmark, ...] = ()
    known: int = 0


class Evaluation(msgspec.Struct, frozen=True):
    """A policy in all groups."""

    policy: str
    groups: tuple[Group, ...]


class Report(msgspec.Struct, frozen=True):
    """The policy first, then the references. `best_constant_step`: by source with labelled steps, the share of runs
    whose label lies near one and the same step, the best there is, and that step; known only with hindsight."""

    digest: str
    escalates: str
    evaluations: tuple[Evaluation, ...]
    best_constant_step: dict[str, tuple[float, int]]


def evaluate(
    steps: Steps,
    truth: Truth,
    policy: AgentPolicy,
    *,
    escalates: Escalates = "complex",
    digest: str = "",
    seed: int = 0,
) -> Report:
    """Every figure of the policy and of the references.

    `escalates`: the route from which on a step counts as escalated. `seed` draws the resamples of the intervals.

    Raises:
        InputError: the policy reads what is no signal.
    """
    found = escalations(steps, policy, escalates)
    groups = groups_of(steps, truth)
    evaluations = [_evaluated(policy.name, steps, truth, found, groups, seed, landmarks=True)]
    evaluations.append(_random(evaluations[0]))
    tried = {each.name: escalations(steps, each, "complex") for each in REFERENCES}
    tried["same call >= 3"] = Escalations.of(steps, steps.same_call >= 3)
    for name, each in tried.items():
        evaluations.append(_evaluated(name, steps, truth, each, groups[:1] + _sources(groups), seed, landmarks=True))
    return Report(digest, escalates, tuple(evaluations), best_constant_steps(truth))


def escalations(steps: Steps, policy: AgentPolicy, escalates: Escalates = "complex") -> Escalations:
    """What the policy escalates. Raises InputError: it reads what is no signal."""
    codes, risk = policy.routes(steps)
    return Escalations.of(steps, codes >= CODE[escalates], None if np.isnan(risk).any() else risk)


Named = tuple[str, str, Array]


def groups_of(steps: Steps, truth: Truth) -> list[Named]:
    """All runs, then each source, domain, family, and model within family."""
    every = np.arange(len(truth.run))
    found: list[Named] = [("all", "all", every)]
    keys: Sequence[tuple[str, Sequence[str]]] = (
        ("source", truth.source),
        ("domain", [f"{source}/{domain}" for source, domain in zip(truth.source, steps.domain, strict=True)]),
        ("family", truth.family),
        ("model", [f"{family} {model or '-'}" for family, model in zip(truth.family, truth.model, strict=True)]),
    )
    for by, words in keys:
        array = np.array(words)
        found += [(by, str(word), np.flatnonzero(array == word)) for word in np.unique(array)]
    return found


def _sources(groups: Iterable[Named]) -> list[Named]:
    return [each for each in groups if each[0] in ("source", "domain")]


def _evaluated(
    name: str, steps: Steps, truth: Truth, found: Escalations, groups: Iterable[Named], seed: int, *, landmarks: bool
) -> Evaluation:
    told = []
    known = ~np.isnan(truth.failed)
    for by, group, runs in groups:
        marks = (
            _landmarks(steps, truth, found.score, runs, seed) if landmarks and by in ("all", "source", "domain") else ()
        )
        told.append(Group(by, group, figures_of(found, truth, runs, seed), marks, int(known[runs].sum())))
    return Evaluation(name, tuple(told))


def _landmarks(steps: Steps, truth: Truth, score: Array, runs: Array, seed: int) -> tuple[Landmark, ...]:
    found = ((step, *auroc_at(steps, truth, score, step, runs, seed)) for step in LANDMARKS)
    return tuple(Landmark(step, auroc, count) for step, auroc, count in found if count)


def _random(of: Evaluation) -> Evaluation:
    """Escalating as many runs, drawn at random: what is expected of it."""
    groups = []
    for each in of.groups:
        figures = each.figures
        share = figures["escalated"].value
        failures = int(figures["failures"].value or 0)
        expected = {
            **{name: Figure(None) for name in figures},
            "runs": figures["runs"],
            "failures": figures["failures"],
            "escalated": Figure(share),
            "precision": Figure(round(failures / each.known, 4) if each.known and share else None),
            "recall": Figure(share if failures else None),
            "false_escalations": Figure(share if each.known > failures else None),
            "lift": Figure(1.0 if failures and share else None),
            "ceiling": Figure(figures["ceiling"].value),
        }
        groups.append(Group(each.by, each.name, expected, known=each.known))
    return Evaluation("random, as often", tuple(groups))


def best_constant_steps(truth: Truth) -> dict[str, tuple[float, int]]:
    """By source with labelled steps: the largest share of runs whose label is near one step, and that step."""
    found = {}
    sources = np.array(truth.source)
    for source in np.unique(sources).tolist():
        labels = truth.label[(sources == source) & (truth.label >= 0)]
        if len(labels):
            shares = [
                (float((np.abs(labels - step) <= NEAR_STEPS).mean()), -step) for step in range(int(labels.max()) + 1)
            ]
            share, step = max(shares)
            found[source] = round(share, 4), -step
    return found
