"""Playing a scenario: the real orchestrator, with scripted actors, and the expectations checked at the end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stepladder.app.journals import open_journal
from stepladder.app.loading import Workflow, load_agents
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.drivers import ManualClock
from stepladder.errors import InputError
from stepladder.journal import Journal
from stepladder.llm import Provider
from stepladder.llm.errors import ScriptRanDry
from stepladder.record import STOP
from stepladder.scenarios.expect import Check, check
from stepladder.scenarios.file import Scenario
from stepladder.scenarios.script import ScriptedAgent, left_over, scripted_providers
from stepladder.workflow.definition import CallEffect
from stepladder.workflow.problems import one_of

Around = Callable[[str, Callable[..., Any]], Callable[..., Any]]
"""Gives what is called instead of an agent, by its name."""
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
    providers: Mapping[str, Provider] | None = None,
    around: Around | None = None,
) -> Played:
    """Play a scenario.

    `workflow` replaces the file it names; `journal` keeps the run; `options` go to the file of the real agents. Where
    every agent is scripted, time is scripted too: deadlines and pauses take none. With `providers` models are asked
    there instead of in the script, and time is real. `around` is put around each agent.

    Raises:
        DefinitionError: the workflow cannot be used.
        InputError: real agents are missing, or the input does not fit.
    """
    file = Path(workflow) if workflow else scenario.workflow_file()
    stage = _Stage(scenario, file, options or {}, providers, around)
    kept = open_journal(journal)
    orchestrator = stage.orchestrator(kept, listen)
    try:
        run, problem = await stage.run(orchestrator, run_id)
        await stage.shadows(orchestrator)
        run = orchestrator.get(run.id)  # with what was answered in shadow
        checks = (*check(scenario.expect, run, stage.actions), stage.script_check(problem))
        _ = run.decisions  # read while the journal is open
    finally:
        await orchestrator.close()
        if kept is not journal:
            kept.close()
    return Played(scenario, run, checks)


class _Stuck(Exception):
    """Everybody is scripted, nobody says anything, and no time is waited for."""


class _Stage:
    """The actors of one play."""

    def __init__(
        self,
        scenario: Scenario,
        file: Path,
        options: Mapping[str, str],
        outside: Mapping[str, Provider] | None = None,
        around: Around | None = None,
    ) -> None:
        self.scenario, self.said = scenario, scenario.said
        self.scripted = {name: ScriptedAgent(name, results) for name, results in scenario.agents_said.items()}
        agents_file = scenario.folder / scenario.agents if scenario.agents else file.parent / "agents.py"
        wanted = scenario.agents or agents_file.is_file()
        real, signals = load_agents(agents_file, options) if wanted else ({}, ())
        self.workflow = Workflow.load(file, signals=signals)
        self._must_know(self.scripted)
        declared = {name: agent for name, agent in real.items() if name in self.workflow.definition.agents}
        self.agents: dict[str, Callable[..., Any]] = {**declared, **self.scripted}
        if around is not None:
            self.agents = {name: around(name, agent) for name, agent in self.agents.items()}
        self.actions = {*self.workflow.definition.actions, STOP}
        used = {
            agent
            for step in self.workflow.definition.steps.values()
            if isinstance(step.effect, CallEffect)
            for agent in step.effect.agents
        }
        self.clock = ManualClock() if used <= set(self.scripted) and outside is None else None
        models = [model for rung in self.workflow.definition.policy.ladder.rungs.values() for model in rung.models]
        self.outside = outside
        self.providers = scripted_providers(self.said.models, models) if outside is None else {}
        self.answers = deque(self.said.person)
        self.messages = {name: deque(payloads) for name, payloads in self.said.messages.items()}

    def _must_know(self, scripted: Iterable[str]) -> None:
        known = self.workflow.definition.agents
        for name in scripted:
            if name not in known:
                found = f"an agent that {self.workflow.name} does not name"
                raise InputError("script", name, found, one_of(name, known))

    def orchestrator(self, journal: Journal, listen: Any) -> Orchestrator:
        return Orchestrator(
            self.workflow,
            agents=self.agents,
            journal=journal,
            providers=self.providers if self.outside is None else self.outside,
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
        except ScriptRanDry:  # `script_check` tells of it
            return orchestrator.get(run.id), ""
        except _Stuck as stuck:
            return orchestrator.get(run.id), str(stuck)
        unanswered = run.waiting is not None and run.waiting.about != self.scenario.expect.waiting
        return run, f"nobody answers: it waits for {run.waiting.about}" if unanswered and run.waiting else ""

    @staticmethod
    async def shadows(orchestrator: Orchestrator) -> None:
        """Stop, after what is asked in shadow has been answered."""
        with suppress(ScriptRanDry):
            await orchestrator.close()

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
        while self.clock is not None and await self._quiet(task):
            if self.clock.next_at is None:
                task.cancel()
                await asyncio.wait([task])
                raise _Stuck("nothing happens any more: somebody is late, and nothing says until when to wait")
            self.clock.move(max(0.0, self.clock.next_at - self.clock.now()))
        return await task

    async def _quiet(self, task: asyncio.Task[Run]) -> bool:
        """Whether nothing happens any more unless time goes on."""
        assert self.clock is not None, "real time goes on by itself"
        for turn in range(2 * QUIET_TURNS):
            await asyncio.sleep(0 if turn < QUIET_TURNS else 0.001)
            if task.done():
                return False
            if turn >= QUIET_TURNS and self.clock.next_at is not None:
                return True
        return True

    def script_check(self, problem: str) -> Check:
        """A script left over or run dry fails."""
        dry = [f"{agent.name} was called {agent.calls} times" for agent in self.scripted.values() if agent.ran_dry]
        dry += [each for models in self.providers.values() for each in models.dry]
        left = left_over(self.scripted.values(), self.providers, len(self.answers), self.messages)
        found = [
            *([problem] if problem else []),
            *(f"missed: {agent.missed}" for agent in self.scripted.values() if agent.missed),
            *(f"ran dry: {each}" for each in dry),
            *(f"left over: {each}" for each in left),
        ]
        return Check("script", "used up exactly", "; ".join(found) or "used up exactly", not found)
