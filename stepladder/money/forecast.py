"""What will be spent, from what was spent: plain averages with an interval, and how they were made.

Method: the mean of the complete UTC days in the history (at most the last 14 of them, days without a call included from
the first call on). The interval is the 10th to 90th percentile of 2,000 resamplings of as many days as are forecast,
with a fixed seed. Today is what is spent by now and the mean for the part of the day that is left.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

import msgspec

from stepladder.money.amounts import day_of, usd
from stepladder.money.ledger import Line

DAYS: Final = 14
RESAMPLINGS: Final = 2_000
DAY_S: Final = 86_400


class Forecast(msgspec.Struct, frozen=True):
    """US dollars that will be spent: today in all, and over the next `days` days with an 80% interval.

    `from_days` complete days of history are behind it; without one, a forecast is made of today alone, or of nothing.
    `cap_at` is when today's cap is reached if today goes on as it has (seconds since 1970), None where it is not.
    """

    days: int
    from_days: int
    per_day_usd: float
    today_usd: float
    total_usd: float
    low_usd: float
    high_usd: float
    method: str
    cap_at: float | None = None


def forecast(lines: Iterable[Line], now: float, *, days: int = 30, day_cap_usd: float | None = None) -> Forecast:
    """The forecast at `now` (seconds since 1970) from the lines of a ledger."""
    spent: dict[str, float] = defaultdict(float)
    for line in lines:
        spent[line.day] += usd(line.booked)
    today = day_of(now)
    passed = (now % DAY_S) / DAY_S or 1 / DAY_S
    history = _complete_days(spent, today)
    so_far = spent.get(today, 0.0)
    mean = sum(history) / len(history) if history else so_far / passed
    low, high = _interval(history, days) if len(history) > 1 else (mean * days, mean * days)
    return Forecast(
        days,
        len(history),
        mean,
        so_far + mean * (1 - passed),
        mean * days,
        low,
        high,
        _method(len(history)),
        _reached(so_far, passed, now, day_cap_usd),
    )


def _complete_days(spent: dict[str, float], today: str) -> list[float]:
    before = sorted(day for day in spent if day < today)
    if not before:
        return []
    first, last = date.fromisoformat(before[0]), date.fromisoformat(today)
    every = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days)]
    return [spent.get(day, 0.0) for day in every[-DAYS:]]


def _interval(history: list[float], days: int) -> tuple[float, float]:
    chance = random.Random(len(history) * 1000 + days)
    sums = sorted(sum(chance.choices(history, k=days)) for _ in range(RESAMPLINGS))
    return sums[RESAMPLINGS // 10], sums[-RESAMPLINGS // 10]


def _method(days: int) -> str:
    if days == 0:
        return "today's spending so far, carried on at the same rate: there is no complete day yet"
    if days == 1:
        return "the one complete day there is; too little for an interval"
    return f"mean of the last {days} complete UTC days; interval: 10% to 90% of {RESAMPLINGS} resamplings of these days"


def _reached(so_far: float, passed: float, now: float, cap: float | None) -> float | None:
    if cap is None or so_far <= 0:
        return None
    if so_far >= cap:
        return now
    at = now + (cap - so_far) / (so_far / passed) * DAY_S
    return at if day_of(at) == day_of(now) else None
