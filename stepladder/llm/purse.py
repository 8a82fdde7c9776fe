"""Who pays: the seam between one attempt and the money.

Whoever owns a call (`stepladder.llm.owner`) reserves before every HTTP attempt and settles after it, exactly once,
whatever became of it: also when it is cut off. A purse that refuses closes the models for this question.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec

from stepladder.decision import Budget
from stepladder.events import NOTHING_USED, Usage
from stepladder.llm.provider import ModelRequest

Known = Literal["usage", "estimate", "unknown", "none"]


class Target(msgspec.Struct, frozen=True):
    """Whom an attempt goes to: a provider's name, the model in it, and the server ("" where it does not say)."""

    provider: str
    model: str
    base_url: str = ""

    @property
    def name(self) -> str:
        """As in a policy: openai:gpt-5-mini."""
        return f"{self.provider}:{self.model}"


class Payer(msgspec.Struct, frozen=True):
    """For what an attempt is made: the run (or the lone decision), the decision in it, the command, the rung, and which
    attempt of the command it is, counted from 1; the decision's point and route, and the budget that it is under."""

    run_id: str = ""
    decision: int = 0
    command: int = 0
    rung: str = ""
    attempt: int = 1
    shadow: bool = False
    point: str = "next_action"
    route: str = ""
    budget: Budget | None = None


class Reservation(msgspec.Struct, frozen=True):
    """What was set aside for one attempt: the most it can cost in USD (None: nobody knows the price)."""

    id: str = ""
    usd: float | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Nothing may be spent: `reason` is one line for the record, such as `budget of $0.20 is spent`.

    `code` is the failure's class: over_cap, throttled, unpriced, or no_ledger (it could not be written down).
    """

    reason: str
    code: str = "over_cap"


class Spent(msgspec.Struct, frozen=True):
    """What became of a reservation.

    `known`: usage (the provider said what was used), estimate (an answer came without usage: `usage` is our upper
    estimate), unknown (it may have been billed: the whole reservation counts as spent), none (nothing left us, or the
    provider rejected it before any work).
    """

    known: Known
    usage: Usage = NOTHING_USED


class Purse(Protocol):
    """Sets money aside before an attempt and books what it came to. Shared between tasks of one loop."""

    async def reserve(self, target: Target, request: ModelRequest, payer: Payer) -> Reservation | Refusal:
        """Set aside what this attempt can cost at most, durably, or refuse. Never raises."""
        ...

    def settle(self, reservation: Reservation, spent: Spent) -> float | None:
        """Book what it came to: the US dollars booked, None for a model without a price.

        Called exactly once for each reservation, also when the attempt is cancelled, so it does not wait for anything
        longer than a local commit. Never raises.
        """
        ...


class OpenPurse:
    """Pays everything and keeps no account."""

    async def reserve(self, target: Target, request: ModelRequest, payer: Payer) -> Reservation | Refusal:
        """Nothing is set aside."""
        return RESERVED_NOTHING

    def settle(self, reservation: Reservation, spent: Spent) -> float | None:
        """Nothing is booked; what the provider made of it."""
        return spent.usage.cost_usd


RESERVED_NOTHING: Final = Reservation()
"""What the open purse gives for every attempt."""
