"""What `costs` tells of a ledger."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stepladder.app.orchestrator import Orchestrator
from stepladder.cli.commands import app
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm import ScriptedProvider
from stepladder.money import Booking, Settlement, open_ledger
from tests.drivers.desk import LADDER, workflow

NOW = time.time()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with two runs that shared a verdict, and a ledger of three days."""
    path = tmp_path / "runs.db"
    rungs = {"policy": {"rungs": {"cache": {}}, "routes": {"complex": {"ask": ["cache", "first"]}}}}

    async def runs() -> None:
        provider = ScriptedProvider([{"action": "CLOSE", "confidence": 0.9}])
        async with Orchestrator(
            workflow(LADDER, rungs), agents={"worker": lambda x: {}}, providers={"scripted": provider}, journal=path
        ) as orchestrator:
            for n in range(2):
                await orchestrator.run({"x": 1}, run_id=f"r{n}")

    asyncio.run(runs())
    assert not (tmp_path / "runs.db.ledger").exists(), "a script costs nothing, and nothing was booked"
    ledger = open_ledger(SqliteJournal(path))
    for n, (day, model, booked, cost) in enumerate(
        [
            (2, "openai:a", 0.02, 0.01),
            (1, "openai:a", 0.02, 0.02),
            (0, "google:b", 0.05, None),
            (40, "openai:a", 1.0, 1.0),
        ]
    ):
        name, at = f"{n}{'0' * 31}", NOW - day * 86_400
        settled = (
            Settlement(name, "unknown", None, True) if cost is None else Settlement(name, "paid", cost, False, 100, 10)
        )
        ledger.write([Booking(name, at, f"r{n}", 1, "next_action", "first", model, booked), settled])
    ledger.close()
    return path


def costs(journal: Path, *more: str) -> Any:
    return CliRunner().invoke(app, ["costs", "--journal", str(journal), *more])


def test_costs_by_day_with_a_forecast_and_the_hit_rate(journal: Path) -> None:
    told = costs(journal)
    assert told.exit_code == 0, told.output
    assert "in all" in told.output
    assert "$0.08" in told.output.replace("$0.080", "$0.08")
    assert "forecast" in told.output
    assert "complete UTC days" in told.output
    assert "1 of 2 look-ups found a verdict (50%)" in told.output


@pytest.mark.parametrize(
    ("by", "names"), [("model", ["google:b", "openai:a"]), ("run", ["r2", "r1", "r0"]), ("rung", ["first"])]
)
def test_costs_by_other_aspects_the_dearest_first(journal: Path, by: str, names: list[str]) -> None:
    found = json.loads(costs(journal, "--by", by, "--json").stdout)
    assert [each["name"] for each in found["spent"]] == names
    assert found["in_all"]["usd"] == pytest.approx(0.08)
    assert found["in_all"]["unknown_usd"] == pytest.approx(0.05)
    assert (found["in_all"]["calls"], found["in_all"]["input_tokens"]) == (3, 200)
    assert found["cache"] == {"hits": 1, "look_ups": 2, "share": 0.5}


def test_a_cap_that_today_reaches_is_told_ahead(journal: Path) -> None:
    assert json.loads(costs(journal, "--json").stdout)["forecast"]["day_cap_usd"] is None
    assert "cap  " not in costs(journal).output

    async def under(cap: float) -> None:
        money = {"policy": {"money": {"day_usd": cap, "allow_unpriced": True}}}
        provider = ScriptedProvider([{"action": "CLOSE", "confidence": 0.9}])
        async with Orchestrator(
            workflow(LADDER, money), agents={"worker": lambda x: {}}, providers={"scripted": provider}, journal=journal
        ) as orchestrator:
            await orchestrator.run({"x": 1}, run_id=f"under-{cap}")

    asyncio.run(under(0.04))
    found = json.loads(costs(journal, "--json").stdout)["forecast"]
    assert found["day_cap_usd"] == 0.04
    assert found["cap_at"] == pytest.approx(time.time(), abs=60)
    assert "cap        the $0.04 a day are reached at" in costs(journal).output
    asyncio.run(under(900.0))
    assert "cap  " not in costs(journal).output


def test_more_days_reach_further_back(journal: Path) -> None:
    assert json.loads(costs(journal, "--days", "60", "--json").stdout)["in_all"]["usd"] == pytest.approx(1.08)


def test_what_is_unknown_can_be_reconciled(journal: Path) -> None:
    told = costs(journal, "--unknown")
    assert f"unknown    2{'0' * 31}" in told.output
    found = json.loads(costs(journal, "--reconcile", "2000=0.001", "--json").stdout)
    assert found["reconciled"] == [f"2{'0' * 31}"]
    assert found["in_all"]["usd"] == pytest.approx(0.031)
    assert found["unknown"] == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--by", "moon"), "one of day, model"),
        (("--reconcile", "2=much"), "US dollars"),
        (("--reconcile", "2=-1"), "US dollars"),
        (("--reconcile", "9=1"), "no such call"),
        (("--reconcile", "0=1"), "a call that is paid"),
    ],
)
def test_what_cannot_be_meant_is_refused(journal: Path, more: tuple[str, ...], said: str) -> None:
    told = costs(journal, *more)
    assert told.exit_code == 2
    assert said in told.output


def test_a_journal_without_a_ledger_has_cost_nothing(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "runs.db").close()
    found = json.loads(costs(tmp_path / "runs.db", "--json").stdout)
    assert (found["in_all"]["usd"], found["forecast"]["total_usd"]) == (0.0, 0.0)
    assert not (tmp_path / "runs.db.ledger").exists()
    assert costs(tmp_path / "nothing.db").exit_code == 4
