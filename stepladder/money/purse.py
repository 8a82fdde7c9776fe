"""The purse that pays from a ledger: every attempt is booked at the most it may cost, then settled at what it did."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from stepladder.decision import Budget
from stepladder.errors import StepladderError
from stepladder.events import Usage
from stepladder.llm import ModelRequest, Providers
from stepladder.llm.purse import Payer, Refusal, Reservation, Spent, Target
from stepladder.money.amounts import cap_nano
from stepladder.money.caps import UNPRICED, Cap, Scope
from stepladder.money.estimate import Priced, PriceList
from stepladder.money.ledger import Booking, Settlement, State
from stepladder.money.till import Till

NO_LEDGER: Final = "no_ledger"
"""The code of a call that was not made because it could not be booked."""
NO_BUDGET: Final = Budget()
STATES: Final[dict[str, State]] = {"usage": "paid", "estimate": "paid", "unknown": "unknown", "none": "free"}


class Now(Protocol):
    """Something that knows the time."""

    def now(self) -> float:
        """Seconds since 1970."""
        ...


class _Open(NamedTuple):
    target: Target
    prices: PriceList
    own: Priced | None


class LedgerPurse:
    """Pays for what runs ask models, within the caps of their policies.

    Args:
        till: the ledger, as booked from an event loop.
        providers: who may know prices of their own (`price`).
        clock: the time by which days are counted.
    """

    def __init__(self, till: Till, providers: Providers, clock: Now) -> None:
        self.till, self._providers, self._clock = till, providers, clock
        self._open: dict[str, _Open] = {}

    async def reserve(self, target: Target, request: ModelRequest, payer: Payer) -> Reservation | Refusal:
        """Book the most that this attempt can cost, durably, or refuse."""
        budget: Budget = payer.budget or NO_BUDGET
        prices, own = PriceList(budget.prices), self._own(target)
        at_most = prices.at_most(target.name, request, own)
        if at_most is None and budget.needs_prices:
            said = "no price is known for it; give one under policy.money.prices, or set allow_unpriced"
            return Refusal(f"{target.name}: {said}", UNPRICED)
        if at_most == 0.0:  # a scripted model, or one that costs nothing: there is nothing to keep an account of
            return Reservation("", 0.0)
        booking = Booking(
            uuid.uuid4().hex,
            self._clock.now(),
            payer.run_id,
            payer.decision,
            payer.point,
            payer.rung,
            target.name,
            at_most,
            caps_of(budget),
            important=payer.route in budget.still_ask,
        )
        try:
            refusal = await self.till.reserve(booking)
        except StepladderError as error:  # what cannot be booked is not asked
            return Refusal(str(error), NO_LEDGER)
        if refusal is not None:
            return refusal
        self._open[booking.id] = _Open(target, prices, own)
        return Reservation(booking.id, at_most)

    def settle(self, reservation: Reservation, spent: Spent) -> float | None:
        """Book what it came to; US dollars, None for a model without a price."""
        opened = self._open.pop(reservation.id, None)
        usage = spent.usage
        if opened is None:
            return reservation.usd if usage.cost_usd is None else usage.cost_usd
        cost = self._cost(opened, reservation, spent)
        self.till.settle_soon(
            Settlement(
                reservation.id,
                STATES[spent.known],
                cost or 0.0,
                spent.known in ("estimate", "unknown"),
                usage.input_tokens,
                usage.output_tokens,
            )
        )
        return cost

    def _cost(self, opened: _Open, reservation: Reservation, spent: Spent) -> float | None:
        match spent.known:
            case "none":
                return 0.0
            case "unknown" | "estimate":
                return reservation.usd
            case "usage":
                return self._priced(opened, spent.usage)

    @staticmethod
    def _priced(opened: _Open, usage: Usage) -> float | None:
        """What was used, at the policy's price, else at what the provider made of it."""
        name = opened.target.name
        if name in opened.prices.overrides or usage.cost_usd is None:
            return opened.prices.usd(name, usage.input_tokens, usage.output_tokens, opened.own)
        return usage.cost_usd

    def _own(self, target: Target) -> Priced | None:
        try:
            provider, _ = self._providers.resolve(target.name)
        except StepladderError:
            return None
        own: Callable[[str, int, int], float | None] | None = getattr(provider, "price", None)
        return own


def caps_of(budget: Budget) -> tuple[Cap, ...]:
    """The caps of a budget, the narrowest first."""
    limits: tuple[tuple[Scope, float | None], ...] = (
        ("decision", budget.decision_usd),
        ("run", budget.run_usd),
        ("day", budget.day_usd),
    )
    return tuple(
        Cap(scope, cap_nano(most), None if scope == "decision" else _throttle(most, budget.throttle))
        for scope, most in limits
        if most is not None
    )


def _throttle(most: float, share: float | None) -> int | None:
    return None if share is None else cap_nano(most * share)
