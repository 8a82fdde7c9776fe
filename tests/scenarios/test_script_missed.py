"""What a missed cassette says: the nearest recorded call, and where it differs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepladder.scenarios.script import ScriptedAgent, ScriptedAgentError, missed


@pytest.mark.parametrize(
    ("given", "recorded", "told"),
    [
        ({"a": 2}, [{"a": 1}], "nearest is its recorded call 1 (a: recorded 1, now 2)"),
        ({"a": "xyz"}, [{"a": "abc"}, {"a": "xyw"}], 'call 2 (a: recorded "xyw", now "xyz")'),
        ({}, [{"a": None}], "(a: recorded null, now nothing)"),
        ({"a": None}, [{}], "(a: recorded nothing, now null)"),
        ({"a": 1}, [{"a": 1}], "call 1 (the same)"),
    ],
)
def test_a_miss_names_the_nearest_call(given: dict[str, Any], recorded: list[dict[str, Any]], told: str) -> None:
    assert told in missed("worker", 3, given, recorded)


def test_of_long_values_the_difference_is_shown() -> None:
    told = missed("worker", 1, {"text": "a" * 5000 + "now it ends"}, [{"text": "a" * 5000 + "then it ended"}])
    assert "then it ended" in told
    assert "now it ends" in told
    assert len(told) < 1000


def test_a_call_too_many_names_the_nearest_one() -> None:
    agent = ScriptedAgent("worker", [{"ok": True, "$with": {"turn": 1}}])
    asyncio.run(agent(turn=1))
    with pytest.raises(ScriptedAgentError, match="only 1 result"):
        asyncio.run(agent(turn=2))
    assert agent.ran_dry
    assert "nearest is its recorded call 1 (turn: recorded 1, now 2)" in agent.missed
