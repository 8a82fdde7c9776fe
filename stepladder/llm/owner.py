"""One call, one owner: everything that is sent for one question goes through here, and nothing else tries again.

`Owner.ask` obeys `next_step`: it asks, waits, passes over or gives up, within one deadline, and takes down every
attempt. Around each attempt stand the limiter, the breakers, the purse and a time-out; whatever happens inside ends as
data. The answer is read by a `Contract` that is handed in, because what counts as an answer is not this package's
business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from stepladder.errors import StepladderError
from stepladder.events import Attempt
from stepladder.fallback import Chain
from stepladder.llm.health import Health
from stepladder.llm.outcome import Contract, Outcome
from stepladder.llm.provider import ModelRequest
from stepladder.llm.purse import OpenPurse, Payer, Purse
from stepladder.llm.question import Means, Question
from stepladder.llm.registry import Providers
from stepladder.llm.side import Side

SPARE: Final = 0.03
MOST_SPARE_S: Final = 0.1
"""This share of the time, at most so much, is left for writing down what happened."""


class _Desk(NamedTuple):
    """What is changed together: how targets are judged, and the other sides that are judged so."""

    health: Health
    sides: dict[str, Side]


class Owner:
    """Asks on behalf of every rung of an application.

    Args:
        providers: who is asked.
        health: what is known of them, looked at and kept; their own where none is given.
        purse: who pays; nothing is counted where none is given.
        sleep: how a wait is waited, in seconds.
    """

    def __init__(
        self,
        providers: Providers,
        *,
        health: Health | None = None,
        purse: Purse | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.providers = providers
        self._purse, self._sleep = purse or OpenPurse(), sleep
        self._desk = _Desk(health or providers.health, {})

    @property
    def health(self) -> Health:
        """What is known of the targets, as it is looked at now."""
        return self._desk.health

    def under(self, health: Health) -> None:
        """Ask under this from now on; a question that is being asked goes on under what it began with."""
        if health is not self._desk.health:
            self._desk = _Desk(health, {})

    async def ask(
        self,
        chain: Chain,
        request: ModelRequest,
        contract: Contract,
        payer: Payer,
        left_s: float,
        notes: list[Attempt] | None = None,
    ) -> Outcome:
        """Ask until an answer counts, nobody is left, or the time is up.

        `request` is for whichever link is asked: its model and deadline are set for each attempt. Ends within `left_s`
        seconds, a little before rather than after. Lets `CancelledError` through, after the books are settled: what was
        sent until then stands in `notes`.

        Raises:
            ScriptRanDry: a scripted provider has no answer left.
            AssertionError: a check inside a script.
        """
        left_s -= min(MOST_SPARE_S, SPARE * left_s)
        desk = self._desk
        sides = [self._side(desk, link.model) for link in chain.links]
        noted = [] if notes is None else notes
        means = Means(desk.health, self._purse, self._sleep)
        return await Question(means, sides, chain, request, contract, payer, left_s, noted).settle()

    def is_final(self, model: str) -> bool:
        """Whether its answers are taken as they are."""
        side = self.side(model)
        return isinstance(side, Side) and side.final

    def side(self, model: str) -> Side | StepladderError:
        """The other side of `provider:model`, or why there is none."""
        return self._side(self._desk, model)

    def _side(self, desk: _Desk, model: str) -> Side | StepladderError:
        found = desk.sides.get(model)
        if found is None or not self.providers.is_open(found.provider):
            try:
                found = Side(desk.health, *self.providers.resolve(model))
            except StepladderError as error:
                return error
            desk.sides[model] = found
        return found
