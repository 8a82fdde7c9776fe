"""A chain of models in a workflow: from the file to the journal, a replay and `stepladder show`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.cli.showing import decision_rows
from stepladder.events import Attempt, ModelAnswered, ModelFailed
from stepladder.journal import MemoryJournal
from stepladder.journal.codec import decode_turn, encode_turn
from stepladder.journal.pruned import without_payload
from stepladder.journal.redact import Redactor
from stepladder.llm import ModelReply, Providers
from stepladder.llm.errors import ModelError, Refused, Unavailable
from stepladder.llm.health import Health
from stepladder.llm.provider import ModelRequest
from tests.drivers.desk import LADDER, go, of, workflow

CLOSE = json.dumps({"action": "CLOSE", "confidence": 0.9, "reason": "it is hopeless"})
CHAIN = {
    "policy": {
        "rungs": {"first": {"model": None, "chain": ["a:one", "b:two"], "retry": {"attempts": 2, "backoff_s": 0.01}}},
        "routes": {"complex": {"ask": ["first"]}},
    }
}


class Own:
    """Somebody's own provider."""

    def __init__(self, name: str, says: Callable[[int], str | type[ModelError]] | str | type[ModelError]) -> None:
        self.name, self.says, self.asked = name, says, 0

    async def ask(self, request: ModelRequest) -> ModelReply:
        self.asked += 1
        said = self.says if isinstance(self.says, (str, type)) else self.says(self.asked)
        if isinstance(said, type):
            raise said(self.name, request.model, "as the test says")
        counts = {"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.001, "latency_s": 0.0}
        return ModelReply(text=said, model=request.model, finish="stop", provider=self.name, **counts)

    async def close(self) -> None:
        """Nothing to give back."""


async def chained(*own: Any, **more: Any) -> Run:
    providers = Providers({each.name: each for each in own}, health=Health(chance=lambda: 0.5))
    agents = {"worker": lambda x: {"done": False}}
    async with Orchestrator(workflow(LADDER, CHAIN), agents=agents, providers=providers, **more) as orchestrator:
        run = await orchestrator.run({"x": 1}, run_id="r")
        _ = run.entries
        assert orchestrator.replay("r").divergence is None
    return run


def test_the_second_link_answers_and_every_attempt_is_told() -> None:
    run = go(chained(Own("a", Unavailable), Own("b", f"```json\n{CLOSE}\n```")))
    assert (run.end, run.decisions[0].source) == ("closed", "model")
    (call,) = run.decisions[0].calls
    told = [(each.target, each.outcome, each.handled, each.repaired) for each in call.attempts]
    assert told == [
        ("a:one", "unavailable", "retry", ()),
        ("a:one", "unavailable", "retry", ()),
        ("b:two", "answered", "repair", ("fence",)),
    ]
    assert (call.provider, call.served) == ("b", "two")
    assert call.attempts[1].waited_s == pytest.approx(0.005, abs=0.001)
    assert run.usd == pytest.approx(0.001)
    (event,) = of(run, ModelAnswered)
    assert event.text.startswith("```json"), "as it was received"
    explained = run.decisions[0].explain()
    assert "attempt   1. a:one: unavailable (retry), " in explained
    assert "attempt   3. b:two: answered (repair), put right: fence, " in explained


def test_show_names_every_attempt() -> None:
    run = go(chained(Own("a", Refused), Own("b", CLOSE)))
    assert run.end == "solved"
    lines = dict(each for each in decision_rows(run.decisions[0]) if each[0] == "attempt")
    assert "b:two passed over: no model is asked after refused" in lines["attempt"]


def test_a_lone_clean_attempt_costs_the_journal_nothing() -> None:
    run = go(chained(Own("a", CLOSE), Own("b", CLOSE)))
    (event,) = of(run, ModelAnswered)
    assert event.attempts == ()
    assert b"attempts" not in encode_turn([event])
    (call,) = run.decisions[0].calls
    assert [each.target for each in call.attempts] == ["a:one"]


def test_what_may_have_been_billed_counts_as_spent() -> None:
    class Priced(Own):
        server, keeps_time = "", True

        def price(self, model: str, input_tokens: int, output_tokens: int) -> float:
            return (input_tokens + output_tokens) * 1e-6

    class Cut(ModelError):
        code = "unreachable"

    def says(_: int) -> type[ModelError]:
        raise Cut("a", "one", "cut in the middle", may_be_billed=True)

    run = go(chained(Priced("a", says), Own("b", CLOSE)))
    (call,) = run.decisions[0].calls
    held = [each.reserved_usd for each in call.attempts if each.cost == "reserve"]
    assert len(held) == 2
    assert all(each is not None and each > 1024e-6 for each in held)
    assert run.usd == pytest.approx(0.001 + sum(each or 0.0 for each in held))


def test_journals_from_before_attempts_read_and_judge_as_they_did() -> None:
    before = b'[{"kind":"model_answered","at":1.0,"command":1,"text":"{}","provider":"p","model":"m","usage":{}}]'
    (event,) = decode_turn(before)
    assert isinstance(event, ModelAnswered)
    assert (event.attempts, event.repaired, event.fields, event.whole) == ((), (), {}, False)
    assert encode_turn([event]) == before


def test_secrets_are_taken_out_of_attempts_and_causes_are_pruned() -> None:
    attempt = Attempt("a:one", "rejected", "fatal", "the key topsecret-value was refused")
    event = ModelFailed(1.0, 1, "rejected", "no", attempts=(attempt,))
    clean = Redactor(["topsecret-value"]).event(event)
    assert isinstance(clean, ModelFailed)
    assert clean.attempts == (Attempt("a:one", "rejected", "fatal", "the key [redacted] was refused"),)
    left = decode_turn(without_payload(encode_turn([event])))[0]
    assert isinstance(left, ModelFailed)
    assert left.attempts[0].cause == ""
    assert left.attempts[0].handled == "fatal"


def test_a_planted_key_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-planted-in-the-environment-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    file = tmp_path / "runs.db"
    rungs = {"first": {"model": None, "chain": ["openai:x", "openai:y"]}}
    chained = workflow(LADDER, {"policy": {**CHAIN["policy"], "rungs": rungs}})

    async def run() -> Run:
        agents = {"worker": lambda x: {"done": False}}
        options = {"openai": {"base_url": "http://127.0.0.1:9/v1"}}
        async with Orchestrator(chained, agents=agents, options=options, journal=file) as orchestrator:
            run = await orchestrator.run({"x": 1}, run_id="r")
            _ = run.entries
            return run

    made = asyncio.run(run())
    assert made.end == "solved"
    assert made.decisions[0].calls[0].failure == "unreachable"
    for each in tmp_path.iterdir():
        assert key.encode() not in each.read_bytes()
    assert key not in f"{made.decisions[0].explain()}{made.decisions[0].as_dict()}"


def test_an_orchestrator_that_is_closed_in_the_middle_can_be_resumed() -> None:
    journal = MemoryJournal()
    begun = asyncio.Event()

    class Hangs(Own):
        async def ask(self, request: ModelRequest) -> ModelReply:
            begun.set()
            await asyncio.sleep(60)
            raise AssertionError

    async def run() -> str:
        agents = {"worker": lambda x: {"done": False}}
        dead = Providers({"a": Hangs("a", ""), "b": Own("b", CLOSE)})
        first = Orchestrator(workflow(LADDER, CHAIN), agents=agents, journal=journal, providers=dead)
        await first.start({"x": 1}, run_id="r")
        await begun.wait()
        await first.close()
        alive = Providers({"a": Own("a", CLOSE), "b": Own("b", CLOSE)})
        second = Orchestrator(workflow(LADDER, CHAIN), agents=agents, journal=journal, providers=alive)
        made = await second.resume("r")
        return str(made.end)

    assert asyncio.run(run()) == "closed"
