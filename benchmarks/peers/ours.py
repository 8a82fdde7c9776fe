"""stepladder as people use it: an Orchestrator with its journal in memory. Every ratio is to this row.

Besides what the core does, each agent's result is checked to be plain JSON and copied, secrets are looked for, the turn
is encoded and kept in the journal, and each agent is a task of its own.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import timing
from workload import AGENTS, start

from peers.ours_core import FILE, whole
from stepladder import Orchestrator, Workflow

NAME = "stepladder"
DETAIL = "Orchestrator built once, journal in memory, redaction on, asynchronous agents"
make_setup = timing.enter_loop


def agent(name: str) -> Callable[..., Awaitable[dict[str, Any]]]:
    step = whole(name)

    async def act(state: dict[str, Any]) -> dict[str, Any]:
        return step(state)

    return act


def make() -> Callable[[], list[str]]:
    workflow = Workflow.load(FILE)
    agents = {name: agent(name) for name in AGENTS}

    orchestrator = Orchestrator(workflow, agents=agents)

    async def run_once() -> list[str]:
        run = await orchestrator.run(start())
        assert run.output is not None
        return [*run.output["trail"], run.end]

    return timing.on_loop(run_once)
