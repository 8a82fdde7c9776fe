"""A long run keeps its state now and then, whatever its signals remember: the fold of its journal up to there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepladder import Orchestrator, Workflow
from stepladder.drivers import ManualClock, turns
from stepladder.drivers.checkpoints import state_at
from stepladder.journal import MemoryJournal, entries_in
from stepladder.orchestrator import fold

LONG = {
    "workflow": "long",
    "start": "look",
    "input": {"question": "string"},
    "agents": {"looker": {"idempotent": True, "scores": {"score": [0, 10]}}},
    "phases": {"work": {"steps": {"look": {"agent": "looker", "with": {"n": "visits.look"}}}}},
    "ends": {"done": {"success": True}, "lost": {"success": False}},
    "actions": {"AGAIN": {"from": "look", "to": "look"}, "DONE": {"from": "look", "to": "done"}},
    "rules": {"look": {"end": {"when": ["last.n >= 40"], "do": "DONE"}, "go": {"do": "AGAIN"}}},
}
NAMED = [
    "error_count >= 90",
    "repeated_calls >= 90",
    "repeated_results >= 90",
    "unusual_patterns >= 90",
    "validation_anomalies >= 90",
    "convergence_issues == true",
    "old_results >= 90",
    "tool_diversity > 90",
]


@pytest.mark.parametrize("clauses", [*([each] for each in NAMED), NAMED], ids=" ".join)
def test_a_kept_state_is_the_fold_of_the_journal_up_to_there(
    clauses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "CHECKPOINT_EVERY", 20)
    policy = {"limits": {"decisions": 500, "then": "lost"}, "classifier": {"complex": {"odd": clauses}}}
    workflow = Workflow.define({**LONG, "policy": policy})
    journal = MemoryJournal()

    async def looker(n: int) -> dict[str, Any]:
        return {"n": n, "score": n % 7, "text": f"page {n % 3}"}

    async def play() -> None:
        agents = {"looker": looker}
        async with Orchestrator(workflow, agents=agents, journal=journal, clock=ManualClock()) as orchestrator:
            run = await orchestrator.run({"question": "which?"}, run_id="long")
            assert (run.end, len(run.entries)) == ("done", 121)

    asyncio.run(play())
    entries = entries_in(journal.turns("long"))
    kept = journal.checkpoint("long")
    assert kept is not None
    assert kept.entries > 100
    assert state_at(workflow.machine, kept) == fold(workflow.machine, entries[: kept.entries])
