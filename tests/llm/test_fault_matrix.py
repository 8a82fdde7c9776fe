"""Every fault of the catalogue, on every wire, in four situations: what the catalogue expects is what happens.

Whole decisions are made: a decision point with a rule, the official SDKs, real HTTP on loopback. All decisions of a
situation run at once in one loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

import pytest

from stepladder import rule
from stepladder.app.decision_point import DecisionPoint
from stepladder.app.lone import Decision
from stepladder.events import Attempt, ModelAnswered, ModelFailed
from stepladder.fallback import BreakerPolicy, Outcome, Retry
from stepladder.journal import MemoryJournal
from stepladder.journal.codec import encode_entry
from stepladder.llm import Providers
from stepladder.llm.breaker import Breaker, Permit
from stepladder.llm.health import Health
from stepladder.llm.provider import ModelRequest, Provider
from stepladder.llm.purse import Payer, Refusal, Reservation, Spent, Target
from tests.llm.faults import HEALTHY, KEY, WIRES, FaultServer, Stood, provider

DEADLINE_S: Final = 3.0
LEGAL: Final = ("approve", "reject", "wait")
ATTEMPTS: Final = Retry().attempts
TORTURE: Final = bool(os.environ.get("STEPLADDER_TORTURE"))
"""Otherwise every fault is shown half open, and with a cap, on some of its wires only."""
AT_ONCE: Final = 24
LAPS: Final = 3
STARVED_S: Final = 0.35
SITUATIONS: Final = ("alone", "chain", "half_open", "cap")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    made = FaultServer()
    yield made
    made.close()


class CountedBreaker(Breaker):
    """A breaker that remembers what it was told."""

    told: list[tuple[str, Outcome]]

    def record(self, permit: Permit, outcome: Outcome, took_s: float = 0.0) -> None:
        self.told.append((self.name, outcome))
        super().record(permit, outcome, took_s)


class Watched(Health):
    """Health whose breakers can be looked into."""

    def __init__(self) -> None:
        super().__init__(breaker=BreakerPolicy(open_s=0.005))
        self.told: list[tuple[str, Outcome]] = []

    def breaker(self, name: str) -> Breaker:
        if name not in self._breakers:
            made = CountedBreaker(name, self._policy, clock=self.clock, chance=self.chance)
            made.told = self.told
            self._breakers[name] = made
        return self._breakers[name]


class OneShot:
    """A purse with enough for one attempt, and a book of what became of it."""

    def __init__(self) -> None:
        self.reserved = 0
        self.spent: list[Spent] = []

    async def reserve(self, target: Target, request: ModelRequest, payer: Payer) -> Reservation | Refusal:
        if self.reserved:
            return Refusal("the cap is reached")
        self.reserved += 1
        return Reservation("1", 0.01)

    def settle(self, reservation: Reservation, spent: Spent) -> None:
        self.spent.append(spent)


class Made(NamedTuple):
    """A decision, and all that can be known of it."""

    fault: str
    wire: str
    run: str
    decision: Decision
    event: ModelAnswered | ModelFailed
    attempts: tuple[Attempt, ...]
    health: Watched
    took_s: float
    purse: OneShot
    journal: str
    replayed: bool

    @property
    def first(self) -> Attempt:
        return self.attempts[0]

    def sent_to(self, name: str) -> int:
        return sum(each.sent and each.target.startswith(f"{name}:") for each in self.attempts)


class Setup(NamedTuple):
    """What a decision is made with; built before the clock runs."""

    fault: str
    wire: str
    run: str
    own: dict[str, Provider]
    health: Watched
    purse: OneShot


def set_up(server: FaultServer, situation: str, fault: str, wire: str, others: dict[str, Provider], lap: int) -> Setup:
    run = f"{situation}-{wire}-{lap}"
    own = {"faulty": provider(server, fault, run, wire, "faulty"), **others}
    return Setup(fault, wire, run, own, Watched(), OneShot())


async def decide(server: FaultServer, situation: str, setup: Setup) -> Made:
    own, health, purse = setup.own, setup.health, setup.purse
    if situation == "half_open":
        half_open(health, own["faulty"], server.faults[setup.fault]["expected"]["breaker_scope"])
    journal = MemoryJournal()
    point = DecisionPoint(
        "next_action",
        rules=[rule("wait", because="nobody said better")],
        signals={"doubt": bool},
        classifier={"complex": {"doubt": ["doubt == true"]}},
        chain=[f"{name}:fault-model" for name in own],
        deadline_s=DEADLINE_S,
        providers=Providers(own, health=health),
        purse=purse if situation == "cap" else None,
        journal=journal,
    )
    started = time.perf_counter()
    decision = await point.decide({"doubt": True}, legal=LEGAL, decision_id="d")
    took_s = time.perf_counter() - started
    await own["faulty"].close()
    entries = [entry for turn in journal.turns("d") for entry in turn.entries]
    events = [each for each in entries if isinstance(each, ModelAnswered | ModelFailed)]
    assert len(events) == 1, (setup.fault, entries)
    (call,) = decision.record.calls
    written = "".join(encode_entry(each).decode() for each in entries)
    return Made(
        setup.fault,
        setup.wire,
        setup.run,
        decision,
        events[0],
        call.attempts,
        health,
        took_s,
        purse,
        written,
        point.replay("d"),
    )


def half_open(health: Watched, faulty: Any, scope: str) -> None:
    place = f"faulty@{faulty.server}"
    breaker = health.breaker(place if scope == "endpoint" else f"{place}/fault-model")
    breaker._open()
    time.sleep(0.006)


@pytest.fixture(scope="module", params=SITUATIONS)
def made(request: pytest.FixtureRequest, server: FaultServer) -> Iterator[tuple[str, FaultServer, list[Made]]]:
    yield request.param, server, asyncio.run(decide_all(server, request.param))


async def decide_all(server: FaultServer, situation: str, only: str = "") -> list[Made]:
    """All decisions of a situation. One during which this loop stood still is made again, with fewer beside it: it was
    late for another reason than the fault's."""
    others: dict[str, Provider] = {}
    if situation == "chain":
        others = {
            "second": provider(server, HEALTHY, "second", "openai_chat", "second"),
            "third": provider(server, HEALTHY, "third", "gemini_generate_content", "third"),
        }
    stood = Starving()
    watch = asyncio.create_task(stood.watch())
    made: dict[tuple[str, str], Made] = {}
    whole = TORTURE or bool(only) or situation in ("alone", "chain")
    left = [each for number, each in enumerate(server.pairs(only)) if whole or number % len(WIRES) == 0]
    for lap in range(LAPS):
        setups = [set_up(server, situation, *each, others, lap) for each in left]
        room = asyncio.Semaphore(AT_ONCE // (lap + 1))
        made |= dict(
            zip(
                left, await asyncio.gather(*(stood.over(room, server, situation, each) for each in setups)), strict=True
            )
        )
        left = [each for each in left if id(made[each]) in stood.starved]
        if not left:
            break
    watch.cancel()
    for other in others.values():
        await other.close()
    return list(made.values())


class Starving(Stood):
    """Remembers which decisions were made while the loop stood still."""

    def __init__(self) -> None:
        super().__init__()
        self.starved: set[int] = set()

    async def over(self, room: asyncio.Semaphore, server: FaultServer, situation: str, setup: Setup) -> Made:
        async with room:
            begun = len(self.worst)
            made = await decide(server, situation, setup)
        if max(self.worst[begun - 1 :], default=0.0) > STARVED_S:
            self.starved.add(id(made))
        return made


def wrong(made: list[Made], server: FaultServer, check: Any) -> list[str]:
    """What does not hold, one line each."""
    found = []
    for each in made:
        if said := check(each, server.faults[each.fault]["expected"]):
            found += [f"{each.fault} on {each.wire}: {said}; {each.attempts}"]
    return found


COSTS: Final = {
    "none": {"none"},
    "usage": {"usage"},
    "reserve": {"reserve"},
    "usage_or_reserve": {"usage", "reserve"},
    "usage_or_estimate": {"usage", "estimate"},
    "estimate_flagged": {"estimate"},
    "usage_max": {"usage"},
}
LATCHES: Final = {
    "none": None,
    "provider": 2,
    "api_key": 3,
    "model": 3,
    "model_until_retry_after": 3,
    "model_until_reset": 3,
}
BYTES_OF_ANOTHER: Final = {("h429_gemini_per_day_quota", wire) for wire in ("openai_chat", "openai_responses")}
"""The catalogue sends the very bytes of its insufficient_quota on these wires, and expects another reaction to them."""
MAY_BE_BILLED: Final = frozenset({"tr_oversized_body"})
"""A 200 with a body that is too large was worked on for all that anybody knows, and the server counts it as billed; the
catalogue books nothing. Held to be wrong: unknown counts as spent."""


def test_the_decision_is_the_one_that_may_be_accepted(made: tuple[str, FaultServer, list[Made]]) -> None:
    situation, server, all_made = made

    def check(each: Made, expected: dict[str, Any]) -> str:
        right = "approve" if expected["decision_accepted"] else None
        if situation == "chain" and expected["rules_fallback"] != "immediate":
            right = "approve"
        if each.decision.action not in ("approve", "wait"):
            return f"decided {each.decision.action}"
        if situation in ("half_open", "cap") and each.fault.startswith("q_"):
            return ""  # what follows the first request may not be asked for
        return "" if accepted(each) == right else f"accepted {accepted(each)}, not {right}"

    assert wrong(all_made, server, check) == []


def test_it_is_of_the_class_that_the_catalogue_says(made: tuple[str, FaultServer, list[Made]]) -> None:
    _, server, all_made = made

    def check(each: Made, expected: dict[str, Any]) -> str:
        return "" if each.first.handled == expected["classification"] else f"class {each.first.handled}"

    assert wrong(all_made, server, check) == []


def test_it_is_booked_as_the_catalogue_says(made: tuple[str, FaultServer, list[Made]]) -> None:
    situation, server, all_made = made

    def check(each: Made, expected: dict[str, Any]) -> str:
        right = {"reserve"} if each.fault in MAY_BE_BILLED else COSTS[expected["cost"]]
        at_the_end = each.fault.startswith("q_") and expected["decision_accepted"]
        sent = [attempt for attempt in each.attempts if attempt.sent and attempt.target.startswith("faulty:")]
        of = sent[-1 if at_the_end else 0]
        if each.fault.startswith("q_") and not accepted(each) and situation != "alone":
            return ""  # its answer was not asked for
        if of.cost == "usage" and expected["cost"] in ("usage", "usage_max") and not of.usage.input_tokens:
            return "books zero"
        right = right | {"usage"} if each.fault == "q_slow_then_ok" else right
        return "" if of.cost in right else f"cost {of.cost}"

    assert wrong(all_made, server, check) == []


def test_the_purse_is_told_the_same_and_holds_what_may_be_billed(made: tuple[str, FaultServer, list[Made]]) -> None:
    situation, server, all_made = made
    if situation != "cap":
        pytest.skip("only here there is a purse")
    billed = {key.split("|")[0] for key, each in server.stats().items() if "|cap-" in key and each["billed"]}
    for each in all_made:
        (spent,) = each.purse.spent
        known = {"usage": "usage", "estimate": "estimate", "reserve": "unknown", "none": "none"}[each.first.cost]
        assert spent.known == known, each
        rejected = COSTS[server.faults[each.fault]["expected"]["cost"]] == {"none"}
        assert each.fault not in billed or spent.known != "none" or rejected, each
        if situation == "cap":
            assert sum(attempt.sent for attempt in each.attempts) == 1


def test_breakers_count_what_the_catalogue_says_and_nothing_else(made: tuple[str, FaultServer, list[Made]]) -> None:
    _, server, all_made = made

    def check(each: Made, expected: dict[str, Any]) -> str:
        told = [(name, outcome) for name, outcome in each.health.told if name.startswith("faulty@")]
        failed = {
            "model" if name.endswith("/fault-model") else "endpoint" for name, outcome in told if outcome == "failure"
        }
        right = {expected["breaker_scope"]} if expected["counts_toward_breaker"] else set()
        if not accepted(each) and any(outcome == "success" for _, outcome in told):
            return "counted as a success"
        return "" if failed == right else f"failures of {failed or 'nothing'}"

    assert wrong(all_made, server, check) == []


def test_a_failed_probe_closes_the_door_again(made: tuple[str, FaultServer, list[Made]]) -> None:
    situation, server, all_made = made
    if situation != "half_open":
        pytest.skip("only here breakers are half open")

    def check(each: Made, expected: dict[str, Any]) -> str:
        if not expected["counts_toward_breaker"]:
            return ""
        return "" if each.sent_to("faulty") == 1 else f"{each.sent_to('faulty')} requests"

    assert wrong(all_made, server, check) == []


def test_what_is_switched_off_is_what_the_catalogue_says(made: tuple[str, FaultServer, list[Made]]) -> None:
    _, server, all_made = made

    def check(each: Made, expected: dict[str, Any]) -> str:
        if (each.fault, each.wire) in BYTES_OF_ANOTHER:
            return ""
        found = [(len(key), key[-1] == "key", until is not None) for key, (_, until) in each.health.latches.items()]
        latch = expected["latch"]
        length = LATCHES[latch]
        right = [(length, latch == "api_key", "until" in latch)] if length else []
        if each.first.alert != expected["alert"]:
            return f"alert {each.first.alert}"
        return "" if found == right else f"latches {found}"

    assert wrong(all_made, server, check) == []


def test_requests_are_bounded_and_counted_by_the_server(made: tuple[str, FaultServer, list[Made]]) -> None:
    situation, server, all_made = made
    stats = server.stats()

    def check(each: Made, expected: dict[str, Any]) -> str:
        counted = stats.get(f"{each.fault}|{each.run}", {"requests": 0})["requests"]
        told = each.sent_to("faulty")
        if counted > told or told > ATTEMPTS:
            return f"{counted} requests on the wire, {told} in the record"
        again = expected["same_target_retry"]
        most = {"never": 1, "once": 2, "budgeted": ATTEMPTS}[again]
        if told > most:
            return f"{told} requests where same_target_retry is {again}"
        if again == "once" and situation == "alone" and not expected["decision_accepted"] and told != 2:
            return "not asked once more"
        if (
            expected["classification"] == "fallback"
            and len(each.attempts) != sum(not a.sent for a in each.attempts) + 1
        ):
            return "others were asked after a refusal"
        return ""

    assert wrong(all_made, server, check) == []


def test_waits_are_never_shorter_than_the_server_asks(made: tuple[str, FaultServer, list[Made]]) -> None:
    _, server, all_made = made
    least = {
        "h429_retry_after_seconds": 2.0,
        "h429_retry_after_http_date": 2.0,
        "h503_retry_after": 2.0,
        "q_429_then_ok": 1.0,
    }
    stats = server.stats()
    for each in all_made:
        times = stats.get(f"{each.fault}|{each.run}", {"times": []})["times"]
        gaps = [after - before for before, after in pairwise(times)]
        assert all(gap >= least.get(each.fault, 0.0) - 0.01 for gap in gaps), each


def test_no_decision_takes_longer_than_its_deadline(made: tuple[str, FaultServer, list[Made]]) -> None:
    _, _, all_made = made
    assert [each.fault for each in all_made if each.took_s > DEADLINE_S + 0.2] == []


def test_neither_key_nor_markup_nor_control_characters_are_written_down(
    made: tuple[str, FaultServer, list[Made]],
) -> None:
    _, server, all_made = made
    for each in all_made:
        shown = f"{each.journal} {each.decision.explain()} {each.decision.record.as_dict()}"
        assert KEY not in shown
        assert "planted" not in shown
        assert "sk-fault" not in shown
        assert len(each.journal) < 60_000, "1 MiB does not belong into a journal"
        record = f"{each.decision.explain()} {[attempt.cause for attempt in each.attempts]}"
        assert "<script" not in record
        assert "<html" not in record
        assert not any(char in record for char in "\x1b\u202e\x07\ud83d"), each
    assert not any(KEY in hit for hit in server.redirected())


def test_a_replay_asks_nobody_and_decides_alike(made: tuple[str, FaultServer, list[Made]]) -> None:
    _, server, all_made = made
    before = sum(each["requests"] for each in server.stats().values())
    for each in all_made:
        assert each.replayed, each
    assert sum(each["requests"] for each in server.stats().values()) == before


def accepted(each: Made) -> str | None:
    return each.decision.action if each.decision.source == "model" else None
