"""DBOS: a run is a workflow, each agent a step of it, whose result is kept. JSON instead of pickle, as it advises.

It decides nothing by itself: the loop with two ifs is the workflow's own code.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from dbos import DBOS, DBOSConfig
from load import Load, Place, Run
from workload import AGENTS, State, needs_fix, needs_revision, start

NAME = "DBOS"
DISTRIBUTION = "dbos"
DETAIL = "a workflow of steps, synchronous with one run in flight, else asynchronous"
BACKENDS = ("sqlite", "postgres")
AFTER = {"plan": "validate", "revise": "validate", "code": "check", "fix": "check"}


@asynccontextmanager
async def opened(place: Place, load: Load) -> AsyncIterator[Run]:
    url = place.url.replace("postgresql://", "postgresql+psycopg://") if place.url else f"sqlite:///{place.path}"
    config = DBOSConfig(name="bench", system_database_url=url, log_level="ERROR", run_admin_server=False)
    DBOS(config=config)
    workflow = asynchronous(load) if place.url or place.flight > 1 else synchronous(load)
    DBOS.launch()
    try:
        yield workflow
    finally:
        DBOS.destroy(destroy_registry=True)


def asynchronous(load: Load) -> Run:
    @DBOS.step(name="act")
    async def act(name: str, state: dict[str, Any]) -> dict[str, Any]:
        await load.reaches(name)
        return AGENTS[name](cast(State, state))

    @DBOS.workflow(name="pipeline")
    async def pipeline(state: dict[str, Any]) -> list[str]:
        step = "plan"
        while step != "done":
            state = {**state, **await act(step, state)}
            step = following(step, cast(State, state))
        return [*state["trail"], step]

    async def run_once() -> list[str]:
        return await pipeline(dict(start()))

    return run_once


def synchronous(load: Load) -> Run:
    @DBOS.step(name="act")
    def act(name: str, state: dict[str, Any]) -> dict[str, Any]:
        load.passes(name)
        return AGENTS[name](cast(State, state))

    @DBOS.workflow(name="pipeline")
    def pipeline(state: dict[str, Any]) -> list[str]:
        step = "plan"
        while step != "done":
            state = {**state, **act(step, state)}
            step = following(step, cast(State, state))
        return [*state["trail"], step]

    async def run_once() -> list[str]:
        return pipeline(dict(start()))

    return run_once


def following(step: str, state: State) -> str:
    if step == "validate":
        return "revise" if needs_revision(state) else "code"
    if step == "check":
        return "fix" if needs_fix(state) else "done"
    return AFTER[step]
