"""One call, one owner: everything that is sent for one question goes through here, and nothing else tries again.

`Owner.ask` obeys `next_step`: it asks, waits, passes over or gives up, within one deadline, and takes down every
attempt. Around each attempt stand the limiter, the breakers, the purse and a time-out; whatever happens inside ends as
data. The answer is read by a `Contract` that is handed in, because what counts as an answer is not this package's
business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from stepladder.errors import StepladderError
from stepladder.events import NOTHING_USED, Attempt, Usage
from stepladder.fallback import (
    ONCE,
    Ask,
    Attempted,
    Chain,
    Failure,
    GiveUp,
    Situation,
    Skip,
    View,
    Wait,
    by_reliability,
    handling,
    next_step,
)
from stepladder.fallback.handling import MENDED, OK, Cost, Handling
from stepladder.llm.errors import Late, ModelError, ScriptRanDry
from stepladder.llm.health import Health, TargetHealth
from stepladder.llm.provider import ModelReply, ModelRequest, Provider
from stepladder.llm.purse import OpenPurse, Payer, Purse, Refusal, Reservation, Spent, Target
from stepladder.llm.registry import Providers

UNPAID: Final = "unpaid"
"""The sign of an attempt that the purse refused."""
PASSED_OVER: Final = Failure("passed_over")
FINAL: Final = View(final=True)

NO_REPAIR: Final = frozenset({"stream"})
"""What is told of an answer and is no fault of its form."""
GRACE_S: Final = 0.05
"""What a provider gets beyond its time-out to say so itself."""
SPARE: Final = 0.03
MOST_SPARE_S: Final = 0.1
"""This share of the time, at most so much, is left for writing down what happened."""


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


class Owner:
    """Asks on behalf of every rung of an application.

    Args:
        providers: who is asked; their `health` is looked at and kept.
        purse: who pays; nothing is counted where none is given.
        sleep: how a wait is waited, in seconds.
    """

    def __init__(
        self,
        providers: Providers,
        *,
        purse: Purse | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.providers, self.purse, self._sleep = providers, purse or OpenPurse(), sleep
        self._sides: dict[str, _Side | StepladderError] = {}

    @property
    def health(self) -> Health:
        """What is known of the targets."""
        return self.providers.health

    async def ask(
        self,
        chain: Chain,
        request: ModelRequest,
        contract: Contract,
        payer: Payer,
        left_s: float,
        notes: list[Attempt] | None = None,
    ) -> Outcome:
        """Ask until an answer counts, nobody is left, or the time is up.

        `request` is for whichever link is asked: its model and deadline are set for each attempt. Ends within `left_s`
        seconds, a little before rather than after. Lets `CancelledError` through, after the books are settled: what was
        sent until then stands in `notes`.

        Raises:
            ScriptRanDry: a scripted provider has no answer left.
            AssertionError: a check inside a script.
        """
        question = _Question(self, chain, request, contract, payer, left_s - min(MOST_SPARE_S, SPARE * left_s))
        question.attempts = [] if notes is None else notes
        return await question.settle()

    def is_final(self, model: str) -> bool:
        """Whether its answers are taken as they are."""
        side = self.side(model)
        return isinstance(side, _Side) and side.final

    def side(self, model: str) -> _Side | StepladderError:
        """The other side of `provider:model`, or why there is none."""
        found = self._sides.get(model)
        if found is None or not self._fresh(found):
            try:
                found = _Side(self, *self.providers.resolve(model))
            except StepladderError as error:
                return error
            self._sides[model] = found
        return found

    def _fresh(self, side: _Side | StepladderError) -> bool:
        return isinstance(side, _Side) and self.providers.is_open(side.provider)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._sleep(seconds)


class _Side:
    """One target, with what is known of it."""

    def __init__(self, owner: Owner, provider: Provider, model: str) -> None:
        self.provider, self.model = provider, model
        self.target = Target(provider.name, model, str(getattr(provider, "server", "") or ""))
        self.final = bool(getattr(provider, "final", False))
        self.keeps_time = bool(getattr(provider, "keeps_time", False))
        self.health: TargetHealth = owner.health.of(self.target)
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


class _Question:
    """One question while it is asked."""

    def __init__(
        self, owner: Owner, chain: Chain, request: ModelRequest, contract: Contract, payer: Payer, left_s: float
    ) -> None:
        self.owner, self.request, self.contract, self.payer = owner, request, contract, payer
        self.clock = owner.health.clock
        self.until, self.total_s = self.clock() + left_s, left_s
        self.sides = [owner.side(link.model) for link in chain.links]
        final = any(isinstance(side, _Side) and side.final for side in self.sides)
        self.chain = msgspec.structs.replace(chain, retry=ONCE) if final else chain
        self.order = self._order()
        self.attempted: list[Attempted] = []
        self.attempts: list[Attempt] = []
        self.waited_s = 0.0
        self.wrong = self.said = ""
        self.last: tuple[ModelReply, Answer, int] | None = None

    def _order(self) -> list[int]:
        if not self.chain.reorder:
            return list(range(len(self.sides)))
        unknown = self.owner.health.unknown
        return by_reliability([side.health.pace if isinstance(side, _Side) else unknown for side in self.sides])

    async def settle(self) -> Outcome:
        health = self.owner.health
        while True:
            left_s = self.until - self.clock()
            step = next_step(
                Situation(
                    self.chain,
                    self.order,
                    self.attempted,
                    [self._view(side, left_s, link) for link, side in enumerate(self.sides)],
                    left_s,
                    self.total_s,
                    may_retry=health.budget.left(self.clock()),
                    chance=health.chance(),
                )
            )
            match step:
                case Ask():
                    if await self._ask(step):
                        return self._answered()
                case Wait():
                    await self._wait(step.seconds)
                    if await self._ask(step.ask):
                        return self._answered()
                case Skip():
                    self._skip(step.link, step.why)
                case GiveUp():
                    return self._given_up(step.why)

    def _view(self, side: _Side | StepladderError, left_s: float, link: int) -> View:
        if not isinstance(side, _Side):
            return View(closed=str(side))
        if side.final:
            return FINAL
        return side.health.view(left_s, window=self.chain.links[link].window)

    async def _wait(self, seconds: float) -> None:
        self.waited_s += seconds
        await self.owner.sleep(seconds)

    def _skip(self, link: int, why: str, failure: Failure = PASSED_OVER) -> None:
        side = self.sides[link]
        code = failure.code if isinstance(side, _Side) else "setup"
        previous = next((each for each in reversed(self.attempted) if each.sent), None)
        self.attempted.append(Attempted(link, failure, handling(failure), sent=False))
        followed = previous.handling.name if previous else "failover"
        self.attempts.append(Attempt(self.chain.links[link].model, code, followed, why, sent=False, cost="none"))

    # --- one attempt

    async def _ask(self, ask: Ask) -> bool:
        """One attempt; whether its answer counts."""
        side = self.sides[ask.link]
        assert isinstance(side, _Side), "a target that is not there is never asked"
        if side.final:
            return await self._send(side, ask, None)
        if why := await self._gate(side, ask):
            self._skip(ask.link, why)
            return False
        if (permits := side.health.allow()) is None:
            self._skip(ask.link, "its breaker is open")
            return False
        return await self._send(side, ask, permits)

    async def _gate(self, side: _Side, ask: Ask) -> str:
        """Wait until the limiter lets it through, and pay for a retry; why it does not go, or ""."""
        limiter, health = side.health.limiter, self.owner.health
        tokens = most_read(self.request) // 2 + self.request.max_output_tokens if limiter.rate.tokens_per_minute else 0
        while (blocked := 0.01 if limiter.full() else limiter.blocked_s(self.clock(), tokens)) > 0:
            if self.clock() + blocked >= self.until:
                return "its limiter lets nothing through in time"
            await self._wait(blocked)
        now = self.clock()
        if not ask.again:
            health.budget.asked(now)
        elif not ask.reask and not health.budget.take(now):
            return "the retry budget is spent"
        return ""

    async def _send(self, side: _Side, ask: Ask, permits: Any) -> bool:
        request = self._request(side, ask)
        sent = sum(each.sent for each in self.attempts)
        payer = msgspec.structs.replace(self.payer, attempt=sent + 1)
        reserved = await self.owner.purse.reserve(side.target, request, payer)
        if isinstance(reserved, Refusal):
            if permits is not None:
                side.health.cut_off(permits)
            self._skip(ask.link, reserved.reason, Failure(reserved.code, UNPAID))
            return False
        started = self.clock()
        result: ModelReply | _Failed | None = None
        if permits is not None:
            side.health.limiter.sent(started)
        try:
            result = await self._exchange(side, request, ask.timeout_s)
        finally:
            if permits is not None:
                side.health.limiter.came_back()
            if result is None:  # cut off: what it came to nobody will know
                self.owner.purse.settle(reserved, Spent("unknown"))
                if permits is not None:
                    side.health.cut_off(permits)
                    self._cut_off(side, ask, request, reserved, self.clock() - started)
        took_s = self.clock() - started
        if isinstance(result, ModelReply):
            return self._reply(side, ask, permits, request, reserved, result, took_s)
        self._failed(side, ask, permits, request, reserved, result, took_s)
        return False

    def _request(self, side: _Side, ask: Ask) -> ModelRequest:
        deadline_s = max(0.001, min(ask.timeout_s, self.until - self.clock()))
        request = msgspec.structs.replace(self.request, model=side.model, deadline_s=deadline_s)
        return self.contract.again(request, self.wrong) if ask.reask and self.wrong else request

    async def _exchange(self, side: _Side, request: ModelRequest, timeout_s: float) -> ModelReply | _Failed:
        """One call of a provider. Whatever it raises is data, but a script that is too short."""
        within_s = None if side.keeps_time else min(timeout_s, request.deadline_s) + GRACE_S
        deadline = asyncio.timeout(within_s)
        try:
            async with deadline:
                return await side.provider.ask(request)
        except ModelError as error:
            return _Failed(error.failure, str(error), error)
        except (ScriptRanDry, AssertionError):
            raise
        except TimeoutError as error:
            if not deadline.expired():
                return _broken(error)
            late = Late(side.target.provider, side.model, f"no complete answer within {request.deadline_s:.3g} s")
            return _Failed(late.failure, str(late), late)
        except StepladderError as error:
            return _Failed(Failure("setup"), str(error))
        except Exception as error:  # somebody's own provider; what it raises is no reason for a run to stop
            return _broken(error)

    def _reply(
        self,
        side: _Side,
        ask: Ask,
        permits: Any,
        request: ModelRequest,
        reserved: Reservation,
        reply: ModelReply,
        took_s: float,
    ) -> bool:
        answer = self.contract.read(reply, ask.link)
        usage, cost = _used(side, request, reply)
        booked = self.owner.purse.settle(reserved, Spent("usage" if cost == "usage" else "estimate", usage))
        usage = msgspec.structs.replace(usage, cost_usd=booked, estimated=cost == "estimate")
        repaired = (*reply.repaired, *answer.repaired)
        if not answer.wrong:
            if permits is not None:
                side.health.answered(permits, took_s)
            if not answer.passed_over:
                self._took(
                    ask,
                    Failure("ok"),
                    MENDED if set(repaired) - NO_REPAIR else OK,
                    took_s,
                    usage,
                    cost,
                    repaired=repaired,
                    of=reply,
                )
                self.last = reply, msgspec.structs.replace(answer, repaired=answer.repaired), ask.link
                return True
            failure, self.said = Failure("low_quality", known=True), answer.cause
            self._took(ask, failure, handling(failure), took_s, usage, cost, answer.cause, repaired, of=reply)
            return False
        failure = Failure("invalid", answer.wrong, known=True)
        found = handling(failure)
        if permits is not None:
            side.health.failed(permits, failure, found)
        self.wrong, self.said = answer.wrong, answer.cause
        self.last = reply, answer, ask.link
        self._took(ask, failure, found, took_s, usage, cost, answer.cause, repaired, of=reply)
        return False

    def _failed(
        self,
        side: _Side,
        ask: Ask,
        permits: Any,
        request: ModelRequest,
        reserved: Reservation,
        failed: _Failed,
        took_s: float,
    ) -> None:
        error, failure = failed.error, failed.failure
        found = handling(failure)
        usage = NOTHING_USED
        if error is not None:
            priced = error.cost_usd if failure.known or error.cost_usd is not None else 0.0
            usage = Usage(error.input_tokens or 0, error.output_tokens or 0, priced)
        booked = self.owner.purse.settle(reserved, Spent(_SPENT[failure.cost], usage))
        if failure.cost == "usage":
            usage = msgspec.structs.replace(usage, cost_usd=booked)
        if permits is not None:
            side.health.failed(permits, failure, found)
        if found.again == "once":
            self.wrong = failure.sign or failure.code
        held = (
            (reserved.usd if reserved.usd is not None else side.most_usd(request))
            if failure.cost == "reserve"
            else None
        )
        self.last, self.said = None, failed.said
        cause = failed.said if error is None else error.detail
        self._took(ask, failure, found, took_s, usage, failure.cost, cause, held=held, of=error)

    def _cut_off(self, side: _Side, ask: Ask, request: ModelRequest, reserved: Reservation, took_s: float) -> None:
        failure = Failure("cut_off", billed=True)
        held = reserved.usd if reserved.usd is not None else side.most_usd(request)
        self._took(
            ask, failure, Handling("failover"), took_s, NOTHING_USED, "reserve", "nobody waits for it", held=held
        )

    def _took(
        self,
        ask: Ask,
        failure: Failure,
        found: Handling,
        took_s: float,
        usage: Usage,
        cost: Cost,
        cause: str = "",
        repaired: tuple[str, ...] = (),
        *,
        held: float | None = None,
        of: ModelReply | ModelError | None = None,
    ) -> None:
        waited_s, self.waited_s = self.waited_s, 0.0
        self.attempted.append(Attempted(ask.link, failure, found))
        self.attempts.append(
            Attempt(
                self.chain.links[ask.link].model,
                "answered" if failure.code == "ok" else failure.code,
                found.name,
                cause[:240],
                round(waited_s, 4),
                round(took_s, 4),
                usage,
                cost,
                held,
                reask=ask.reask,
                repaired=repaired,
                alert=found.alert,
                request_id=of.request_id if of is not None else "",
            )
        )

    # --- the end

    def _answered(self) -> Outcome:
        assert self.last is not None, "an answer that counts was kept"
        reply, answer, link = self.last
        return Outcome(
            reply, answer, None, "", tuple(self.attempts), used(self.attempts), link, reply.provider, reply.model
        )

    def _given_up(self, why: str) -> Outcome:
        """The last thing that went wrong stands for all; an answer that does not count is kept as it came."""
        attempts, usage = tuple(self.attempts), used(self.attempts)
        last = next((each for each in reversed(self.attempted) if each.sent), None)
        if last is None:
            first = self.sides[0]
            code = "setup" if isinstance(first, StepladderError) else "closed"
            reasons = "; ".join(dict.fromkeys(f"{each.target}: {each.cause}" for each in attempts))
            held = [each.failure for each in self.attempted if each.failure.sign == UNPAID]
            return Outcome(
                None,
                None,
                held[-1] if held else Failure(code),
                reasons or why,
                attempts,
                usage,
                model=self.chain.links[0].model,
            )
        side = self.sides[last.link]
        assert isinstance(side, _Side), "what was sent went somewhere"
        said, names = self.said, (side.target.provider, side.model)
        if self.last is not None and self.last[1].wrong:
            reply, answer, link = self.last
            return Outcome(reply, answer, last.failure, said, attempts, usage, link, reply.provider, reply.model)
        return Outcome(None, None, last.failure, said, attempts, usage, -1, *names)


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


class _Failed(msgspec.Struct, frozen=True):
    failure: Failure
    said: str
    error: ModelError | None = None


def _broken(error: Exception) -> _Failed:
    return _Failed(Failure("broken_provider"), f"{type(error).__name__}: {error}")


_SPENT: Final[Mapping[Cost, Any]] = {"usage": "usage", "estimate": "estimate", "reserve": "unknown", "none": "none"}


def _used(side: _Side, request: ModelRequest, reply: ModelReply) -> tuple[Usage, Cost]:
    """What a reply used; where it does not say, more than it can have used."""
    if reply.usage_known:
        return Usage(reply.input_tokens, reply.output_tokens, reply.cost_usd), "usage"
    read, written = most_read(request), request.max_output_tokens
    cost = side.price(side.model, read, written) if side.price is not None else None
    return Usage(read, written, cost), "estimate"
