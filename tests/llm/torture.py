"""Mixed faults: many decisions, 64 at once, each asked of a target out of the whole catalogue and then of a healthy
one; then a total outage. Run by `make torture`, and alone as

    python -m tests.llm.torture [DECISIONS] [--seed N]

Every second set of targets has breakers that never open, so that its faults keep coming. A prompt carries the number of
its decision, so the server counts the requests of each.

What a decision took is judged as it is. Only time that the scheduler's own books give as spent without a processor,
before a decision's timers were set or after they had rung, is taken off: a loop that is blocked or busy does not show
up there (`test_torture.py` makes sure).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from stepladder import rule
from stepladder.app.decision_point import DecisionPoint
from stepladder.app.lone import Decision
from stepladder.events import Attempt
from stepladder.fallback import BreakerPolicy, Retry
from stepladder.journal import MemoryJournal
from stepladder.llm import Providers
from stepladder.llm.health import Health
from stepladder.llm.provider import Provider
from tests.llm.faults import HEALTHY, KEY, FaultServer, Starved, provider

AT_ONCE: Final = 64
DEADLINE_S: Final = 2.0
GRACE_S: Final = 0.2
LEGAL: Final = ("approve", "reject", "wait")
RETRY: Final = Retry(attempts=3, requests=5, backoff_s=0.02)
TARGETS: Final = 40
"""As many targets have breakers of their own at a time; then others are picked."""
BATCH: Final = 1_000
NEVER: Final = BreakerPolicy(calls=10_000, least=10_000, straight=10_000)
OUTAGE: Final = (
    ("h500_server_error", "openai_chat"),
    ("h503_overloaded", "gemini_generate_content"),
    ("tr_connect_refused", "openai_responses"),
)


class Made(NamedTuple):
    """A decision and how long it took; `overrun_s` is above 0 where it was later than its deadline."""

    number: int
    decision: Decision | None
    took_s: float
    overrun_s: float
    error: str = ""
    written: bool = True


class Seen:
    """What came of a run."""

    def __init__(self) -> None:
        self.decisions = self.first = self.again = self.reasked = 0
        self.sent: Counter[int] = Counter()
        self.answered: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.slowest_s = self.overrun_s = self.seconds = self.taken_off = 0.0
        self.wrong: list[str] = []

    def take(self, made: Made) -> None:
        """Judge one decision."""
        self.decisions += 1
        self.wrong.extend(f"decision {made.number}: {each}" for each in self._judged(made))

    def _judged(self, made: Made) -> list[str]:
        decision = made.decision
        if decision is None:
            return [made.error]
        attempts = [each for call in decision.record.calls for each in call.attempts]
        sent = [each for each in attempts if each.sent]
        self._count(made, decision, sent)
        found = [] if made.written else ["lost: its journal has no end"]
        settled = decision.record.settled
        if decision.action not in ("approve", "wait"):
            found.append(f"illegal or unsafe: {decision.action}")
        if not attempts and (settled is None or settled.fallback != "model: late" or made.took_s < DEADLINE_S - 0.2):
            found.append(f"nobody was asked and nobody was passed over: {settled} after {made.took_s:.2f} s")
        if len(sent) > RETRY.requests or max(Counter(each.target for each in sent).values(), default=0) > 3:
            found.append(f"{len(sent)} requests in the record")
        if made.overrun_s > GRACE_S:
            found.append(f"took {made.took_s:.2f} s, {made.overrun_s:.2f} s too long; {told(attempts)}")
        if KEY in str(decision.record.as_dict()):
            found.append("the key is in the record")
        return found

    def _count(self, made: Made, decision: Decision, sent: Sequence[Attempt]) -> None:
        targets = {each.target for each in sent}
        self.first += len(targets)
        self.reasked += sum(each.reask for each in sent)
        self.again += len(sent) - len(targets) - sum(each.reask for each in sent)
        self.sent[made.number] = len(sent)
        self.answered[made.number] = sum(each.outcome == "answered" for each in sent)
        self.outcomes[f"{decision.action} by {decision.source}"] += 1
        self.slowest_s = max(self.slowest_s, made.took_s)
        self.overrun_s = max(self.overrun_s, made.overrun_s)
        self.taken_off = max(self.taken_off, made.took_s - DEADLINE_S - made.overrun_s)

    def counted(self, tags: dict[str, int]) -> None:
        """Compare with what the server counted: no request without its line, no answer without a request."""
        for number, sent in self.sent.items():
            came = tags.get(str(number), 0)
            if not self.answered[number] <= came <= min(sent, RETRY.requests):
                self.wrong.append(f"decision {number}: {came} requests on the wire, {sent} in the record")


def told(attempts: Sequence[Attempt]) -> str:
    return "; ".join(f"{a.target} {a.outcome} +{a.waited_s:.2f} {a.elapsed_s:.2f} s {a.cause[:60]}" for a in attempts)


async def mixed(server: FaultServer, decisions: int, seed: int) -> Seen:
    """Make so many decisions over mixed faults."""
    chance, seen, started = random.Random(seed), Seen(), time.perf_counter()
    for lap, done in enumerate(range(0, decisions, BATCH)):
        pairs = [*chance.sample(server.pairs(), TARGETS)]
        own = {
            f"t{n}": provider(server, fault, f"mixed-{done}", wire, f"t{n}") for n, (fault, wire) in enumerate(pairs)
        }
        chains = [[f"{name}:fault-model", "healthy:fault-model"] for name in own]
        own["healthy"] = provider(server, HEALTHY, run, "openai_chat", "healthy")
        health = Health(breaker=NEVER if lap % 2 else None)
        await _batch(own, chains, health, range(done, min(done + BATCH, decisions)), chance, seen)
        print(f"\r{seen.decisions} of {decisions}: {len(seen.wrong)} wrong", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    seen.counted(server.tags())
    seen.seconds = time.perf_counter() - started
    return seen


async def outage(server: FaultServer, decisions: int, seed: int, policy: BreakerPolicy | None, start: int) -> Seen:
    """Make so many decisions while nothing answers; their numbers begin at `start`."""
    chance, seen, started = random.Random(seed), Seen(), time.perf_counter()
    dead = enumerate(OUTAGE)
    own = {f"d{n}": provider(server, fault, f"outage-{start}", wire, f"d{n}") for n, (fault, wire) in dead}
    chain = [f"{name}:fault-model" for name in own]
    await _batch(own, [chain], Health(breaker=policy), range(start, start + decisions), chance, seen)
    seen.counted(server.tags())
    seen.seconds = time.perf_counter() - started
    return seen


async def _batch(
    own: dict[str, Provider],
    chains: list[list[str]],
    health: Health,
    numbers: range,
    chance: random.Random,
    seen: Seen,
) -> None:
    journal, room, providers = MemoryJournal(), asyncio.Semaphore(AT_ONCE), Providers(own, health=health)
    points = [point(chain, providers, journal) for chain in chains]
    starved = Starved()
    watch = asyncio.create_task(starved.watch())

    async def one(number: int) -> None:
        async with room:
            decide = points[chance.randrange(len(points))].decide
            seen.take(await timed(decide, number, journal, starved))

    await asyncio.gather(*(one(number) for number in numbers))
    watch.cancel()
    for each in own.values():
        await each.close()


async def timed(decide: Callable[..., Awaitable[Decision]], number: int, journal: Any, starved: Starved) -> Made:
    """Make one decision."""
    begun, name = time.perf_counter(), f"torture-{number}"
    try:
        made = await decide({"doubt": True}, legal=LEGAL, context={"number": name}, decision_id=name)
    except BaseException as error:
        return Made(number, None, 0.0, 0.0, f"{type(error).__name__}: {error}")
    ended = time.perf_counter()
    row = journal.row(name)
    over = starved.overrun_s(begun, ended, DEADLINE_S)
    return Made(number, made, ended - begun, over, written=row is not None and row.status == "ended")


def point(chain: list[str], providers: Providers, journal: Any) -> DecisionPoint:
    return DecisionPoint(
        "next_action",
        rules=[rule("wait", because="nobody said better")],
        signals={"doubt": bool},
        classifier={"complex": {"doubt": ["doubt == true"]}},
        chain=chain,
        retry=RETRY,
        deadline_s=DEADLINE_S,
        providers=providers,
        journal=journal,
    )


def outage_is_bounded(seen: Seen) -> list[str]:
    """What is wrong with an outage besides: everything has to be decided by rule, with a tenth of retries at most."""
    wrong = [] if set(seen.outcomes) == {"wait by rule"} else [f"an outage decided {dict(seen.outcomes)}"]
    if seen.again > max(3, 0.1 * seen.first):
        wrong.append(f"{seen.again} retries for {seen.first} first attempts")
    return wrong


def tell(name: str, seen: Seen) -> None:
    rate = seen.decisions / seen.seconds
    print(f"{name}: {seen.decisions} decisions in {seen.seconds:.0f} s ({rate:.0f}/s), {AT_ONCE} at once")
    print(f"  {sum(seen.sent.values())} requests in the records: {seen.first} first attempts, {seen.again} retries,")
    print(f"  {seen.reasked} asked again for what was wrong with an answer")
    print(f"  slowest {seen.slowest_s:.2f} s of {DEADLINE_S} s; {max(0.0, seen.overrun_s):.3f} s too long at most,")
    print(f"  after at most {max(0.0, seen.taken_off):.3f} s without a processor were taken off")
    print(f"  {dict(seen.outcomes)}; {len(seen.wrong)} wrong")
    for each in seen.wrong[:10]:
        print(f"    {each}")


async def run(server: FaultServer, decisions: int, seed: int) -> int:
    """Everything; how much is wrong."""
    seen = await mixed(server, decisions, seed)
    tell("mixed", seen)
    wrong = len(seen.wrong)
    for name, policy, start in (("outage", None, 10**8), ("outage, breakers never open", NEVER, 2 * 10**8)):
        out = await outage(server, max(200, decisions // 20), seed, policy, start)
        out.wrong += outage_is_bounded(out)
        tell(name, out)
        wrong += len(out.wrong)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("decisions", nargs="?", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    server = FaultServer()
    try:
        wrong = asyncio.run(run(server, options.decisions, options.seed))
    finally:
        server.close()
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
