"""What recorded decisions were made on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stepladder.clauses import Facts
from stepladder.evaluation.mask import Mask
from stepladder.events import Event
from stepladder.orchestrator import Machine, evolve, retold
from stepladder.orchestrator.decide import measure_margin
from stepladder.orchestrator.facts import with_signals
from stepladder.record import Entry, Opened
from stepladder.state import RunState


def decided_on(machine: Machine, entries: Sequence[Event | Entry]) -> Iterator[tuple[Opened, Facts]]:
    """Each decision about the next action in a run's journal, with the facts that it opens on under this machine.

    Signals that this machine reads and the run did not are folded all the same. No rule is run.
    """
    told, first_known = retold(entries)
    state = RunState(first_known=first_known)
    for entry in told:
        if isinstance(entry, Opened) and entry.point == "next_action":
            facts, _, _ = with_signals(machine, state)
            if "rule_margin" in machine.measured:
                measure_margin(machine, state, facts)
            yield entry, facts
        state = evolve(machine, state, entry)


def legal_masks(opened: Sequence[Opened]) -> dict[str, Mask]:
    """For each action the decisions in which it was legal."""
    actions = {action: None for each in opened for action in each.legal}
    return {action: Mask.of(np.array([action in each.legal for each in opened])) for action in actions}
