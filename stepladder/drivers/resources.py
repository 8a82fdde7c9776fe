"""What runs have in common: agents, models, journal, clock, secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from stepladder.drivers.agents import Agent
from stepladder.drivers.clock import Clock
from stepladder.drivers.committer import Committer
from stepladder.drivers.ownership import Ownership
from stepladder.errors import InputError
from stepladder.fallback import TargetPolicy
from stepladder.journal import Journal, Redactor, beside
from stepladder.llm import Providers
from stepladder.llm.breaker_place import SUFFIX as BREAKERS
from stepladder.llm.health import Health
from stepladder.llm.owner import Owner
from stepladder.llm.purse import Purse
from stepladder.money import LedgerPurse, Till
from stepladder.verdicts import Verdicts

THREADS: Final = 64
"""Synchronous agents that run at the same time."""


class Resources:
    """Everything a driver needs besides a run's own machine and state.

    `targets` says how models are treated, `breakers` where their breakers are kept. While `draining`, nothing new is
    begun; what is in flight comes to its end and is written.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        agents: Mapping[str, Callable[..., object]],
        providers: Providers,
        redactor: Redactor,
        secrets: Mapping[str, str],
        owns_journal: bool = True,
        purse: Purse | None = None,
        targets: TargetPolicy | None = None,
        breakers: str | Path | None = None,
    ) -> None:
        self.till, self.verdicts = Till(journal), Verdicts(clock.now, journal)
        self.journal, self.clock, self.providers, self.redactor = journal, clock, providers, redactor
        self._breakers = breakers
        health = self.health_under(targets)
        self.owner = Owner(providers, health=health, purse=purse or LedgerPurse(self.till, providers, clock))
        self.agents = {name: Agent(name, function) for name, function in agents.items()}
        self._secrets = secrets
        self._owns_journal = owns_journal
        self._threads: ThreadPoolExecutor | None = None
        self.committer = Committer(journal)
        self.ownership = Ownership(journal, lambda: self.committer.at_work > 0)
        self.draining = False

    def health_under(self, targets: TargetPolicy | None) -> Health:
        """What is known of models, judged as `targets` says.

        Raises:
            InputError, SdkMissing: breakers cannot be kept where they shall be.
        """
        shared = targets is not None and targets.shared
        kept = self._breakers or (beside(self.journal, BREAKERS) if shared else None)
        return self.providers.health_under(targets, kept)

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where synchronous agents run; started with the first of them."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stepladder-agent")
        return self._threads

    def secret(self, name: str) -> str:
        """The value of a secret.

        Raises:
            InputError: there is none of this name.
        """
        try:
            return self._secrets[name]
        except KeyError:
            raise InputError(f"secret {name!r}", "", "no value", "a value in `secrets` or in the environment") from None

    async def close(self) -> None:
        """Let go of models, agents that have an `aclose`, threads and, where it was opened for them, the journal.

        Raises:
            Exception: the first that one of them raised, after all are closed.
        """
        closing = (self.providers.close(), *(agent.close() for agent in self.agents.values()))
        found = await asyncio.gather(*closing, return_exceptions=True)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        self.committer.close()
        self.verdicts.close()
        self.till.close()
        try:
            self.ownership.leave()
        finally:
            if self._owns_journal:
                self.journal.close()
        for error in found:
            if error is not None:
                raise error
