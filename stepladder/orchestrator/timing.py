"""When a driver has to come back although nothing has happened."""

from __future__ import annotations

from stepladder.events import TimePassed
from stepladder.orchestrator.machine import Machine
from stepladder.state import RunState


def wake_at(machine: Machine, state: RunState) -> float | None:
    """The time (seconds since 1970) at which `due` will have something to say, or None."""
    wake: float | None = None
    for command in state.outstanding.values():
        if command.deadline is not None and (wake is None or command.deadline < wake):
            wake = command.deadline
    limit = machine.limits.working_s
    if limit is not None and state.status == "working" and not state.resting and state.outstanding:
        used_up = state.now + max(0.0, limit - state.working_s)
        wake = used_up if wake is None else min(wake, used_up)
    return wake


def due(machine: Machine, state: RunState, at: float) -> tuple[TimePassed, ...]:
    """The events that the time `at` brings about, in the order of their deadlines."""
    passed = sorted(
        (command.deadline, command.number, getattr(command, "attempt", 1))
        for command in state.outstanding.values()
        if command.deadline is not None and command.deadline <= at
    )
    if passed:
        return tuple(TimePassed(at, number, attempt) for _, number, attempt in passed)
    wake = wake_at(machine, state)
    return (TimePassed(at),) if wake is not None and wake <= at else ()
