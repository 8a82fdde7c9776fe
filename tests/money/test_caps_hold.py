"""Caps over tasks, processes and `kill -9`, against a server that counts what it would bill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import ManualClock
from stepladder.events import ModelFailed
from stepladder.journal import MemoryJournal
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm import Providers
from stepladder.llm.openai import OpenAIProvider
from stepladder.money import Booking, Ledger, Settlement, Till, open_ledger, usd
from stepladder.money.amounts import day_of
from stepladder.rehearsal import FaultServer, parse_script
from tests.drivers.desk import LADDER, of, workflow
from tests.money.spender import PRICES, changes, spend
from tests.postgres import Postgres

ROOT = Path(__file__).parents[2]


def script(*faults: dict[str, Any], **more: Any) -> Any:
    return parse_script(json.dumps({"rehearsal": "money", "faults": list(faults), **more}))


def covered(server: FaultServer, ledger: Ledger, day_usd: float) -> None:
    lines = list(ledger.lines())
    booked = sum(line.booked for line in lines)
    assert usd(booked) >= server.billed_usd - 1e-9, "the ledger covers the bill"
    assert usd(booked) <= day_usd + 1e-9, "and the cap holds"
    assert ledger.total("day", lines[0].day) == booked


MIXED = (
    {"fault": "no_usage", "share": 0.1},
    {"fault": "error", "share": 0.1},
    {"fault": "truncated", "share": 0.1},
    {"fault": "cut", "share": 0.1},
    {"fault": "rate_limited", "share": 0.1},
)


def test_64_workers_that_fail_in_every_way_stay_under_the_cap(tmp_path: Path) -> None:
    with FaultServer(script(*MIXED), prices=PRICES) as server:
        asked, closed = asyncio.run(spend(server.openai_url, str(tmp_path / "j.db"), "w", 200, 64, 3.0))
        ledger = open_ledger(SqliteJournal(tmp_path / "j.db"))
        covered(server, ledger, 3.0)
        assert asked
        assert closed
        assert {"paid", "free", "unknown"} <= {line.state for line in ledger.lines()}
        ledger.close()


def test_the_cap_holds_over_processes_and_a_kill(tmp_path: Path) -> None:
    """Two processes of 32 workers each; one is killed while 32 answers are on their way, then another one goes on."""
    journal, cap = tmp_path / "j.db", 2.5

    def process(name: str, runs: int = 60) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.money.spender", server.openai_url, str(journal), name]
        return subprocess.Popen(
            [*command, str(runs), "32", str(cap)], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )

    with FaultServer(script(*MIXED[:2], latency_s=0.3), prices=PRICES) as server:
        one, other = process("one"), process("other")
        give_up = time.monotonic() + 30
        ledger = open_ledger(SqliteJournal(journal))
        while not any(line.run.startswith("one-") for line in ledger.lines()) and time.monotonic() < give_up:
            time.sleep(0.02)
        one.send_signal(signal.SIGKILL)
        assert one.wait() == -signal.SIGKILL
        assert other.communicate(timeout=60)[0]
        left = [line for line in ledger.lines() if line.state == "open"]
        assert left, "what the dead process had reserved stays counted"
        told = process("third", 200).communicate(timeout=60)[0].split()
        assert int(told[1]) > 0, "the cap is reached"
        assert all(ledger.line(line.id).state == "open" for line in left)  # type: ignore[union-attr]
        covered(server, ledger, cap)
        ledger.close()


def test_the_cap_holds_over_processes_in_postgres(postgres: Postgres) -> None:
    import psycopg

    from stepladder.journal.postgres import PostgresJournal

    with psycopg.connect(postgres.address(), autocommit=True) as db:
        db.execute("DROP DATABASE IF EXISTS money")
        db.execute("CREATE DATABASE money")
    address = postgres.address("money")
    with FaultServer(script(*MIXED[:3]), prices=PRICES) as server:
        asked, closed = asyncio.run(spend(server.openai_url, address, "p", 60, 32, 0.3))
        journal = PostgresJournal(address)
        ledger = open_ledger(journal)
        covered(server, ledger, 0.3)
        assert asked
        assert closed
        ledger.close()
        journal.close()


async def one_run(server: FaultServer, change: dict[str, Any], **more: Any) -> Any:
    provider = OpenAIProvider(api_key="sk-nothing", base_url=server.openai_url, prices=PRICES)
    try:
        async with Orchestrator(
            workflow(LADDER, change),
            agents={"worker": lambda x: {"done": False}},
            providers={"openai": provider},
            **more,
        ) as orchestrator:
            run = await orchestrator.run({"x": 1})
            _ = run.entries
            assert orchestrator.replay(run.id).divergence is None
            return run
    finally:
        await provider.close()


@pytest.mark.parametrize(
    ("on_cap", "source", "end", "waits"),
    [("rule", "rule", "solved", False), ("stop", "limit", "closed", False), ("person", "", "", True)],
)
def test_what_happens_at_a_cap(on_cap: str, source: str, end: str, waits: bool) -> None:
    with FaultServer(script(), prices=PRICES) as server:
        run = asyncio.run(one_run(server, changes(0.0001, on_cap=on_cap)))
    assert not server.served, "nothing was sent"
    (failed,) = of(run, ModelFailed)
    assert failed.code == "over_cap"
    assert "$0 of $0.0001 a day is spent or reserved; this call may cost $0.0" in failed.error
    record = run.decisions[0]
    assert (record.source, run.end, run.waiting is not None) == (source, end, waits)
    if waits:
        assert record.asked[-1].because == "first: over_cap"
        assert "person: first: over_cap" in record.explain()
    else:
        assert record.settled.fallback == "first: over_cap"


def test_the_runs_own_cap_closes_models_without_asking_the_ledger() -> None:
    change = changes(10.0)
    change["policy"]["limits"] = {"usd": 0.0}
    with FaultServer(script(), prices=PRICES) as server:
        run = asyncio.run(one_run(server, change))
    assert not server.served
    assert run.decisions[0].settled.fallback == "first: budget of $0 is spent"


def test_what_agents_cost_is_taken_off_the_runs_cap() -> None:
    from stepladder import AgentResult

    change = changes(10.0)
    change["policy"]["limits"] = {"usd": 0.05}
    with FaultServer(script(), prices=PRICES) as server:
        provider = OpenAIProvider(api_key="sk-nothing", base_url=server.openai_url, prices=PRICES)

        async def run() -> Any:
            async with Orchestrator(
                workflow(LADDER, change),
                agents={"worker": lambda x: AgentResult({"done": False}, cost_usd=0.04)},
                providers={"openai": provider},
            ) as orchestrator:
                found = await orchestrator.run({"x": 1})
                _ = found.entries
            await provider.close()
            return found

        found = asyncio.run(run())
    assert [each.code for each in of(found, ModelFailed)] == ["over_cap"]
    assert found.usd == 0.04


def test_the_runs_money_is_the_ledgers_and_an_answer_that_never_came_counts() -> None:
    journal = MemoryJournal()
    change = changes(10.0)
    change["policy"]["rungs"]["first"]["deadline_s"] = 0.3
    with FaultServer(script({"fault": "billed_late"}), prices=PRICES) as server:
        run = asyncio.run(one_run(server, change, journal=journal))
        ledger = open_ledger(journal)
        lines = list(ledger.lines())
    assert {(line.state, line.estimated) for line in lines} == {("unknown", True)}
    booked = usd(sum(line.booked for line in lines))
    assert booked >= server.billed_usd > 0
    for failed in of(run, ModelFailed):  # none, where the run's own clock was the first to say that it is late
        assert (failed.code, failed.usage.estimated) == ("late", True)
        assert run.usd == pytest.approx(booked)
        assert " at most, " in run.decisions[0].explain()


def test_a_new_day_opens_the_models_again() -> None:
    clock, journal = ManualClock(), MemoryJournal()
    ends: list[str] = []

    async def runs(server: FaultServer) -> None:
        provider = OpenAIProvider(api_key="sk-nothing", base_url=server.openai_url, prices=PRICES)
        async with Orchestrator(
            workflow(LADDER, changes(0.1)),
            agents={"worker": lambda x: {"done": False}},
            providers={"openai": provider},
            clock=clock,
            journal=journal,
        ) as orchestrator:
            for day in range(2):
                for n in range(6):
                    run = await orchestrator.run({"x": n}, run_id=f"{day}-{n}")
                    ends.append(",".join(each.code for each in of(run, ModelFailed)))
                clock.move(86_400)
        await provider.close()

    with FaultServer(script(), prices=PRICES) as server:
        asyncio.run(runs(server))
    first, second = ends[:6], ends[6:]
    assert first[0] == "" == second[0]
    assert first[-1] == "over_cap" == second[-1]
    ledger = open_ledger(journal)
    days = {day_of(clock.now() - back * 86_400) for back in (1, 2)}
    assert {line.day for line in ledger.lines()} == days
    assert all(usd(ledger.total("day", day)) <= 0.1 for day in days)


@pytest.mark.parametrize(("route", "code"), [("complex", ""), ("hybrid", "throttled")])
def test_throttled_only_complex_decisions_ask(route: str, code: str) -> None:
    change = changes(0.1, throttle=0.05)
    other = {"complex": "hybrid", "hybrid": "complex"}[route]
    change["policy"]["classifier"] = {route: {"always": ["decisions >= 0"]}, other: {"always": ["decisions < 0"]}}
    change["policy"]["routes"] = {route: {"ask": ["first"]}}
    with FaultServer(script(), prices=PRICES) as server:
        run = asyncio.run(one_run(server, change))
    assert [each.code for each in of(run, ModelFailed)] == ([code] if code else [])
    assert len(server.served) == (0 if code else 1)


def test_a_model_without_a_price_is_refused_where_there_is_a_cap() -> None:
    from stepladder.errors import InputError

    change = changes(1.0, prices={})
    change["policy"]["rungs"]["first"]["model"] = "openai:nobody-knows-this"
    with FaultServer(script(), prices=PRICES) as server:
        provider = OpenAIProvider(api_key="sk-nothing", base_url=server.openai_url)
        with pytest.raises(InputError, match="no known price, though there is a cap"):
            Orchestrator(workflow(LADDER, change), agents={"worker": lambda x: {}}, providers={"openai": provider})
        del change["policy"]["money"]
        for money in ({}, {"money": {"day_usd": 1.0, "allow_unpriced": True}}):
            change["policy"] |= money
            run = asyncio.run(one_run(server, change))
            assert run.decisions[0].calls[0].usage.cost_usd is None, "asked, and marked"
            assert "unpriced" in run.decisions[0].explain()
        assert len(server.served) == 2


def test_a_price_that_is_only_known_not_to_be_there_when_it_is_asked() -> None:
    """The list has a price for the model, the compatible server it is asked at has none."""
    change = changes(1.0, prices={})
    change["policy"]["rungs"]["first"]["model"] = "openai:gpt-5-mini"
    with FaultServer(script(), prices=PRICES) as server:

        async def run() -> Any:
            async with Orchestrator(
                workflow(LADDER, change),
                agents={"worker": lambda x: {"done": False}},
                providers=Late(server.openai_url),
            ) as orchestrator:
                found = await orchestrator.run({"x": 1})
                _ = found.entries
            return found

        found = asyncio.run(run())
    assert [each.code for each in of(found, ModelFailed)] == ["unpriced"]
    assert not server.served


class Late(Providers):
    """Opens the model's provider at a server that it only names when it is opened."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def open(self, name: str, *, base_url: str | None = None) -> Any:
        return OpenAIProvider(api_key="sk-nothing", base_url=self.url)


def test_a_lone_decision_is_paid_for_too() -> None:
    import stepladder
    from stepladder import DecisionPoint
    from stepladder.decision import Budget

    async def decided(server: FaultServer, day_usd: float) -> tuple[str, str, int]:
        journal = MemoryJournal()
        lone = DecisionPoint(
            "next",
            rules=[stepladder.rule("STAY", because="nothing says otherwise")],
            signals={"errors": int},
            model="openai:m",
            classifier={"complex": {"any": ["errors > 0"]}},
            providers={"openai": OpenAIProvider(api_key="sk-nothing", base_url=server.openai_url, prices=PRICES)},
            budget=Budget(day_usd=day_usd),
            journal=journal,
        )
        async with lone:
            found = await lone.decide({"errors": 1}, legal=["GO", "STAY"])
            assert lone.replay(found.id)
        booked = open_ledger(journal).total("run", found.id)
        settled = found.record.settled
        assert settled is not None
        return found.source, settled.fallback, booked

    with FaultServer(script(), prices=PRICES) as server:
        assert asyncio.run(decided(server, 0.0)) == ("rule", "model: over_cap", 0)
        source, fallback, booked = asyncio.run(decided(server, 1.0))
        assert (source, fallback) == ("model", "")
        assert usd(booked) >= server.billed_usd > 0


def test_what_is_settled_after_the_end_is_settled_all_the_same(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")

    async def late() -> None:
        till = Till(journal)
        assert await till.reserve(Booking("a", 0.0, "r", 1, "p", "s", "m", 0.5)) is None
        till.close()
        till.settle_soon(Settlement("a", "paid", 0.25))

    asyncio.run(late())
    ledger = open_ledger(journal)
    assert usd(ledger.total("run", "r")) == 0.25
    ledger.close()
    journal.close()


def test_where_nothing_can_be_written_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / "j.db.ledger").write_bytes(b"no database at all, and long enough to be looked at" * 40)
    with FaultServer(script(), prices=PRICES) as server:
        run = asyncio.run(one_run(server, changes(10.0), journal=tmp_path / "j.db"))
    assert not server.served
    (failed,) = of(run, ModelFailed)
    assert failed.code == "no_ledger"
    assert run.end == "solved"
