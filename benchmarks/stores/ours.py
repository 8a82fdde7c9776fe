"""stepladder as people use it: an Orchestrator on its journal, whose agents return only what is new."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from load import Load, Place, Run
from workload import CODE, EXPECTED, FAILED_CHECKS, PLAN, SCORES, start

from stepladder import Orchestrator, Workflow
from stepladder.journal import Journal
from stepladder.journal.sqlite import SqliteJournal

NAME = "stepladder"
DISTRIBUTION = "stepladder"
DETAIL = "Orchestrator, its journal, asynchronous agents, with the decision record of every step"
BACKENDS = ("sqlite", "postgres")
FILE = Path(__file__).parent.parent / "durable.yaml"
INPUT: dict[str, Any] = {
    name: value for name, value in start().items() if name in ("question", "tables", "glossary", "limits")
}
VISITS = Counter(EXPECTED[:-1])


@asynccontextmanager
async def opened(place: Place, load: Load) -> AsyncIterator[Run]:
    journal = journal_at(place)
    orchestrator = Orchestrator(Workflow.load(FILE), agents=agents(load), journal=journal)

    async def run_once() -> list[str]:
        run = await orchestrator.run(INPUT)
        return EXPECTED if run.state.visits == VISITS and run.end == "done" else [str(run.state.visits), run.end]

    try:
        async with orchestrator:
            yield run_once
    finally:
        journal.close()


def journal_at(place: Place) -> Journal:
    """Raises ModuleNotFoundError as long as there is no journal on Postgres."""
    if not place.url:
        return SqliteJournal(place.path, synchronous=place.synchronous)
    from stepladder.journal.postgres import PostgresJournal

    return PostgresJournal(place.url)  # type: ignore[no-any-return]


def agents(load: Load) -> dict[str, Callable[..., Awaitable[dict[str, Any]]]]:
    async def plan(question: str, tables: dict[str, Any]) -> dict[str, Any]:
        await load.reaches("plan")
        return {"plan": PLAN}

    async def validate(plan: list[str], earlier: int) -> dict[str, Any]:
        await load.reaches("validate")
        return {"plan_score": SCORES[earlier - 1]}

    async def revise(plan: list[str], earlier: int) -> dict[str, Any]:
        await load.reaches("revise")
        return {"revisions": earlier}

    async def code(plan: list[str], glossary: dict[str, str]) -> dict[str, Any]:
        await load.reaches("code")
        return {"code": CODE}

    async def check(code: str, earlier: int) -> dict[str, Any]:
        await load.reaches("check")
        return {"failed_checks": FAILED_CHECKS[earlier - 1]}

    async def fix(code: str, earlier: int) -> dict[str, Any]:
        await load.reaches("fix")
        return {"fixes": earlier}

    return {each.__name__: each for each in (plan, validate, revise, code, check, fix)}
