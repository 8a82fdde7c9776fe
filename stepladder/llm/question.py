"""One question while it is asked: the loop that obeys `next_step`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec

from stepladder.errors import StepladderError
from stepladder.events import Attempt
from stepladder.fallback import (
    ONCE,
    Ask,
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
from stepladder.fallback.handling import MENDED, OK
from stepladder.llm.books import Books, Sent
from stepladder.llm.health import Health
from stepladder.llm.outcome import Answer, Contract, Outcome, used
from stepladder.llm.provider import ModelReply, ModelRequest
from stepladder.llm.purse import Payer, Purse, Refusal, Reservation
from stepladder.llm.reading import OTHER_MODEL
from stepladder.llm.side import Failed, Side, exchange, most_read

UNPAID: Final = "unpaid"
"""The sign of an attempt that the purse refused."""
ANSWERED: Final = Failure("ok")
PASSED_OVER: Final = Failure("passed_over")
FINAL: Final = View(final=True)
NO_REPAIR: Final = frozenset({"stream", OTHER_MODEL})
"""What is told of an answer and is no fault of its form."""


class Means(NamedTuple):
    """What every question of an application is asked with: what is known of the targets, who pays, how waits are
    waited."""

    health: Health
    purse: Purse
    sleep: Callable[[float], Awaitable[None]]


class Question:
    """One question while it is asked."""

    def __init__(
        self,
        means: Means,
        sides: list[Side | StepladderError],
        chain: Chain,
        request: ModelRequest,
        contract: Contract,
        payer: Payer,
        left_s: float,
        notes: list[Attempt],
    ) -> None:
        self.means, self.request, self.contract, self.payer = means, request, contract, payer
        self.clock = means.health.clock
        self.until, self.total_s = self.clock() + left_s, left_s
        self.sides = sides
        final = any(isinstance(side, Side) and side.final for side in self.sides)
        self.chain = msgspec.structs.replace(chain, retry=ONCE) if final else chain
        self.order = self._order()
        self.books = Books(means.purse, self.chain, notes)
        self.wrong = self.said = ""
        self.last: tuple[ModelReply, Answer, int] | None = None

    def _order(self) -> list[int]:
        if not self.chain.reorder:
            return list(range(len(self.sides)))
        unknown = self.means.health.unknown
        return by_reliability([side.health.pace if isinstance(side, Side) else unknown for side in self.sides])

    async def settle(self) -> Outcome:
        """Obey the next step until there is none."""
        health = self.means.health
        while True:
            left_s = self.until - self.clock()
            step = next_step(
                Situation(
                    self.chain,
                    self.order,
                    self.books.attempted,
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

    def _view(self, side: Side | StepladderError, left_s: float, link: int) -> View:
        if not isinstance(side, Side):
            return View(closed=str(side))
        if side.final:
            return FINAL
        return side.health.view(left_s, window=self.chain.links[link].window)

    async def _wait(self, seconds: float) -> None:
        self.books.waited_s += seconds
        await self.means.sleep(seconds)

    def _skip(self, link: int, why: str, failure: Failure = PASSED_OVER) -> None:
        code = failure.code if isinstance(self.sides[link], Side) else "setup"
        self.books.passed_over(link, failure, why, code)

    # --- one attempt

    async def _ask(self, ask: Ask) -> bool:
        """One attempt; whether its answer counts."""
        side = self.sides[ask.link]
        assert isinstance(side, Side), "a target that is not there is never asked"
        if side.final:
            return await self._send(side, ask, None)
        if why := await self._gate(side, ask):
            self._skip(ask.link, why)
            return False
        if (permits := side.health.allow()) is None:
            side.health.limiter.came_back()
            self._skip(ask.link, "its breaker is open")
            return False
        return await self._send(side, ask, permits)

    async def _gate(self, side: Side, ask: Ask) -> str:
        """Wait until the limiter lets it through, pay for a retry, and take its place; why it does not go, or ""."""
        limiter, health = side.health.limiter, self.means.health
        tokens = most_read(self.request) // 2 + self.request.max_output_tokens if limiter.counts_tokens else 0
        while (blocked := 0.01 if limiter.full() else limiter.blocked_s(self.clock(), tokens)) > 0:
            if self.clock() + blocked >= self.until:
                return "its limiter lets nothing through in time"
            await self._wait(blocked)
        now = self.clock()
        if not ask.again:
            health.budget.asked(now)
        elif not ask.reask and not health.budget.take(now):
            return "the retry budget is spent"
        limiter.sent(now, tokens)
        return ""

    async def _send(self, side: Side, ask: Ask, permits: Any) -> bool:
        request = self._request(side, ask)
        reserved = await self._reserved(side, request, permits)
        if isinstance(reserved, Refusal):
            self._not_sent(side, permits)
            self._skip(ask.link, reserved.reason, Failure(reserved.code, UNPAID))
            return False
        sent, started = Sent(side, ask, permits, request, reserved), self.clock()
        result: ModelReply | Failed | None = None
        try:
            result = await exchange(side, request, ask.timeout_s)
        finally:
            if permits is not None:
                side.health.limiter.came_back()
            if result is None:
                if permits is not None:
                    side.health.cut_off(permits)
                self.books.cut_off(sent, self.clock() - started)
        took_s = self.clock() - started
        if isinstance(result, ModelReply):
            return self._reply(sent, result, took_s)
        assert result is not None, "whoever was cut off is not here any more"
        self._failed(sent, result, took_s)
        return False

    async def _reserved(self, side: Side, request: ModelRequest, permits: Any) -> Reservation | Refusal:
        """Set aside what the attempt can cost; where that is cut off, the leave of the breakers is given back."""
        attempt = 1 + sum(each.sent for each in self.books.attempts)
        try:
            payer = msgspec.structs.replace(self.payer, attempt=attempt)
            return await self.means.purse.reserve(side.target, request, payer)
        except BaseException:
            self._not_sent(side, permits)
            raise

    @staticmethod
    def _not_sent(side: Side, permits: Any) -> None:
        """It does not go after all: its place, and the leave of the breakers, are given back."""
        if permits is not None:
            side.health.limiter.came_back()
            side.health.cut_off(permits)

    def _request(self, side: Side, ask: Ask) -> ModelRequest:
        deadline_s = max(0.001, min(ask.timeout_s, self.until - self.clock()))
        request = msgspec.structs.replace(self.request, model=side.model, deadline_s=deadline_s)
        return self.contract.again(request, self.wrong) if ask.reask and self.wrong else request

    def _reply(self, sent: Sent, reply: ModelReply, took_s: float) -> bool:
        """Read what came; whether it counts."""
        answer, link, health = self.contract.read(reply, sent.ask.link), sent.ask.link, sent.side.health
        booked, repaired = self.books.replied(sent, reply), (*reply.repaired, *answer.repaired)
        if answer.wrong:
            failure = Failure("invalid", answer.wrong, known=True)
            found = handling(failure)
            self.wrong, self.last = answer.wrong, (reply, answer, link)
            if sent.permits is not None:
                health.failed(sent.permits, failure, found)
        else:
            if sent.permits is not None:
                health.answered(sent.permits, took_s)
            failure = Failure("low_quality", known=True) if answer.passed_over else ANSWERED
            found = handling(failure) if answer.passed_over else MENDED if set(repaired) - NO_REPAIR else OK
        counts = failure is ANSWERED
        if counts:
            self.last = reply, answer, link
        else:
            self.said = answer.cause
        cause = "" if counts else answer.cause
        self.books.took(sent, failure, found, took_s, booked, cause, repaired, reply.request_id)
        return counts

    def _failed(self, sent: Sent, failed: Failed, took_s: float) -> None:
        error, failure = failed.error, failed.failure
        found, booked = handling(failure), self.books.failed(sent, failed)
        if sent.permits is not None:
            sent.side.health.failed(sent.permits, failure, found)
        if found.again == "once":
            self.wrong = failure.sign or failure.code
        self.last, self.said = None, failed.said
        cause, request_id = (failed.said, "") if error is None else (error.detail, error.request_id)
        self.books.took(sent, failure, found, took_s, booked, cause, (), request_id)

    # --- the end

    def _answered(self) -> Outcome:
        assert self.last is not None, "an answer that counts was kept"
        reply, answer, link = self.last
        attempts = tuple(self.books.attempts)
        return Outcome(reply, answer, None, "", attempts, used(attempts), link, reply.provider, reply.model)

    def _given_up(self, why: str) -> Outcome:
        """The last thing that went wrong stands for all; an answer that does not count is kept as it came."""
        attempts, usage = tuple(self.books.attempts), used(self.books.attempts)
        last = self.books.last_sent
        if last is None:
            first = self.sides[0]
            code = "setup" if isinstance(first, StepladderError) else "closed" if attempts else "late"
            reasons = "; ".join(dict.fromkeys(f"{each.target}: {each.cause}" for each in attempts))
            held = [each.failure for each in self.books.attempted if each.failure.sign == UNPAID]
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
        assert isinstance(side, Side), "what was sent went somewhere"
        said, names = self.said, (side.target.provider, side.model)
        if self.last is not None and self.last[1].wrong:
            reply, answer, link = self.last
            return Outcome(reply, answer, last.failure, said, attempts, usage, link, reply.provider, reply.model)
        return Outcome(None, None, last.failure, said, attempts, usage, -1, *names)
