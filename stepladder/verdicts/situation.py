"""What makes two situations the same: everything that a verdict depends on, and nothing that it does not.

The kind of a situation is the model with its parameters, the prompt's name and text, the answer's schema, the legal
set, the workflow's and the policy's version, and where it is decided. Within a kind, situations are told apart by the
features that the policy declares, or by the whole prompt where it declares none. No time, cost or run id is among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stepladder.clauses import Facts
from stepladder.clauses.facts import MISSING, reader
from stepladder.decision import Rung
from stepladder.prompts import Rendered
from stepladder.values import digest


class Situation(msgspec.Struct, frozen=True):
    """The digests of a situation's kind and of itself, and its features by path (None: it is told by its prompt)."""

    kind: str
    exact: str
    features: dict[str, Any] | None = None


def situation(
    rung: Rung,
    model: str,
    rendered: Rendered,
    *,
    versions: Sequence[str],
    place: Sequence[str],
    legal: Sequence[str],
    facts: Facts,
    attached: Sequence[str] = (),
) -> Situation:
    """The situation in which this model of the rung is asked.

    `versions` are the hashes of workflow and policy, `place` the decision point and step, `legal` the legal actions in
    their order, `attached` the digests of what goes with the question.
    """
    caching = rung.caching
    features = features_of(caching.features, facts) if caching is not None and caching.features else None
    parameters = [rung.max_output_tokens]
    asked = [rung.prompt, rendered.schema, list(legal), list(versions), list(place)]
    kind = digest("verdict", model, parameters, *asked)
    told: Any = [rendered.digest, list(attached)] if features is None else features
    return Situation(kind, digest(kind, told), features)


def features_of(paths: Sequence[str], facts: Facts) -> dict[str, Any]:
    """The values at these paths; None where there is none."""
    found = {path: reader(path)(facts) for path in paths}
    return {path: None if value is MISSING else value for path, value in found.items()}
