"""The server that misbehaves, asked by the official SDKs through our adapters."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from stepladder.errors import DefinitionError
from stepladder.llm import ModelReply, ModelRequest, Provider
from stepladder.llm.errors import ModelError
from stepladder.rehearsal import FAMILIES, FaultServer, parse_script
from stepladder.rehearsal.faults import UNBILLED

SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "action": {"type": "string", "enum": ["GO", "STAY"]}},
    "required": ["reason", "action"],
    "additionalProperties": False,
}
GOOD = {"slow", "no_usage", "ok", "prose", "illegal"}
"""Families that give a text, whatever it is worth."""
PRICES = {"openai:m": (10.0, 40.0), "google:m": (10.0, 40.0)}


def provider(name: str, server: FaultServer, **options: Any) -> Provider:
    from stepladder.llm.google import GoogleProvider
    from stepladder.llm.openai import OpenAIProvider

    if name == "openai":
        return OpenAIProvider(api_key="sk-rehearsal", base_url=server.openai_url, prices=PRICES, **options)
    return GoogleProvider(api_key="AIza-rehearsal", base_url=server.url, prices=PRICES, **options)


def ask(name: str, server: FaultServer, deadline_s: float = 0.6, **options: Any) -> ModelReply | ModelError:
    request = ModelRequest(model="m", system="s", prompt="p" * 400, schema=SCHEMA, deadline_s=deadline_s)

    async def asked() -> ModelReply | ModelError:
        opened = provider(name, server, **options)
        try:
            return await opened.ask(request)
        except ModelError as error:
            return error
        finally:
            await opened.close()

    return asyncio.run(asked())


def script(*faults: dict[str, Any], **more: Any) -> Any:
    return parse_script(json.dumps({"rehearsal": "r", "faults": list(faults), **more}))


@pytest.mark.parametrize("wire", ["openai", "google"])
@pytest.mark.parametrize("family", [*FAMILIES, "ok"])
def test_every_family_on_both_wires(wire: str, family: str) -> None:
    seconds = {"slow": 0.05, "drip": 5.0}.get(family)
    lines = [] if family == "ok" else [{"fault": family, **({"seconds": seconds} if seconds else {})}]
    with FaultServer(script(*lines), prices=PRICES) as server:
        found = ask(wire, server)
        assert isinstance(found, ModelReply) == (family in GOOD), found
        (served,) = server.served
        assert (served.model, served.call, served.fault) == (f"{wire}:m", 1, family)
        assert (served.billed_usd == 0.0) == (family in UNBILLED)
        if isinstance(found, ModelReply) and found.usage_known:
            assert found.cost_usd == pytest.approx(served.billed_usd)
            assert (json.loads(found.text)["action"] if family in ("ok", "slow") else "GO") == "GO"
        if isinstance(found, ModelError):
            assert found.cost_usd is not None or found.may_be_billed or served.billed_usd == 0.0, "the bill is not lost"


@pytest.mark.parametrize(
    ("wire", "options"),
    [("openai", {}), ("openai", {"wire": "responses"}), ("google", {}), ("google", {"vertexai": True})],
)
def test_the_first_legal_action_is_found_where_a_function_has_to_be_called(wire: str, options: dict[str, Any]) -> None:
    with FaultServer(script(), prices=PRICES) as server:
        found = ask(wire, server, form="function", **options)
    assert isinstance(found, ModelReply), found
    assert json.loads(found.text)["action"] == "GO"


def test_scripted_answers_are_used_up_by_what_comes_whole() -> None:
    lines = [{"action": "STAY", "reason": "1"}, "2"]
    with FaultServer(script({"fault": "error", "calls": "2"}), {"openai:m": lines}) as server:
        found = [ask("openai", server) for _ in range(4)]
    said = [each.text if isinstance(each, ModelReply) else each.code for each in found]
    assert said[:3] == [json.dumps(lines[0]), "unavailable", "2"]
    assert json.loads(said[3])["action"] == "GO"


@pytest.mark.parametrize(
    ("line", "hits"),
    [
        ({"fault": "error"}, [1, 2, 3, 4, 5]),
        ({"fault": "error", "calls": 2}, [2]),
        ({"fault": "error", "calls": "2-3"}, [2, 3]),
        ({"fault": "error", "from_call": 4}, [4, 5]),
        ({"fault": "error", "on": "google:*"}, []),
        ({"fault": "error", "on": "openai:m*"}, [1, 2, 3, 4, 5]),
        ({"fault": "error", "from_s": 10}, []),
        ({"fault": "error", "for_s": 10}, [1, 2, 3, 4, 5]),
        ({"fault": "error", "share": 0}, []),
    ],
    ids=str,
)
def test_when_a_fault_happens(line: dict[str, Any], hits: list[int]) -> None:
    found = script(line)
    assert [call for call in range(1, 6) if found.fault("openai:mine", call, 1.0)] == hits


def test_a_share_is_the_same_each_time_and_about_right() -> None:
    found = script({"fault": "error", "share": 0.3})
    hits = [call for call in range(1, 1001) if found.fault("openai:m", call, 0.0)]
    assert hits == [call for call in range(1, 1001) if found.fault("openai:m", call, 9.0)]
    assert 250 < len(hits) < 350
    assert hits != [
        call for call in range(1, 1001) if script({"fault": "error", "share": 0.3}, seed=2).fault("openai:m", call, 0.0)
    ]


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("rehearsal: r\nfaults: [{fault: overloadd}]", "faults.0.fault", "overloaded"),
        ("rehearsal: r\nfaults: [{fault: error, seconds: 2}]", "faults.0.seconds", "only for slow"),
        ("rehearsal: r\nfaults: [{fault: error, calls: 3-2}]", "faults.0.calls", "first-last"),
        ("rehearsal: r\nfaults: [{fault: error, calls: 1, from_call: 2}]", "faults.0.from_call", "one of them"),
        ("rehearsal: r\nanswers: {gpt: []}", "answers.gpt", "provider:model"),
        ("rehearsal: r\nanswers: {'openai:m': [1]}", "answers.openai:m.0", "a mapping"),
        ("rehearsal: r\nscenario: a.yaml\ninput: {x: 1}", "input", "one of them"),
        ("faults: []", "rehearsal", ""),
        ("rehearsal: r\nfault: []", "fault", "faults"),
    ],
)
def test_a_script_that_cannot_be_meant_is_refused_at_its_place(text: str, where: str, expected: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        parse_script(text, "faults.yaml")
    problems = [problem for problem in refused.value.problems if problem.where == where]
    assert problems, refused.value
    assert expected in problems[0].expected
    assert problems[0].file == "faults.yaml"
