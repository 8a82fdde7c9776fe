"""Mixed faults: many decisions, 64 at once, each asked of a target out of the whole catalogue and then of a healthy
one. Run by `make torture`, and alone as

    python -m tests.llm.torture [DECISIONS] [--seed N]

A decision's time is what it took less the time that this process's loop stood still, for want of a processor.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections import Counter
from typing import Any, Final, NamedTuple

from stepladder import rule
from stepladder.app.decision_point import DecisionPoint
from stepladder.app.lone import Decision
from stepladder.fallback import Retry
from stepladder.journal import MemoryJournal
from stepladder.llm import Providers
from stepladder.llm.health import Health
from stepladder.llm.provider import Provider
from tests.llm.faults import HEALTHY, KEY, FaultServer, Stood, provider

AT_ONCE: Final = 64
DEADLINE_S: Final = 2.0
LEGAL: Final = ("approve", "reject", "wait")
RETRY: Final = Retry(attempts=3, requests=5, backoff_s=0.02)
TARGETS: Final = 40
"""As many targets have breakers of their own at a time; then others are picked."""


class Seen(NamedTuple):
    """What a run came to."""

    decisions: int
    seconds: float
    requests: int
    counted: int
    first: int
    retries: int
    worst_s: float
    outcomes: Counter[str]
    wrong: list[str]


async def mixed(server: FaultServer, decisions: int, seed: int) -> Seen:
    """Make so many decisions."""
    chance, done = random.Random(seed), 0
    seen = Seen(0, 0.0, 0, 0, 0, 0, 0.0, Counter(), [])
    before = sum(each["requests"] for each in server.stats().values())
    started = time.perf_counter()
    while done < decisions:
        batch = min(decisions - done, 2_000)
        seen = await _batch(server, chance.sample(server.pairs(), TARGETS), batch, chance, seen, done)
        done += batch
    counted = sum(each["requests"] for each in server.stats().values()) - before
    return seen._replace(decisions=decisions, seconds=time.perf_counter() - started, counted=counted)


async def _batch(
    server: FaultServer, pairs: list[tuple[str, str]], batch: int, chance: random.Random, seen: Seen, lap: int
) -> Seen:
    own: dict[str, Provider] = {"healthy": provider(server, HEALTHY, f"mixed-{lap}", "openai_chat", "healthy")}
    for number, (fault, wire) in enumerate(pairs):
        own[f"t{number}"] = provider(server, fault, f"mixed-{lap}", wire, f"t{number}")
    journal, room = MemoryJournal(), asyncio.Semaphore(AT_ONCE)
    providers = Providers(own, health=Health())
    points = [point([f"t{n}:fault-model", "healthy:fault-model"], providers, journal) for n in range(len(pairs))]

    async def one(number: int) -> tuple[Decision | None, float, str]:
        async with room:
            begun, lags = time.perf_counter(), len(stood.worst) - 1
            at = points[chance.randrange(len(points))]
            try:
                made = await at.decide({"doubt": True}, legal=LEGAL, decision_id=f"{lap}-{number}")
            except BaseException as error:
                return None, 0.0, f"{type(error).__name__}: {error}"
            return made, time.perf_counter() - begun - sum(each for each in stood.worst[lags:] if each > 0.02), ""

    stood = Stood()
    watch = asyncio.create_task(stood.watch())
    results = await asyncio.gather(*(one(number) for number in range(batch)))
    watch.cancel()
    for each in own.values():
        await each.close()
    return _told(results, seen)


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


def _told(results: list[tuple[Decision | None, float, str]], seen: Seen) -> Seen:
    requests, first, retries, worst = seen.requests, seen.first, seen.retries, seen.worst_s
    for made, took_s, error in results:
        if made is None:
            seen.wrong.append(error)
            continue
        worst = max(worst, took_s)
        attempts = [each for call in made.record.calls for each in call.attempts]
        sent = [each for each in attempts if each.sent]
        requests += sum(each.outcome != "unreachable" or "Connect" not in each.cause for each in sent)
        first += len({each.target for each in sent})
        retries += len(sent) - len({each.target for each in sent})
        seen.outcomes[f"{made.action} by {made.source}"] += 1
        seen.wrong.extend(_wrong(made, attempts, len(sent), took_s))
    return seen._replace(requests=requests, first=first, retries=retries, worst_s=worst)


def _wrong(made: Decision, attempts: list[Any], sent: int, took_s: float) -> list[str]:
    found = []
    if made.action not in ("approve", "wait"):
        found.append(f"illegal or unsafe: {made.action}")
    settled = made.record.settled
    if not attempts and (settled is None or settled.fallback != "model: late"):
        found.append("a decision without a call in its record")
    if sent > RETRY.requests or max(Counter(each.target for each in attempts if each.sent).values(), default=0) > 3:
        found.append(f"{sent} requests")
    if took_s > DEADLINE_S + 0.2:
        found.append(f"took {took_s:.2f} s")
    if KEY in str(made.record.as_dict()):
        found.append("the key is in the record")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("decisions", nargs="?", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    server = FaultServer()
    try:
        seen = asyncio.run(mixed(server, options.decisions, options.seed))
    finally:
        server.close()
    print(
        f"{seen.decisions} decisions in {seen.seconds:.0f} s ({seen.decisions / seen.seconds:.0f}/s), {AT_ONCE} at once"
    )
    print(f"{seen.counted} requests counted by the server, {seen.requests} in the records")
    print(
        f"{seen.first} first attempts, {seen.retries} others; slowest decision {seen.worst_s:.2f} s of {DEADLINE_S} s"
    )
    print(dict(seen.outcomes))
    print(f"{len(seen.wrong)} wrong: {Counter(seen.wrong).most_common(5)}")
    if seen.wrong or seen.counted > seen.requests:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
