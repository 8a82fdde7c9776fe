"""stepladder: rules decide, a model is asked when it matters, every disagreement is on the record.

The public face. Names are imported when they are first used, so `import stepladder` costs next to nothing and touches
no provider's SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepladder.app.decision_point import DecisionPoint
    from stepladder.app.heads import head_of, read_head
    from stepladder.app.loading import Workflow
    from stepladder.app.orchestrator import Orchestrator
    from stepladder.app.pruning import prune
    from stepladder.app.run import Run, Waiting
    from stepladder.app.run_log import log_run
    from stepladder.app.sync import SyncOrchestrator
    from stepladder.app.verifying import verify
    from stepladder.app.w_document import make_orchestration_decision
    from stepladder.drivers import AgentCall, AgentResult, Artifact, ManualClock
    from stepladder.drivers.agents import OutcomeUnknownError
    from stepladder.drivers.mcp import mcp_agent
    from stepladder.drivers.remote import http_agent
    from stepladder.errors import DefinitionError, InputError, RunError, StepladderError
    from stepladder.journal import MemoryJournal
    from stepladder.journal.postgres import PostgresJournal
    from stepladder.journal.sqlite import SqliteJournal
    from stepladder.llm import ScriptedProvider
    from stepladder.orchestrator import DecisionRecord
    from stepladder.rules import Rule, rule
    from stepladder.signals import Observation, Signal, signal

__version__ = "0.1.0"

_HOME = {
    "AgentCall": "stepladder.drivers",
    "AgentResult": "stepladder.drivers",
    "Artifact": "stepladder.drivers",
    "DecisionPoint": "stepladder.app.decision_point",
    "DecisionRecord": "stepladder.orchestrator",
    "DefinitionError": "stepladder.errors",
    "InputError": "stepladder.errors",
    "ManualClock": "stepladder.drivers",
    "MemoryJournal": "stepladder.journal",
    "Observation": "stepladder.signals",
    "Orchestrator": "stepladder.app.orchestrator",
    "OutcomeUnknownError": "stepladder.drivers.agents",
    "PostgresJournal": "stepladder.journal.postgres",
    "Rule": "stepladder.rules",
    "Run": "stepladder.app.run",
    "RunError": "stepladder.errors",
    "ScriptedProvider": "stepladder.llm",
    "Signal": "stepladder.signals",
    "SqliteJournal": "stepladder.journal.sqlite",
    "StepladderError": "stepladder.errors",
    "SyncOrchestrator": "stepladder.app.sync",
    "Waiting": "stepladder.app.run",
    "Workflow": "stepladder.app.loading",
    "head_of": "stepladder.app.heads",
    "http_agent": "stepladder.drivers.remote",
    "log_run": "stepladder.app.run_log",
    "make_orchestration_decision": "stepladder.app.w_document",
    "mcp_agent": "stepladder.drivers.mcp",
    "prune": "stepladder.app.pruning",
    "read_head": "stepladder.app.heads",
    "rule": "stepladder.rules",
    "signal": "stepladder.signals",
    "verify": "stepladder.app.verifying",
}

__all__ = [
    "AgentCall",
    "AgentResult",
    "Artifact",
    "DecisionPoint",
    "DecisionRecord",
    "DefinitionError",
    "InputError",
    "ManualClock",
    "MemoryJournal",
    "Observation",
    "Orchestrator",
    "OutcomeUnknownError",
    "PostgresJournal",
    "Rule",
    "Run",
    "RunError",
    "ScriptedProvider",
    "Signal",
    "SqliteJournal",
    "StepladderError",
    "SyncOrchestrator",
    "Waiting",
    "Workflow",
    "head_of",
    "http_agent",
    "log_run",
    "make_orchestration_decision",
    "mcp_agent",
    "prune",
    "read_head",
    "rule",
    "signal",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stepladder' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
