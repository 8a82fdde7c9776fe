"""Whether a call may be booked: caps of a decision, a run and a day, and the throttle before they are reached. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from stepladder.decision.point import OVER_CAP
from stepladder.llm.purse import Refusal
from stepladder.money.amounts import usd

Scope = Literal["decision", "run", "day"]
THROTTLED: Final = "throttled"
UNPRICED: Final = "unpriced"


class Cap(msgspec.Struct, frozen=True):
    """At most `most` nano-dollars in this scope; from `throttle` on (None: never) only important decisions ask."""

    scope: Scope
    most: int
    throttle: int | None = None


def refused(caps: tuple[Cap, ...], totals: Mapping[str, int], amount: int, *, important: bool) -> Refusal | None:
    """Why this amount may not be booked on top of the totals (nano-dollars by scope), or None.

    `important` decisions are not throttled. The narrowest cap is named first.
    """
    for cap in caps:
        total = totals.get(cap.scope, 0)
        if total + amount > cap.most:
            of = f"{money(total)} of {money(cap.most)} a {cap.scope} is spent or reserved"
            return Refusal(f"{of}; this call may cost {money(amount)}", OVER_CAP)
    for cap in caps:
        total = totals.get(cap.scope, 0)
        if not important and cap.throttle is not None and amount and total + amount > cap.throttle:
            of = f"{money(total)} of {money(cap.most)} a {cap.scope} is spent or reserved"
            return Refusal(f"{of}; what is left is for the decisions that matter more", THROTTLED)
    return None


def money(amount: int) -> str:
    """Nano-dollars as people read them."""
    return f"${usd(amount):.6f}".rstrip("0").rstrip(".") if amount else "$0"
