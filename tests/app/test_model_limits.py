"""`policy.models`: breakers, rates and retries in a workflow file, honoured against a real server on loopback."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepladder import Orchestrator
from stepladder.app.loading import Workflow
from stepladder.app.run import Run
from stepladder.errors import DefinitionError, InputError
from stepladder.llm import Providers
from stepladder.llm.health import Health
from stepladder.llm.openai import OpenAIProvider
from stepladder.rehearsal import FaultServer, parse_script

FLOW = """
workflow: desk
input: {ticket: string}
start: reading
agents: {reader: {idempotent: true, output: {kind: string}}}
phases: {all: {steps: {reading: {agent: reader, with: {ticket: input.ticket}}}}}
ends: {answered: {success: true}, dropped: {success: false}}
actions:
  ANSWER: {from: reading, to: answered}
  DROP:   {from: reading, to: dropped}
rules: {reading: {answer: {do: ANSWER, because: most tickets can be answered}}}
policy:
  classifier: {complex: {angry: [last.kind == complaint]}}
  rungs: {supervisor: {model: "openai:gpt-5-mini", deadline_s: 5, retry: {attempts: 1}}}
  routes: {complex: {ask: [supervisor]}}
"""
DOWN = "{rehearsal: down, faults: [{fault: overloaded}]}"
SLOW = "{rehearsal: slow, faults: [{fault: slow, seconds: 0.1}]}"
FINE = "{rehearsal: fine}"


def flow(models: dict[str, Any] | None, **rung: Any) -> Workflow:
    data = yaml.safe_load(FLOW)
    if models is not None:
        data["policy"]["models"] = models
    data["policy"]["rungs"]["supervisor"].update(rung)
    return Workflow.define(data)


class World(Providers):
    """The server's models; closed with the Orchestrator."""

    def __init__(self, server: FaultServer, **more: Any) -> None:
        super().__init__({"openai": OpenAIProvider(api_key="sk-nothing", base_url=server.openai_url)}, **more)


async def runs(workflow: Workflow, server: FaultServer, count: int, *, at_once: bool = False, **more: Any) -> list[Run]:
    providers = more.pop("providers", None) or World(server)
    agents = {"reader": lambda ticket: {"kind": "complaint"}}
    async with Orchestrator(workflow, agents=agents, providers=providers, **more) as desk:
        if at_once:
            found = await asyncio.gather(*(desk.run({"ticket": str(n)}) for n in range(count)))
        else:
            found = [await desk.run({"ticket": str(n)}) for n in range(count)]
        for run in found:
            assert desk.replay(run.id).divergence is None
    return list(found)


def asked(models: dict[str, Any] | None, script: str, count: int, **more: Any) -> int:
    """How many requests came to the server."""
    with FaultServer(parse_script(script)) as server:
        found = asyncio.run(runs(flow(models), server, count, **more))
        assert {run.end for run in found} == {"answered"}
        return len(server.served)


def test_two_policies_open_their_breakers_after_as_many_failures_as_they_say() -> None:
    assert asked(None, DOWN, 12) == 5
    assert asked({"breaker": {"straight": 2, "open_s": 60}}, DOWN, 12) == 2
    assert asked({"breaker": {"straight": 9, "open_s": 60}}, DOWN, 12) == 9


def test_the_open_time_and_its_growth_are_those_of_the_policy() -> None:
    breaker = {"straight": 1, "open_s": 0.05, "jitter": 0.0}

    async def probes(growth: float) -> list[float]:
        with FaultServer(parse_script(DOWN)) as server:
            agents = {"reader": lambda ticket: {"kind": "complaint"}}
            made = flow({"breaker": {**breaker, "growth": growth}})
            async with Orchestrator(made, agents=agents, providers=World(server)) as desk:
                until = time.monotonic() + 0.8
                while time.monotonic() < until:
                    await desk.run({"ticket": "x"})
                    await asyncio.sleep(0.005)
            at = [each.at_s for each in server.served]
            return [later - earlier for earlier, later in pairwise(at)]

    steady, growing = asyncio.run(probes(1.0)), asyncio.run(probes(3.0))
    assert len(growing) < len(steady)
    assert all(gap >= 0.049 for gap in steady)
    assert all(gap >= 0.049 * 3**n for n, gap in enumerate(growing))


@pytest.mark.parametrize("name", ["openai:gpt-5-mini", "openai:*", "*"])
def test_so_many_at_once_and_no_more(name: str) -> None:
    async def most(models: dict[str, Any] | None) -> int:
        flying = {"now": 0, "most": 0}
        with FaultServer(parse_script(SLOW)) as server:
            providers = World(server)
            inner = providers["openai"]

            class Counted:
                name, server, keeps_time = "openai", getattr(inner, "server", ""), True

                async def ask(self, request: Any) -> Any:
                    flying["now"] += 1
                    flying["most"] = max(flying["most"], flying["now"])
                    try:
                        return await inner.ask(request)
                    finally:
                        flying["now"] -= 1

                async def close(self) -> None:
                    await inner.close()

            own = Providers({"openai": Counted()})
            await runs(flow(models), server, 12, at_once=True, providers=own, journal=None)
        return flying["most"]

    assert asyncio.run(most(None)) == 12
    assert asyncio.run(most({"rates": {name: {"at_once": 3}}})) == 3


def test_requests_and_tokens_a_minute_are_kept_and_what_has_no_room_is_decided_by_rule() -> None:
    with FaultServer(parse_script(FINE)) as server:
        made = flow({"rates": {"openai:gpt-5-mini": {"per_minute": 4}}}, deadline_s=0.3)
        found = asyncio.run(runs(made, server, 9))
        assert len(server.served) <= 2
        assert found[-1].decisions[-1].settled.fallback == "supervisor: closed"
        assert "its limiter" in found[-1].decisions[-1].explain()
    with FaultServer(parse_script(FINE)) as server:
        made = flow({"rates": {"*": {"tokens_per_minute": 3_000}}}, deadline_s=0.3)
        asyncio.run(runs(made, server, 9))
        assert 1 <= len(server.served) <= 2


def test_the_retries_of_a_process_are_those_of_the_policy() -> None:
    often = {"attempts": 4, "backoff_s": 0.0}

    def sent(retries: dict[str, Any]) -> int:
        models = {"retries": retries, "breaker": {"calls": 1000, "least": 1000, "straight": 1000}}
        with FaultServer(parse_script(DOWN)) as server:
            asyncio.run(runs(flow(models, retry=often), server, 6))
            return len(server.served)

    assert sent({"share": 0.0, "least": 0}) == 6
    assert sent({"share": 0.0, "least": 5}) == 11
    assert sent({"share": 1.0, "least": 0}) == 12


def test_shared_breakers_are_open_for_the_next_process_too(tmp_path: Path) -> None:
    models = {"breaker": {"straight": 2, "open_s": 60}, "shared": True}
    journal = tmp_path / "runs.db"
    assert asked(models, DOWN, 5, journal=journal) == 2
    assert (tmp_path / "runs.db.breakers").exists()
    # the server has another port, so another name: keep it, and the breaker with it
    with FaultServer(parse_script(DOWN)) as server:
        asyncio.run(runs(flow(models), server, 5, journal=journal))
        asyncio.run(runs(flow(models), server, 5, journal=journal))
        assert len(server.served) == 2
        asyncio.run(runs(flow({**models, "shared": False}), server, 5, journal=journal))
        assert len(server.served) == 4


def test_where_breakers_are_kept_is_for_the_operator_to_say(tmp_path: Path) -> None:
    models = {"breaker": {"straight": 2, "open_s": 60}}
    with FaultServer(parse_script(DOWN)) as server:
        for _ in range(2):
            asyncio.run(runs(flow(models), server, 5, breakers=tmp_path / "all.breakers"))
        assert len(server.served) == 2
        asyncio.run(runs(flow({**models, "shared": True}), server, 5, journal=tmp_path / "x.db", breakers="memory"))
        assert len(server.served) == 4
        assert not (tmp_path / "x.db.breakers").exists()


def test_a_file_that_cannot_be_used_closes_no_model(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("this is no database, and longer than its head would be " * 20)
    with FaultServer(parse_script(FINE)) as server:
        found = asyncio.run(runs(flow(None), server, 3, breakers=tmp_path / "bad"))
        assert (len(server.served), {run.end for run in found}) == (3, {"answered"})


def test_a_redis_that_is_not_there_closes_no_model() -> None:
    pytest.importorskip("redis")
    with FaultServer(parse_script(FINE)) as server:
        found = asyncio.run(runs(flow(None), server, 2, breakers="redis://127.0.0.1:9/0"))
        assert (len(server.served), {run.end for run in found}) == (2, {"answered"})


@pytest.mark.parametrize("place", ["http://user:hunter2@x", "redis://:hunter2@[::1", "", "no/such/folder/x.db"])
def test_a_place_that_cannot_be_is_told_without_its_password(place: str) -> None:
    with pytest.raises(InputError) as told:
        Orchestrator(flow(None), agents={"reader": print}, breakers=place or " ")
    assert "redis://HOST" in str(told.value)
    assert "hunter2" not in str(told.value)


def test_what_code_says_comes_before_the_file() -> None:
    from stepladder.fallback import BreakerPolicy

    with FaultServer(parse_script(DOWN)) as server:
        own = World(server, health=Health(breaker=BreakerPolicy(straight=3, open_s=60)))
        asyncio.run(runs(flow({"breaker": {"straight": 2}}), server, 6, providers=own))
        assert len(server.served) == 3


def test_who_asks_alike_shares_what_is_known() -> None:
    models = {"breaker": {"straight": 2, "open_s": 60}}
    with FaultServer(parse_script(DOWN)) as server:
        own = World(server)
        for _ in range(2):
            asyncio.run(runs(flow(models), server, 4, providers=own))
        assert len(server.served) == 2


def test_attempts_by_the_way_in_which_a_model_failed() -> None:
    def sent(script: str, after: dict[str, int]) -> int:
        often = {"attempts": 3, "backoff_s": 0.0, "after": after}
        with FaultServer(parse_script(script)) as server:
            asyncio.run(runs(flow(None, retry=often), server, 1))
            return len(server.served)

    assert sent(DOWN, {}) == sent(DOWN, {"late": 1}) == 3
    assert sent(DOWN, {"unavailable": 1}) == 1
    assert sent("{rehearsal: x, faults: [{fault: illegal}]}", {"unavailable": 1}) == 2
    assert sent("{rehearsal: x, faults: [{fault: illegal}]}", {"invalid": 1}) == 1
    with pytest.raises(DefinitionError, match=r"retry\.after"):
        flow(None, retry={"after": {"refused": 2}})
    with_it, without = (flow(None, retry={"attempts": 2, **more}) for more in ({"after": {}}, {}))
    assert with_it.machine.policy.hash == without.machine.policy.hash


# --- the file


@pytest.mark.parametrize("said", [None, {}, {"breaker": {}}, {"breaker": {"calls": 20}, "rates": {}, "shared": False}])
def test_saying_nothing_keeps_the_hash(said: dict[str, Any] | None) -> None:
    assert flow(said).machine.policy.hash == flow(None).machine.policy.hash


def test_saying_something_changes_the_policy_and_not_the_workflow() -> None:
    before, after = flow(None), flow({"breaker": {"straight": 2}})
    assert (before.hash == after.hash, before.machine.policy.hash == after.machine.policy.hash) == (True, False)


@pytest.mark.parametrize(
    ("models", "key", "found", "expected"),
    [
        ({"breaker": {"straight": 30}}, "breaker.straight", "30", "at most calls (20)"),
        ({"breaker": {"calls": 4, "straight": 2}}, "breaker.least", "10", "at most calls (4)"),
        ({"breaker": {"open_s": 400}}, "breaker.most_open_s", "300", "at least open_s (400)"),
        ({"breaker": {"failing": 0}}, "breaker.failing", "0", "more than 0"),
        ({"breaker": {"failing": 50}}, "breaker.failing", "50", "1"),
        ({"breaker": {"growth": 0.5}}, "breaker.growth", "0.5", "1"),
        ({"breaker": {"open": 3}}, "breaker.open", "open", "open_s"),
        ({"rates": {"openai:gpt-5-mini": {}}}, "rates.openai:gpt-5-mini", "no limit", "per_minute"),
        ({"rates": {"openai:gpt-5-mini": {"per_minute": 0}}}, "per_minute", "0", "more than 0"),
        ({"rates": {"openai:gpt-5-minni": {"at_once": 1}}}, "openai:gpt-5-minni", "gpt-5-minni", "gpt-5-mini"),
        ({"rates": {"gpt-5-mini": {"at_once": 1}}}, "rates.gpt-5-mini", "gpt-5-mini", "provider:model"),
        ({"rates": {"google:*": {"at_once": 1}}}, "rates.google:*", "google", "openai"),
        ({"retries": {"share": 2}}, "retries.share", "2", "1"),
        ({"storage": "redis://x"}, "storage", "storage", "breaker"),
    ],
)
def test_what_cannot_be_meant_is_one_error_at_its_key(
    models: dict[str, Any], key: str, found: str, expected: str
) -> None:
    with pytest.raises(DefinitionError) as told:
        flow(models)
    (problem,) = told.value.problems
    assert problem.where.startswith("policy.models")
    assert key in problem.where
    assert found in problem.found
    assert expected in problem.expected
