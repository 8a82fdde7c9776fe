"""The agents of TALK, and an orchestrator around them, for tests of the verbs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import ManualClock
from tests.drivers.desk import TALK, workflow


class Cast:
    """Agents that note their calls. `hold` makes the next writer wait until `let_go`."""

    def __init__(self) -> None:
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.cancelled: list[str] = []
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.failing: list[Exception] = []

    @property
    def agents(self) -> dict[str, Any]:
        return {"writer": self.writer, "printer": self.printer}

    async def writer(self, **given: Any) -> dict[str, Any]:
        self.called.append(("writer", given))
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.append("writer")
            raise
        if self.failing:
            raise self.failing.pop(0)
        return {"text": f"on {given['topic']}" + "".join(f", {note}" for note in given["notes"] or [])}

    async def printer(self, **given: Any) -> dict[str, Any]:
        self.called.append(("printer", given))
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled.append("printer")
            raise
        if self.failing:
            raise self.failing.pop(0)
        return {"sheets": 2}

    def count(self, agent: str) -> int:
        return sum(name == agent for name, _ in self.called)


@asynccontextmanager
async def talk(cast: Cast | None = None, **more: Any) -> AsyncIterator[tuple[Orchestrator, Cast, ManualClock]]:
    """An orchestrator of TALK on a manual clock."""
    cast, clock = cast or Cast(), more.pop("clock", None) or ManualClock()
    definition = workflow(TALK, more.pop("changes", None))
    async with Orchestrator(definition, agents=cast.agents, clock=clock, **more) as orchestrator:
        yield orchestrator, cast, clock


OWLS = {"topic": "owls"}
