"""Decisions a second and dollars a decision, beside the W document's table: `python benchmarks/hybrid.py [--runs N]`.

One process asks a server that takes a second for each answer, over HTTP on loopback, through OpenAI's SDK, with a
ledger beside a journal on disk. Runs of a small workflow make ten decisions each: in
`programmatic` nobody is asked, in `llm` a model is asked every time, and in `hybrid` only where the classifier finds
the state out of the ordinary: here after an agent has failed, which a fixed seed makes happen at one decision in ten.
`every hybrid decision asks` is the hardest case: each run is one decision, and each asks.

The model answers by the schema; tokens are counted by the server from what it was sent, prices are the list's for the
model named. Rates are decisions over wall time; what the server bills is compared with the ledger.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from rich.console import Console
from rich.table import Table

from stepladder import Orchestrator, Workflow
from stepladder.llm.openai import OpenAIProvider
from stepladder.money import PriceList, open_ledger, usd
from stepladder.rehearsal import FaultServer, parse_script

MODEL = "openai:gpt-5-mini"
WORKFLOW = """
workflow: work
input: {n: integer}
start: working
agents: {worker: {idempotent: true}}
phases: {all: {steps: {working: {agent: worker, with: {n: input.n, turn: visits.working}}}}}
ends: {done: {success: true}, failed: {success: false}}
actions:
  GO_ON:  {from: working, to: working, guard: [taken.GO_ON < TURNS]}
  FINISH: {from: working, to: done, guard: [taken.GO_ON >= TURNS]}
  FAIL:   {from: working, to: failed}
rules:
  working: {go_on: {do: GO_ON, because: there is more to do}, finish: {do: FINISH, because: all is done}}
policy:
  mode: MODE
  limits: {decisions: 1000, no_progress: {escalate: null, end: null}, then: failed}
  money: {day_usd: 1000, throttle: null}
  classifier: {hybrid: {just_failed: [consecutive_errors > 0]}}
  rungs: {supervisor: {model: "openai:gpt-5-mini", deadline_s: 20}}
  routes: {standard: {ask: STANDARD}, hybrid: {ask: [supervisor], reconcile: rule_wins}}
"""
W_TABLE = {
    "llm": ("10-100 / min", "$0.001-0.01"),
    "programmatic": ("1000+ / s", "~$0.0001"),
    "hybrid": ("100-1000 / s", "$0.0001-0.005"),
}
"""Throughput and cost per decision, by the W document."""

Mode = Literal["programmatic", "llm", "hybrid"]


class Measured(NamedTuple):
    """Decisions, seconds, questions to models, what the ledger has and what the server billed, in US dollars."""

    decisions: int
    seconds: float
    asked: int
    booked: float
    billed: float


class Elsewhere:
    """The server in a process of its own, so that it takes nothing of ours."""

    def __init__(self, latency_s: float, prices: dict[str, tuple[float, float]]) -> None:
        self._ours, theirs = Pipe()
        self._process = get_context("spawn").Process(target=_serve, args=(theirs, latency_s, prices))
        self.url = ""

    def __enter__(self) -> Self:
        self._process.start()
        self.url = self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.send("stop")
        self._process.join()

    def counted(self) -> tuple[int, float]:
        """How many requests came, and what they are billed."""
        self._ours.send("count")
        served, billed = self._ours.recv()
        return served, billed


def _serve(ours: Connection, latency_s: float, prices: dict[str, tuple[float, float]]) -> None:
    script = parse_script(json.dumps({"rehearsal": "slow", "latency_s": latency_s}))
    with FaultServer(script, prices=prices) as server:
        ours.send(server.openai_url)
        while ours.recv() == "count":
            ours.send((len(server.served), server.billed_usd))


def workflow(mode: Mode, turns: int) -> Workflow:
    """The workflow above. FAIL is always legal, for with one legal action nobody is asked."""
    text = WORKFLOW.replace("TURNS", str(turns)).replace("MODE", mode)
    return Workflow.parse(text.replace("STANDARD", "[supervisor]" if mode == "llm" else "[]"))


async def measure(mode: Mode, runs: int, turns: int, share: float, latency_s: float, folder: Path) -> Measured:
    """Make the runs all at once, and look at what it took."""
    chance = random.Random(11)
    failing = {(n, turn) for n in range(runs) for turn in range(1, turns + 2) if chance.random() < share}

    async def worker(n: int, turn: int) -> dict[str, Any]:
        if (n, turn) in failing:
            raise RuntimeError("not this time")
        return {}

    journal = folder / f"{mode}-{turns}-{share}.db"
    listed = PriceList()
    prices = {MODEL: ((listed.usd(MODEL, 1000, 0) or 0) * 1000, (listed.usd(MODEL, 0, 1000) or 0) * 1000)}
    with Elsewhere(latency_s, prices) as server:
        provider = OpenAIProvider(api_key="sk-no-key", base_url=server.url, prices=prices)
        async with Orchestrator(
            workflow(mode, turns), agents={"worker": worker}, providers={"openai": provider}, journal=journal
        ) as orchestrator:
            began = time.perf_counter()
            found = await asyncio.gather(*(orchestrator.run({"n": n}, run_id=str(n)) for n in range(runs)))
            seconds = time.perf_counter() - began
            decisions = sum(run.state.decisions for run in found)
            fallbacks = sum(bool(each.settled and each.settled.fallback) for run in found for each in run.decisions)
            if fallbacks:
                raise SystemExit(f"{fallbacks} decisions fell back: nothing was measured")
            ledger = open_ledger(orchestrator.journal)
            await provider.close()
        booked = usd(sum(line.booked for line in ledger.lines()))
        ledger.close()
        served, billed = server.counted()
        return Measured(decisions, seconds, served, booked, billed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="runs at once")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds that the server takes")
    given = parser.parse_args()
    cases: list[tuple[str, Mode, int, int, float]] = [
        ("programmatic", "programmatic", given.runs, 9, 0.1),
        ("hybrid, 1 in 10 asks", "hybrid", given.runs, 9, 0.1),
        ("every hybrid decision asks", "hybrid", 2 * given.runs, 0, 1.0),
        ("llm", "llm", given.runs, 9, 0.1),
    ]
    columns = ("", "decisions / s", "W table", "asked", "cost a decision", "W table", "ledger >= billed")
    table = Table(*columns, title=f"one process, a server that takes {given.latency:g} s, {given.runs} runs at once")
    with tempfile.TemporaryDirectory() as folder:
        for name, mode, runs, turns, share in cases:
            found = asyncio.run(measure(mode, runs, turns, share, given.latency, Path(folder)))
            rate, cost = W_TABLE[mode]
            table.add_row(
                name,
                f"{found.decisions / found.seconds:,.0f}",
                rate,
                f"{found.asked:,} of {found.decisions:,}",
                f"${found.billed / found.decisions:.6f}",
                cost,
                f"${found.booked:.4f} >= ${found.billed:.4f}: {found.booked >= found.billed - 1e-9}",
            )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
