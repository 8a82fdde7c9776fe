"""The pipeline as people run it: scenarios, replays, and the S document's supervisor."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from examples.text_to_sql.supervisor import SupervisorAgent
from stepladder import RunError, SqliteJournal
from stepladder.app.loading import load_agents
from stepladder.app.orchestrator import Orchestrator
from stepladder.scenarios import load_scenario, play

ROOT = Path(__file__).parents[3]
WORKFLOW = ROOT / "examples" / "text_to_sql" / "workflow.yaml"
SCENARIOS = sorted((ROOT / "scenarios").glob("text_to_sql_*.yaml"))


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_scenario_holds_and_its_journal_decides_the_same_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "runs.db"
    played = play(load_scenario(file), journal=journal, run_id=file.stem)
    assert [str(check) for check in played.failures] == []

    def no_network(*_: object) -> None:
        raise AssertionError("a replay opened a socket")

    monkeypatch.setattr(socket, "socket", no_network)
    agents, _ = load_agents(WORKFLOW.with_name("agents.py"))
    again = Orchestrator(WORKFLOW, agents=agents, journal=SqliteJournal(journal)).replay(file.stem)
    assert (again.divergence, again.decisions) == (None, len(played.run.decisions))


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 5


def test_the_documents_result_format() -> None:
    with SupervisorAgent() as supervisor:
        result = supervisor.handle_query("How many customers are there?")
        assert set(result) == {
            *("success", "user_query", "sql", "results", "response", "formatted_response", "metadata"),
            "orchestration_metrics",
        }
        metrics = result["orchestration_metrics"]
        assert result["success"] is True
        assert result["results"] == [{"count": 80}]
        assert (metrics["iterations"], metrics["final_action"]) == (4, "COMPLETE")
        assert [each["state"] for each in metrics["decisions"]] == [
            *("NEW_QUERY", "PLANNING_COMPLETE", "EXECUTION_COMPLETE", "RESPONSE_COMPLETE"),
        ]
        assert all(
            set(each) == {"iteration", "state", "action", "reason", "clarification_count"}
            for each in metrics["decisions"]
        )


def test_a_clarification_suspends_and_the_answer_resumes() -> None:
    with SupervisorAgent() as supervisor:
        asked = supervisor.handle_query("Who are our best customers?")
        assert asked["metadata"]["needs_clarification"] is True
        answered = supervisor.handle_clarification_response("by revenue")
        assert answered["success"] is True
        assert answered["orchestration_metrics"]["decisions"][-1]["clarification_count"] == 1
        assert supervisor.get_stats()["successful_queries"] == 1
        assert len(supervisor.get_conversation_history()) == 2
        supervisor.clear_history()
        assert supervisor.get_conversation_history() == []
        with pytest.raises(RunError):
            supervisor.handle_clarification_response("by what?")


def test_what_cannot_be_answered_says_why() -> None:
    with SupervisorAgent() as supervisor:
        result = supervisor.handle_query("What is the weather in Paris tomorrow?")
    assert result["success"] is False
    assert "weather" in result["response"]
    assert result["orchestration_metrics"]["final_action"] == "GIVE_UP"
