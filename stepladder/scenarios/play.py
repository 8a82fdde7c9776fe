"""Playing a scenario: the real orchestrator, with scripted actors, and the expectations checked at the end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stepladder.app.loading import Workflow, load_agents
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.drivers import ManualClock
from stepladder.journal import Journal
from stepladder.llm.errors import ScriptRanDry
from stepladder.scenarios.expect import Check, check
from stepladder.scenarios.file import Scenario
from stepladder.scenarios.script import ScriptedAgent, left_over, scripted_providers
from stepladder.workflow.definition import CallEffect

QUIET_TURNS = 50
"""Turns of the loop without progress after which a manual clock is moved on."""


class Played:
    """A scenario as it went: the run, and every expectation with whether it held."""

    def __init__(self, scenario: Scenario, run: Run, checks: tuple[Check, ...]) -> None:
        self.scenario, self.run, self.checks = scenario, run, checks

    @property
    def passed(self) -> bool:
        """Whether every expectation held."""
        return all(each.held for each in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The expectations that did not hold."""
        return tuple(each for each in self.checks if not each.held)


def play(
    scenario: Scenario,
    *,
    workflow: str | Path | None = None,
    journal: Journal | str | Path | None = None,
    run_id: str | None = None,
    options: Mapping[str, str] | None = None,
    listen: Callable[[Run, Any], None] | None = None,
) -> Played:
    """Play a scenario from code that has no event loop. Arguments and errors as `play_async`."""
    return asyncio.run(
        play_async(scenario, workflow=workflow, journal=journal, run_id=run_id, options=options, listen=listen)
    )


async def play_async(
    scenario: Scenario,
    *,
    workflow: str | Path | None = None,
    journal: Journal | str | Path | None = None,
    run_id: str | None = None,
    options: Mapping[str, str] | None = None,
    listen: Callable[[Run, Any], None] | None = None,
) -> Played:
    """Play a scenario.

    `workflow` replaces the file it names; `journal` keeps the run; `options` go to the file of the real agents. Where
    every agent is scripted, time is scripted too: deadlines and pauses take none.

    Raises:
        DefinitionError: the workflow cannot be used.
        InputError: real agents are missing, or the input does not fit.
    """
    stage = _Stage(scenario, Path(workflow) if workflow else scenario.workflow_file(), options or {})
    async with stage.orchestrator(journal, listen) as orchestrator:
        run, problem = await stage.run(orchestrator, run_id)
        checks = (*check(scenario.expect, run), stage.script_check(problem))
        _ = run.decisions  # read while the journal is open
    return Played(scenario, run, checks)


class _Stage:
    """The actors of one play."""

    def __init__(self, scenario: Scenario, file: Path, options: Mapping[str, str]) -> None:
        self.scenario, self.said = scenario, scenario.said
        self.scripted = {name: ScriptedAgent(name, results) for name, results in scenario.agents_said.items()}
        agents_file = scenario.folder / scenario.agents if scenario.agents else file.parent / "agents.py"
        real, signals = load_agents(agents_file, options) if agents_file.is_file() else ({}, ())
        self.workflow = Workflow.load(file, signals=signals)
        self.agents = {**real, **self.scripted}
        used = {
            agent
            for step in self.workflow.definition.steps.values()
            if isinstance(step.effect, CallEffect)
            for agent in step.effect.agents
        }
        self.clock = ManualClock() if used <= set(self.scripted) else None
        models = [model for rung in self.workflow.definition.policy.ladder.rungs.values() for model in rung.models]
        self.providers = scripted_providers(self.said.models, models)
        self.answers = deque(self.said.person)
        self.messages = {name: deque(payloads) for name, payloads in self.said.messages.items()}

    def orchestrator(self, journal: Journal | str | Path | None, listen: Any) -> Orchestrator:
        return Orchestrator(
            self.workflow,
            agents=self.agents,
            journal=journal,
            providers=self.providers,
            clock=self.clock,
            listen=listen,
        )

    async def run(self, orchestrator: Orchestrator, run_id: str | None) -> tuple[Run, str]:
        """The run at rest with nobody left to say anything, and what ran dry."""
        run = await orchestrator.start(self.scenario.input, run_id=run_id)
        try:
            run = await self._timed(orchestrator.wait(run.id))
            while run.waiting is not None and (said := self._line(run)) is not None:
                run = await self._timed(self._say(orchestrator, run, said))
        except ScriptRanDry as error:
            return orchestrator.get(run.id), str(error)
        unanswered = run.waiting is not None and run.waiting.about != self.scenario.expect.waiting
        return run, f"nobody answers: it waits for {run.waiting.about}" if unanswered and run.waiting else ""

    def _line(self, run: Run) -> dict[str, Any] | None:
        assert run.waiting is not None, "only a waiting run is spoken to"
        if run.waiting.about == "message":
            left = self.messages.get(run.waiting.question)
            return left.popleft() if left else None
        return self.answers.popleft() if self.answers else None

    @staticmethod
    async def _say(orchestrator: Orchestrator, run: Run, said: dict[str, Any]) -> Run:
        assert run.waiting is not None, "only a waiting run is spoken to"
        if run.waiting.about == "message":
            return await orchestrator.send(run.id, run.waiting.question, said)
        return await orchestrator.answer(run.id, said, by="scenario")

    async def _timed(self, work: Any) -> Run:
        """Await, moving the manual clock on whenever nothing else happens."""
        task: asyncio.Task[Run] = asyncio.ensure_future(work)
        while self.clock is not None and not task.done():
            for _ in range(QUIET_TURNS):
                await asyncio.sleep(0)
                if task.done():
                    break
            else:
                if self.clock.next_at is not None:
                    self.clock.move(max(0.0, self.clock.next_at - self.clock.now()))
                else:
                    await asyncio.sleep(0.001)
        return await task

    def script_check(self, problem: str) -> Check:
        """A script left over or run dry fails."""
        dry = [f"{agent.name} was called {agent.calls} times" for agent in self.scripted.values() if agent.ran_dry]
        left = left_over(self.scripted.values(), self.providers, len(self.answers), self.messages)
        found = [
            *([problem] if problem else []),
            *(f"ran dry: {each}" for each in dry),
            *(f"left over: {each}" for each in left),
        ]
        return Check("script", "used up exactly", "; ".join(found) or "used up exactly", not found)
