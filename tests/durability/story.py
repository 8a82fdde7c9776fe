"""What the crash tests run: scenarios whose actors say the same to every process that takes the run up.

A scenario is played once, undisturbed, with its own actors (example agents, scripts), and what each of them said is
kept under what it was asked: an agent's call by step, agent, arguments, earlier outcomes and attempt, a model's
question by its prompt. So any number of processes can go on with it, in any order.
"""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepladder.app.loading import Workflow, load_agents
from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import AgentCall
from stepladder.drivers.agents import Agent
from stepladder.journal import Journal
from stepladder.journal.memory import MemoryJournal
from stepladder.llm import ModelReply, ModelRequest, Provider
from stepladder.llm.errors import ModelError
from stepladder.scenarios.file import Scenario, load_scenario
from stepladder.scenarios.play import _Stage
from stepladder.scenarios.script import CODES
from stepladder.values import digest, plain

ROOT: Final = Path(__file__).parents[2]
JOURNEY: Final = Path(__file__).with_name("journey_scenario.yaml")
SCENARIOS: Final = (JOURNEY, *sorted((ROOT / "scenarios").glob("*.yaml")))
QUICK: Final = tuple(
    file for file in SCENARIOS if not file.stem.endswith(("coins", "customers", "machines", "outage", "unclear"))
)
"""Those that do not train models for seconds when they are recorded; the others are left to `make torture`."""

PATIENCE_S: Final = 10_000
"""Seconds for an agent, a model and a run in a story: a machine that is busy elsewhere is no part of it."""


class Raised(NamedTuple):
    """What an agent or a model raised: its class (of a model: its code) and its words."""

    kind: str
    words: str

    def again(self) -> Exception:
        return type(self.kind, (Exception,), {})(self.words)


class Story(NamedTuple):
    """A run that always goes the same way. `given` and `said` are what agents and models say, by what they are asked.

    `strict`: no agent is idempotent.
    """

    name: str
    file: Path
    agents: Path | None
    input: dict[str, Any]
    person: list[dict[str, Any]]
    given: dict[str, Any]
    said: dict[str, ModelReply | Raised]
    strict: bool = False

    def workflow(self) -> Workflow:
        return _workflow(self.file, self.agents, self.strict)


@cache
def _workflow(file: Path, agents: Path | None, strict: bool) -> Workflow:
    _, signals = load_agents(agents, {}) if agents else ({}, ())
    definition = Workflow.load(file, signals=signals).definition
    source = deepcopy(definition.source)
    for phase in source["phases"].values():
        for step in phase["steps"].values():
            if "timeout_s" in step:
                step["timeout_s"] = PATIENCE_S
    policy = source.get("policy", {})
    for rung in policy.get("rungs", {}).values():
        if "model" in rung or "models" in rung:
            rung["deadline_s"] = PATIENCE_S
    if "working_s" in policy.get("limits", {}):
        policy["limits"]["working_s"] = PATIENCE_S
    if strict:
        source["agents"] = {name: {**agent, "idempotent": False} for name, agent in source["agents"].items()}
    return Workflow.define(source, signals=signals, prompts=definition.prompts)


def asked_of_agent(call: AgentCall, arguments: Mapping[str, Any], attempt: int) -> str:
    """What an agent is asked, whatever the run is called."""
    outcomes = call.key.rpartition("-")[2]
    return f"{call.step} {call.agent} {digest(arguments)}-{outcomes} {attempt}"


def asked_of_model(request: ModelRequest) -> str:
    """What a model is asked."""
    return f"{request.model} {digest(request.system, request.prompt)}"


def record(file: Path, into: Path) -> Path:
    """Play the scenario in this file, and keep it as a story in the folder `into`."""
    scenario = load_scenario(file)
    stage = _Recording(scenario, scenario.workflow_file(), {})
    asyncio.run(stage.played())
    agents = scenario.workflow_file().with_name("agents.py")
    story = Story(
        file.stem,
        scenario.workflow_file(),
        agents if agents.is_file() else None,
        scenario.input,
        list(stage.said.person),
        stage.given,
        stage.heard,
    )
    kept = into / f"{file.stem}.story"
    kept.write_bytes(pickle.dumps(story))
    return kept


@cache
def read_story(kept: Path) -> Story:
    """The story in a file."""
    story = pickle.loads(kept.read_bytes())
    assert isinstance(story, Story)
    return story


def strict(kept: Path) -> Path | None:
    """The same story with no agent idempotent; None where an agent fails: a redone failure is one failure more."""
    story = read_story(kept)
    if any(isinstance(each, Raised) for each in story.given.values()):
        return None
    other = kept.with_name(f"{kept.stem}-strict.story")
    other.write_bytes(pickle.dumps(story._replace(name=f"{story.name}-strict", strict=True)))
    return other


class _Recording(_Stage):
    """The actors of a scenario, and what they say."""

    def __init__(self, scenario: Scenario, file: Path, options: Mapping[str, str]) -> None:
        super().__init__(scenario, file, options)
        self.given: dict[str, Any] = {}
        self.heard: dict[str, ModelReply | Raised] = {}
        self.agents = {name: self._listened_to(Agent(name, agent)) for name, agent in self.agents.items()}
        self.models = self.providers

    async def played(self) -> None:
        orchestrator = self.orchestrator(MemoryJournal(), None)
        run, problem = await self.run(orchestrator, "story")
        await orchestrator.close()
        assert not problem and run.end == self.scenario.expect.end, f"{self.scenario.scenario}: {problem or run}"

    def orchestrator(self, journal: Journal, listen: Any) -> Orchestrator:
        heard: dict[str, Provider] = {name: _Heard(each, self.heard) for name, each in self.models.items()}
        return Orchestrator(self.workflow, agents=self.agents, journal=journal, providers=heard, clock=self.clock)

    def _listened_to(self, agent: Agent) -> Callable[..., Any]:
        async def listened_to(call: AgentCall, **arguments: Any) -> Any:
            asked = asked_of_agent(call, arguments, call.attempt)
            try:
                given = agent.function(**arguments, **({"call": call} if agent.wants_call else {}))
                given = await given if inspect.isawaitable(given) else given
            except Exception as error:
                self.given[asked] = Raised(type(error).__name__, str(error))
                raise
            self.given[asked] = plain(given)
            return given

        return listened_to


class _Heard:
    final = True
    """What it says is what its script says: it is not asked again."""

    def __init__(self, provider: Provider, heard: dict[str, ModelReply | Raised]) -> None:
        self.provider, self.heard, self.name = provider, heard, provider.name

    async def ask(self, request: ModelRequest) -> ModelReply:
        try:
            reply = await self.provider.ask(request)
        except ModelError as error:
            self.heard[asked_of_model(request)] = Raised(error.code, str(error))
            raise
        self.heard[asked_of_model(request)] = reply
        return reply

    async def close(self) -> None:
        await self.provider.close()


def raised_by_model(raised: Raised, provider: str, model: str) -> ModelError:
    """The failure of a model, again."""
    return CODES[raised.kind](provider, model, "as the story says")
