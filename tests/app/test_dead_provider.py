"""Every provider is dead: with the breakers open a run with its journal in a file decides by rule, in no time."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path

import pytest

from stepladder import Orchestrator
from stepladder.llm import Providers
from stepladder.llm.openai import OpenAIProvider
from tests.app.test_model_limits import flow

WITHIN_S = 0.005
NOBODY = "http://127.0.0.1:9/v1"
CHAIN = ["openai:gpt-5-mini", "openai:gpt-5-nano", "openai:gpt-5"]


@pytest.mark.parametrize("shared", [False, True])
def test_with_all_breakers_open_a_run_decides_by_rule_within_five_milliseconds(tmp_path: Path, shared: bool) -> None:
    async def run() -> list[float]:
        made = flow({"breaker": {"open_s": 300}, "shared": shared}, chain=CHAIN, model=None)
        agents = {"reader": lambda ticket: {"kind": "complaint"}}
        providers = Providers({"openai": OpenAIProvider(api_key="sk-nothing", base_url=NOBODY)})
        async with Orchestrator(made, agents=agents, journal=tmp_path / "j.db", providers=providers) as desk:
            for n in range(6):
                await desk.run({"ticket": str(n)})
            batches = []
            for batch in range(4):  # other programs may have the processor for a while, so the best one counts
                took = []
                for n in range(25):
                    found = await desk.run({"ticket": f"{batch}-{n}"})
                    record = found.decisions[-1]
                    took.append(record.latency_s)
                    assert record.settled is not None
                    assert (record.source, record.settled.fallback) == ("rule", "supervisor: closed")
                    attempts = record.calls[-1].attempts
                    assert [each.target for each in attempts] == CHAIN
                    assert {(each.sent, each.cause, each.cost) for each in attempts} == {
                        (False, "its breaker is open", "none")
                    }
                    assert "its breaker is open" in record.explain()
                batches.append(statistics.median(took))
        return batches

    assert min(asyncio.run(run())) < WITHIN_S
