"""Every fault of the catalogue, on every wire, in five situations: what the catalogue expects is what happens.

Whole decisions are made: a decision point with a rule, the official SDKs, real HTTP on loopback, the ledger. The target
is alone, or the first of a chain of three, or its breaker is half open, or the cap of the day has just enough left for
one attempt, or its server repeats the key that it was sent. All decisions of a situation run at once in one loop, with
every logger at DEBUG.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from stepladder.app.lone import Decision
from stepladder.decision import Budget
from stepladder.events import Attempt, ModelAnswered, ModelFailed
from stepladder.fallback import Retry
from stepladder.journal import Journal, MemoryJournal, entries_in
from stepladder.journal.codec import encode_entry
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm.form import Form
from stepladder.llm.health import Health
from stepladder.llm.provider import Provider
from stepladder.money import NANO, open_ledger, usd
from stepladder.money.ledger import Line
from tests.llm.faults import HEALTHY, KEY, OTHER_KEY, FaultServer, Starved, provider, queued_s
from tests.llm.logs import all_logs
from tests.llm.watched import LEGAL, PRICES, Watched, point

DEADLINE_S: Final = 3.0
ATTEMPTS: Final = Retry().attempts
TORTURE: Final = bool(os.environ.get("STEPLADDER_TORTURE"))
"""Otherwise every fault is shown half open, with a cap, and by who repeats keys, on some of its wires only."""
AT_ONCE: Final = 24
LAPS: Final = 8 if TORTURE else 4
STARVED_S: Final = 0.5
SITUATIONS: Final = ("alone", "chain", "half_open", "cap", "echo")
PLANTED: Final = (KEY, OTHER_KEY, KEY[8:], OTHER_KEY[8:])


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    made = FaultServer()
    yield made
    made.close()


class Made(NamedTuple):
    """A decision, and all that can be known of it."""

    fault: str
    wire: str
    run: str
    decision: Decision
    event: ModelAnswered | ModelFailed
    attempts: tuple[Attempt, ...]
    health: Watched
    overrun_s: float
    lines: tuple[Line, ...]
    cap_usd: float
    journal: str
    replayed: bool

    @property
    def first(self) -> Attempt:
        return self.attempts[0]

    def sent_to(self, name: str) -> int:
        return sum(each.sent and each.target.startswith(f"{name}:") for each in self.attempts)

    @property
    def charged(self) -> int:
        """Attempts that took something out of the purse."""
        return sum(each.sent and each.cost != "none" for each in self.attempts)


class Setup(NamedTuple):
    """What a decision is made with; built before the clock runs."""

    fault: str
    wire: str
    run: str
    own: dict[str, Provider]
    health: Watched
    journal: Journal


def set_up(
    server: FaultServer, situation: str, fault: str, wire: str, others: dict[str, Provider], lap: int, folder: Path
) -> Setup:
    run = f"{situation}-{wire}-{lap}"
    faulty = provider(server, fault, run, wire, "faulty", key_of(situation), form_of(situation))
    on_disk = situation == "echo" or (situation == "cap" and TORTURE)
    journal = SqliteJournal(folder / f"{fault}-{run}.db") if on_disk else MemoryJournal()
    return Setup(fault, wire, run, {"faulty": faulty, **others}, Watched(), journal)


def key_of(situation: str) -> str | None:
    """Half of the situations have their key from the environment."""
    return OTHER_KEY if situation in ("chain", "echo") else None


def form_of(situation: str) -> Form:
    """Some are asked for the call of a function: whatever comes, the same has to follow."""
    return "function" if situation in ("chain", "echo") else "schema"


async def almost_spent(server: FaultServer, journal: Journal) -> Budget:
    """A day on which something was spent already, and a cap that leaves as much as one attempt may cost."""
    spender = provider(server, HEALTHY, "spender", "openai_chat", "spender")
    first = point({"spender": spender}, Health(), journal, Budget(prices=PRICES), 60.0)
    spent = await first.decide({"doubt": True}, legal=LEGAL, decision_id="before")
    assert spent.source == "model", spent.explain()
    await first.close()
    await spender.close()
    ledger = open_ledger(journal)
    lines = list(ledger.lines())
    spent_usd = usd(sum(line.booked for line in lines))
    if isinstance(journal, SqliteJournal):
        ledger.close()
    return Budget(day_usd=spent_usd + usd(lines[-1].reserved), prices=PRICES)


async def decide(server: FaultServer, situation: str, setup: Setup, starved: Starved) -> Made:
    own, health = setup.own, setup.health
    if situation == "half_open":
        half_open(health, own["faulty"], server.faults[setup.fault]["expected"]["breaker_scope"])
    journal = setup.journal
    budget = await almost_spent(server, journal) if situation == "cap" else Budget(prices=PRICES)
    deciding = point(own, health, journal, budget, DEADLINE_S)
    begun = time.perf_counter()
    decision = await deciding.decide({"doubt": True}, legal=LEGAL, decision_id="d")
    overrun_s = starved.overrun_s(begun, time.perf_counter(), DEADLINE_S)
    await own["faulty"].close()
    await deciding.close()
    entries = entries_in(journal.turns("d"))
    events = [each for each in entries if isinstance(each, ModelAnswered | ModelFailed)]
    assert len(events) == 1, (setup.fault, entries)
    (call,) = decision.record.calls
    ledger = open_ledger(journal)
    lines = tuple(ledger.lines(run="d"))
    assert budget.day_usd is None or usd(ledger.total("day", lines[0].day)) <= budget.day_usd, "exceeded by 0"
    if isinstance(journal, SqliteJournal):
        ledger.close()
    written = "".join(encode_entry(each).decode() for each in entries)
    replayed = deciding.replay("d")
    journal.close()
    return Made(
        setup.fault,
        setup.wire,
        setup.run,
        decision,
        events[0],
        call.attempts,
        health,
        overrun_s,
        lines,
        budget.day_usd or 0.0,
        written,
        replayed,
    )


def half_open(health: Watched, faulty: Any, scope: str) -> None:
    place = f"faulty@{faulty.server}"
    breaker = health.breaker(place if scope == "endpoint" else f"{place}/fault-model")
    breaker._open()
    time.sleep(0.006)


LOGS: Final[dict[str, str]] = {}
"""What was logged in each situation."""


@pytest.fixture(scope="module", params=SITUATIONS)
def made(
    request: pytest.FixtureRequest, server: FaultServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, FaultServer, list[Made]]]:
    situation, folder = request.param, tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch, all_logs() as said:
        for name in ("FAULTY_API_KEY", "GOOGLE_API_KEY"):
            patch.setenv(name, KEY)
        found = asyncio.run(decide_all(server, situation, folder))
    LOGS[situation] = said.getvalue()
    yield situation, server, found


async def decide_all(server: FaultServer, situation: str, folder: Path, only: str = "") -> list[Made]:
    """All decisions of a situation. One for which the machine had no processor, or whose server did not come to answer,
    is made again, with fewer beside it."""
    others: dict[str, Provider] = {}
    if situation == "chain":
        others = {
            "second": provider(server, HEALTHY, "second", "openai_chat", "second"),
            "third": provider(server, HEALTHY, "third", "gemini_generate_content", "third"),
        }
    starving = Starving()
    watch = asyncio.create_task(starving.watch())
    made: dict[tuple[str, str], Made] = {}
    whole = TORTURE or bool(only) or situation in ("alone", "chain")
    every = 1 if whole else 7 if situation == "echo" else 4
    left = server.pairs(only)[::every]
    for lap in range(LAPS):
        setups = [set_up(server, situation, *each, others, lap, folder) for each in left]
        room = asyncio.Semaphore(AT_ONCE // (lap + 1))
        done = await asyncio.gather(*(starving.over(room, server, situation, each) for each in setups))
        made |= dict(zip(left, done, strict=True))
        left = [each for each in left if id(made[each]) in starving.found]
        if not left:
            break
    watch.cancel()
    for other in others.values():
        await other.close()
    return list(made.values())


class Starving(Starved):
    """Remembers which decisions were made without a processor, or by a server that did not come to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[int] = set()

    async def over(self, room: asyncio.Semaphore, server: FaultServer, situation: str, setup: Setup) -> Made:
        async with room:
            before = queued_s()
            made = await decide(server, situation, setup, self)
            queued = queued_s() - before
        slow, reachable = server.is_slow(setup.fault, setup.wire), "connect" not in setup.fault
        late = any(
            (each.outcome == "late" and not slow)
            or (reachable and "no connection within" in each.cause)
            or each.outcome == "cut_off"
            for each in made.attempts
        )
        took_s = sum(each.waited_s + each.elapsed_s for each in made.attempts)
        short = took_s > DEADLINE_S + 0.1 or any("and it has" in each.cause for each in made.attempts)
        if late or (short and queued > STARVED_S):
            self.found.add(id(made))
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
        if each.fault.startswith("q_") and (situation == "half_open" or (situation == "cap" and each.charged)):
            return ""  # what follows the first request may not be asked for
        return "" if accepted(each) == right else f"accepted {accepted(each)}, not {right}"

    assert wrong(all_made, server, check) == []


def test_it_is_of_the_class_that_the_catalogue_says(made: tuple[str, FaultServer, list[Made]]) -> None:
    situation, server, all_made = made

    def check(each: Made, expected: dict[str, Any]) -> str:
        if situation == "echo" and each.fault == "c_injection_echo":
            return ""  # what is put right in its reason stands at the beginning, and the key does now
        return "" if each.first.handled == expected["classification"] else f"class {each.first.handled}"

    assert wrong(all_made, server, check) == []


def test_it_is_booked_as_the_catalogue_says(made: tuple[str, FaultServer, list[Made]]) -> None:
    situation, server, all_made = made

    def check(each: Made, expected: dict[str, Any]) -> str:
        right = {"reserve"} if each.fault in MAY_BE_BILLED else COSTS[expected["cost"]]
        at_the_end = each.fault.startswith("q_") and expected["decision_accepted"]
        sent = [attempt for attempt in each.attempts if attempt.sent and attempt.target.startswith("faulty:")]
        of = sent[-1 if at_the_end else 0]
        if each.fault.startswith("q_") and of.outcome != "answered" and situation != "alone":
            return ""  # its answer was not asked for
        if of.cost == "usage" and expected["cost"] in ("usage", "usage_max") and not of.usage.input_tokens:
            return "books zero"
        right = right | {"usage"} if each.fault == "q_slow_then_ok" else right
        return "" if of.cost in right else f"cost {of.cost}"

    assert wrong(all_made, server, check) == []


def test_the_ledger_has_a_line_for_every_attempt_and_says_the_same(
    made: tuple[str, FaultServer, list[Made]],
) -> None:
    _, server, all_made = made
    known = {"usage": "paid", "estimate": "paid", "reserve": "unknown", "none": "free"}

    def check(each: Made, expected: dict[str, Any]) -> str:
        sent = Counter((attempt.target, known[attempt.cost]) for attempt in each.attempts if attempt.sent)
        booked = Counter((line.model, line.state) for line in each.lines)
        return "" if sent == booked else f"the ledger has {booked}, the record {sent}"

    assert wrong(all_made, server, check) == []


def test_the_ledger_covers_what_the_server_bills(made: tuple[str, FaultServer, list[Made]]) -> None:
    """Over every cell: in money for the faulty target, and in all for the others, which the cells share."""
    _, server, all_made = made
    server.settled()
    stats = server.stats()

    def billed(key: str) -> int:
        said = stats.get(key, {"read": 0, "written": 0})
        return round(NANO * (said["read"] * 10.0 + said["written"] * 40.0) / 1e6)

    def check(each: Made, expected: dict[str, Any]) -> str:
        if expected["cost"] == "none" and each.fault not in MAY_BE_BILLED:
            return ""  # the server counts every 200, and says in some of them that it did nothing
        booked = sum(line.booked for line in each.lines if line.model == "faulty:fault-model")
        bill = billed(f"{each.fault}|{each.run}")
        return "" if booked >= bill else f"{booked} booked, {bill} billed"

    assert wrong(all_made, server, check) == []
    assert any(billed(f"{each.fault}|{each.run}") for each in all_made)


def test_a_cap_with_room_for_one_attempt_is_kept(made: tuple[str, FaultServer, list[Made]]) -> None:
    situation, server, all_made = made
    if situation != "cap":
        pytest.skip("only here there is a cap")

    def check(each: Made, expected: dict[str, Any]) -> str:
        if each.charged > 1:
            return f"{each.charged} attempts were charged"
        closed = [attempt for attempt in each.attempts if attempt.outcome == "over_cap"]
        again = each.first.handled in ("retry", "repair") and each.first.cost != "none" and not accepted(each)
        no_time = any("and it has" in attempt.cause or attempt.outcome == "cut_off" for attempt in each.attempts)
        if again and not no_time and not any("a day is spent" in attempt.cause for attempt in closed):
            return "nothing was refused"
        return ""

    assert wrong(all_made, server, check) == []
    assert any(attempt.outcome == "over_cap" for each in all_made for attempt in each.attempts)


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
    assert [(each.fault, each.overrun_s) for each in all_made if each.overrun_s > 0.2] == []


def test_neither_key_nor_markup_nor_control_characters_are_written_down(
    made: tuple[str, FaultServer, list[Made]],
) -> None:
    _, server, all_made = made
    for each in all_made:
        shown = f"{each.journal} {each.decision.explain()} {each.decision.record.as_dict()} {each.health.states()}"
        assert not any(key in shown for key in PLANTED), each
        assert "sk-fault" not in shown
        assert len(each.journal) < 60_000, "1 MiB does not belong into a journal"
        record = f"{each.decision.explain()} {[attempt.cause for attempt in each.attempts]}"
        assert "<script" not in record
        assert "<html" not in record
        assert not any(char in record for char in "\x1b\u202e\x07\ud83d"), each
    assert not any(key in hit for hit in server.redirected() for key in PLANTED)


def test_no_key_is_in_any_log_nor_in_the_bytes_of_any_file(
    made: tuple[str, FaultServer, list[Made]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    situation, _, all_made = made
    assert len(LOGS[situation]) > 100 * len(all_made), "every request is logged by the SDKs and by their HTTP library"
    assert [key for key in PLANTED if key in LOGS[situation]] == []
    files = [each for each in tmp_path_factory.getbasetemp().rglob("*") if each.is_file()]
    assert situation != "echo" or any(each.name.endswith(".db.ledger") for each in files)
    assert [each.name for each in files for key in PLANTED if key.encode() in each.read_bytes()] == []


def test_a_replay_asks_nobody_and_decides_alike(made: tuple[str, FaultServer, list[Made]]) -> None:
    _, server, all_made = made
    before = sum(each["requests"] for each in server.stats().values())
    for each in all_made:
        assert each.replayed, each
    assert sum(each["requests"] for each in server.stats().values()) == before


def accepted(each: Made) -> str | None:
    return each.decision.action if each.decision.source == "model" else None
