"""The parts of a policy that are about money and the cache: what they build, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.decision import Budget, Caching
from stepladder.errors import DefinitionError
from tests.drivers.desk import LADDER, source, workflow

CACHED = {"rungs": {"cache": {}}, "routes": {"complex": {"ask": ["cache", "first"]}}}


def policy(**changes: Any) -> dict[str, Any]:
    return {"policy": changes}


def test_a_section_money() -> None:
    money = {
        "decision_usd": 0.01,
        "day_usd": 5,
        "throttle": None,
        "still_ask": ["hybrid", "complex"],
        "on_cap": "stop",
        "allow_unpriced": True,
        "prices": {"openai:m": [1, 2.5]},
    }
    machine = workflow(LADDER, policy(money=money)).machine
    expected = Budget(0.01, None, 5, None, ("hybrid", "complex"), "stop", True, {"openai:m": (1, 2.5)})
    assert machine.policy.ladder.budget == expected
    assert machine.budget.run_usd == 1.0, "limits.usd is the cap of a run"
    assert workflow(LADDER).machine.policy.ladder.budget is None


def test_a_rung_cache_is_asked_like_the_rung_it_covers() -> None:
    ladder = workflow(LADDER, policy(**CACHED)).machine.policy.ladder
    assert ladder.rungs["cache"].caching == Caching()
    cache, first = ladder.rung("cache", "complex"), ladder.rungs["first"]
    assert (cache.models, cache.accept, cache.deadline_s, cache.prompt) == (
        first.models,
        first.accept,
        first.deadline_s,
        first.prompt,
    )
    keys = {"features": ["last.done"], "ttl_s": 60, "entries": 9, "shared": True, "similar": 0.5, "deadline_s": 2}
    changed = {**CACHED, "rungs": {"cache": keys}}
    cache = workflow(LADDER, policy(**changed)).machine.policy.ladder.rung("cache", "complex")
    assert (cache.caching, cache.deadline_s) == (Caching(("last.done",), 60, 9, True, 0.5), 2)


def test_a_policy_without_either_keeps_its_hash() -> None:
    """The hash of a policy as it was before there were these keys."""
    bare = workflow(LADDER).machine.policy.hash
    assert workflow(LADDER, policy(money={})).machine.policy.hash != bare
    assert workflow(LADDER, policy(**CACHED)).machine.policy.hash != bare
    assert workflow(LADDER, policy(rungs={"first": {"max_output_tokens": 9}})).machine.policy.hash != bare


@pytest.mark.parametrize(
    ("changes", "where", "found", "expected"),
    [
        ({"money": {"day_usd": -1}}, "policy.money.day_usd", "-1", "0"),
        ({"money": {"dayusd": 1}}, "policy.money.dayusd", "key 'dayusd'", "day_usd"),
        ({"money": {"throttle": 1.5}}, "policy.money.throttle", "1.5", "1"),
        ({"money": {"on_cap": "panic"}}, "policy.money.on_cap", "'panic'", "stop"),
        ({"money": {"still_ask": ["all"]}}, "policy.money.still_ask.0", "'all'", "complex"),
        ({"money": {"prices": {"gpt": [1, 2]}}}, "policy.money.prices.gpt", "model 'gpt'", "provider:name"),
        ({"money": {"prices": {"openai:m": [1]}}}, "policy.money.prices.openai:m", "1", "2"),
        ({"rungs": {"first": {"features": ["step"]}}}, "policy.rungs.first.features", "key 'features'", "`cache`"),
        ({"rungs": {"cache": {"model": "openai:m"}}}, "policy.rungs.cache.model", "key 'model'", "only deadline_s"),
        ({"rungs": {"cache": {"features": ["nothing.x"]}}}, "policy.rungs.cache.features.0", "signal 'nothing'", ""),
        ({"rungs": {"cache": {"features": ["time_used"]}}}, "policy.rungs.cache.features.0", "time_used", "time, cost"),
        ({"rungs": {"cache": {"similar": 0.9}}}, "policy.rungs.cache.similar", "no features", "compare"),
        ({"rungs": {"cache": {"similar": 0}}}, "policy.rungs.cache.similar", "0", ""),
        (
            {"rungs": {"cache": {}}, "routes": {"complex": {"ask": ["first", "cache"]}}},
            "policy.routes.complex.ask.1",
            "no rung of models after `cache`",
            "whose verdicts",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_told_at_its_place(changes: dict[str, Any], where: str, found: str, expected: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        workflow(LADDER, policy(**changes))
    problems = {problem.where: problem for problem in refused.value.problems}
    assert where in problems, problems
    assert found in problems[where].found
    assert expected in problems[where].expected


def test_asking_a_person_at_a_cap_needs_one() -> None:
    text = source(LADDER, policy(money={"on_cap": "person"}))
    del text["policy"]["rungs"]["person"]
    from stepladder.app.loading import Workflow

    with pytest.raises(DefinitionError, match="a rung `person`"):
        Workflow.define(text)
