"""LangGraph with its checkpointers, `durability="sync"`: each step is kept before the next one is taken.

Its default, "async", writes a step while the next one runs, so a crash may repeat a step that has acted.
"""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from load import Load, Place, Run
from workload import AGENTS, State, needs_fix, needs_revision, start

NAME = "LangGraph"
DISTRIBUTION = "langgraph"
DETAIL = "SqliteSaver (one run in flight), AsyncSqliteSaver, AsyncPostgresSaver on a pool of 16; durability='sync'"
BACKENDS = ("sqlite", "postgres")


@asynccontextmanager
async def opened(place: Place, load: Load) -> AsyncIterator[Run]:
    if place.url:
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
        from psycopg.rows import dict_row
        from psycopg_pool import AsyncConnectionPool

        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        async with AsyncConnectionPool(place.url, min_size=16, max_size=16, kwargs=options) as pool:
            saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]
            await saver.setup()
            yield asynchronous(graph(load).compile(checkpointer=saver))
    elif place.flight > 1:
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(str(place.path)) as saver:
            yield asynchronous(graph(load).compile(checkpointer=saver))
    else:
        from langgraph.checkpoint.sqlite import SqliteSaver

        with SqliteSaver.from_conn_string(str(place.path)) as saver:
            yield synchronous(graph(load, is_async=False).compile(checkpointer=saver))


def asynchronous(compiled: Any) -> Run:
    async def run_once() -> list[str]:
        final = await compiled.ainvoke(start(), thread(), durability="sync")
        return [*final["trail"], "done"]

    return run_once


def synchronous(compiled: Any) -> Run:
    async def run_once() -> list[str]:
        final = compiled.invoke(start(), thread(), durability="sync")
        return [*final["trail"], "done"]

    return run_once


def thread() -> dict[str, Any]:
    return {"configurable": {"thread_id": uuid.uuid4().hex}}


def graph(load: Load, *, is_async: bool = True) -> StateGraph[State]:
    builder = StateGraph(State)
    for name in AGENTS:
        node = asynchronous_node(name, load) if is_async else node_of(name, load)
        leads = {"validate": ("revise", "code"), "check": ("fix", END)}.get(name)
        builder.add_node(name, node, destinations=leads)
    for source, target in ((START, "plan"), ("plan", "validate"), ("revise", "validate"), ("code", "check")):
        builder.add_edge(source, target)
    builder.add_edge("fix", "check")
    return builder


def asynchronous_node(name: str, load: Load) -> Callable[[State], Any]:
    async def act(state: State) -> Any:
        await load.reaches(name)
        return answer(name, state)

    return act


def node_of(name: str, load: Load) -> Callable[[State], Any]:
    def act(state: State) -> Any:
        load.passes(name)
        return answer(name, state)

    return act


def answer(name: str, state: State) -> Any:
    update = AGENTS[name](state)
    if name == "validate":
        return Command(update=update, goto="revise" if needs_revision(update) else "code")  # type: ignore[arg-type]
    if name == "check":
        return Command(update=update, goto="fix" if needs_fix(update) else END)  # type: ignore[arg-type]
    return update
