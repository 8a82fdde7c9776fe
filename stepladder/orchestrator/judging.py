"""Judging: what a step scores becomes the outcome of the decision that led to it."""

from __future__ import annotations

from stepladder.orchestrator.facts import with_signals
from stepladder.orchestrator.machine import Machine
from stepladder.record import Judged
from stepladder.signals import valid_score
from stepladder.state import RunState


def judgement(machine: Machine, state: RunState) -> Judged:
    """What the scores that have just come in say about the decision they judge."""
    n, decided_at = state.unjudged[state.step]
    elapsed_s = state.now - decided_at
    quality = _quality(machine, state)
    if quality is None:
        return Judged(n, state.step, success=False, elapsed_s=elapsed_s)
    converged = machine.definition.phases[machine.definition.steps[state.step].phase].converged
    success = converged.holds(with_signals(machine, state)[0]) if converged else None
    return Judged(n, state.step, success, quality, elapsed_s)


def _quality(machine: Machine, state: RunState) -> float | None:
    """The mean of the scores, each as a share of its range; None where one is missing or none."""
    shares = []
    for name, (low, high) in machine.definition.agents[state.judging].scores.items():
        score = valid_score(state.last.get(name), low, high)
        if score is None:
            return None
        shares.append((score - low) / (high - low))
    return sum(shares) / len(shares)
