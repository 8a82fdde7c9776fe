"""The next step: a table of situations, then the laws."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.clauses import AnyOf
from stepladder.fallback import (
    Ask,
    Attempted,
    Chain,
    Failure,
    GiveUp,
    Link,
    Retry,
    Situation,
    Skip,
    Step,
    View,
    Wait,
    handling,
    next_step,
)
from stepladder.fallback.handling import TABLE

ONE = Chain((Link("a:m"),))
THREE = Chain((Link("a:m"), Link("b:m"), Link("c:m")))


def failed(code: str, sign: str = "", link: int = 0, hint: float | None = None, *, sent: bool = True) -> Attempted:
    failure = Failure(code, sign, hint)
    return Attempted(link, failure, handling(failure), sent)


def situation(chain: Chain, *attempts: Attempted, left_s: float = 5.0, **changes: Any) -> Situation:
    views = changes.pop("views", {})
    listed = [views.get(link, View()) for link in range(len(chain.links))]
    return Situation(chain, range(len(chain.links)), attempts, listed, left_s, 5.0, **changes)


LATE, DOWN, BUSY = failed("late"), failed("unavailable"), failed("rate_limited", hint=2.0)
INVALID, REFUSED, LONG = failed("invalid"), failed("refused"), failed("rejected", "too_large")
REFUSALS = Chain((Link("a:m"), Link("b:m", when=AnyOf({"refused": ["failure == refused"]}))))

ROWS: dict[str, tuple[Situation, Step]] = {
    "the first link is asked, half the time is kept for another attempt": (situation(ONE), Ask(0, 2.5)),
    "or more, where it is known to need it": (situation(ONE, views={0: View(patience_s=4.0)}), Ask(0, 4.0)),
    "a lone attempt has all the time": (situation(Chain((Link("a:m"),), Retry(attempts=1))), Ask(0, 5.0)),
    "with two behind it a link has half the time": (situation(THREE), Ask(0, 2.5)),
    "what is given is kept": (situation(Chain((Link("a:m", timeout_s=1.0),))), Ask(0, 1.0)),
    "a failure that passes is retried after a jittered wait": (
        situation(ONE, DOWN, left_s=4.9),
        Wait(0.1, Ask(0, 2.4, again=True)),
    ),
    "a policy for one way to fail comes before the attempts": (
        situation(Chain(ONE.links, Retry(after={"late": 1})), LATE),
        GiveUp("its attempts are spent"),
    ),
    "and may allow more": (
        situation(Chain(ONE.links, Retry(attempts=1, after={"unavailable": 2})), DOWN, left_s=4.9),
        Wait(0.1, Ask(0, 4.8, again=True)),
    ),
    "for other ways the attempts hold": (
        situation(Chain(ONE.links, Retry(after={"late": 1})), DOWN, left_s=4.9),
        Wait(0.1, Ask(0, 2.4, again=True)),
    ),
    "twice as long the second time, and with all that is left": (
        situation(ONE, DOWN, DOWN, left_s=4.5),
        Wait(0.2, Ask(0, 4.3, again=True)),
    ),
    "no more often than said": (situation(ONE, DOWN, DOWN, DOWN), GiveUp("its attempts are spent")),
    "not without a budget": (situation(ONE, DOWN, may_retry=False), GiveUp("its attempts are spent")),
    "the server's wait is a minimum": (situation(ONE, BUSY, left_s=4.9), Wait(2.1, Ask(0, 1.4, again=True))),
    "and beyond the deadline nobody waits for it": (
        situation(ONE, BUSY, left_s=2.0),
        Skip(0, "another attempt takes 2.1 s, and it has 2 s"),
    ),
    "nor beyond the time of those behind it": (
        situation(THREE, BUSY, left_s=4.5),
        Skip(0, "another attempt takes 2.1 s, and it has 2 s"),
    ),
    "no retry when less is left than an answer usually takes": (
        situation(ONE, LATE, left_s=1.0, views={0: View(usual_s=1.0)}),
        Skip(0, "another attempt takes 1.1 s, and it has 1 s"),
    ),
    "an answer that does not count is asked for again at once": (
        situation(ONE, INVALID, left_s=4.0),
        Ask(0, 2.0, reask=True, again=True),
    ),
    "but once": (situation(ONE, INVALID, INVALID), GiveUp("its attempts are spent")),
    "a retry after a re-ask asks the same way": (
        situation(ONE, INVALID, DOWN, left_s=4.2),
        Wait(0.2, Ask(0, 4.0, reask=True, again=True)),
    ),
    "what this target cannot serve goes to the next": (situation(THREE, LONG, left_s=4.0), Ask(1, 2.75)),
    "though not to one that reads no more": (
        situation(THREE, LONG, views={0: View(window=100), 1: View(window=100)}),
        Skip(1, "it reads no more than 100 tokens either"),
    ),
    "a refusal goes nowhere": (
        situation(THREE, REFUSED),
        Skip(1, "no model is asked after refused, unless `when` says so"),
    ),
    "unless a link is for refusals": (situation(REFUSALS, REFUSED, left_s=4.0), Ask(1, 2.0)),
    "which is for nothing else": (
        situation(REFUSALS, LONG, left_s=4.0),
        Skip(1, "it is not asked after rejected"),
    ),
    "what is closed is passed over": (
        situation(THREE, views={0: View(closed="its breaker is open")}),
        Skip(0, "its breaker is open"),
    ),
    "and nobody is left": (
        situation(ONE, failed("passed_over", sent=False)),
        GiveUp("no target may be asked now"),
    ),
    "a breaker that opened in between ends the retries": (
        situation(ONE, DOWN, views={0: View(closed="its breaker is open")}),
        GiveUp("its attempts are spent"),
    ),
    "a limiter is waited for": (situation(ONE, views={0: View(blocked_s=1.0)}), Wait(1.1, Ask(0, 1.95))),
    "in time": (
        situation(ONE, views={0: View(blocked_s=6.0)}),
        Skip(0, "its limiter is closed for 6 s, and it has 5 s"),
    ),
    "a final answer is not asked for again": (
        situation(ONE, INVALID, views={0: View(final=True)}),
        GiveUp("its attempts are spent"),
    ),
    "no time": (situation(THREE, left_s=0.01), GiveUp("no time is left")),
    "no request": (situation(Chain(THREE.links, Retry(requests=2)), DOWN, DOWN), GiveUp("2 requests were made")),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_what_is_done_next(row: tuple[Situation, Step]) -> None:
    now, step = row
    found = next_step(now)
    assert type(found) is type(step)
    assert rounded(found) == rounded(step)


def rounded(step: Step) -> Any:
    match step:
        case Ask():
            return (step.link, round(step.timeout_s, 6), step.reask, step.again)
        case Wait():
            return (round(step.seconds, 6), rounded(step.ask))
        case _:
            return step


failures = st.builds(
    lambda key, hint: Failure(*key, retry_after_s=hint), st.sampled_from(sorted(TABLE)), st.none() | st.floats(0, 1e6)
)
views = st.builds(
    View,
    st.sampled_from(["", "", "", "its breaker is open"]),
    st.floats(0, 10),
    st.none() | st.floats(0, 100),
    st.floats(0, 10),
    st.none() | st.integers(1, 10**6),
)
chains = st.builds(
    lambda count, attempts, requests, reask: Chain(
        tuple(Link(f"m:{n}") for n in range(count)), Retry(attempts, requests, reask)
    ),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 8),
    st.integers(0, 1),
)


@given(chains, st.data())
def test_every_question_ends_within_its_bounds(chain: Chain, data: st.DataObject) -> None:
    left_s, attempts, steps = 5.0, list[Attempted](), 0
    while True:
        now = Situation(
            chain,
            range(len(chain.links)),
            tuple(attempts),
            [data.draw(views) for _ in chain.links],
            left_s,
            5.0,
            data.draw(st.booleans()),
            data.draw(st.floats(0, 1)),
        )
        step = next_step(now)
        steps += 1
        assert steps < 100
        match step:
            case GiveUp():
                break
            case Skip():
                attempts.append(Attempted(step.link, Failure("passed_over"), handling(Failure("passed_over")), False))
                continue
            case Wait():
                assert 0 < step.seconds < left_s
                left_s, ask = left_s - step.seconds, step.ask
            case Ask():
                ask = step
        assert 0 < ask.timeout_s <= left_s + 1e-9
        assert not now.views[ask.link].closed
        left_s -= data.draw(st.floats(0, ask.timeout_s))
        failure = data.draw(failures)
        attempts.append(Attempted(ask.link, failure, handling(failure)))
    sent = [each for each in attempts if each.sent]
    assert len(sent) <= chain.retry.requests
    for link in range(len(chain.links)):
        here = [each for each in sent if each.link == link]
        assert len(here) <= chain.retry.attempts
        assert all(each.handling.again != "never" for each in here[:-1])
        assert sum(each.handling.again == "once" for each in here[:-1]) <= chain.retry.reask
