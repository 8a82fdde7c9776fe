"""The public face: what it offers, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import stepladder

OFFERED = {
    *("AgentCall", "AgentResult", "Artifact", "DecisionPoint", "DecisionRecord", "DefinitionError", "InputError"),
    *("ManualClock", "MemoryJournal", "Observation", "Orchestrator", "OutcomeUnknownError", "PostgresJournal", "Rule"),
    *(
        "Run",
        "RunError",
        "ScriptedProvider",
        "Signal",
        "SqliteJournal",
        "StepladderError",
        "SyncOrchestrator",
        "Waiting",
        "Workflow",
    ),
    *("http_agent", "log_run", "make_orchestration_decision", "mcp_agent", "rule", "signal"),
    *("head_of", "prune", "read_head", "verify"),
}
HEAVY = (
    "openai",
    "google",
    "pydantic",
    "jinja2",
    "transitions",
    "loguru",
    "rich",
    "typer",
    "sklearn",
    "networkx",
    "numpy",
)


def test_the_face_is_just_this() -> None:
    assert set(stepladder.__all__) == OFFERED == set(stepladder._HOME)


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_every_name_is_there_and_documented(name: str) -> None:
    assert getattr(stepladder, name).__doc__


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="Orchestrater"):
        _ = stepladder.Orchestrater


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in told.stdout.split()}


def test_importing_it_imports_nothing_heavy() -> None:
    assert modules_after("import stepladder").isdisjoint(HEAVY)


def test_using_it_imports_no_providers_sdk() -> None:
    found = modules_after("from stepladder import *")
    assert found.isdisjoint({"openai", "google", "genai_prices", "httpx", "httpx2", "mcp", "anyio", "psycopg"})
