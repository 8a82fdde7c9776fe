"""Drivers perform commands: they own time, ids, agents, models and the journal, and know no rules."""

from stepladder.drivers.agents import AgentCall, AgentResult
from stepladder.drivers.artifacts import Artifact
from stepladder.drivers.clock import Clock, ManualClock, SystemClock
from stepladder.drivers.local import Runner
from stepladder.drivers.replay import Divergence, Replayed, replay
from stepladder.drivers.resources import Resources

__all__ = [
    "AgentCall",
    "AgentResult",
    "Artifact",
    "Clock",
    "Divergence",
    "ManualClock",
    "Replayed",
    "Resources",
    "Runner",
    "SystemClock",
    "replay",
]
