"""Caps under kill -9: processes of 64 runs at once on one ledger, killed at random, against a server that bills.

    python -m tests.money.torture [ROUNDS [SEED]]          many rounds, one line each
    python -m tests.money.torture work URL JOURNAL NAME RUNS AT_ONCE CAPS     one of its processes

The server takes down what it bills for each decision, run and day: none of these may ever be above its cap, and the
ledger may never hold less than was billed.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from stepladder import Orchestrator
from stepladder.app.loading import Workflow
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm.openai import OpenAIProvider
from stepladder.money import Ledger, open_ledger, usd
from stepladder.rehearsal import FaultServer, parse_script

ROOT = Path(__file__).parents[2]
PRICES = {"openai:a": (10.0, 40.0), "openai:b": (20.0, 80.0)}
LEAST = 1e-9
FAMILIES = ("no_usage", "error", "truncated", "cut", "rate_limited", "illegal", "prose", "billed_late", "hang")
FLOW = """
workflow: spend
input: {ticket: string}
start: asking
agents: {asker: {idempotent: true, output: {mark: string, rounds: integer}}}
phases: {all: {steps: {asking: {agent: asker, with: {ticket: input.ticket, before: visits.asking}}}}}
ends: {done: {success: true}, dropped: {success: false}}
actions:
  AGAIN: {from: asking, to: asking, guard: [last.rounds < 5]}
  DONE:  {from: asking, to: done}
  DROP:  {from: asking, to: dropped}
rules:
  asking:
    again: {when: [last.rounds < 5], do: AGAIN, because: there is more to spend}
    done:  {do: DONE, because: it was enough}
policy:
  mode: llm
  limits: {usd: %(run)s, then: dropped, no_progress: {escalate: null, end: null}}
  money: {decision_usd: %(decision)s, day_usd: %(day)s, throttle: null}
  models: {breaker: {straight: 1000, calls: 1000, least: 1000}, retries: {share: 1.0}}
  rungs:
    first:
      chain: ["openai:a", "openai:b"]
      deadline_s: 2
      max_output_tokens: 300
      retry: {attempts: 3, backoff_s: 0.01}
  routes: {complex: {ask: [first]}}
"""


def asker(ticket: str, before: int = 0) -> dict[str, Any]:
    """Marks the prompt that follows with run and round."""
    return {"mark": f"{ticket}#{before}", "rounds": before}


class Caps(NamedTuple):
    """US dollars a decision, a run and a day."""

    decision: float
    run: float
    day: float


async def work(url: str, journal: str, name: str, runs: int, at_once: int, caps: Caps) -> None:
    """Run so many runs; none may fail, whatever the models do."""
    flow = Workflow.parse(FLOW % caps._asdict())
    provider = OpenAIProvider(api_key="sk-nothing", base_url=url, prices=PRICES)
    async with Orchestrator(
        flow, agents={"asker": asker}, journal=journal, providers={"openai": provider}, at_once=at_once
    ) as desk:
        names = [f"{name}-{n}" for n in range(runs)]
        found = await asyncio.gather(*(desk.run({"ticket": each}, run_id=each) for each in names))
    await provider.close()
    assert all(run.end for run in found)


class Bank(FaultServer):
    """Takes down what it bills, by run and by decision."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.by: Counter[str] = Counter()

    def _billed(self, question: Any, usage: Any, family: str) -> float:
        billed = super()._billed(question, usage, family)
        marks = re.findall(r"\b(\w+-\d+)#(\d+)", msgspec.json.encode(question.body).decode())
        run, number = max(marks, key=lambda each: int(each[1]))
        self.by[run] += billed
        self.by[f"{run}/{number}"] += billed
        return billed


class Round:
    """One round: processes begin and are killed, until the last one may come to its end."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance, self.journal = random.Random(seed), folder / "j.db"
        one = self.chance.choice
        self.caps = Caps(one([0.09, 0.16, 0.3]), one([0.2, 0.45]), one([2.0, 8.0, 25.0, 60.0]))
        faults = [
            {"fault": family, "share": self.chance.choice([0.02, 0.08])} for family in self.chance.sample(FAMILIES, 5)
        ]
        script = {"rehearsal": "t", "seed": seed, "latency_s": self.chance.choice([0.0, 0.05, 0.3]), "faults": faults}
        self.bank = Bank(parse_script(msgspec.json.encode(script).decode()), prices=PRICES)
        self.kills = 0

    def play(self) -> str:
        """One line about it. Raises AssertionError."""
        with self.bank as bank:
            one, other = self._process("one", 96), self._process("two", 96)
            killer = threading.Thread(target=self._kill, args=(one,))
            killer.start()
            self._kill(other)
            killer.join()
            if self.chance.random() < 0.7:
                self._kill(self._process("one", 96))
            last = self._process("two", 96)
            assert last.wait(timeout=240) == 0, "the last process comes to its end"
            time.sleep(0.05)
            ledger = open_ledger(SqliteJournal(self.journal))
            try:
                return self._checked(bank, ledger)
            finally:
                ledger.close()

    def _process(self, name: str, runs: int) -> subprocess.Popen[bytes]:
        told = ["work", self.bank.openai_url, str(self.journal), name, str(runs), "64", ",".join(map(str, self.caps))]
        command = [sys.executable, "-m", "tests.money.torture", *told]
        return subprocess.Popen(command, cwd=ROOT, env=dict(os.environ))

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """At random, a moment after the first of its requests where they have begun by then."""
        before, give_up = len(self.bank.served), time.monotonic() + 20
        while len(self.bank.served) == before and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.005)
        time.sleep(self.chance.choice([0.0, 0.02, 0.1, 0.4]) * self.chance.random())
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            self.kills += 1
        process.wait()

    def _checked(self, bank: Bank, ledger: Ledger) -> str:
        lines = list(ledger.lines())
        booked: Counter[str] = Counter()
        days: Counter[str] = Counter()
        for line in lines:
            booked[line.run] += line.booked
            booked[f"{line.run}/{line.decision}"] += line.booked
            days[line.day] += line.booked
        for name, amount in booked.items():
            cap = self.caps.decision if "/" in name else self.caps.run
            assert usd(amount) <= cap + LEAST, f"{name}: {usd(amount)} is booked, of {cap}"
        for day, amount in days.items():
            assert usd(amount) <= self.caps.day + LEAST, f"{day}: {usd(amount)} is booked, of {self.caps.day}"
            assert ledger.total("day", day) == amount
        for name, billed in bank.by.items():
            cap = self.caps.decision if "/" in name else self.caps.run
            assert billed <= cap + LEAST, f"{name}: {billed} was billed, of {cap}"
            if "/" not in name:
                assert usd(booked[name]) >= billed - LEAST, f"{name}: {billed} was billed, {usd(booked[name])} booked"
        total = usd(sum(days.values()))
        assert total >= bank.billed_usd - LEAST, f"{bank.billed_usd} was billed, {total} booked"
        states = Counter(line.state for line in lines)
        return (
            f"{self.kills} kills, {len(lines)} calls {dict(sorted(states.items()))},"
            f" billed ${bank.billed_usd:.4f}, booked ${total:.4f}, {self.caps}"
        )


def play(seed: int) -> str:
    """One round of this seed, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return Round(seed, Path(folder)).play()


def main(rounds: int = 60, seed: int = 0) -> None:
    """Rounds, one line each; stops at the first that is wrong, and says its seed."""
    for number in range(seed, seed + rounds):
        try:
            print(f"seed {number}: {play(number)}", flush=True)
        except BaseException:
            print(f"seed {number} failed", file=sys.stderr)
            raise


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        url, journal, name, runs, at_once, caps = sys.argv[2:]
        asyncio.run(work(url, journal, name, int(runs), int(at_once), Caps(*map(float, caps.split(",")))))
    else:
        main(*map(int, sys.argv[1:]))
