"""How well models have served: counted from records, by hand first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.events import Attempt, Usage
from stepladder.orchestrator import DecisionRecord, ModelCall, Service, service
from stepladder.record import Opened, Settled, Verdict

A, B = "openai:a", "google:b"
NO_KEY = "HTTP 401: no such key"
LATE = Attempt(A, "late", "retry", cost="reserve", reserved_usd=0.01, elapsed_s=5.0)


def answered(target: str, took_s: float = 0.5, usd: float | None = 0.001) -> Attempt:
    return Attempt(target, elapsed_s=took_s, usage=Usage(10, 5, usd))


def decided(*attempts: Attempt, failure: str = "", fallback: str = "", cached: str = "") -> DecisionRecord:
    """A decision that asked once, with these attempts."""
    call = ModelCall(1, "first", A, failure=failure, cached=cached, attempts=attempts)
    opened, settled = Opened(1, "work", ("GO",), Verdict("GO")), Settled(1, "GO", fallback=fallback)
    return DecisionRecord("r", opened, 0.0, calls=(call,), settled=settled)


def test_nothing_asked_is_nothing_served() -> None:
    assert service([]) == Service()
    assert (Service().fallback_share, Service().usd_a_decision) == (0.0, 0.0)


def test_each_model_by_what_came_of_what_was_sent_to_it() -> None:
    whole = service(
        [
            decided(answered(A)),
            decided(LATE, answered(A, took_s=1.5)),
            decided(LATE, LATE, answered(B, took_s=0.25, usd=None)),
            decided(answered(A, took_s=0.0), cached="exact"),
            decided(
                Attempt(A, "closed", "failover", "its breaker is open", sent=False, cost="none"),
                Attempt(B, "rejected", "fatal", NO_KEY, cost="none", alert=True),
                failure="rejected",
                fallback="first: rejected",
            ),
        ]
    )
    assert (whole.decisions, whole.asked, whole.fallbacks, whole.fallback_share) == (5, 4, 1, 0.25)
    assert whole.causes == {"rejected": 1}
    assert whole.usd == pytest.approx(0.032)
    assert whole.usd_a_decision == pytest.approx(0.0064)
    b, a = whole.models
    assert (a.model, a.sent, a.answered, a.failures, a.retried) == (A, 5, 2, {"late": 3}, 2)
    assert (a.stood_in, a.passed_over, a.failed, a.late) == (0, 1, pytest.approx(0.6), pytest.approx(0.6))
    assert (a.p50_s, a.p95_s, a.p99_s, a.usd) == (0.5, 1.5, 1.5, pytest.approx(0.032))
    assert (b.model, b.sent, b.answered, b.failures, b.stood_in) == (B, 2, 1, {"rejected": 1}, 1)
    assert (b.retried, b.p99_s, b.usd, b.look_at) == (0, 0.25, 0.0, (NO_KEY,))


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.booleans(), st.floats(0, 100)), max_size=60))
def test_nothing_is_lost_and_percentiles_are_times_that_were_measured(rows: list[tuple[str, bool, float]]) -> None:
    made = [answered(target, took_s) if well else Attempt(target, "unavailable") for target, well, took_s in rows]
    models = service([decided(each) for each in made]).models
    assert sum(each.sent for each in models) == len(rows)
    assert [each.model for each in models] == sorted({target for target, _, _ in rows})
    for each in models:
        assert each.sent == each.answered + sum(each.failures.values())
        times = sorted(took_s for target, well, took_s in rows if well and target == each.model)
        assert each.p50_s <= each.p95_s <= each.p99_s
        if times:
            assert {each.p50_s, each.p95_s, each.p99_s} <= set(times)
            assert sum(value <= each.p50_s for value in times) >= len(times) / 2
            assert sum(value <= each.p95_s for value in times) >= 0.95 * len(times) - 1e-9
