"""Complex first, then hybrid, then standard.

The W document (workflow-orchestrator-implementation-analysis) tests for standard progression first, so a state with
validation anomalies but no errors counts as standard there: the anomaly is hidden. Here the order is turned round, a
documented departure; with errors, persons or unusual patterns in play both orders agree.
"""

from __future__ import annotations

from typing import Final

import msgspec

from stepladder.clauses import AnyOf, Facts, Fired
from stepladder.record import Route


class Classifier(msgspec.Struct, frozen=True):
    """Named conditions for complex and for hybrid; a state that fires neither is standard."""

    complex: AnyOf
    hybrid: AnyOf


DEFAULT: Final[dict[str, dict[str, list[str]]]] = {
    "complex": {
        "many_errors": ["error_count > 2"],
        "person_wanted": ["human_intervention_required == true"],
        "anomalous_scores": ["validation_anomalies > 0"],
        "not_converging": ["convergence_issues == true"],
    },
    "hybrid": {
        "just_failed": ["consecutive_errors > 0"],
        "unusual": ["unusual_patterns > 0"],
    },
}
"""The W document's thresholds. It makes any error_count of 1 or 2 hybrid; that is a total, which never falls, so here
the errors in a row count: a run that has recovered is ordinary again."""


def classify(classifier: Classifier, facts: Facts) -> tuple[Route, tuple[Fired, ...]]:
    """The route, and every named condition of that route that fired, with the values its clauses saw."""
    if fired := classifier.complex.all_fired(facts):
        return "complex", fired
    if fired := classifier.hybrid.all_fired(facts):
        return "hybrid", fired
    return "standard", ()
