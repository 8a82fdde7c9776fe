"""Clocks: what is due is called, in order, once, unless it was forgotten."""

from __future__ import annotations

import asyncio
import time

import pytest

from stepladder.drivers import ManualClock, SystemClock
from tests.drivers.desk import go


def test_a_manual_clock_calls_what_falls_due_at_its_own_time() -> None:
    clock, seen = ManualClock(100.0), list[tuple[str, float]]()
    clock.call_at(130.0, lambda: seen.append(("late", clock.now())))
    clock.call_at(110.0, lambda: seen.append(("early", clock.now())))
    clock.move(20.0)
    assert (seen, clock.now(), clock.next_at) == ([("early", 110.0)], 120.0, 130.0)
    clock.move(20.0)
    assert (seen, clock.now(), clock.next_at) == ([("early", 110.0), ("late", 130.0)], 140.0, None)


def test_calls_of_the_same_time_come_in_the_order_they_were_asked_for() -> None:
    clock, seen = ManualClock(), list[int]()
    for number in range(5):
        clock.call_at(clock.now() + 1.0, lambda number=number: seen.append(number))
    clock.move(1.0)
    assert seen == [0, 1, 2, 3, 4]


def test_a_call_that_asks_for_another_gets_it_in_the_same_move() -> None:
    clock, seen = ManualClock(0.0), list[float]()
    clock.call_at(1.0, lambda: clock.call_at(2.0, lambda: seen.append(clock.now())))
    clock.move(5.0)
    assert seen == [2.0]


def test_what_is_forgotten_is_not_called() -> None:
    clock, seen = ManualClock(0.0), list[int]()
    forget = clock.call_at(1.0, lambda: seen.append(1))
    assert clock.next_at == 1.0
    forget()
    forget()
    assert clock.next_at is None
    clock.move(2.0)
    assert seen == []


def test_what_has_passed_is_called_on_the_next_turn_of_the_loop() -> None:
    async def body() -> list[int]:
        clock, seen = ManualClock(10.0), list[int]()
        clock.call_at(5.0, lambda: seen.append(1))
        clock.call_at(5.0, lambda: seen.append(2))()
        assert seen == []
        await asyncio.sleep(0)
        return seen

    assert go(body()) == [1]


def test_the_system_clock_is_the_wall_clock_and_rings_not_early() -> None:
    async def body() -> None:
        clock, rang = SystemClock(), asyncio.Event()
        assert abs(clock.now() - time.time()) < 1.0
        at = clock.now() + 0.02
        clock.call_at(at, rang.set)
        clock.call_at(at, lambda: 1 / 0)()  # forgotten at once
        await rang.wait()
        assert clock.now() >= at
        past = asyncio.Event()
        clock.call_at(at - 100.0, past.set)
        await past.wait()

    go(body())


def test_a_time_far_away_comes_when_the_clock_is_set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a suspended machine wakes: the loop's own clock has not moved."""
    monkeypatch.setattr("stepladder.drivers.clock.LOOK_EVERY_S", 0.02)
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])

    async def body() -> None:
        seen, clock = list[str](), SystemClock()
        clock.call_at(real() + 3600.0, lambda: seen.append("in an hour"))
        clock.call_at(real() + 7200.0, lambda: seen.append("in two"))
        clock.call_at(real() + 3600.0, lambda: seen.append("forgotten"))()
        await asyncio.sleep(0.1)
        assert seen == []
        ahead[0] = 3601.0
        await asyncio.sleep(0.1)
        assert seen == ["in an hour"]

    go(body())
