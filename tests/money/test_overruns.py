"""What costs more than was set aside, and what nobody knows of: the truth is booked, and the next call finds it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepladder import Orchestrator
from stepladder.app.run import Run
from stepladder.errors import InputError, JournalError
from stepladder.events import ModelAnswered, ModelFailed
from stepladder.journal import MemoryJournal
from stepladder.llm import ModelReply, ModelRequest
from stepladder.llm.errors import KeyMissing, Rejected, Truncated, Unreachable
from stepladder.money import Line, open_ledger, usd
from stepladder.money.spending import in_all
from tests.drivers.desk import LADDER, of, workflow
from tests.money.spender import changes

WRITTEN = 10_000
"""Tokens, of 200 that were allowed: at $40 a million, $0.40."""


class Own:
    """Somebody's own provider."""

    name = "openai"

    def __init__(self, said: Any) -> None:
        self.said, self.asked = said, 0

    async def ask(self, request: ModelRequest) -> ModelReply:
        self.asked += 1
        if isinstance(self.said, BaseException):
            raise self.said
        text = '{"action": "CLOSE", "confidence": 0.9, "reason": "so it is"}'
        counts = {"input_tokens": 100, "output_tokens": self.said, "cost_usd": None, "latency_s": 0.0}
        return ModelReply(text=text, model=request.model, finish="stop", provider="openai", **counts)

    def price(self, model: str, read: int, written: int) -> float:
        return (read * 10 + written * 40) / 1e6

    async def close(self) -> None:
        """Nothing to give back."""


def spent(own: Own, day_usd: float, count: int = 2, **more: Any) -> tuple[list[Run], list[Line]]:
    async def run() -> tuple[list[Run], list[Line]]:
        journal = MemoryJournal()
        change = changes(day_usd, **more)
        change["policy"]["rungs"]["first"]["retry"] = {"attempts": 1}
        async with Orchestrator(
            workflow(LADDER, change),
            agents={"worker": lambda x: {"done": False}},
            journal=journal,
            providers={"openai": own},
        ) as desk:
            found = [await desk.run({"x": n}) for n in range(count)]
            for each in found:
                _ = each.entries
                assert desk.replay(each.id).divergence is None
        return found, list(open_ledger(journal).lines())

    return asyncio.run(run())


def test_an_overrun_is_booked_as_it_is_and_told_and_the_next_call_is_refused() -> None:
    own = Own(WRITTEN)
    (first, second), lines = spent(own, 0.3)
    (line,) = lines
    assert own.asked == 1
    assert (usd(line.booked), line.note, line.state) == (pytest.approx(0.401), "overrun", "paid")
    assert usd(line.reserved) < 0.3 < usd(line.booked), "the cap is passed by this one call"
    (answered,) = of(first, ModelAnswered)
    (attempt,) = answered.attempts
    assert attempt.over_usd == pytest.approx(usd(line.booked - line.reserved))
    assert attempt.alert
    assert "above what was set aside" in first.decisions[0].explain()
    assert (first.usd, [each.code for each in of(second, ModelFailed)]) == (pytest.approx(0.401), ["over_cap"])
    told = in_all(lines)
    assert (told.overruns, told.over_usd) == (1, pytest.approx(attempt.over_usd))


def test_what_keeps_to_its_bounds_is_no_overrun() -> None:
    (first, _), lines = spent(Own(200), 10.0)
    assert [line.note for line in lines] == ["", ""]
    assert in_all(lines).overruns == 0
    assert of(first, ModelAnswered)[0].attempts == ()


def test_an_answer_that_was_cut_off_may_have_overrun_too() -> None:
    cut = Truncated("openai", "m", "at 200 tokens", input_tokens=100, output_tokens=WRITTEN, cost_usd=0.401)
    (first, second), lines = spent(Own(cut), 0.3)
    assert [line.note for line in lines] == ["overrun"]
    assert of(first, ModelFailed)[0].attempts[0].over_usd > 0.3
    assert of(second, ModelFailed)[0].code == "over_cap"


@pytest.mark.parametrize(
    "error",
    [ValueError("boom"), TimeoutError(), OSError("gone"), InputError("x", "", "y", "z"), JournalError("a", "b", "c")],
)
def test_what_a_provider_of_ones_own_raises_counts_as_spent(error: Exception) -> None:
    (run, _), lines = spent(Own(error), 10.0)
    assert {(line.state, line.booked == line.reserved > 0) for line in lines} == {("unknown", True)}
    (failed,) = of(run, ModelFailed)
    assert (failed.code, failed.attempts[0].cost, failed.usage.estimated) == ("broken_provider", "reserve", True)
    assert run.usd == pytest.approx(usd(lines[0].booked))


@pytest.mark.parametrize(
    "error",
    [
        KeyMissing("openai", ["OPENAI_API_KEY"]),
        Rejected("openai", "m", "HTTP 400: no"),
        Unreachable("openai", "m", "refused"),
    ],
)
def test_what_says_that_nothing_was_sent_or_done_costs_nothing(error: Exception) -> None:
    _, lines = spent(Own(error), 10.0)
    assert {(line.state, line.booked) for line in lines} == {("free", 0)}
