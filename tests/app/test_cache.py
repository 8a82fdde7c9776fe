"""The cache as a rung, from end to end: the real driver, prompts and judge, a scripted provider."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepladder.app.decision_point import DecisionPoint
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.decision import Caching, Route, Rung
from stepladder.drivers import ManualClock
from stepladder.events import ModelAnswered, ModelFailed
from stepladder.llm import ScriptedProvider
from stepladder.llm.errors import Refused, Unavailable
from stepladder.record import Answered, Settled
from stepladder.rules import rule
from stepladder.verdicts import hit_rate
from tests.drivers.desk import LADDER, go, of, until, workflow

AGREES = {"action": "SOLVE", "confidence": 0.9, "reason": "it is solved"}
DIFFERS = {"action": "CLOSE", "confidence": 0.9, "reason": "it is hopeless"}
ILLEGAL = {"action": "GIVE_UP", "confidence": 0.9}


def cached(**keys: Any) -> dict[str, Any]:
    return {"policy": {"rungs": {"cache": keys}, "routes": {"complex": {"ask": ["cache", "first"]}}}}


async def runs(script: list[Any], changes: dict[str, Any], inputs: list[int], **more: Any) -> tuple[list[Run], int]:
    provider = ScriptedProvider(script)
    agents = {"worker": lambda x: {"done": False}}
    done = []
    async with Orchestrator(
        workflow(LADDER, changes), agents=agents, providers={"scripted": provider}, **more
    ) as orchestrator:
        for n, x in enumerate(inputs):
            run = await orchestrator.run({"x": x}, run_id=f"r{n}-{len(script)}-{id(provider)}")
            _ = run.entries
            assert orchestrator.replay(run.id).divergence is None
            done.append(run)
    return done, len(provider.requests)


def settled(run: Run) -> Settled:
    return of(run, Settled)[0]


def test_the_second_time_nobody_is_asked() -> None:
    (first, second), asked = go(runs([DIFFERS], cached(), [1, 1]))
    assert asked == 1
    assert [settled(run).source for run in (first, second)] == ["model", "cache"]
    assert [settled(run).relation for run in (first, second)] == ["override", "override"]
    assert [each.outcome for each in of(first, Answered)] == ["miss", "accepted"]
    assert [each.outcome for each in of(second, Answered)] == ["accepted"]
    (hit,) = of(second, ModelAnswered)
    assert (hit.cached, hit.provider, hit.model, hit.usage.cost_usd) == ("exact", "cache", "scripted", 0.0)
    record = second.decisions[0]
    assert (record.cached, record.source, record.asked_models, record.cost_usd) == ("exact", "cache", 0, 0.0)
    assert "cached    scripted:first said so before (exact)" in record.explain()
    assert record.as_dict()["cached"] == "exact"
    assert [len(run.decisions[0].calls) for run in (first, second)] == [1, 1], "a miss is no call of a model"


def test_a_verdict_that_agrees_leaves_the_rules_decision_with_the_hit_on_record() -> None:
    (_, second), asked = go(runs([AGREES], cached(), [1, 1]))
    assert asked == 1
    assert (settled(second).source, settled(second).relation, settled(second).fallback) == ("rule", "agreement", "")
    assert second.decisions[0].cached == "exact"


def test_another_input_is_another_situation() -> None:
    (_, second, third), asked = go(runs([DIFFERS, AGREES], cached(), [1, 2, 1]))
    assert asked == 2
    assert [settled(run).source for run in (second, third)] == ["rule", "cache"]


def test_a_miss_is_no_fallback() -> None:
    (run,), _ = go(runs([Unavailable], cached(), [1]))
    assert settled(run).fallback == "first: unavailable", "the cache failed nobody"


@pytest.mark.parametrize("bad", [Unavailable, Refused, ILLEGAL, "no JSON", "```json\n{}\n```"], ids=str)
def test_what_is_no_whole_legal_answer_is_never_kept(bad: Any) -> None:
    (first, second), asked = go(runs([bad, AGREES], cached(), [1, 1]))
    assert asked == 2
    assert of(second, ModelFailed)[0].code == "miss"
    assert settled(first).fallback


def test_time_cost_and_run_id_make_no_other_situation() -> None:
    """The same input by another id, at another time, after another cost: the same verdict."""
    clock = ManualClock()

    async def both() -> None:
        provider = ScriptedProvider([DIFFERS])
        slow = [True]

        async def worker(x: int) -> dict[str, Any]:
            from stepladder import AgentResult

            if slow.pop() if slow else False:
                clock.move(2.5)
                return AgentResult({"done": False}, cost_usd=0.3)  # type: ignore[return-value]
            return {"done": False}

        async with Orchestrator(
            workflow(LADDER, cached()), agents={"worker": worker}, providers={"scripted": provider}, clock=clock
        ) as orchestrator:
            one = await orchestrator.run({"x": 1}, run_id="one")
            clock.move(3600)
            other = await orchestrator.run({"x": 1}, run_id="another-id")
            assert (one.usd, other.usd) == (0.3, 0.0)
            assert settled(other).source == "cache"

    go(both())


def test_features_make_what_differs_elsewhere_the_same() -> None:
    (_, second), asked = go(runs([DIFFERS], cached(features=["last.done", "step"]), [1, 2]))
    assert (asked, settled(second).source) == (1, "cache")


def test_similar_situations_are_marked() -> None:
    keys = {"features": ["input.x"], "similar": 0.8}
    (_, near, far), asked = go(runs([DIFFERS, AGREES], cached(**keys), [10, 9, 1]))
    assert asked == 2
    assert [near.decisions[0].cached, far.decisions[0].cached] == ["similar 0.90", ""]
    assert settled(near).source == "cache"


def test_a_verdict_that_is_not_legal_here_climbs() -> None:
    """Without the legal set in its key, the judge still refuses it: the hit is an answer like any other."""
    changes = cached()

    async def both() -> None:
        provider = ScriptedProvider([DIFFERS])
        async with Orchestrator(
            workflow(LADDER, changes), agents={"worker": lambda x: {"done": False}}, providers={"scripted": provider}
        ) as orchestrator:
            await orchestrator.run({"x": 1}, run_id="one")
            (store,) = orchestrator._resources.verdicts._stores.values()
            for key in list(store._kept):  # type: ignore[attr-defined]
                kind, kept = store._kept[key]  # type: ignore[attr-defined]
                import msgspec

                store._kept[key] = kind, msgspec.structs.replace(kept, text='{"action": "GIVE_UP"}')  # type: ignore[attr-defined]
            provider._answers.append(AGREES)
            run = await orchestrator.run({"x": 1}, run_id="two")
            assert [each.outcome for each in of(run, Answered)] == ["invalid", "agrees"]
            assert settled(run).fallback == ""
            assert orchestrator.replay("two").divergence is None

    go(both())


def test_a_hundred_runs_at_once_ask_once_for_each_input() -> None:
    async def many() -> None:
        provider = ScriptedProvider([DIFFERS] * 5, delay_s=0.05)
        async with Orchestrator(
            workflow(LADDER, cached()), agents={"worker": lambda x: {"done": False}}, providers={"scripted": provider}
        ) as orchestrator:
            found = await asyncio.gather(*(orchestrator.run({"x": n % 5}, run_id=str(n)) for n in range(100)))
            rate = hit_rate(entry for run in found for entry in run.entries)
        assert len(provider.requests) == 5
        assert (rate.hits, rate.misses, rate.share) == (95, 5, 0.95)

    go(many())


def test_a_shared_cache_outlives_its_process(tmp_path: Path) -> None:
    journal = tmp_path / "runs.db"
    (first,), _ = go(runs([DIFFERS], cached(shared=True), [1], journal=journal))
    (second,), asked = go(runs([], cached(shared=True), [1], journal=journal))
    assert (asked, settled(first).source, settled(second).source) == (0, "model", "cache")
    assert (tmp_path / "runs.db.verdicts").exists()
    (third,), asked = go(runs([DIFFERS], cached(), [1], journal=journal))
    assert (asked, settled(third).source) == (1, "model"), "what is not shared is forgotten with the process"


def test_a_verdict_grows_old() -> None:
    clock = ManualClock()
    changes = cached(ttl_s=60)

    async def three() -> list[str]:
        provider = ScriptedProvider([DIFFERS, DIFFERS])
        async with Orchestrator(
            workflow(LADDER, changes),
            agents={"worker": lambda x: {"done": False}},
            providers={"scripted": provider},
            clock=clock,
        ) as orchestrator:
            sources = []
            for n, pause in enumerate((59, 2, 0)):
                sources.append(settled(await orchestrator.run({"x": 1}, run_id=str(n))).source)
                clock.move(pause)
            return sources

    assert go(three()) == ["model", "cache", "model"]


def test_a_leader_that_is_cancelled_lets_the_next_one_ask() -> None:
    async def both() -> None:
        provider = ScriptedProvider([DIFFERS, DIFFERS], delay_s=0.2)
        async with Orchestrator(
            workflow(LADDER, cached()), agents={"worker": lambda x: {"done": False}}, providers={"scripted": provider}
        ) as orchestrator:
            await orchestrator.start({"x": 1}, run_id="leader")
            await until(lambda: len(provider.requests) == 1)
            follower = asyncio.create_task(orchestrator.run({"x": 1}, run_id="follower"))
            await asyncio.sleep(0.02)
            await orchestrator.cancel("leader")
            run = await asyncio.wait_for(follower, 2)
            assert settled(run).source == "model"
            assert len(provider.requests) == 2

    go(both())


def test_a_lone_decision_point_has_a_cache_too() -> None:
    async def decided() -> None:
        provider = ScriptedProvider([{"action": "ASK_HUMAN", "confidence": 0.8}])
        lone = DecisionPoint(
            "next",
            rules=[rule("GIVE_UP", because="too many errors")],
            signals={"errors": int, "noise": int},
            classifier={"complex": {"many": ["errors > 2"]}},
            rungs={"cache": Rung("cache", caching=Caching(("errors",))), "model": Rung("model", ("scripted:m",))},
            routes={"complex": Route(("cache", "model"))},
            providers={"scripted": provider},
        )
        async with lone:
            one = await lone.decide({"errors": 3, "noise": 1}, legal=["ASK_HUMAN", "GIVE_UP"])
            other = await lone.decide({"errors": 3, "noise": 2}, legal=["ASK_HUMAN", "GIVE_UP"])
            narrower = await lone.decide({"errors": 3, "noise": 2}, legal=["GIVE_UP"])
            assert [one.source, other.source, narrower.source] == ["model", "cache", "rule"]
            assert lone.replay(other.id)

    asyncio.run(decided())
