"""stepladder's core alone: the pure `advance` in a loop that hands commands to agents and feeds their events back.

Every decision is made in full: facts, signals of the default classifier, legal set, rule, route, the transition taken
by `transitions`, the idempotency key, and the decision record's entries, which are kept.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from workload import AGENTS, start

from stepladder.commands import CallAgent
from stepladder.events import AgentReturned, RunStarted
from stepladder.orchestrator import Machine, advance
from stepladder.state import RunState
from stepladder.workflow.build import build
from stepladder.workflow.yaml_text import read_yaml

NAME = "stepladder core"
DETAIL = "a loop around the pure advance, no driver, synchronous, with its decision record"
FILE = Path(__file__).parent.parent / "ours.yaml"


def whole(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The agent, returning the whole state: what a run carries is what was returned last."""
    agent = AGENTS[name]
    return lambda state: {**state, **agent(state)}  # type: ignore[arg-type]


def make() -> Callable[[], list[str]]:
    data, lines = read_yaml(FILE.read_text())
    machine = Machine(build(data, lines=lines))
    agents = {name: whole(name) for name in AGENTS}
    pinned = (machine.definition.name, machine.definition.hash, machine.policy.hash)

    def run_once() -> list[str]:
        journal: list[Any] = []
        moved = advance(machine, RunState(), RunStarted(0.0, "run", *pinned, dict(start())))
        journal += moved.entries
        at = 0.0
        while moved.state.status != "ended":
            (command,) = moved.state.outstanding.values()
            assert isinstance(command, CallAgent)
            at += 1.0
            output = agents[command.agent](command.arguments["state"])
            moved = advance(machine, moved.state, AgentReturned(at, command.number, output))
            journal += moved.entries
        return [*moved.state.last["trail"], moved.state.end]

    return run_once
