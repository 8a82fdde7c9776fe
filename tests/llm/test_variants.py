"""Faults that the catalogue does not have, on every wire: each is handled as the table of variants says.

Every one is a whole decision: the faulty target first, a healthy one behind it, the official SDKs, real HTTP on
loopback, the ledger, every logger at DEBUG.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from typing import Any, NamedTuple

import pytest

from stepladder.app.lone import Decision
from stepladder.decision import Budget
from stepladder.events import Attempt
from stepladder.fallback import Retry
from stepladder.fallback.handling import CODES
from stepladder.journal import MemoryJournal
from stepladder.llm.google import GoogleProvider
from stepladder.llm.openai import OpenAIProvider
from stepladder.llm.provider import ModelReply, Provider
from stepladder.llm.reading import Call, HttpAnswer
from stepladder.money import open_ledger
from stepladder.money.ledger import Line
from tests.llm.faults import KEY, Starved
from tests.llm.logs import all_logs
from tests.llm.loopback import Act, Loopback, answer
from tests.llm.server_acts import TEXT, WIRES, ok
from tests.llm.test_laws import paths
from tests.llm.variants import CUT, VARIANTS, Expect
from tests.llm.watched import LEGAL, PRICES, Watched, point
from tests.llm.wires import WIRES as READERS_OF
from tests.llm.wires import changed, request

DEADLINE_S, SLOW_S = 6.0, 3.0
AT_ONCE = 16
LAPS = 4
TORTURE = bool(os.environ.get("STEPLADDER_TORTURE"))
"""Otherwise every variant is shown on one of its wires only."""
RETRY = Retry(attempts=3, requests=6, backoff_s=0.01)


class Seen(NamedTuple):
    """A decision about a variant, and all that can be known of it."""

    name: str
    wire: str
    expect: Expect
    decision: Decision
    attempts: tuple[Attempt, ...]
    health: Watched
    lines: tuple[Line, ...]
    requests: int
    overrun_s: float
    journal: str

    def __repr__(self) -> str:
        told = (f"{each.target} {each.outcome} {each.handled} {each.cost} {each.cause}" for each in self.attempts)
        return f"{self.name} on {self.wire}: {'; '.join(told)}"

    @property
    def faulty(self) -> list[Attempt]:
        """What was sent to the faulty target."""
        return [each for each in self.attempts if each.sent and each.target.startswith("faulty:")]


def open_provider(wire: str, url: str, name: str) -> Provider:
    if wire == "google":
        return GoogleProvider(api_key=KEY, base_url=url, name=name)
    return OpenAIProvider(
        api_key=KEY, base_url=f"{url}/v1", name=name, wire="responses" if wire == "responses" else "chat"
    )


async def decide(name: str, wire: str, act: Act, healthy: Loopback, starved: Starved) -> Seen:
    with Loopback(act) as server:
        faulty, second = open_provider(wire, server.url, "faulty"), open_provider("openai", healthy.url, "second")
        own = {"faulty": faulty, "second": second}
        journal, health = MemoryJournal(), Watched()
        deadline_s = SLOW_S if VARIANTS[name].expect is CUT else DEADLINE_S
        deciding = point(own, health, journal, Budget(prices=PRICES), deadline_s, retry=RETRY)
        begun = time.perf_counter()
        decision = await deciding.decide({"doubt": True}, legal=LEGAL, decision_id="d")
        overrun_s = starved.overrun_s(begun, time.perf_counter(), deadline_s)
        for each in own.values():
            await each.close()
        await deciding.close()
    assert deciding.replay("d")
    (call,) = decision.record.calls
    attempts = call.attempts or (_only(call, decision),)
    lines = tuple(open_ledger(journal).lines(run="d"))
    written = str([turn.entries for turn in journal.turns("d")])
    expect = VARIANTS[name].expected(wire)
    return Seen(name, wire, expect, decision, attempts, health, lines, len(server.requests), overrun_s, written)


def _only(call: Any, decision: Decision) -> Attempt:
    """The one attempt of a call of which nothing else is to be said."""
    return Attempt(call.target, "answered", "ok", usage=call.usage, cost="usage")


class Run(NamedTuple):
    """All of them, and what was logged meanwhile."""

    seen: list[Seen]
    logs: str


def cells() -> list[tuple[str, str, Act]]:
    """What is shown on which wire: everywhere, or by turns on one of them."""
    found = []
    for number, (name, each) in enumerate(VARIANTS.items()):
        acts = [(name, wire, act) for wire in WIRES if (act := each.does(wire)) is not None]
        found += acts if TORTURE else [acts[number % len(acts)]]
    return found


def was_starved(seen: Seen) -> bool:
    """Whether somebody was late who is never slow: the machine had no processor for him."""
    if seen.expect == CUT:
        return not any(each.target.startswith("second:") and each.outcome == "answered" for each in seen.attempts)
    late = any(each.outcome == "late" or "no connection within" in each.cause for each in seen.attempts)
    return late or (seen.expect.asked == 3 and "and it has" in str([each.cause for each in seen.attempts]))


@pytest.fixture(scope="module")
def run() -> Run:
    async def everything() -> list[Seen]:
        starved, found = Starved(), dict[tuple[str, str], Seen]()
        watch = asyncio.create_task(starved.watch())

        async def one(name: str, wire: str, act: Act) -> None:
            async with room:
                found[name, wire] = await decide(name, wire, act, healthy, starved)

        left = cells()
        for lap in range(LAPS):
            room = asyncio.Semaphore(AT_ONCE // (lap + 1))
            await asyncio.gather(*(one(*cell) for cell in left))
            left = [cell for cell in left if was_starved(found[cell[:2]])]
        watch.cancel()
        return list(found.values())

    with Loopback(answer(200, ok("openai"))) as healthy, all_logs() as said:
        seen = asyncio.run(everything())
    return Run(seen, said.getvalue())


def wrong(run: Run, check: Any) -> list[str]:
    return [f"{said}: {each}" for each in run.seen if (said := check(each))]


def differs(what: str, found: object, right: object) -> str:
    return "" if found == right else f"{what} {found!r}, not {right!r}"


def test_there_are_many_of_them(run: Run) -> None:
    assert len(run.seen) > (900 if TORTURE else 300)
    assert {each.wire for each in run.seen} == set(WIRES)


def test_each_is_of_its_class(run: Run) -> None:
    assert wrong(run, lambda each: differs("class", each.attempts[0].handled, each.expect.name)) == []


def test_the_same_target_is_asked_as_often_as_it_may_be(run: Run) -> None:
    assert wrong(run, lambda each: differs("requests", len(each.faulty), each.expect.asked)) == []


def test_every_request_is_in_the_record(run: Run) -> None:
    assert wrong(run, lambda each: differs("requests on the wire", each.requests, len(each.faulty))) == []


def test_others_are_asked_only_where_they_may_be(run: Run) -> None:
    def check(each: Seen) -> str:
        others = any(attempt.sent and attempt.target.startswith("second:") for attempt in each.attempts)
        return differs("another target was asked", others, each.expect.others)

    assert wrong(run, check) == []


def test_breakers_count_it_in_its_scope(run: Run) -> None:
    def check(each: Seen) -> str:
        return differs("failures of", each.health.failed_scopes(), {each.expect.breaker} - {""})

    assert wrong(run, check) == []


def test_what_lasts_is_switched_off(run: Run) -> None:
    def check(each: Seen) -> str:
        return differs("latches", each.health.latched(), [each.expect.latch] if each.expect.latch else [])

    assert wrong(run, check) == []


def test_somebody_is_told_of_what_a_person_has_to_mend(run: Run) -> None:
    def check(each: Seen) -> str:
        told = each.attempts[0].alert
        return "" if each.expect.alert is None else differs("alert", told, each.expect.alert)

    assert wrong(run, check) == []


def test_it_is_booked_as_what_is_known_of_it(run: Run) -> None:
    states = {"usage": "paid", "estimate": "paid", "reserve": "unknown", "none": "free"}

    def check(each: Seen) -> str:
        booked = Counter((line.model, line.state) for line in each.lines)
        sent = Counter((attempt.target, states[attempt.cost]) for attempt in each.attempts if attempt.sent)
        empty = [line for line in each.lines if (line.state != "free") != bool(line.booked)]
        return (
            differs("cost", each.attempts[0].cost, each.expect.cost)
            or differs("ledger", booked, sent)
            or ("a line without an amount" if empty else "")
        )

    assert wrong(run, check) == []


def test_the_decision_is_legal_and_no_strange_answer_is_taken(run: Run) -> None:
    def check(each: Seen) -> str:
        right = ("approve", "model") if each.expect.accepted or each.expect.others else ("wait", "rule")
        by_faulty = each.attempts[-1].target.startswith("faulty:") and each.attempts[-1].outcome == "answered"
        return differs("decided", (each.decision.action, each.decision.source), right) or differs(
            "its answer taken", by_faulty, each.expect.accepted
        )

    assert wrong(run, check) == []


def test_what_was_put_right_or_is_worth_knowing_is_told(run: Run) -> None:
    def check(each: Seen) -> str:
        told = each.attempts[0].repaired
        if each.expect.repaired:
            return "" if each.expect.repaired in told else f"told {told}, not {each.expect.repaired}"
        return f"told {told}" if "other_model" in told else ""

    assert wrong(run, check) == []


def test_none_takes_longer_than_its_deadline(run: Run) -> None:
    assert wrong(run, lambda each: f"{each.overrun_s:.2f} s too long" if each.overrun_s > 0.2 else "") == []


def test_no_key_is_written_down_or_logged(run: Run) -> None:
    assert KEY not in run.logs
    for each in run.seen:
        shown = f"{each.journal} {each.decision.explain()} {each.decision.record.as_dict()} {each.health.states()}"
        assert KEY not in shown
        assert "<html" not in str([attempt.cause for attempt in each.attempts])


ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    7,
    1.5,
    10**30,
    "",
    "x",
    "\u202e",
    [],
    [None],
    {},
    {"x": 1},
    [[[]]],
    ...,
)


@pytest.mark.parametrize("wire", WIRES)
def test_no_field_of_another_kind_makes_another_answer(wire: str) -> None:
    """Each field of a good answer, replaced by each odd value: the answer as it was, or none."""
    good, read = ok(wire), READERS_OF[wire].read
    call = Call(provider="p", request=request("fault-model"), price=lambda *_: 0.25)
    seen = Counter[str]()
    for path in paths(good):
        for value in ODD:
            document = changed(good, path, value)
            got = read(call, HttpAnswer(200, {}, json.dumps(document).encode()))
            seen[type(got).__name__] += 1
            if isinstance(got, ModelReply):
                assert got.text == TEXT or path.endswith(("content", "text")), (path, value, got)
                assert got.cost_usd is None or got.cost_usd == 0.25
            else:
                assert got.failure.code in CODES
    assert seen["ModelReply"] > 50
    assert seen["BadResponse"] > 50
