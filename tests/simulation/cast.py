"""Agents, models and people, each at its worst now and then, as the seed and what they are asked say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, Final

from stepladder.commands import AskPerson
from stepladder.drivers import AgentCall, AgentResult, Artifact
from stepladder.drivers.agents import OutcomeUnknownError
from stepladder.llm import ModelReply, ModelRequest
from stepladder.llm.errors import Late, ModelError, RateLimited, Unavailable
from tests.simulation.laws import Story
from tests.simulation.loop import DiedError, Process, Took
from tests.simulation.truth import SECRET
from tests.simulation.workflows import ANSWERS, OUTPUTS, SYNCHRONOUS, WORKFLOWS

if TYPE_CHECKING:
    from tests.simulation.world import Worker, World

FOR_EVER_S: Final = 1e7
AGENT_S: Final = (0.0, 0.0, 0.01, 0.5, 3.0, 20.0, 30.0, 45.0)
MODEL_S: Final = (0.0, 0.01, 0.5, 2.0, 5.0, 7.0, 9.0)
AGENT_FATES: Final = {"good": 54, "raises": 14, "garbage": 8, "unknown": 6, "hangs": 4, "stubborn": 6, "dies": 2}
MODEL_FATES: Final = {"legal": 58, "illegal": 22, "garbage": 6, "fails": 6, "hangs": 4, "breaks": 4}
GARBAGE: Final = ("words", 5, {"status": 7, "ok": "yes", "good": 1, "success": None}, {"x": float("nan")}, object())
TEXTS: Final = (
    "",
    "{",
    '{"action": 5}',
    '{"action": "A", "action": "B"}',
    '{"confidence": 2}',
    "null",
    "I would wait.",
)


def agent(world: World, process: Process, name: str) -> Callable[..., Any]:
    """The agent as this process has it: a coroutine, or a function for a thread."""

    async def called(call: AgentCall, **_: Any) -> Any:
        fate, random = _begin(world, process, call)
        try:
            await asyncio.sleep(FOR_EVER_S if fate == "hangs" else world.pause(random, AGENT_S))
        except asyncio.CancelledError:
            if fate != "stubborn":
                raise
        return _end(world, process, call, fate, random)

    def in_thread(call: AgentCall, **_: Any) -> Any:
        fate, random = _begin(world, process, call)
        took_s = FOR_EVER_S if fate == "hangs" else world.pause(random, AGENT_S)
        try:
            return Took(_end(world, process, call, fate, random), took_s)
        except Exception as error:
            error.took_s = took_s  # type: ignore[attr-defined]
            raise

    return in_thread if name in SYNCHRONOUS else called


def _begin(world: World, process: Process, call: AgentCall) -> tuple[str, Random]:
    world.truth.begins(process, call)
    random = world.chance(process.name, call.run_id, call.key, call.attempt)
    return world.fate(random, AGENT_FATES), random


def _end(world: World, process: Process, call: AgentCall, fate: str, random: Random) -> Any:
    match fate:
        case "raises":
            raise ConnectionError("refused")
        case "stubborn" if random.random() < 0.7:
            raise ConnectionError("refused at last")
        case "garbage":
            return random.choice(GARBAGE)
        case "unknown":
            raise OutcomeUnknownError("cut off")
        case "dies":
            world.loop.kill(process)
            raise DiedError(process.name)
    output = dict(random.choice(OUTPUTS[call.agent]))
    if call.agent == "fetcher":
        output["scan"] = Artifact(call.key.encode(), "text/plain")
    if random.random() < 0.1:
        output["error"] = f"it said {SECRET}"
    return AgentResult(output, cost_usd=random.choice((0.0, 0.01, None)))


class Models:
    """A provider whose models answer what they like."""

    def __init__(self, world: World, process: Worker, name: str) -> None:
        self.world, self.process, self.name, self.asked = world, process, name, 0

    async def ask(self, request: ModelRequest) -> ModelReply:
        self.asked += 1
        random = self.world.chance(self.process.name, self.name, request.model, self.asked)
        fate = self.world.fate(random, MODEL_FATES)
        await asyncio.sleep(FOR_EVER_S if fate == "hangs" else self.world.pause(random, MODEL_S))
        if fate == "breaks":
            raise ValueError("a provider of somebody's own")
        if fate == "fails":
            kind: type[ModelError] = random.choice((Late, RateLimited, Unavailable))
            raise kind(self.name, request.model, "not now")
        anything = list(WORKFLOWS[self.process.workflow].definition.actions)
        return self._reply(request, _text(request, fate, random, anything), random.choice((0.0, 0.02, 0.09, None)))

    def price(self, model: str, read: int, written: int) -> float:
        return 0.09

    def _reply(self, request: ModelRequest, text: str, cost_usd: float | None) -> ModelReply:
        return ModelReply(
            text=text,
            model=request.model,
            input_tokens=1,
            output_tokens=1,
            cost_usd=cost_usd,
            latency_s=0.0,
            finish="stop",
            provider=self.name,
        )

    async def close(self) -> None:
        """Nothing to give back."""


def _text(request: ModelRequest, fate: str, random: Random, anything: list[str]) -> str:
    if fate == "garbage":
        return random.choice(TEXTS)
    legal = request.schema["properties"]["action"]["enum"]
    action = random.choice(legal if fate == "legal" else anything)
    return json.dumps({"action": action, "reason": "so", "confidence": random.choice((0.2, 0.6, 0.9))})


def answer(story: Story, asked: AskPerson, random: Random) -> dict[str, Any]:
    """What a person says who understands the question."""
    match asked.about:
        case "question":
            return ANSWERS[story.workflow.name]
        case "approval":
            return {"approve": random.random() < 0.7, "reason": "so"}
        case "decision":
            return {"action": random.choice(asked.options)}
        case _:
            done = {"effect": "done", "output": random.choice(OUTPUTS[asked.call.agent])} if asked.call else {}
            return random.choice((done, {"effect": "redo"}, {"effect": "unknown"}))
