"""A rollout that gets worse is rolled back by the process that runs it, in the middle of its runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stepladder import Orchestrator, SyncOrchestrator, Workflow
from stepladder.drivers import ManualClock
from stepladder.errors import InputError
from stepladder.evaluation.rollout import Guard
from stepladder.evaluation.watch import RolledBack, RolloutWatch
from stepladder.events import PolicyChanged
from stepladder.llm import ModelRequest, ScriptedProvider

TEXT = """\
workflow: selling
input: {number: integer}
start: looking
agents:
  looker: {idempotent: true, output: {odd: boolean}}
  packer: {idempotent: true, output: {packed: boolean}}
phases:
  main:
    steps:
      looking: {agent: looker, with: {number: input.number}}
      packing: {agent: packer, with: {number: input.number}}
ends: {sold: {success: true}, thrown: {success: false}}
actions:
  PACK: {from: looking, to: packing}
  SELL: {from: packing, to: sold}
  THROW: {from: [looking, packing], to: thrown}
rules:
  looking: {pack: {do: PACK, because: it can be sold}}
  packing: {sell: {do: SELL, because: it is packed}}
policy:
  limits: {then: thrown}
  classifier: {hybrid: {odd: [last.odd == true]}}
  rungs: {first: {model: "scripted:first"}}
  routes: {hybrid: {ask: [first], reconcile: rule_wins, rollout: {share: 0.5, reconcile: model_wins}}}
"""
SHARE = "share: 0.5"


def throws(_: ModelRequest) -> Mapping[str, Any]:
    """The new way: throw everything away."""
    return {"action": "THROW", "reason": "it is odd", "confidence": 0.9}


def packs(_: ModelRequest) -> Mapping[str, Any]:
    """What the rules do."""
    return {"action": "PACK", "reason": "it can be sold", "confidence": 0.9}


def shop(
    answer: Callable[[ModelRequest], Any],
    *,
    journal: Any = None,
    clock: ManualClock | None = None,
    packer: Callable[..., Any] | None = None,
    text: str = TEXT,
) -> Orchestrator:
    agents = {"looker": lambda number: {"odd": True}, "packer": packer or (lambda number: {"packed": True})}
    scripted = {"scripted": ScriptedProvider([answer] * 2_000)}
    workflow = Workflow.parse(text)
    return Orchestrator(workflow, agents=agents, providers=scripted, journal=journal, clock=clock or ManualClock())


async def sell(many: Orchestrator, runs: range, clock: ManualClock | None = None) -> list[str]:
    ends = []
    for number in runs:
        if clock is not None:
            clock.move(5)
        ends.append((await many.run({"number": number}, run_id=f"r{number}")).end)
    return ends


def test_a_rollout_that_is_worse_falls_back_and_says_so() -> None:
    told: list[RolledBack] = []

    async def body() -> None:
        async with shop(throws) as many:
            before = many.machine.policy.hash
            watch = RolloutWatch(many, on_roll_back=told.append)
            ends = await sell(many, range(200))
            (found,) = watch.rolled_back
            assert found is told[0]
            assert (found.route, found.share, found.policy_hash) == ("hybrid", 0.5, before)
            assert re.match(r"rolled back: success is worse after 10 runs \(p .*, below 0.025\)", found.because)
            fell = ends.index("thrown")
            thrown = [place for place, end in enumerate(ends) if end == "thrown"]
            assert len(thrown) == 10, "the first look is at ten runs, and then nobody is harmed any more"
            assert fell < thrown[-1] < 60
            assert many.machine.policy.ladder.routes["hybrid"].share == 0
            assert many.get("r199").state.policy_hash == found.fallback_hash != before
            assert many.replay("r199").divergence is None

    asyncio.run(body())


def test_a_rollout_that_is_as_good_stays() -> None:
    async def body() -> None:
        async with shop(packs) as many:
            watch = RolloutWatch(many)
            assert set(await sell(many, range(120))) == {"sold"}
            assert (watch.rolled_back, many.machine.policy.ladder.routes["hybrid"].share) == ([], 0.5)

    asyncio.run(body())


def test_what_is_in_the_middle_goes_on_under_the_old_policy_and_journals_it(tmp_path: Path) -> None:
    """A run whose agent is at work when the guard trips, and one that is begun while it does."""

    async def body() -> None:
        free = asyncio.Event()

        async def packer(number: int) -> dict[str, Any]:
            if number >= 1_000:
                await free.wait()
            return {"packed": True}

        async with shop(throws, journal=str(tmp_path / "shop.db"), packer=packer) as many:
            before = many.machine.policy.hash
            ruled = [n for n in range(1_000, 1_050) if not in_b(many, f"r{n}")][:3]
            waiting = [await many.start({"number": n}, run_id=f"r{n}") for n in ruled]
            await asyncio.sleep(0.05)
            watch = RolloutWatch(many)
            await sell(many, range(60))
            (found,) = watch.rolled_back
            free.set()
            for each in waiting:
                run = await many.wait(each.id)
                (changed,) = [entry for entry in run.entries if isinstance(entry, PolicyChanged)]
                assert (changed.policy_hash, changed.because) == (found.fallback_hash, found.because)
                assert [record.policy_hash for record in run.decisions] == [before, found.fallback_hash]
                assert run.end == "sold"
                assert many.replay(run.id).divergence is None
                assert many.get(run.id).state == run.state

    asyncio.run(body())


def in_b(many: Orchestrator, run_id: str) -> bool:
    """Whether the run is among those of the new way."""
    route = many.machine.policy.ladder.routes["hybrid"]
    return route.mode_for(run_id, "next_action") == "model_wins"


def test_a_process_that_starts_with_the_same_file_sees_the_same_evidence(tmp_path: Path) -> None:
    async def body() -> None:
        journal = str(tmp_path / "shop.db")
        async with shop(throws, journal=journal) as first:
            await sell(first, range(60))  # nobody watched
        async with shop(throws, journal=journal) as second:
            watch = RolloutWatch(second)
            assert [each.route for each in watch.rolled_back] == ["hybrid"]
            assert set(await sell(second, range(100, 130))) == {"sold"}
        async with shop(throws, journal=journal, text=TEXT.replace(SHARE, "share: 0.4")) as third:
            assert RolloutWatch(third).rolled_back == [], "another share is another policy, whose runs count anew"

    asyncio.run(body())


def test_runs_of_other_processes_count_from_the_next_look_on(tmp_path: Path) -> None:
    async def body() -> None:
        journal, clock = str(tmp_path / "shop.db"), ManualClock()
        async with shop(throws, journal=journal, clock=clock) as here, shop(throws, journal=journal) as there:
            watch = RolloutWatch(here, every_s=60)
            await sell(there, range(60))
            quiet = [n for n in range(1_000, 1_100) if not in_b(here, f"r{n}")]
            await here.run({"number": quiet[0]}, run_id=f"r{quiet[0]}")
            assert watch.rolled_back == [], "a minute has not passed"
            clock.move(61)
            await here.run({"number": quiet[1]}, run_id=f"r{quiet[1]}")
            assert [each.at for each in watch.rolled_back] == [clock.now()]

    asyncio.run(body())


def test_what_people_say_later_counts() -> None:
    """All runs end well, and somebody says of those of the new way that they were not."""

    async def body() -> None:
        async with shop(packs) as many:
            watch = RolloutWatch(many)
            await sell(many, range(60))
            for number in range(60):
                if in_b(many, f"r{number}"):
                    await many.outcome(f"r{number}", success=False, by="customer")
            assert [each.route for each in watch.rolled_back] == ["hybrid"]

    asyncio.run(body())


def test_it_watches_time_and_falls_back_to_a_policy_that_is_named(tmp_path: Path) -> None:
    async def body() -> None:
        async with shop(packs) as many:
            (tmp_path / "old.yaml").write_text("policy: {limits: {then: thrown}, classifier: {}}\n", encoding="utf-8")
            watch = RolloutWatch(many, Guard("time_s"), fallback=tmp_path / "old.yaml")
            new = {n for n in range(60) if in_b(many, f"r{n}")}
            for n in range(60):
                await many.run({"number": n}, run_id=f"r{n}")
                await many.outcome(f"r{n}", elapsed_s=60.0 + n % 7 if n in new else 5.0 + n % 3)
            assert watch.rolled_back[0].because.startswith("rolled back: time_s is worse after 10 runs")
            assert many.machine.policy.ladder.routes.get("hybrid") is None
            watch.close()

    asyncio.run(body())


def test_under_blocking_verbs(tmp_path: Path) -> None:
    agents = {"looker": lambda number: {"odd": True}, "packer": lambda number: {"packed": True}}
    scripted = {"scripted": ScriptedProvider([throws] * 100)}
    with SyncOrchestrator(Workflow.parse(TEXT), agents=agents, providers=scripted, clock=ManualClock()) as many:
        watch = RolloutWatch(many.orchestrator)
        ends = [many.run({"number": n}, run_id=f"r{n}").end for n in range(60)]
        assert (len(watch.rolled_back), ends.count("thrown")) == (1, 10)


# --- changing a policy by hand

OTHER = TEXT.replace(SHARE, "share: 1.0")


@pytest.mark.parametrize("rests", [False, True])
def test_a_policy_may_change_in_the_middle(rests: bool) -> None:
    async def body() -> None:
        free = asyncio.Event()

        async def packer(number: int) -> dict[str, Any]:
            await free.wait()
            return {"packed": True}

        async with shop(throws, packer=packer) as many:
            name = next(f"r{n}" for n in range(99) if not in_b(many, f"r{n}"))
            await many.start({"number": 1}, run_id=name)
            await asyncio.sleep(0.02)
            for text in (OTHER, TEXT, OTHER):
                many.change_policy(Workflow.parse(text), because="by hand")
                if rests:
                    await asyncio.sleep(0.02)
            free.set()
            run = await many.wait(name)
            changes = [entry.policy_hash for entry in run.entries if isinstance(entry, PolicyChanged)]
            now = Workflow.parse(OTHER).machine.policy.hash
            assert changes[-1] == now == run.state.policy_hash
            assert len(changes) == 3
            assert run.end == "sold"  # what was decided stays
            assert many.replay(name).divergence is None

    asyncio.run(body())


def test_another_workflow_is_no_policy() -> None:
    async def body() -> None:
        async with shop(throws) as many:
            with pytest.raises(InputError, match="a policy of selling"):
                many.change_policy(Workflow.parse(TEXT.replace("SELL", "GIVE")))
            with pytest.raises(InputError, match="nobody"):
                many.change_policy(Workflow.parse(TEXT.replace("scripted:first", "nobody:first")))
            assert many.machine.policy.hash == Workflow.parse(TEXT).machine.policy.hash

    asyncio.run(body())
