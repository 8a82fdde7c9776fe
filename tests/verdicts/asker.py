"""A process that wants to know what another one wants to know at the same moment.

    python -m tests.verdicts.asker URL JOURNAL NAME RUNS

Waits for a line on stdin, runs, and prints how many of its decisions the cache had.
"""

from __future__ import annotations

import asyncio
import sys

from stepladder import Orchestrator
from stepladder.app.loading import Workflow
from stepladder.llm.openai import OpenAIProvider
from tests.app.test_model_limits import FLOW

CACHED = FLOW.replace("  rungs: {", "  rungs: {cache: {features: [last.kind], shared: true, deadline_s: 10}, ").replace(
    "ask: [supervisor]", "ask: [cache, supervisor]"
)


async def ask(url: str, journal: str, name: str, runs: int) -> int:
    agents = {"reader": lambda ticket: {"kind": "complaint"}}
    provider = OpenAIProvider(api_key="sk-nothing", base_url=url)
    async with Orchestrator(
        Workflow.parse(CACHED), agents=agents, journal=journal, providers={"openai": provider}
    ) as desk:
        print("ready", flush=True)
        sys.stdin.readline()
        found = await asyncio.gather(*(desk.run({"ticket": "x"}, run_id=f"{name}-{n}") for n in range(runs)))
        cached = sum(bool(call.cached) for run in found for call in run.decisions[-1].calls)
        assert {run.end for run in found} == {"answered"}
    await provider.close()
    return cached


if __name__ == "__main__":
    url, journal, name, runs = sys.argv[1:]
    print(asyncio.run(ask(url, journal, name, int(runs))))
