"""What comes of a question, and what counts as an answer to it: the values that the owner of a call deals in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from stepladder.events import Attempt, Usage
from stepladder.fallback import Failure
from stepladder.llm.provider import ModelReply, ModelRequest


class Answer(msgspec.Struct, frozen=True):
    """How a contract reads a reply.

    `wrong` is "" for an answer that counts, else one word for what is wrong with it; `cause` says it in a line.
    `passed_over`: it counts, but is not good enough for this link. `text` is what is kept of it.
    """

    text: str
    wrong: str = ""
    cause: str = ""
    passed_over: bool = False
    repaired: tuple[str, ...] = ()


class Contract(Protocol):
    """What counts as an answer."""

    def read(self, reply: ModelReply, link: int) -> Answer:
        """Read a reply of this link. Pure, and total."""
        ...

    def again(self, request: ModelRequest, wrong: str) -> ModelRequest:
        """The request with a word about what was wrong with the last answer. Nothing of that answer is in it."""
        ...


class Outcome(msgspec.Struct, frozen=True):
    """What came of a question: `reply` and how it was read, or `failure` and what was said.

    `link` is the number of the one that answered, -1 where none did. `usage` is what all attempts used together: what
    may have been billed counts with what was set aside for it.
    """

    reply: ModelReply | None
    answer: Answer | None
    failure: Failure | None
    said: str
    attempts: tuple[Attempt, ...]
    usage: Usage
    link: int = -1
    provider: str = ""
    model: str = ""


def used(attempts: Sequence[Attempt]) -> Usage:
    """What attempts used together. Where one may have been billed, what was set aside for it counts; the price is None
    where nothing of it is known."""
    costs = [each.reserved_usd if each.cost == "reserve" else each.usage.cost_usd for each in attempts if each.sent]
    unknown = any(each is None for each in costs)
    return Usage(
        sum(each.usage.input_tokens for each in attempts),
        sum(each.usage.output_tokens for each in attempts),
        None if unknown and not any(costs) else sum(each or 0.0 for each in costs),
        any(
            each.sent and (each.cost == "estimate" or (each.cost == "reserve" and each.reserved_usd))
            for each in attempts
        ),
    )
