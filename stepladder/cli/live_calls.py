"""Agents and models that are asked now, for a fork: what they say is kept nowhere, what models cost is booked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from msgspec.structs import replace

from stepladder.app.loading import load_agents, load_providers
from stepladder.app.secrets import secrets_of
from stepladder.commands import AskModel, CallAgent
from stepladder.decision import CACHE
from stepladder.drivers import SystemClock
from stepladder.drivers.clock import Cancel
from stepladder.drivers.perform import ask, call_agent
from stepladder.drivers.resources import Resources
from stepladder.events import Event, ModelFailed
from stepladder.journal import Journal, MemoryJournal, Redactor
from stepladder.llm import ModelRequest, Providers
from stepladder.llm.purse import Payer, Purse, Refusal, Reservation, Spent, Target
from stepladder.money import LedgerPurse, Till
from stepladder.orchestrator import Machine
from stepladder.state import RunState

FORKED: Final = "fork:"
"""What the ledger has before the id of a run that was forked."""


class Wanted(NamedTuple):
    """What may be asked now: the agents of a file, models (for so many US dollars in all; None: any), and how."""

    agents: Path | None = None
    options: Mapping[str, str] = {}
    call: bool = False
    ask: bool = False
    usd: float | None = None
    base_url: str | None = None


class LiveCalls:
    """Calls idempotent agents, and asks models, for what is not on record. Use it as a context manager.

    Models are asked under the policy's own caps and booked in the journal's ledger, as `fork:RUN`; effects are never
    made: an agent is called only where calling was asked for and it is declared idempotent. `tell` hears why a model
    was not asked.
    """

    def __init__(self, journal: Journal, wanted: Wanted, tell: Callable[[str], None] = lambda _: None) -> None:
        self._wanted, self._clock, self._tell = wanted, _RunClock(), tell
        self._told = set[str]()
        self._offered: dict[str, Any] = load_agents(wanted.agents, wanted.options)[0] if wanted.agents else {}
        secrets, values = secrets_of({}, os.environ)
        options = {"openai": {"base_url": wanted.base_url}} if wanted.base_url else None
        providers = Providers(load_providers(wanted.agents) if wanted.agents else None, options=options)
        self._till = Till(journal)
        self._redactor = Redactor(values)
        self._resources = Resources(
            journal=_Reading(journal),
            clock=self._clock,
            agents=self._offered if wanted.call else {},
            providers=providers,
            redactor=self._redactor,
            secrets=secrets,
            purse=CappedPurse(LedgerPurse(self._till, providers, SystemClock()), wanted.usd),
        )
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._runner:
            self._runner.run(self._resources.close())
        self._till.close()

    def __call__(self, machine: Machine, state: RunState, command: CallAgent | AskModel) -> Event | None:
        """What comes of it; None where it is not to be done."""
        if isinstance(command, AskModel):
            return self._runner.run(self._asked(machine, state, command)) if self._wanted.ask else None
        declared = machine.definition.agents[command.agent]
        if not self._wanted.call or command.agent not in self._offered or not declared.idempotent:
            return None
        return self._runner.run(self._called(machine, state, command))

    async def _asked(self, machine: Machine, state: RunState, command: AskModel) -> Event | None:
        self._clock.set(state.now)
        paying = replace(state, run_id=f"{FORKED}{state.run_id}")
        event = self._redactor.event(await ask(self._resources, machine, paying, command))
        if not _was_asked(event):
            self._refused(event)
            return None
        return event

    def _refused(self, event: Event) -> None:
        """Nothing left us: what the model says is not known. Why is told, once."""
        said = event.error if isinstance(event, ModelFailed) else ""
        if said not in self._told:
            self._told.add(said)
            self._tell(said)

    async def _called(self, machine: Machine, state: RunState, command: CallAgent) -> Event:
        self._clock.set(state.now)
        return self._redactor.event((await call_agent(self._resources, machine, state.run_id, command)).event)


def _was_asked(event: Event) -> bool:
    """Whether somebody answered, or an attempt was sent at least; a miss of the cache is an answer too."""
    if not isinstance(event, ModelFailed) or event.provider == CACHE:
        return True
    return any(each.sent for each in event.attempts)


class _RunClock:
    """The time of the run that is forked, which goes on from where it was; so deadlines mean what they did."""

    def __init__(self) -> None:
        self._system, self._behind = SystemClock(), 0.0

    def set(self, now: float) -> None:
        """It is this moment."""
        self._behind = self._system.now() - now

    def now(self) -> float:
        """The time in the run."""
        return round(self._system.now() - self._behind, 6)

    def call_at(self, at: float, callback: Any) -> Cancel:
        """Call back at this time of the run."""
        return self._system.call_at(at + self._behind, callback)


class _Reading(MemoryJournal):
    """A journal in memory that has the artifacts of another one: nothing is written there."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._read = journal

    def artifact(self, digest: str) -> bytes | None:
        """The bytes, from the other one."""
        return self._read.artifact(digest)


class CappedPurse:
    """Pays as another purse does, up to so many US dollars in all (None: any)."""

    def __init__(self, inner: Purse, usd: float | None) -> None:
        self._inner, self._cap, self._spent = inner, usd, 0.0
        self._held: dict[int, float] = {}

    async def reserve(self, target: Target, request: ModelRequest, payer: Payer) -> Reservation | Refusal:
        """As the other purse, or a refusal where the most it may cost is more than what is left."""
        found = await self._inner.reserve(target, request, payer)
        if self._cap is None or isinstance(found, Refusal):
            return found
        if found.usd is None or self._spent + found.usd > self._cap:
            self._inner.settle(found, Spent("none"))
            if found.usd is None:
                return Refusal(f"no price is known for it, and there is a cap of ${self._cap:g}", "unpriced")
            return Refusal(f"the cap of ${self._cap:g} is reached")
        self._spent += found.usd
        self._held[id(found)] = found.usd
        return found

    def settle(self, reservation: Reservation, spent: Spent) -> float | None:
        """As the other purse; what was not used is there again."""
        usd = self._inner.settle(reservation, spent)
        held = self._held.pop(id(reservation), 0.0)
        self._spent += (held if usd is None else usd) - held
        return usd
