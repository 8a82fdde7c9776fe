"""What a run knows when it decides."""

from __future__ import annotations

from stepladder.clauses import Facts
from stepladder.orchestrator.machine import Machine
from stepladder.orchestrator.progress import taken_here
from stepladder.state import RunState


def facts_of(machine: Machine, state: RunState) -> Facts:
    """The run's own facts, without signals: what arguments and outputs read."""
    step = machine.definition.steps[state.step]
    facts: Facts = {
        "input": state.input,
        "last": state.last,
        "result": state.results,
        "all": state.collected,
        "decision": state.decision,
        "taken": state.taken,
        "visits": state.visits,
        "step": state.step,
        "phase": step.phase,
        "decisions": state.decisions,
        **state.signals,
    }
    if state.returned is not None:
        facts["returned"] = state.returned
    return facts


def with_signals(machine: Machine, state: RunState) -> tuple[Facts, dict[str, object], dict[str, str]]:
    """The facts a decision opens on: the run's own and every signal's value; then the signals that changed since the
    last decision, and those that are broken."""
    values, broken = machine.fold.values(state.memory, state.broken)
    facts = with_measures(machine, state)
    facts.update(values)
    before = state.signals
    if values == before:
        return facts, {}, broken
    changed = {name: value for name, value in values.items() if before.get(name) != value}
    for name in before:
        if name not in values:  # it is broken, or has no value any more
            del facts[name]
            if before[name] is not None:
                changed[name] = None
    return facts, changed, broken


def with_measures(machine: Machine, state: RunState) -> Facts:
    """The run's own facts, how much of its limits is used and whether it gets on; signals as last recorded."""
    facts, limits = facts_of(machine, state), machine.limits
    taken = taken_here(state)
    facts["no_progress"] = max(taken.values()) if taken else 0
    if limits.usd is not None:
        facts["budget_used"] = state.usd / limits.usd if limits.usd else 1.0
    if limits.working_s is not None:
        facts["time_used"] = state.working_s / limits.working_s
    return facts
