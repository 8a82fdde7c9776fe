"""What a ledger says was spent: by day, model, rung, point or run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from stepladder.money.amounts import usd
from stepladder.money.ledger import Line

By = Literal["day", "model", "rung", "point", "run"]
ASPECTS: Final[tuple[By, ...]] = ("day", "model", "rung", "point", "run")


class Spending(msgspec.Struct, frozen=True):
    """Calls under one name, and what they came to in US dollars.

    `unknown_usd` is the part that may not have been billed (answers that never came, and processes that died),
    `estimated_usd` the part that is an upper bound though an answer came; both are in `usd`. `unpriced` counts the
    calls of models without a price, `overruns` those that were billed above what was reserved, by `over_usd` together.
    """

    name: str
    calls: int = 0
    usd: float = 0.0
    unknown_usd: float = 0.0
    estimated_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    unpriced: int = 0
    overruns: int = 0
    over_usd: float = 0.0


def spending(lines: Iterable[Line], by: By) -> tuple[Spending, ...]:
    """The calls of a ledger, added up by day (in their order), or by another aspect (the dearest first)."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(getattr(line, by), []).append(line)
    added = [_added(name, listed) for name, listed in found.items()]
    if by == "day":
        return tuple(sorted(added, key=lambda each: each.name))
    return tuple(sorted(added, key=lambda each: (-each.usd, each.name)))


def in_all(lines: Iterable[Line]) -> Spending:
    """All calls of a ledger, added up."""
    return _added("in all", list(lines))


def _added(name: str, lines: list[Line]) -> Spending:
    return Spending(
        name,
        len(lines),
        usd(sum(line.booked for line in lines)),
        usd(sum(line.booked for line in lines if line.state in ("open", "unknown"))),
        usd(sum(line.booked for line in lines if line.state == "paid" and line.estimated)),
        sum(line.input_tokens for line in lines),
        sum(line.output_tokens for line in lines),
        sum(not line.priced for line in lines),
        len(over := [line for line in lines if line.priced and line.state == "paid" and line.booked > line.reserved]),
        usd(sum(line.booked - line.reserved for line in over)),
    )
