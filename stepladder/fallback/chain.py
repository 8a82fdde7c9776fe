"""Who is asked for one answer, in which order, how often: the configuration of a call, as values."""

from __future__ import annotations

from typing import Final

import msgspec

from stepladder.clauses import AnyOf


class Link(msgspec.Struct, frozen=True):
    """One target of a chain.

    `when`: it is asked only where what went wrong before it fits one of these conditions (none: after everything but
    a refusal); the first link is always asked. `quality`: an answer that fits none of these conditions is passed over
    for the next link (none: every legal answer will do). `fields` says where its answers keep ours: our field to the
    dotted path in its answer. `timeout_s` bounds one attempt; `window` is the most tokens that it reads, where known.
    """

    model: str
    when: AnyOf = AnyOf()
    quality: AnyOf = AnyOf()
    fields: dict[str, str] = {}
    timeout_s: float | None = None
    window: int | None = None


class Retry(msgspec.Struct, frozen=True):
    """How often a target is asked for one answer.

    `attempts` bounds the requests to one target, `requests` those to all together, `reask` how often an answer that
    does not count is asked for again. `after` bounds the requests to a target that has just failed in one way, by the
    code of that failure, in place of `attempts`. The wait before attempt n is up to `backoff_s` times 2 to the n, at
    most `max_backoff_s`, by chance (full jitter).
    """

    attempts: int = 3
    requests: int = 6
    reask: int = 1
    backoff_s: float = 0.2
    max_backoff_s: float = 4.0
    after: dict[str, int] = {}


class Chain(msgspec.Struct, frozen=True):
    """The targets in order, and how often each is asked. `reorder`: more reliable ones are asked first."""

    links: tuple[Link, ...]
    retry: Retry = Retry()
    reorder: bool = False


ONCE: Final = Retry(attempts=1, requests=64, reask=0)
"""For targets whose answers are final: a script has one answer for a question."""
