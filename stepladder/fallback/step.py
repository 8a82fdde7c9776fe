"""What to do next about one question: a pure function of values.

    next_step(situation) -> Ask | Wait | Skip | GiveUp

Whoever owns the call obeys: it asks, waits or gives up, takes down what came of it as an `Attempted`, and comes back.
The same function serves an asyncio loop, a thread or a durable engine, and its test is a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stepladder.fallback.chain import Chain, Link
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


class Situation(msgspec.Struct, frozen=True):
    """All that counts for the next step.

    `order` are the links in the order in which they are asked, `attempts` what was done so far, oldest first, `views`
    what is known of each link's target, by its number in the chain. Of `total_s` seconds for the question `left_s` are
    left. `may_retry`: the process's retry budget has something left. `chance` is 0 to 1, for the jitter.
    """

    chain: Chain
    order: Sequence[int]
    attempts: Sequence[Attempted]
    views: Sequence[View]
    left_s: float
    total_s: float
    may_retry: bool = True
    chance: float = 0.5

    @property
    def last(self) -> Attempted | None:
        """The last attempt that was sent."""
        return next((each for each in reversed(self.attempts) if each.sent), None)

    @property
    def rest(self) -> list[int]:
        """The links that were neither asked nor passed over."""
        tried = {each.link for each in self.attempts}
        return [link for link in self.order if link not in tried]

    def here(self, link: int) -> list[Attempted]:
        """The attempts at this link."""
        return [each for each in self.attempts if each.link == link and each.sent]

    def usable_s(self, link: int) -> float:
        """Seconds that this link may use: a quarter of the whole time is kept for every one behind it that could be
        asked, together at most half."""
        behind = sum(not self.views[other].closed for other in self.rest if other != link)
        return self.left_s - self.total_s * min(0.5, 0.25 * behind)


class Ask(msgspec.Struct, frozen=True):
    """Ask this link now, within so many seconds; `again`: not for the first time, `reask`: with a word about what was
    wrong with its last answer."""

    link: int
    timeout_s: float
    reask: bool = False
    again: bool = False


class Wait(msgspec.Struct, frozen=True):
    """Wait so long, then `ask`."""

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


def next_step(now: Situation) -> Step:
    """What to do now."""
    if now.left_s < LEAST_S:
        return GiveUp("no time is left")
    if sum(each.sent for each in now.attempts) >= now.chain.retry.requests:
        return GiveUp(f"{now.chain.retry.requests} requests were made")
    last = now.last
    if last is not None and now.attempts[-1] is last and _may_help(now, last):
        return _same_link(now, last)
    return _next_link(now, last)


# --- the same link once more


def _may_help(now: Situation, last: Attempted) -> bool:
    view, here = now.views[last.link], now.here(last.link)
    retry = now.chain.retry
    if view.final or view.closed or len(here) >= retry.after.get(last.failure.code, retry.attempts):
        return False
    match last.handling.again:
        case "never":
            return False
        case "once":
            return sum(each.handling.again == "once" for each in here) <= retry.reask
        case "budgeted":
            return now.may_retry


def _same_link(now: Situation, last: Attempted) -> Step:
    """Wait, and ask it again; a wait that takes more than this link may use passes it over."""
    view = now.views[last.link]
    reask = any(each.handling.again == "once" for each in now.here(last.link))
    seconds = max(view.blocked_s, 0.0 if last.handling.again == "once" else _backoff(now, last))
    usable_s = now.usable_s(last.link)
    if seconds + max(LEAST_S, view.usual_s) >= usable_s:
        return Skip(last.link, f"another attempt takes {seconds + view.usual_s:.3g} s, and it has {usable_s:.3g} s")
    ask = Ask(last.link, _timeout_s(now, last.link, usable_s - seconds), reask=reask, again=True)
    return Wait(seconds, ask) if seconds else ask


def _backoff(now: Situation, last: Attempted) -> float:
    """Full jitter over an exponential bound; what the server asks for is a minimum, jitter comes on top of it."""
    retry = now.chain.retry
    jitter = now.chance * min(retry.max_backoff_s, retry.backoff_s * 2.0 ** (len(now.here(last.link)) - 1))
    return (last.failure.retry_after_s or 0.0) + jitter


# --- the next link


def _next_link(now: Situation, last: Attempted | None) -> Step:
    rest = now.rest
    if not rest:
        return GiveUp(_why(now))
    link = rest[0]
    view, usable_s = now.views[link], now.usable_s(link)
    if why := view.closed or (_unfit(now, last, link) if last else ""):
        return Skip(link, why)
    seconds = view.blocked_s + now.chance * now.chain.retry.backoff_s if view.blocked_s > 0 else 0.0
    if seconds + LEAST_S >= usable_s:
        return Skip(link, f"its limiter is closed for {view.blocked_s:.3g} s, and it has {usable_s:.3g} s")
    ask = Ask(link, _timeout_s(now, link, usable_s - seconds))
    return Wait(seconds, ask) if seconds else ask


def _unfit(now: Situation, last: Attempted, number: int) -> str:
    """Why this link is not asked after what went before, or ""."""
    link, failure = now.chain.links[number], last.failure
    if link.when:
        facts = {"failure": failure.code, "sign": failure.sign, "class": last.handling.name}
        return "" if link.when.fired(facts) else f"it is not asked after {failure.code}"
    if last.handling.over == "policy":
        return f"no model is asked after {failure.code}, unless `when` says so"
    if (failure.code, failure.sign) == ("rejected", "too_large"):
        return _too_small(now.chain.links[last.link], link, now.views[last.link], now.views[number])
    return ""


def _too_small(before: Link, link: Link, seen_before: View, seen: View) -> str:
    most, here = before.window or seen_before.window, link.window or seen.window
    if most is not None and here is not None and here <= most:
        return f"it reads no more than {here} tokens either"
    return ""


def _timeout_s(now: Situation, link: int, usable_s: float) -> float:
    """Seconds for one attempt: half of what a lone link has, so that another may follow, or more where it is known to
    need it; all that it has where others stand behind it, or where none may follow."""
    view, given = now.views[link], now.chain.links[link].timeout_s
    if given is not None:
        return min(given, usable_s)
    last_one = len(now.here(link)) + 1 >= now.chain.retry.attempts
    if view.final or last_one or len(now.rest) > (link in now.rest):
        return usable_s
    return min(usable_s, max(usable_s / 2, view.patience_s or 0.0))


def _why(now: Situation) -> str:
    if now.attempts and now.last is None:
        return "no target may be asked now"
    return "every link of the chain has failed" if len(now.chain.links) > 1 else "its attempts are spent"
