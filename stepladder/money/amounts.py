"""Amounts are whole nano-dollars, rounded up: sums are exact, and a ledger never holds less than was billed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

NANO: Final = 1_000_000_000
"""Nano-dollars in a US dollar."""


def nano(amount_usd: float) -> int:
    """US dollars as nano-dollars, rounded up; a float that is wrong by a millionth of one is no reason to."""
    return max(0, math.ceil(amount_usd * NANO - 1e-6))


def usd(amount: int) -> float:
    """Nano-dollars as US dollars."""
    return amount / NANO


def cap_nano(amount_usd: float) -> int:
    """A cap in nano-dollars, rounded down."""
    return math.floor(amount_usd * NANO + 1e-6)


def day_of(at: float) -> str:
    """The UTC day of a time in seconds since 1970: 2026-11-20."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
