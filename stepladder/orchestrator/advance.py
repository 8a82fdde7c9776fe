"""Going on from one event, and folding a journal."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stepladder.events import Event, WorkflowChanged
from stepladder.orchestrator.decide import decide
from stepladder.orchestrator.evolve import evolve
from stepladder.orchestrator.machine import Machine
from stepladder.orchestrator.retelling import retold
from stepladder.record import Entry
from stepladder.state import RunState


class Advanced(msgspec.Struct, frozen=True, gc=False):
    """The state after an event and its conclusions, and both, in the order in which they belong in the journal."""

    state: RunState
    entries: tuple[Event | Entry, ...]


def advance(machine: Machine, state: RunState, event: Event | None = None) -> Advanced:
    """Apply the event (None: only go on from here), then decide until something must be awaited."""
    entries: list[Event | Entry] = []
    if event is not None:
        state = evolve(machine, state, event)
        entries.append(event)
    while conclusions := decide(machine, state):
        for entry in conclusions:
            state = evolve(machine, state, entry)
        entries.extend(conclusions)
    return Advanced(state, tuple(entries))


def fold(
    machine: Machine,
    entries: Sequence[Event | Entry],
    state: RunState | None = None,
    *,
    then: WorkflowChanged | None = None,
) -> RunState:
    """The state that a journal leads to, from `state` or from nothing. Runs no rule.

    A journal that is folded from nothing is retold in the names of the last workflow it changed to; `then` is a change
    to `machine`'s workflow that comes next.
    """
    if state is None:
        entries, first_known = retold(entries, then)
        state = RunState(first_known=first_known)
    for entry in entries:
        state = evolve(machine, state, entry)
    return state
