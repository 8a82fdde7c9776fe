"""The torture's own means: what is taken off for want of a processor cannot hide what went wrong."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.llm.faults import FaultServer, Starved, queued_s
from tests.llm.torture import NEVER, Made, Seen, mixed, outage, outage_is_bounded


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize("block", [time.sleep, compute], ids=["asleep", "busy"])
def test_a_loop_that_is_blocked_by_us_is_late(block: Callable[[float], None]) -> None:
    """A decision of 0.2 s that holds the loop for 0.6 s has overrun by 0.4 s of its own making, whatever else runs."""

    async def run() -> tuple[float, float]:
        starved = Starved()
        watch = asyncio.create_task(starved.watch())
        await asyncio.sleep(0.05)
        begun, queued = time.perf_counter(), queued_s()
        block(0.6)
        ended = time.perf_counter()
        excused = queued_s() - queued
        watch.cancel()
        return starved.overrun_s(begun, ended, 0.2), ended - begun - excused

    overrun_s, own_s = asyncio.run(run())
    assert overrun_s >= 0.35
    assert own_s >= 0.55, "neither sleeping nor computing counts as waiting for a processor"


def test_time_without_a_processor_is_seen_where_the_system_tells() -> None:
    if not queued_s():
        pytest.skip("this system does not say how long a thread waited for a processor")
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(6)]
    try:
        time.sleep(0.3)
        before = queued_s()
        compute(0.3)
        assert queued_s() - before > 0.05
    finally:
        for each in others:
            each.kill()
            each.wait()


def test_only_what_is_lost_before_the_timers_and_after_the_deadline_is_taken_off() -> None:
    starved = Starved()
    starved._at, starved._queued = [0.0, 0.1, 0.5, 1.0, 1.1, 1.4], [0.0, 0.0, 7.0, 7.0, 7.0, 7.25]
    starved._look = lambda: None  # type: ignore[method-assign]
    assert starved.overrun_s(0.0, 1.4, 1.0) == pytest.approx(0.4 - 0.25)
    assert starved.overrun_s(0.0, 0.9, 1.0) == pytest.approx(-0.1)


def test_what_nobody_wrote_down_is_found() -> None:
    seen = Seen()
    seen.sent.update({1: 2, 2: 1, 3: 1})
    seen.answered.update({1: 0, 2: 1, 3: 1})
    seen.counted({"1": 3, "2": 1})
    assert [each.partition(":")[0] for each in seen.wrong] == ["decision 1", "decision 3"]
    seen.take(Made(4, None, 0.0, 0.0, "KeyError: x"))
    assert seen.wrong[-1] == "decision 4: KeyError: x"


@pytest.fixture(scope="module")
def server():  # type: ignore[no-untyped-def]
    made = FaultServer()
    yield made
    made.close()


def test_a_hundred_and_fifty_decisions_over_mixed_faults(server: FaultServer) -> None:
    seen = asyncio.run(mixed(server, 150, 5))
    assert seen.wrong == []
    assert seen.decisions == 150
    assert sum(seen.sent.values()) > 150


def test_an_outage_is_bounded_and_every_request_is_written_down(server: FaultServer) -> None:
    for policy, start in ((None, 10**8), (NEVER, 2 * 10**8)):
        seen = asyncio.run(outage(server, 150, 5, policy, start))
        assert seen.wrong + outage_is_bounded(seen) == []
