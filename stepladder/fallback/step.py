"""What to do next about one question: a pure function of values.

    next_step(chain, attempts, views, left_s, ...) -> Ask | Wait | GiveUp

Whoever owns the call obeys: it asks, waits or gives up, takes down what came of it as an `Attempted`, and comes back.
The same function serves an asyncio loop, a thread or a durable engine, and its test is a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stepladder.fallback.chain import Chain, Link, Retry
from stepladder.fallback.handling import Failure, Handling

LEAST_S: Final = 0.02
"""With less time than this nothing is sent any more."""


class Attempted(msgspec.Struct, frozen=True):
    """What came of one attempt, or of a link that was passed over (`sent` is false then)."""

    link: int
    failure: Failure
    handling: Handling
    sent: bool = True


class View(msgspec.Struct, frozen=True):
    """What is known of a link's target now.

    `closed` says why it may not be asked ("" if it may). `blocked_s`: its limiter lets nothing through for so long.
    `patience_s` bounds one attempt (None: half of what is left). `usual_s` is what an answer usually takes, 0 where
    unknown. `window` is the most tokens it reads, where known; `final`: its answers are not asked for again.
    """

    closed: str = ""
    blocked_s: float = 0.0
    patience_s: float | None = None
    usual_s: float = 0.0
    window: int | None = None
    final: bool = False


class Ask(msgspec.Struct, frozen=True):
    """Ask this link now, within so many seconds; `reask`: with a word about what was wrong with its last answer."""

    link: int
    timeout_s: float
    reask: bool = False
    again: bool = False


class Wait(msgspec.Struct, frozen=True):
    """Wait so long, then ask this link (`ask`)."""

    seconds: float
    ask: Ask


class Skip(msgspec.Struct, frozen=True):
    """Pass over this link, and say why."""

    link: int
    why: str


class GiveUp(msgspec.Struct, frozen=True):
    """Nobody is asked any more: rules. `why` is one line."""

    why: str


Step = Ask | Wait | Skip | GiveUp


def next_step(
    chain: Chain,
    order: Sequence[int],
    attempts: Sequence[Attempted],
    views: Sequence[View],
    left_s: float,
    *,
    may_retry: bool,
    chance: float,
) -> Step:
    """What to do now.

    Args:
        chain: the configuration.
        order: the links in the order in which they are asked.
        attempts: what was done so far, oldest first.
        views: what is known of each link's target, by its number in the chain.
        left_s: seconds until the deadline of the question.
        may_retry: whether the process's retry budget has something left.
        chance: 0 to 1, for the jitter.
    """
    if left_s < LEAST_S:
        return GiveUp("no time is left")
    if sum(each.sent for each in attempts) >= chain.retry.requests:
        return GiveUp(f"{chain.retry.requests} requests were made")
    last = next((each for each in reversed(attempts) if each.sent), None)
    if last is not None and attempts[-1] is last and (again := _same(chain, attempts, last, views, left_s, may_retry)):
        return _waiting(again, chain.retry, attempts, last, left_s, chance, views[last.link])
    return _next_link(chain, order, attempts, last, views, left_s, chance)


def _same(
    chain: Chain, attempts: Sequence[Attempted], last: Attempted, views: Sequence[View], left_s: float, may_retry: bool
) -> Ask | None:
    """The same link once more, where that may help."""
    view, retry = views[last.link], chain.retry
    here = [each for each in attempts if each.link == last.link and each.sent]
    if last.handling.again == "never" or view.final or view.closed or len(here) >= retry.attempts:
        return None
    if left_s <= view.usual_s:
        return None
    if last.handling.again == "once":
        asked_again = sum(each.handling.again == "once" for each in here)
        if asked_again > retry.reask:
            return None
        return Ask(last.link, 0.0, reask=True, again=True)
    return (
        Ask(last.link, 0.0, reask=any(each.handling.again == "once" for each in here), again=True)
        if may_retry
        else None
    )


def _waiting(
    ask: Ask, retry: Retry, attempts: Sequence[Attempted], last: Attempted, left_s: float, chance: float, view: View
) -> Step:
    """The wait before an attempt at the same link; one that outlasts the deadline passes it over."""
    seconds = 0.0 if ask.reask and last.handling.again == "once" else _backoff(retry, attempts, last, chance)
    seconds = max(seconds, view.blocked_s)
    if seconds + max(LEAST_S, view.usual_s) >= left_s:
        return Skip(last.link, f"it asks to wait {seconds:.3g} s, and {max(0.0, left_s):.3g} s are left")
    ready = msgspec.structs.replace(ask, timeout_s=_timeout(None, view, left_s - seconds, alone=False))
    return Wait(seconds, ready) if seconds else ready


def _backoff(retry: Retry, attempts: Sequence[Attempted], last: Attempted, chance: float) -> float:
    """Full jitter over an exponential bound; what the server asks for is a minimum, jitter comes on top of it."""
    before = sum(each.link == last.link and each.sent for each in attempts) - 1
    jitter = chance * min(retry.max_backoff_s, retry.backoff_s * 2.0**before)
    return (last.failure.retry_after_s or 0.0) + jitter


def _next_link(
    chain: Chain,
    order: Sequence[int],
    attempts: Sequence[Attempted],
    last: Attempted | None,
    views: Sequence[View],
    left_s: float,
    chance: float,
) -> Step:
    tried = {each.link for each in attempts}
    rest = [link for link in order if link not in tried]
    if not rest:
        return GiveUp(_why(chain, attempts))
    link = rest[0]
    if last is not None and (why := _unfit(chain.links[link], last, views, link)):
        return GiveUp(_why(chain, attempts)) if last.handling.over == "never" else Skip(link, why)
    view = views[link]
    if view.closed:
        return Skip(link, view.closed)
    if view.blocked_s + LEAST_S >= left_s:
        return Skip(link, f"its limiter is closed for {view.blocked_s:.3g} s, and {left_s:.3g} s are left")
    alone = len(rest) == 1 and (view.final or chain.retry.attempts == 1)
    ask = Ask(link, _timeout(chain.links[link].timeout_s, view, left_s - view.blocked_s, alone=alone))
    return Wait(view.blocked_s + chance * 0.01, ask) if view.blocked_s > 0 else ask


def _unfit(link: Link, last: Attempted, views: Sequence[View], number: int) -> str:
    """Why this link is not asked after what went before, or ""."""
    if last.handling.over == "never":
        return "nobody is to be asked after that"
    if link.when:
        fits = link.when.fired({"failure": last.failure.code, "sign": last.failure.sign, "class": last.handling.name})
        return "" if fits else f"it is not asked after {last.failure.code}"
    if last.handling.over == "policy":
        return f"no model is asked after {last.failure.code}, unless `when` says so"
    if last.failure.sign == "too_large" and last.failure.code == "rejected":
        before, here = views[last.link].window, views[number].window
        if before is not None and here is not None and here <= before:
            return f"it reads no more than {here} tokens either"
    return ""


def _timeout(given: float | None, view: View, left_s: float, *, alone: bool) -> float:
    """Seconds for one attempt: all that is left for the last one possible, otherwise what leaves time for another."""
    if given is not None:
        return min(given, left_s)
    if alone or view.final:
        return left_s
    return min(left_s, max(left_s / 2, view.patience_s or 0.0))


def _why(chain: Chain, attempts: Sequence[Attempted]) -> str:
    if attempts and not any(each.sent for each in attempts):
        return "no target may be asked now"
    several = len(chain.links) > 1
    return "every link of the chain has failed" if several else "its attempts are spent"
