"""`rule_margin`: how near the rule's action is to being another one.

The smallest scaled distance over score clauses whose change would change what the rule does: 0.01 says that a score one
hundredth of its range higher or lower would have led elsewhere. Missing where no score could change anything. It is for
the classifier only: a rule that read it would read itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from stepladder.clauses import Clause, Facts

SCALE = 10.0
"""The range of a score that does not declare one."""


def rule_margin(
    clauses: Iterable[Clause], facts: Facts, action: Callable[[Facts], str], ranges: Mapping[str, float] | None = None
) -> float | None:
    """The margin, or None. `action(facts)` says what the rules would do, `ranges` how wide each score's range is."""
    chosen = action(facts)
    scores = facts.get("score", {})
    distances = [
        abs(scores[name] - clause.literal) / (ranges or {}).get(name, SCALE)
        for clause in clauses
        if clause.signal.startswith("score.") and isinstance(clause.literal, (int, float))
        for name in (clause.signal.removeprefix("score."),)
        if name in scores and action({**facts, "score": {**scores, name: _across(clause, scores[name])}}) != chosen
    ]
    return min(distances, default=None)


def _across(clause: Clause, value: float) -> float:
    """The nearest score on the other side of the clause's threshold."""
    threshold = float(clause.literal)
    step = 1e-9 * max(1.0, abs(threshold))
    if clause.op in ("==", "!="):
        return threshold if value != threshold else threshold + step
    if clause.op in (">=", "<"):
        return threshold if value < threshold else threshold - step
    return threshold + step if value <= threshold else threshold
