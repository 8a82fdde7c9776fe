"""The workflow machine: pure functions over a run's state.

    evolve(machine, state, entry)  -> state       applies an event or a conclusion; runs no rule; a journal's fold
    decide(machine, state)         -> entries     what is concluded now; () when something must be awaited
    advance(machine, state, event) -> Advanced    evolve, then decide until something must be awaited

Nothing here reads a clock, draws a number, makes an id or does I/O.
"""

from stepladder.orchestrator.advance import Advanced, advance, fold
from stepladder.orchestrator.decide import decide, options_of
from stepladder.orchestrator.evolve import evolve
from stepladder.orchestrator.facts import facts_of
from stepladder.orchestrator.machine import Machine
from stepladder.orchestrator.past import Compared, compare, in_flight
from stepladder.orchestrator.records import DecisionRecord, ModelCall, decision_records
from stepladder.orchestrator.retelling import retold
from stepladder.orchestrator.service import Served, Service, service
from stepladder.orchestrator.timing import due, wake_at

__all__ = [
    "Advanced",
    "Compared",
    "DecisionRecord",
    "Machine",
    "ModelCall",
    "Served",
    "Service",
    "advance",
    "compare",
    "decide",
    "decision_records",
    "due",
    "evolve",
    "facts_of",
    "fold",
    "in_flight",
    "options_of",
    "retold",
    "service",
    "wake_at",
]
