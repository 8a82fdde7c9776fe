"""How often the verdict cache has the answer: `python benchmarks/cache.py [--quick] [--runs N] [--mode hybrid|llm]`.

So many runs of the machine-learning example over so many distinct inputs, drawn with a fixed seed; every input comes at
least once. Supervisor and cache are as in `--mode hybrid` (the example's own classifier: only what is not ordinary is
asked) or `--mode llm` (asked at every decision, and the rule wins, so that runs go their ordinary way). The model is a
local server on Gemini's wire, asked through the official SDK, that takes the first legal action. `--quick` has only
inputs that are not worth training on.
"""

import argparse
import asyncio
import csv
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from stepladder import Orchestrator, Workflow
from stepladder.app.loading import load_agents
from stepladder.llm.google import GoogleProvider
from stepladder.money import open_ledger, usd
from stepladder.rehearsal import FaultServer, parse_script
from stepladder.verdicts import HitRate, hit_rate

HERE = Path(__file__).parents[1] / "examples" / "ml_pipeline"
BUNDLED = ("iris", "wine", "breast_cancer", "diabetes")
GOALS = {
    "iris": "Tell the species",
    "wine": "Tell the class of a wine",
    "breast_cancer": "Tell whether it is malignant",
    "diabetes": "Predict the progression of diabetes",
}
MODEL = "google:gemini-2.5-flash-lite"

Mode = Literal["hybrid", "llm"]
Input = dict[str, Any]


def inputs(count: int, folder: Path, *, quick: bool) -> list[Input]:
    """Distinct inputs: bundled data, throws of coins (there is nothing to learn), and files that are not there."""
    found: list[Input] = []
    if not quick:
        found += [{"goal": GOALS[name], "dataset": name} for name in BUNDLED]
        found += [_coins(folder, seed) for seed in range(min(4, count // 10))]
    missing = range(count - len(found))
    found += [{"goal": f"Predict column {n}", "dataset": f"missing_{n}.csv", "target": "y"} for n in missing]
    return found[:count]


def _coins(folder: Path, seed: int) -> Input:
    chance, file = random.Random(seed), folder / f"coins_{seed}.csv"
    rows = [(chance.randint(1, 50), round(chance.uniform(0.5, 2.5), 2), chance.choice(["h", "t"])) for _ in range(80)]
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("spins", "height", "side"), *rows])
    return {"goal": "Predict on which side a coin falls", "dataset": str(file), "target": "side"}


def drawn(given: Sequence[Input], runs: int, seed: int) -> list[Input]:
    """Every input once, the rest drawn; in an order that the seed makes."""
    chance = random.Random(seed)
    found = [*given, *chance.choices(given, k=runs - len(given))]
    chance.shuffle(found)
    return found


def workflow(mode: Mode, cached: bool) -> Workflow:
    """The example with a cache before its supervisor."""
    loaded = Workflow.load(HERE / "workflow.yaml")
    source = json.loads(json.dumps(loaded.definition.source))
    policy = source["policy"]
    policy["mode"] = mode
    if cached:
        policy["rungs"]["cache"] = {}
    ask = ["cache", "supervisor"] if cached else ["supervisor"]
    reconcile = "rule_wins" if mode == "llm" else "model_wins"
    policy["routes"] = {route: {"ask": ask, "reconcile": reconcile} for route in ("standard", "hybrid", "complex")}
    return Workflow.define(source, prompts=loaded.definition.prompts)


async def measure(given: Sequence[Input], mode: Mode, *, cached: bool) -> tuple[HitRate, int, float, float]:
    """Hit rate, requests served, US dollars booked, and seconds."""
    agents, _ = load_agents(HERE / "agents.py")
    rate, began = HitRate(), time.perf_counter()
    with FaultServer(parse_script("rehearsal: healthy")) as server:
        prices = {MODEL: (0.1, 0.4)}
        provider = GoogleProvider(api_key="AIza-no-key", base_url=server.url, prices=prices)
        async with Orchestrator(workflow(mode, cached), agents=agents, providers={"google": provider}) as orchestrator:
            for number, each in enumerate(given):
                run = await orchestrator.run(each, run_id=str(number))
                rate += hit_rate(run.entries)
            booked = sum(line.booked for line in open_ledger(orchestrator.journal).lines())
        await provider.close()
        return rate, len(server.served), usd(booked), time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--inputs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mode", choices=("hybrid", "llm"), default="hybrid")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    table = Table(
        "", "hit rate", "hits", "misses", "requests", "cost", "seconds", title=f"{given.runs} runs, {given.mode}"
    )
    with tempfile.TemporaryDirectory() as folder:
        runs = drawn(inputs(given.inputs, Path(folder), quick=given.quick), given.runs, given.seed)
        for cached in (False, True):
            rate, served, booked, seconds = asyncio.run(measure(runs, given.mode, cached=cached))
            share = f"{rate.share:.1%}" if cached else "-"
            name = "with the cache" if cached else "without"
            row = (share, str(rate.hits), str(rate.misses), str(served), f"${booked:.5f}", f"{seconds:.1f}")
            table.add_row(name, *row)
    Console().print(table)


if __name__ == "__main__":
    main()
