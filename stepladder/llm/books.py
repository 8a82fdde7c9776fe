"""The books of one question: what every attempt came to, and the line that the record has of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from stepladder.events import NOTHING_USED, Attempt, Usage
from stepladder.fallback import Ask, Attempted, Chain, Failure, Handling, handling
from stepladder.fallback.handling import Cost
from stepladder.llm.provider import ModelReply, ModelRequest
from stepladder.llm.purse import Known, Purse, Reservation, Spent
from stepladder.llm.side import Failed, Side, used_of

SPENT: Final[Mapping[Cost, Known]] = {"usage": "usage", "estimate": "estimate", "reserve": "unknown", "none": "none"}
CUT_OFF: Final = Failure("cut_off", billed=True)


class Sent(NamedTuple):
    """One attempt that goes out: to whom, by which step, with which leave of the breakers (None: it needs none), what
    is asked, and what was set aside for it."""

    side: Side
    ask: Ask
    permits: Any
    request: ModelRequest
    reserved: Reservation


class Booked(NamedTuple):
    """What an attempt came to. `held_usd` is what stays set aside where nobody knows, `over_usd` what it was billed
    above what was set aside: a server that does not keep to what it may write at most."""

    usage: Usage = NOTHING_USED
    cost: Cost = "none"
    held_usd: float | None = None
    over_usd: float = 0.0


class Books:
    """Settles every attempt with the purse, once, and takes it down; `attempts` is what the record will have."""

    def __init__(self, purse: Purse, chain: Chain, attempts: list[Attempt]) -> None:
        self.attempts, self.attempted = attempts, list[Attempted]()
        self.waited_s = 0.0
        self._purse, self._chain = purse, chain

    @property
    def last_sent(self) -> Attempted | None:
        """The last attempt that was sent."""
        return next((each for each in reversed(self.attempted) if each.sent), None)

    def replied(self, sent: Sent, reply: ModelReply) -> Booked:
        """Settle what a reply used; where it does not say, more than it can have used."""
        usage, cost = used_of(sent.side, sent.request, reply)
        usd = self._purse.settle(sent.reserved, Spent(SPENT[cost], usage))
        usage = msgspec.structs.replace(usage, cost_usd=usd, estimated=cost == "estimate")
        return Booked(usage, cost, None, _over_usd(sent.reserved, usd))

    def failed(self, sent: Sent, failed: Failed) -> Booked:
        """Settle a failure, by what its error says of it."""
        error, failure, usage = failed.error, failed.failure, NOTHING_USED
        if error is not None:
            priced = error.cost_usd if failure.known or error.cost_usd is not None else 0.0
            usage = Usage(error.input_tokens or 0, error.output_tokens or 0, priced)
        usd = self._purse.settle(sent.reserved, Spent(SPENT[failure.cost], usage))
        if failure.cost == "usage":
            usage = msgspec.structs.replace(usage, cost_usd=usd)
        held_usd = _held_usd(sent) if failure.cost == "reserve" else None
        return Booked(usage, failure.cost, held_usd, _over_usd(sent.reserved, usd))

    def cut_off(self, sent: Sent, took_s: float) -> None:
        """Nobody waits for it any more: what it came to nobody will know."""
        self._purse.settle(sent.reserved, Spent("unknown"))
        if sent.permits is not None:
            booked = Booked(NOTHING_USED, "reserve", _held_usd(sent))
            self.took(sent, CUT_OFF, Handling("failover"), took_s, booked, "nobody waits for it")

    def took(
        self,
        sent: Sent,
        failure: Failure,
        found: Handling,
        took_s: float,
        booked: Booked,
        cause: str = "",
        repaired: tuple[str, ...] = (),
        request_id: str = "",
    ) -> None:
        """Take down an attempt, and the wait before it."""
        waited_s, self.waited_s = self.waited_s, 0.0
        self.attempted.append(Attempted(sent.ask.link, failure, found))
        self.attempts.append(
            Attempt(
                self._chain.links[sent.ask.link].model,
                "answered" if failure.code == "ok" else failure.code,
                found.name,
                cause[:240],
                round(waited_s, 4),
                round(took_s, 4),
                booked.usage,
                booked.cost,
                booked.held_usd,
                reask=sent.ask.reask,
                repaired=repaired,
                alert=found.alert or booked.over_usd > 0,
                request_id=request_id,
                over_usd=booked.over_usd,
            )
        )

    def passed_over(self, link: int, failure: Failure, why: str, code: str) -> None:
        """Take down a link that was not asked."""
        previous = self.last_sent
        self.attempted.append(Attempted(link, failure, handling(failure), sent=False))
        followed = previous.handling.name if previous else "failover"
        self.attempts.append(Attempt(self._chain.links[link].model, code, followed, why, sent=False, cost="none"))


def _held_usd(sent: Sent) -> float | None:
    return sent.reserved.usd if sent.reserved.usd is not None else sent.side.most_usd(sent.request)


def _over_usd(reserved: Reservation, usd: float | None) -> float:
    if reserved.usd is None or usd is None or usd <= reserved.usd * (1 + 1e-9):
        return 0.0
    return usd - reserved.usd
