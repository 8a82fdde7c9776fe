"""Burr with its persisters, which keep the whole state at every step; an application is a run."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import workload
from burr.core import ApplicationBuilder, State, action, when
from burr.core.graph import Graph, GraphBuilder
from load import Load, Place, Run

NAME = "Burr"
DISTRIBUTION = "burr"
DETAIL = "SQLitePersister and step() (one run in flight), AsyncSQLitePersister, AsyncPostgreSQLPersister on a pool"
BACKENDS = ("sqlite", "postgres")

READS = ["trail", "revisions", "fixes"]
WRITES = {
    "plan": "plan",
    "validate": "plan_score",
    "revise": "revisions",
    "code": "code",
    "check": "failed_checks",
    "fix": "fixes",
}


@asynccontextmanager
async def opened(place: Place, load: Load) -> AsyncIterator[Run]:
    if place.url:
        from burr.integrations.persisters.b_asyncpg import AsyncPostgreSQLPersister

        url = urlsplit(place.url)
        async with AsyncPostgreSQLPersister.from_values(
            db_name=url.path.lstrip("/"),
            user=url.username or "postgres",
            password=url.password or "",
            host=url.hostname or parse_qs(url.query).get("host", ["localhost"])[0],
            port=url.port or 5432,
            use_pool=True,
        ) as persister:
            await persister.initialize()
            yield asynchronous(graph(load), persister)
    elif place.flight > 1:
        from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

        async with AsyncSQLitePersister.from_values(str(place.path)) as persister:
            await persister.initialize()
            yield asynchronous(graph(load), persister)
    else:
        from burr.core.persistence import SQLitePersister

        with SQLitePersister(str(place.path)) as persister:
            persister.initialize()
            yield synchronous(graph(load, is_async=False), persister)


def asynchronous(actions: Graph, persister: Any) -> Run:
    async def run_once() -> list[str]:
        app = await new_application(actions, persister).abuild()
        while (following := app.get_next_action()).name != "done":
            await app.astep()
        return [*app.state["trail"], following.name]

    return run_once


def synchronous(actions: Graph, persister: Any) -> Run:
    async def run_once() -> list[str]:
        app = new_application(actions, persister).build()
        while (following := app.get_next_action()).name != "done":
            app.step()
        return [*app.state["trail"], following.name]

    return run_once


def new_application(actions: Graph, persister: Any) -> ApplicationBuilder:
    builder = ApplicationBuilder().with_graph(actions).with_entrypoint("plan").with_state(**workload.start())
    return builder.with_identifiers(app_id=uuid.uuid4().hex, partition_key="bench").with_state_persister(persister)


def graph(load: Load, *, is_async: bool = True) -> Graph:
    make = asynchronous_action if is_async else synchronous_action
    actions = {name: make(name, load) for name in WRITES}
    return (
        GraphBuilder()
        .with_actions(**actions, done=done)
        .with_transitions(
            ("plan", "validate"),
            ("validate", "revise", when(plan_score__lt=workload.ACCEPTED)),
            ("validate", "code"),
            ("revise", "validate"),
            ("code", "check"),
            ("check", "fix", when(failed_checks__gt=0)),
            ("check", "done"),
            ("fix", "check"),
        )
        .build()
    )


def asynchronous_action(name: str, load: Load) -> Callable[..., Any]:
    @action(reads=READS, writes=[WRITES[name], "trail"])
    async def act(state: State) -> State:
        await load.reaches(name)
        return state.update(**workload.AGENTS[name](state))

    return act


def synchronous_action(name: str, load: Load) -> Callable[..., Any]:
    @action(reads=READS, writes=[WRITES[name], "trail"])
    def act(state: State) -> State:
        load.passes(name)
        return state.update(**workload.AGENTS[name](state))

    return act


@action(reads=[], writes=[])
def done(state: State) -> State:
    """Where the last decision leads; never run."""
    return state
