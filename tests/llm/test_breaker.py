"""The breaker's figures: when it opens, who may probe, what it never counts."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pybreaker
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.fallback import BreakerPolicy
from stepladder.llm.breaker import Breaker
from stepladder.llm.breaker_storage import MemoryStorage, RedisStorage, SqliteStorage, Storage

Make = Callable[[str], Storage]


class Time:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Time, **policy: Any) -> Breaker:
    return Breaker("b", BreakerPolicy(**policy), clock=clock, chance=lambda: 0.0)


def call(each: Breaker, outcome: str, took_s: float = 0.1) -> bool:
    """One call with this outcome; whether it was let through."""
    permit = each.allow()
    if permit is None:
        return False
    each.record(permit, outcome, took_s)  # type: ignore[arg-type]
    return True


def calls_until_open(pattern: Iterator[str], before: int = 0) -> int:
    each = breaker(Time())
    for _ in range(before):
        call(each, "success")
    for number, outcome in enumerate(pattern, 1):
        call(each, outcome)
        if each.state == "open":
            return number
        if number > 100:
            break
    return 1000


ROWS = {
    "dead": (["failure"], 5),
    "every other call fails": (["failure", "success"], 20),
    "every other call fails, a success first": (["success", "failure"], 20),
    "four failures to one success": (["failure"] * 4 + ["success"], 20),
    "one success to four failures": (["success"] + ["failure"] * 4, 20),
    "failures between 4xx and 429": (["failure", "ignored", "ignored"], 15),
}


@pytest.mark.parametrize("before", [0, 1000], ids=["at the start", "after a thousand successes"])
@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_it_opens_within_twenty_calls_at_half_of_them_failing(row: tuple[list[str], int], before: int) -> None:
    pattern, most = row
    within = calls_until_open(itertools.cycle(pattern), before)
    assert within <= (most if before == 0 else 3 * 20)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.floats(0.5, 1.0))
def test_any_mixture_that_fails_half_the_time_opens_it(chance: random.Random, share: float) -> None:
    outcomes = ["failure"] * round(20 * share) + ["success"] * (20 - round(20 * share))
    chance.shuffle(outcomes)
    each = breaker(Time())
    for outcome in outcomes:
        call(each, outcome)
    assert each.state == "open"


def test_it_stays_closed_while_few_calls_fail() -> None:
    each = breaker(Time())
    chance = random.Random(7)
    for _ in range(20_000):
        call(each, "failure" if chance.random() < 0.05 else "success")
        assert each.state == "closed"


def test_what_is_ignored_neither_counts_nor_resets() -> None:
    each = breaker(Time())
    for outcome in ["failure"] * 4 + ["ignored"] * 50:
        call(each, outcome)
    assert each.state == "closed"
    call(each, "failure")
    assert each.state == "open"


def test_slow_answers_open_it_and_old_ones_do_not_count() -> None:
    clock = Time()
    each = breaker(clock, slow_s=2.0)
    for _ in range(9):
        call(each, "success", 3.0)
    clock.now += 61
    call(each, "success", 3.0)
    assert each.state == "closed"
    for _ in range(9):
        call(each, "success", 3.0)
    assert each.state == "open"


def test_it_stays_open_longer_after_every_probe_that_failed() -> None:
    clock = Time()
    each = breaker(clock, open_s=5.0, most_open_s=60.0)
    for _ in range(5):
        call(each, "failure")
    rests = []
    for _ in range(6):
        begun = clock.now
        while not call(each, "failure"):
            clock.now += 0.5
        rests.append(clock.now - begun)
    assert rests == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    clock.now += 60
    assert call(each, "success")
    assert each.state == "closed"


def test_its_rest_is_jittered_downwards() -> None:
    policy = BreakerPolicy()
    assert policy.open_for_s(1, 0.0) == 5.0
    assert policy.open_for_s(1, 1.0) == pytest.approx(3.5)
    assert policy.open_for_s(1000, 0.5) <= policy.most_open_s


@pytest.mark.parametrize("outcome", ["ignored", "failure", "success"])
def test_a_probe_that_is_ignored_leaves_it_half_open(outcome: str) -> None:
    clock = Time()
    each = breaker(clock)
    for _ in range(5):
        call(each, "failure")
    clock.now += 5
    first = each.allow()
    assert first is not None
    assert each.allow() is None, "one probe at a time"
    each.record(first, outcome)  # type: ignore[arg-type]
    assert each.state == {"ignored": "half-open", "failure": "open", "success": "closed"}[outcome]
    assert (each.allow() is not None) == (outcome != "failure")


def test_a_probe_that_never_comes_back_is_given_up() -> None:
    clock = Time()
    each = breaker(clock, probe_s=30.0)
    for _ in range(5):
        call(each, "failure")
    clock.now += 5
    lost = each.allow()
    assert lost is not None
    assert each.allow() is None
    clock.now += 31
    second = each.allow()
    assert second is not None
    each.record(lost, "success")
    assert each.state == "half-open", "the probe that was given up does not count"
    each.record(second, "success")
    assert each.state == "closed"


def test_a_call_from_before_it_opened_says_nothing_about_a_probe() -> None:
    clock = Time()
    each = breaker(clock)
    early = each.allow()
    assert early is not None
    for _ in range(5):
        call(each, "failure")
    each.record(early, "success")
    assert each.state == "open"


def test_listeners_hear_of_every_change() -> None:
    heard: list[str] = []

    class Listener(pybreaker.CircuitBreakerListener):
        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            heard.append(f"{cb.name}: {new_state.name}")

    clock = Time()
    each = Breaker("m", listeners=[Listener()], clock=clock, chance=lambda: 0.0)
    for _ in range(5):
        call(each, "failure")
    clock.now += 5
    call(each, "success")
    assert heard == ["m: open", "m: half-open", "m: closed"]


def test_sixty_four_calls_run_side_by_side() -> None:
    async def one(each: Breaker) -> None:
        permit = each.allow()
        assert permit is not None
        await asyncio.sleep(0.2)
        each.record(permit, "success", 0.2)

    async def run() -> None:
        each = Breaker("b")
        await asyncio.gather(*(one(each) for _ in range(64)))

    started = time.perf_counter()
    asyncio.run(run())
    assert time.perf_counter() - started < 0.4


# --- with other figures than its own


policies = st.builds(
    lambda calls, least, straight, failing, window_s: BreakerPolicy(
        calls=calls, least=min(least, calls), straight=straight, failing=failing, window_s=window_s
    ),
    calls=st.integers(4, 60),
    least=st.integers(2, 40),
    straight=st.integers(1, 12),
    failing=st.floats(0.1, 1.0),
    window_s=st.floats(1.0, 600.0),
)


@settings(max_examples=150, deadline=None)
@given(policies, st.randoms(use_true_random=False), st.floats(0.0, 1.0), st.integers(1, 200))
def test_it_opens_when_its_policy_says_and_not_before(
    policy: BreakerPolicy, chance: random.Random, share: float, count: int
) -> None:
    """Against the definition, counted anew after every call: the last outcomes of the window, their share and row."""
    clock, seen = Time(), list[tuple[float, bool]]()
    each = Breaker("b", policy, clock=clock, chance=lambda: 0.0)
    for _ in range(count):
        clock.now += chance.choice((0.0, 0.01, policy.window_s / 10))
        outcome = chance.choices(("failure", "success", "ignored"), (share, 1 - share, 0.2))[0]
        assert call(each, outcome)
        if outcome == "ignored":
            assert each.state == "closed"
            continue
        seen = [*seen, (clock.now, outcome == "failure")][-policy.calls :]
        fresh = [failed for at, failed in seen if at >= clock.now - policy.window_s]
        row = all(fresh) and len(fresh) >= policy.straight
        rate = len(fresh) >= policy.least and sum(fresh) >= policy.failing * len(fresh)
        assert (each.state == "open") == (outcome == "failure" and (row or rate)), fresh
        if each.state == "open":
            return


@pytest.mark.parametrize("calls", [6, 20, 50])
@pytest.mark.parametrize("failing", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("before", [0, 500])
def test_it_opens_within_its_window_at_its_share_whatever_they_are(calls: int, failing: float, before: int) -> None:
    policy = BreakerPolicy(calls=calls, least=calls // 2, straight=calls, failing=failing)
    each = Breaker("b", policy, clock=Time(), chance=lambda: 0.0)
    for _ in range(before):
        call(each, "success")
    chance, failures, made = random.Random(calls), 0, 0
    while each.state == "closed":
        made += 1
        owed = failing * made > failures or chance.random() < 0.05
        failures += owed
        call(each, "failure" if owed else "success")
        assert made <= calls + 1, f"{failures} of {made} failed"


@pytest.mark.parametrize("at_once", [2, 5, 16, 64])
@pytest.mark.parametrize("outcome", ["success", "failure", "ignored", "lost"])
def test_of_many_that_come_at_once_exactly_one_probes(at_once: int, outcome: str) -> None:
    """Half open, however many come at the same moment: one is let through, and its outcome decides what comes next."""

    async def one(each: Breaker) -> bool:
        permit = each.allow()
        await asyncio.sleep(0.001)
        if permit is not None and outcome != "lost":
            each.record(permit, outcome)  # type: ignore[arg-type]
        return permit is not None

    async def everybody() -> list[bool]:
        return await asyncio.gather(*(one(each) for _ in range(at_once)))

    clock = Time()
    each = breaker(clock, open_s=3.0, probe_s=7.0, straight=3)
    for _ in range(3):
        call(each, "failure")
    assert not any(asyncio.run(everybody())), "open"
    clock.now += 3.0
    assert sum(asyncio.run(everybody())) == 1
    through = sum(asyncio.run(everybody()))
    assert through == {"success": at_once, "failure": 0, "ignored": 1, "lost": 0}[outcome]
    clock.now += 7.0
    assert sum(asyncio.run(everybody())) == (at_once if outcome == "success" else 1)


@pytest.mark.parametrize("threads", [2, 8, 64])
def test_of_many_threads_exactly_one_probes(threads: int) -> None:
    clock = Time()
    each = breaker(clock, open_s=1.0)
    for _ in range(5):
        call(each, "failure")
    clock.now += 1.0
    start, through = threading.Barrier(threads), list[bool]()

    def one() -> None:
        start.wait()
        through.append(each.allow() is not None)

    running = [threading.Thread(target=one) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert sum(through) == 1


@pytest.mark.parametrize("at_once", [2, 8, 64])
def test_a_failing_target_is_sent_no_more_than_was_on_its_way(at_once: int) -> None:
    """Calls that fail side by side: when it opens, those that had leave are out, and nobody else is let through."""

    async def run() -> int:
        each = breaker(Time(), straight=4)
        sent = 0

        async def one() -> None:
            nonlocal sent
            while (permit := each.allow()) is not None:
                sent += 1
                await asyncio.sleep(0)
                each.record(permit, "failure")

        await asyncio.gather(*(one() for _ in range(at_once)))
        return sent

    assert asyncio.run(run()) <= 4 + at_once


@pytest.mark.parametrize("growth", [(0.5, 4.0), (5.0, 300.0), (30.0, 30.0)])
@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_its_rest_doubles_up_to_its_bound_less_its_jitter(growth: tuple[float, float], chance: float) -> None:
    open_s, most_s = growth
    policy = BreakerPolicy(open_s=open_s, most_open_s=most_s, jitter=0.4)
    rests = [policy.open_for_s(n, chance) for n in range(1, 40)]
    assert rests == [min(most_s, open_s * 2 ** (n - 1)) * (1 - 0.4 * chance) for n in range(1, 40)]


# --- shared


@pytest.fixture
def redis_port() -> Iterator[int]:
    """A Redis server on loopback, made of Python."""
    fakeredis = pytest.importorskip("fakeredis")
    server = fakeredis.TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def redis_storage(port: int) -> Storage:
    import redis

    return RedisStorage(redis.Redis(port=port), "m")


def sqlite_storage(path: str) -> Storage:
    return SqliteStorage(path, "m")


def check_storage(make: Callable[[], Storage], wait: Callable[[float], None]) -> None:
    one, other = make(), make()
    assert (one.state, one.openings, one.resting(), one.lease(1.0)) == ("closed", 0, False, "")
    first, second = (Breaker("m", BreakerPolicy(open_s=0.2, jitter=0.0), storage=each) for each in (one, other))
    for _ in range(5):
        call(first, "failure")
    assert (first.state, other.state, other.openings) == ("open", "open", 1)
    wait(0.06)
    assert not call(second, "success"), "what one has opened is open for the other"
    wait(0.25)
    probe = second.allow()
    assert probe is not None
    assert first.allow() is None
    second.record(probe, "failure")
    assert (one.openings, one.resting()) == (2, True)
    wait(0.45)
    assert call(first, "success")
    assert (other.state, other.openings) == ("closed", 0)


def check_failures_add_up(make: Callable[[], Storage], wait: Callable[[float], None]) -> None:
    """Each is a process that makes one call and ends."""

    def one(outcome: Any) -> bool:
        return call(Breaker("m", BreakerPolicy(straight=3, window_s=1.0), storage=make()), outcome)

    assert all(one(each) for each in ("failure", "failure", "success", "failure", "failure"))
    assert make().state == "closed"
    wait(1.1)
    assert one("failure"), "what is older than the window does not count"
    assert make().state == "closed"
    assert one("failure")
    assert one("failure")
    assert make().state == "open"
    assert not one("success")


def test_failures_of_short_processes_add_up_in_sqlite(tmp_path: Path) -> None:
    check_failures_add_up(lambda: SqliteStorage(tmp_path / "breakers.db", "m"), time.sleep)


def test_failures_of_short_processes_add_up_in_redis(redis_port: int) -> None:
    check_failures_add_up(lambda: redis_storage(redis_port), time.sleep)


def test_memory_rests_and_leases() -> None:
    storage = MemoryStorage()
    check_storage(lambda: storage, time.sleep)


def test_sqlite_is_shared_between_breakers(tmp_path: Path) -> None:
    check_storage(lambda: SqliteStorage(tmp_path / "breakers.db", "m"), time.sleep)


def test_redis_is_shared_between_breakers(redis_port: int) -> None:
    check_storage(lambda: redis_storage(redis_port), time.sleep)


def test_without_redis_calls_go_on(redis_port: int) -> None:
    import redis

    each = Breaker("m", storage=RedisStorage(redis.Redis(port=redis_port), "m"))
    gone = redis.Redis(port=1, socket_connect_timeout=0.1, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))
    each._storage._redis = gone  # type: ignore[attr-defined]
    each._closed_at = float("-inf")
    assert call(each, "failure")


def _probes(make: Callable[[Any], Storage], about: Any, threads: int, start: Any, probes: Any, done: Any) -> None:
    """A process whose threads all want to probe at the same moment."""
    each = Breaker("m", BreakerPolicy(probe_s=60.0), storage=make(about))
    start.wait()

    def one() -> None:
        if each.allow() is not None:
            with probes.get_lock():
                probes.value += 1

    running = [threading.Thread(target=one) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    with done.get_lock():
        done.value += 1


def most_probes(make: Callable[[Any], Storage], about: Any, processes: int, threads: int) -> int:
    context = multiprocessing.get_context("fork")
    start, probes, done = context.Barrier(processes), context.Value("i", 0), context.Value("i", 0)
    running = [
        context.Process(target=_probes, args=(make, about, threads, start, probes, done)) for _ in range(processes)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
    assert done.value == processes
    return int(probes.value)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_at_most_one_probe_over_sixteen_processes_with_sixty_four_threads(
    kind: str, tmp_path: Path, redis_port: int
) -> None:
    make: Callable[[Any], Storage] = sqlite_storage if kind == "sqlite" else redis_storage
    about = str(tmp_path / "breakers.db") if kind == "sqlite" else redis_port
    storage = make(about)
    opened = Breaker("m", BreakerPolicy(open_s=0.05, jitter=0.0), storage=storage)
    for _ in range(5):
        call(opened, "failure")
    if isinstance(storage, SqliteStorage):
        storage.close()
    time.sleep(0.1)
    crowd = (16, 64) if kind == "sqlite" else (4, 16)  # the Redis server here is made of Python, and slow
    assert most_probes(make, about, *crowd) == 1
