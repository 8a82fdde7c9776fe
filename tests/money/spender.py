"""A process that spends: so many runs at once, each of which asks a model, under a cap of the day.

    python -m tests.money.spender BASE_URL JOURNAL NAME RUNS AT_ONCE DAY_USD

Prints how many decisions a model took, and how many were closed by a cap.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from stepladder.app.orchestrator import Orchestrator
from stepladder.llm.openai import OpenAIProvider
from stepladder.money import NANO
from tests.drivers.desk import LADDER, workflow

PRICES = {"openai:m": (10.0, 40.0)}


def changes(day_usd: float, **more: Any) -> dict[str, Any]:
    money = {"day_usd": day_usd, "throttle": None, "prices": {"openai:m": [10.0, 40.0]}, **more}
    first = {"model": "openai:m", "deadline_s": 5, "max_output_tokens": 200}
    return {"policy": {"rungs": {"first": first}, "money": money}}


async def spend(url: str, journal: str, name: str, runs: int, at_once: int, day_usd: float) -> tuple[int, int]:
    provider = OpenAIProvider(api_key="sk-nothing", base_url=url, prices=PRICES)
    async with Orchestrator(
        workflow(LADDER, changes(day_usd)),
        agents={"worker": lambda x: {"done": False}},
        journal=journal,
        providers={"openai": provider},
        at_once=at_once,
    ) as orchestrator:
        found = await asyncio.gather(*(orchestrator.run({"x": n}, run_id=f"{name}-{n}") for n in range(runs)))
        failures = [call.failure for run in found for record in run.decisions for call in record.calls]
    await provider.close()
    return failures.count(""), failures.count("over_cap")


if __name__ == "__main__":
    url, journal, name, runs, at_once, day_usd = sys.argv[1:]
    asked, closed = asyncio.run(spend(url, journal, name, int(runs), int(at_once), float(day_usd)))
    print(asked, closed, NANO)
