"""What is counted: retries against first attempts, rates, and how long targets take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.fallback import Limiter, Limiters, Pace, Rate, RetryBudget, Traffic, by_reliability
from stepladder.fallback.handling import CODES, TABLE, Failure, handling, latched_for_s


@given(st.lists(st.tuples(st.sampled_from(["first", "retry"]), st.floats(0, 3)), max_size=300))
def test_retries_are_never_more_than_their_share(done: list[tuple[str, float]]) -> None:
    budget, now = RetryBudget(), 0.0
    first, retries = list[float](), list[float]()
    for what, later in done:
        now += later
        if what == "first":
            budget.asked(now)
            first.append(now)
        elif budget.take(now):
            retries.append(now)
            asked = sum(at > now - 60 for at in first)
            assert sum(at > now - 54 for at in retries) <= max(3, 0.1 * asked)


def test_a_lone_question_has_three() -> None:
    budget = RetryBudget()
    budget.asked(0.0)
    assert [budget.take(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert budget.take(61.0)


def test_a_rate_lets_a_tenth_of_a_minute_through_at_once_and_then_one_by_one() -> None:
    limiter, now, sent = Limiter(Rate(per_minute=60)), 0.0, list[float]()
    while now < 30:
        if (wait := limiter.blocked_s(now)) > 0:
            now += wait
        limiter.sent(now)
        sent.append(now)
    assert sum(at == 0.0 for at in sent) == 7
    assert len(sent) <= 30 + 8


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 12)), min_size=1, max_size=120),
    st.booleans(),
)
def test_no_minute_has_more_than_its_rate(most: int, asked: list[tuple[float, int]], by_token: bool) -> None:
    limiter = Limiter(Rate(tokens_per_minute=most) if by_token else Rate(per_minute=most))
    now, sent = 0.0, list[tuple[float, int]]()
    for later, tokens in asked:
        now += later
        while (wait := limiter.blocked_s(now, tokens)) > 0:
            now += wait + 1e-6
        limiter.sent(now, tokens)
        sent.append((now, tokens if by_token else 1))
    for at, alone in sent:
        inside = [amount for when, amount in sent if at - 60 + 1e-3 < when <= at]
        assert sum(inside) <= most or inside == [alone], "what is more than a minute may have goes alone"


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), min_size=1, max_size=150))
def test_two_rates_over_the_same_traffic_each_count_what_the_other_sent(asked: list[tuple[float, bool]]) -> None:
    traffic, now, sent = Traffic(), 0.0, list[float]()
    narrow, wide = (Limiter(Rate(per_minute=most, at_once=2), traffic) for most in (5, 12))
    for later, by_narrow in asked:
        limiter, most = (narrow, 5) if by_narrow else (wide, 12)
        now += later
        while (wait := limiter.blocked_s(now)) > 0:
            now += wait + 1e-6
        limiter.sent(now)
        sent.append(now)
        assert sum(now - 60 + 1e-3 < at for at in sent) <= most
        assert (narrow.full(), wide.full()) == (False, False)
        (wide if by_narrow else narrow).came_back()
    narrow.told_to_wait(now, 90.0)
    assert wide.blocked_s(now) == pytest.approx(90.0)


def test_a_rate_of_all_together_holds_for_each_and_429_only_for_its_own() -> None:
    both = Limiter(Rate(at_once=2))
    one, other = Limiters(Limiter(Rate(at_once=1)), [both]), Limiters(Limiter(), [both])
    one.sent(0.0)
    assert (one.full(), other.full()) == (True, False)
    other.sent(0.0)
    assert other.full()
    one.came_back()
    assert not other.full()
    one.told_to_wait(0.0, 5.0)
    assert (one.blocked_s(0.0), other.blocked_s(0.0)) == (5.0, 0.0)
    wide = Limiters(Limiter(), [Limiter(Rate(tokens_per_minute=600))])
    assert wide.counts_tokens
    wide.sent(0.0, 600)
    assert wide.blocked_s(0.0, 1) == 60.0


def test_tokens_count_as_well_and_429_closes_it() -> None:
    limiter = Limiter(Rate(tokens_per_minute=6000, at_once=1))
    limiter.sent(0.0, 1200)
    assert limiter.full()
    assert limiter.blocked_s(0.0, 10) == pytest.approx(6.0)
    limiter.came_back()
    limiter.told_to_wait(0.0, 9.0)
    limiter.told_to_wait(0.0, 1.0)
    assert (limiter.full(), limiter.blocked_s(0.0)) == (False, 9.0)


def test_patience_grows_with_what_a_target_needs_and_with_every_time_out() -> None:
    pace = Pace()
    assert pace.patience_s(5.0) == 2.5
    pace.failed(late=True)
    assert pace.patience_s(5.0) == 5.0
    for _ in range(20):
        pace.answered(1.5)
    assert 2.5 <= pace.patience_s(5.0) < 3.0
    assert pace.usual_s == pytest.approx(1.5)


def test_order_changes_only_where_a_difference_is_clear() -> None:
    good, fair, bad = Pace(), Pace(), Pace()
    for number in range(40):
        good.answered(0.1)
        bad.failed(late=False)
        fair.answered(0.1) if number % 10 else fair.failed(late=False)
    assert by_reliability([bad, fair, good]) == [1, 2, 0]
    assert by_reliability([fair, good]) == [0, 1]
    assert by_reliability([Pace(), good]) == [0, 1]


@given(st.text(max_size=12) | st.sampled_from(CODES), st.text(max_size=8), st.none() | st.floats(0, 1e9), st.booleans())
def test_every_failure_has_a_handling(code: str, sign: str, hint: float | None, billed: bool) -> None:
    failure = Failure(code, sign, hint, billed)
    found = handling(failure)
    assert failure.cost == ("reserve" if billed else "none")
    assert (found.again == "budgeted") == (found.name == "retry")
    assert latched_for_s(found, failure) is None or latched_for_s(found, failure) >= 0


def test_only_what_passes_or_can_be_repaired_is_asked_again() -> None:
    for key, found in TABLE.items():
        assert (found.again == "never") == (found.name in ("failover", "fatal", "fallback")), key
        assert found.name != "fatal" or found.alert, key
