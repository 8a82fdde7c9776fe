"""The other side of a call: one target, what is known of it, and one exchange with it as data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from stepladder.events import Usage
from stepladder.fallback import Failure
from stepladder.fallback.handling import Cost
from stepladder.llm.errors import Late, ModelError, ScriptRanDry, SetupError
from stepladder.llm.health import Health, TargetHealth
from stepladder.llm.provider import ModelReply, ModelRequest, Provider
from stepladder.llm.purse import Target

GRACE_S: Final = 0.05
"""What a provider gets beyond its time-out to say so itself."""


class Side:
    """One target, with what is known of it."""

    def __init__(self, health: Health, provider: Provider, model: str) -> None:
        self.provider, self.model = provider, model
        self.target = Target(provider.name, model, str(getattr(provider, "server", "") or ""))
        self.final = bool(getattr(provider, "final", False))
        self.keeps_time = bool(getattr(provider, "keeps_time", False))
        self.health: TargetHealth = health.of(self.target)
        self.price: Callable[[str, int, int], float | None] | None = getattr(provider, "price", None)

    def most_usd(self, request: ModelRequest) -> float | None:
        """The most that this request can cost, where its price is known."""
        if self.price is None:
            return None
        return self.price(self.model, most_read(request), request.max_output_tokens)


def most_read(request: ModelRequest) -> int:
    """More tokens than a request of this length has: a token is more than two bytes of nearly every text."""
    texts = (request.system, request.prompt, str(request.schema))
    return 64 + sum(len(text.encode(errors="replace")) for text in texts) // 2 + 2_000 * len(request.attachments)


def used_of(side: Side, request: ModelRequest, reply: ModelReply) -> tuple[Usage, Cost]:
    """What a reply used; where it does not say, more than it can have used."""
    if reply.usage_known:
        return Usage(reply.input_tokens, reply.output_tokens, reply.cost_usd), "usage"
    read, written = most_read(request), request.max_output_tokens
    cost = side.price(side.model, read, written) if side.price is not None else None
    return Usage(read, written, cost), "estimate"


class Failed(msgspec.Struct, frozen=True):
    """An exchange that brought no reply: what was seen, what is said of it, and our error where there is one."""

    failure: Failure
    said: str
    error: ModelError | None = None


def broken(error: Exception) -> Failed:
    """Somebody's own provider raised what is no error of ours: nobody knows whether anything was sent."""
    return Failed(Failure("broken_provider", billed=True), f"{type(error).__name__}: {error}")


async def exchange(side: Side, request: ModelRequest, timeout_s: float) -> ModelReply | Failed:
    """One call of a provider. Whatever it raises is data, but a script that is too short."""
    within_s = None if side.keeps_time else min(timeout_s, request.deadline_s) + GRACE_S
    deadline = asyncio.timeout(within_s)
    try:
        async with deadline:
            return await side.provider.ask(request)
    except ModelError as error:
        return Failed(error.failure, str(error), error)
    except (ScriptRanDry, AssertionError):
        raise
    except TimeoutError as error:
        if not deadline.expired():
            return broken(error)
        late = Late(side.target.provider, side.model, f"no complete answer within {request.deadline_s:.3g} s")
        return Failed(late.failure, str(late), late)
    except SetupError as error:  # nothing was sent
        return Failed(Failure("setup"), str(error))
    except Exception as error:  # somebody's own provider; what it raises is no reason for a run to stop
        return broken(error)
