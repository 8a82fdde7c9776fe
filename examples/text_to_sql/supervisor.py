"""The S document's supervisor (llm-driven-supervisor-refactoring), on stepladder: its method names and result format.

    supervisor = SupervisorAgent("shop.db")
    result = supervisor.handle_query("Who are our best customers?")
    if result["metadata"]["needs_clarification"]:
        result = supervisor.handle_clarification_response("by revenue")

Where the document asks a model about every step, here the workflow's rules decide, and a model is asked when it
matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from stepladder import DecisionRecord, Run, RunError, SyncOrchestrator

from .agents import agents

WORKFLOW: Final = Path(__file__).with_name("workflow.yaml")
STATES: Final = {
    "new_query": "NEW_QUERY",
    "clarifying": "NEW_QUERY",
    "planning": "PLANNING_COMPLETE",
    "executing": "EXECUTION_COMPLETE",
    "responding": "RESPONSE_COMPLETE",
}
"""The document's name of the state in which each step's decision is made."""


class SupervisorAgent:
    """Answers questions about one database; one conversation at a time.

    Args:
        database: a SQLite file; the example's shop where none is named.
        journal: where runs are kept; None keeps them in memory.
        settings: further arguments of the Orchestrator (providers, options, ...).
    """

    def __init__(self, database: str | Path = "", *, journal: str | Path | None = None, **settings: Any) -> None:
        self._orchestrator = SyncOrchestrator(WORKFLOW, agents=agents(str(database)), journal=journal, **settings)
        self._history: list[dict[str, Any]] = []
        self._open: Run | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the journal."""
        self._orchestrator.close()

    def handle_query(self, user_query: str) -> dict[str, Any]:
        """Answer a question: `{success, user_query, sql, results, response, formatted_response, metadata,
        orchestration_metrics}`. Where it is ambiguous, metadata has needs_clarification and clarification_question."""
        return self._told(lambda: self._orchestrator.run({"question": user_query}))

    def handle_clarification_response(self, user_response: str) -> dict[str, Any]:
        """Go on with what the person answered. Raises RunError where nothing was asked."""
        waiting = self._open
        if waiting is None:
            raise RunError("-", "no clarification was asked for")
        return self._told(lambda: self._orchestrator.answer(waiting.id, {"text": user_response}))

    def get_conversation_history(self) -> list[dict[str, Any]]:
        """Every result so far, oldest first."""
        return list(self._history)

    def get_stats(self) -> dict[str, Any]:
        """Totals: queries, answered, gave up, clarifications, decisions by source, cost in USD."""
        ends = Counter(result["metadata"]["status"] for result in self._history)
        ended = [result["metadata"] for result in self._history if not result["metadata"]["needs_clarification"]]
        sources = sum((Counter(each["sources"]) for each in ended), Counter[str]())
        return {
            "total_queries": ends["done"] + ends["given_up"],
            "successful_queries": ends["done"],
            "failed_queries": ends["given_up"],
            "clarifications": ends["waiting"],
            "decisions_by_source": dict(sources),
            "cost_usd": sum(each["cost_usd"] for each in ended),
        }

    def clear_history(self) -> None:
        """Forget the conversation; what is in the journal stays."""
        self._history.clear()
        self._open = None

    def _told(self, work: Callable[[], Run]) -> dict[str, Any]:
        run = work()
        self._open = run if run.waiting else None
        result = result_of(run)
        self._history.append(result)
        return result


def result_of(run: Run) -> dict[str, Any]:
    """A run in the document's result format."""
    output = run.output or {}
    question = run.waiting.question if run.waiting else ""
    said = output.get("response") or question or _regret(output)
    return {
        "success": bool(run.success),
        "user_query": run.state.input["question"],
        "sql": output.get("sql"),
        "results": output.get("results") or [],
        "response": said,
        "formatted_response": said,
        "metadata": {
            "run_id": run.id,
            "status": run.end or "waiting",
            "needs_clarification": bool(run.waiting),
            "clarification_question": question,
            "execution_time_s": run.state.working_s,
            "sources": Counter(record.source for record in run.decisions),
            "cost_usd": run.usd,
        },
        "orchestration_metrics": metrics(run.decisions),
    }


def metrics(records: tuple[DecisionRecord, ...]) -> dict[str, Any]:
    """The document's orchestration_metrics."""
    decisions: list[dict[str, Any]] = []
    asked = 0
    for record in records:
        decisions.append(
            {
                "iteration": record.number,
                "state": STATES[record.opened.step],
                "action": record.action,
                "reason": record.reason,
                "clarification_count": asked,
            }
        )
        asked += record.action == "ASK_CLARIFICATION"
    final = decisions[-1]["action"] if decisions else ""
    return {"iterations": len(decisions), "decisions": decisions, "final_action": final}


def _regret(output: Mapping[str, Any]) -> str:
    reason, detail = output.get("reason") or "no reason was given", output.get("detail")
    return f"I cannot answer this: {reason}" + (f" ({detail})." if detail else ".")
