"""Forecasts: plain averages, and how they were made."""

from __future__ import annotations

import pytest

from stepladder.money import Line, forecast
from stepladder.money.amounts import day_of, nano

NOON = 1_700_049_600.0  # 2023-11-15, 12:00 UTC
DAY_S = 86_400


def line(day: int, amount: float) -> Line:
    at = NOON + day * DAY_S
    return Line(f"{day}-{amount}", at, day_of(at), "r", 1, "p", "s", "m", nano(amount), nano(amount), "paid")


def test_a_mean_of_the_complete_days_with_an_interval() -> None:
    found = forecast([line(-3, 1.0), line(-1, 3.0), line(0, 0.5)], NOON, days=10)
    assert (found.from_days, found.per_day_usd, found.total_usd) == (3, pytest.approx(4 / 3), pytest.approx(40 / 3))
    assert found.today_usd == pytest.approx(0.5 + 4 / 3 / 2)
    assert found.low_usd < found.total_usd < found.high_usd
    assert found.low_usd >= 0
    assert "3 complete UTC days" in found.method


def test_only_the_last_fortnight_counts() -> None:
    found = forecast([line(-30, 100.0), line(-1, 1.4)], NOON)
    assert (found.from_days, found.per_day_usd) == (14, pytest.approx(0.1))


def test_without_a_complete_day_today_is_carried_on() -> None:
    found = forecast([line(0, 0.5)], NOON, days=2)
    assert (found.from_days, found.per_day_usd, found.total_usd) == (0, pytest.approx(1.0), pytest.approx(2.0))
    assert found.today_usd == pytest.approx(1.0)
    assert "no complete day" in found.method


def test_nothing_spent_is_a_forecast_of_nothing() -> None:
    found = forecast([], NOON, day_cap_usd=1.0)
    assert (found.total_usd, found.today_usd, found.cap_at) == (0.0, 0.0, None)


@pytest.mark.parametrize(
    ("spent", "cap", "hours"), [(0.5, 0.75, 6.0), (0.5, 2.0, None), (0.5, 0.4, 0.0), (0.5, None, None)]
)
def test_when_todays_cap_is_reached(spent: float, cap: float | None, hours: float | None) -> None:
    found = forecast([line(0, spent)], NOON, day_cap_usd=cap).cap_at
    assert (None if found is None else (found - NOON) / 3600) == (None if hours is None else pytest.approx(hours))


def test_the_same_history_gives_the_same_forecast() -> None:
    lines = [line(-n, n / 10) for n in range(1, 10)]
    assert forecast(lines, NOON) == forecast(lines, NOON)
