"""Watching agents and journals while something is rehearsed: what must never happen, counted apart from the core."""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stepladder.drivers.agents import Agent, AgentCall
from stepladder.events import Event
from stepladder.orchestrator import DecisionRecord, Machine, decision_records
from stepladder.record import STOP, Entry


class Illegal(msgspec.Struct, frozen=True):
    """An action that was taken though it was not legal, or did not lead where it was said to lead."""

    run: str
    decision: int
    step: str
    action: str
    why: str


class Effects:
    """Counts what agents do, by idempotency key: an agent that has come to its end is not to be called again under the
    same key. Put `around` each agent."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._done: set[str] = set()
        self._repeated: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def repeated(self) -> int:
        """How many effects were repeated."""
        return sum(self._repeated.values())

    def around(self, name: str, agent: Callable[..., Any]) -> Callable[..., Any]:
        """What is called instead of the agent."""
        known = Agent(name, agent)
        watched = (_watched_async if known.is_async else _watched)(self, known)
        if (close := getattr(agent, "aclose", None)) is not None:
            watched.aclose = close  # type: ignore[attr-defined]
        return watched

    def begins(self, name: str, key: str) -> None:
        """An agent is called."""
        with self._lock:
            self.calls[name] += 1
            if key in self._done:
                self._repeated[key] += 1

    def ends(self, key: str) -> None:
        """It has come to its end, with a result."""
        with self._lock:
            self._done.add(key)


def _watched_async(effects: Effects, agent: Agent) -> Callable[..., Any]:
    async def watched(*, call: AgentCall, **arguments: Any) -> Any:
        effects.begins(agent.name, call.key)
        result = await agent.function(**_handed(agent, call, arguments))
        effects.ends(call.key)
        return result

    return watched


def _watched(effects: Effects, agent: Agent) -> Callable[..., Any]:
    def watched(*, call: AgentCall, **arguments: Any) -> Any:
        effects.begins(agent.name, call.key)
        result = agent.function(**_handed(agent, call, arguments))
        if not inspect.isawaitable(result):
            effects.ends(call.key)
        return result

    return watched


def _handed(agent: Agent, call: AgentCall, arguments: dict[str, Any]) -> dict[str, Any]:
    return {**arguments, "call": call} if agent.wants_call else arguments


def illegal_actions(machine: Machine, run_id: str, entries: Sequence[Event | Entry]) -> list[Illegal]:
    """The actions of a run that its machine does not have, or that were not in the legal set they were chosen from."""
    found = []
    for record in decision_records(entries, machine.starting_signals):
        why = _wrong(machine, record)
        if why and record.settled is not None:
            found.append(Illegal(run_id, record.number, record.opened.step, record.settled.action, why))
    return found


def _wrong(machine: Machine, record: DecisionRecord) -> str:
    opened, settled = record.opened, record.settled
    if settled is None or opened.point != "next_action":
        return ""
    if settled.action == STOP:
        return "" if settled.to == machine.limits.then else f"STOP leads to {machine.limits.then}, not {settled.to}"
    if settled.action not in opened.legal:
        return f"legal were {', '.join(opened.legal) or 'none'}"
    leads = {move.option.action: move.option.to for move in machine.moves[opened.step]}
    to = leads.get(settled.action)
    return "" if to == settled.to else f"it leads to {to}, not {settled.to}"
