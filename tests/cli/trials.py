"""A journal with many runs of a workflow whose model is right more often than its rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stepladder import Orchestrator, Workflow
from stepladder.drivers import ManualClock
from stepladder.llm import ModelRequest, ScriptedProvider

WORKFLOW = """\
workflow: sorting
input: {kind: string, number: integer}
start: looking
agents: {looker: {idempotent: true, output: {kind: string, odd: boolean}}}
phases: {main: {steps: {looking: {agent: looker, with: {kind: input.kind, number: input.number}}}}}
ends: {kept: {success: true}, thrown: {success: false}}
actions:
  KEEP: {from: looking, to: kept}
  THROW: {from: looking, to: thrown}
rules:
  looking:
    broken: {when: [returned != ok], do: THROW, because: nothing was seen}
    throw:  {do: THROW, because: it is worth nothing}   # the old way
policy:
  limits: {then: thrown}
  classifier: {hybrid: {odd: [last.odd == true]}}
  rungs: {first: {model: "scripted:first"}}
  routes:
    hybrid:
      ask: [first]
      reconcile: rule_wins
      rollout: {share: 0.5, reconcile: model_wins}   # since May
"""


def answer(request: ModelRequest) -> Mapping[str, Any]:
    """The model keeps everything but glass."""
    said = "THROW" if '"glass"' in request.prompt or "glass" in request.prompt else "KEEP"
    return {"action": said, "reason": "so it seems", "confidence": 0.9}


def looker(kind: str, number: int) -> dict[str, Any]:
    """Everything is odd but what is plain."""
    return {"kind": kind, "odd": kind != "plain"}


def filled(
    journal: Path,
    kinds: list[str],
    text: str = WORKFLOW,
    prefix: str = "r",
    *,
    says: Callable[[ModelRequest], Mapping[str, Any]] | None = None,
    day: int = 0,
) -> Workflow:
    """A journal with a run for each of these, a minute apart, from this day on."""
    workflow = Workflow.parse(text)

    async def body() -> None:
        clock = ManualClock()
        clock.move(86_400 * day)
        provider = ScriptedProvider([says or answer] * len(kinds))
        agents = {"looker": looker}
        async with Orchestrator(
            workflow, journal=str(journal), agents=agents, providers={"scripted": provider}, clock=clock
        ) as many:
            for number, kind in enumerate(kinds):
                clock.move(60)
                await many.run({"kind": kind, "number": number}, run_id=f"{prefix}{number:04}")

    asyncio.run(body())
    return workflow
