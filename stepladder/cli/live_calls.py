"""Agents that are called now, for a fork: what they give is kept nowhere."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from stepladder.app.loading import load_agents
from stepladder.app.secrets import secrets_of
from stepladder.commands import CallAgent
from stepladder.drivers import SystemClock
from stepladder.drivers.perform import call_agent
from stepladder.drivers.resources import Resources
from stepladder.evaluation.fork import Live
from stepladder.events import Event
from stepladder.journal import MemoryJournal, Redactor
from stepladder.llm import Providers
from stepladder.orchestrator import Machine
from stepladder.state import RunState


def live_calls(agents: Path, options: dict[str, str]) -> Live:
    """Calls an agent of this file now, where it is idempotent."""
    offered = load_agents(agents, options)[0]
    secrets, told = secrets_of({}, os.environ)

    async def performed(machine: Machine, state: RunState, command: CallAgent) -> Event:
        mine = {command.agent: offered[command.agent]}
        resources = Resources(
            journal=MemoryJournal(),
            clock=SystemClock(),
            agents=mine,
            providers=Providers(),
            redactor=Redactor(told),
            secrets=secrets,
        )
        try:
            event, *_ = await call_agent(resources, machine, state.run_id, command)
            return resources.redactor.event(event)
        finally:
            await resources.close()

    def live(machine: Machine, state: RunState, command: CallAgent) -> Event | None:
        if command.agent not in offered or not machine.definition.agents[command.agent].idempotent:
            return None
        return asyncio.run(performed(machine, state, command))

    return live
