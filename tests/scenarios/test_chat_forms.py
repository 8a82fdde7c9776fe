"""Chat trajectories in the forms of other interfaces: items, batches, blocks, requests with their answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.test_importers import CHAT, CHAT_STEPS, read, told

ITEMS: list[dict[str, Any]] = [
    {"role": "developer", "content": "You help."},
    {"role": "user", "content": [{"type": "input_text", "text": "hello"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "I look."}]},
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "find", "arguments": '{"b": 1, "a": 2}'},
    {"type": "function_call_output", "call_id": "c1", "output": "Error: nothing found"},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Sorry", "annotations": []}],
    },
]
BLOCKS = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": {"a": 2, "b": 1}}]},
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "Error: nothing found", "is_error": True}],
    },
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Sorry"}]},
]
SEVERAL = [
    *CHAT[:3],
    {"role": "tool", "tool_messages": [{"id": "c1", "role": "tool", "content": "Error: nothing found", "error": True}]},
    CHAT[4],
]
COMPLETION = {"object": "chat.completion", "created": 1_700_000_000, "choices": [{"index": 0, "message": CHAT[4]}]}


@pytest.mark.parametrize(
    "run",
    [
        {"id": "resp_1", "object": "response", "model": "m", "input": ITEMS[:2], "output": ITEMS[2:]},
        {"input": ITEMS[:5], "response": {"model": "m", "output": ITEMS[5:]}},
        {"model": "m", "items": ITEMS},
        {"model": "m", "messages": BLOCKS},
        {"model": "m", "messages": SEVERAL},
        {"request": {"model": "m", "messages": CHAT[:4]}, "response": COMPLETION},
        {"custom_id": "r1", "method": "POST", "body": {"model": "m", "messages": CHAT}},
        {"model": "m", "messages": CHAT, **COMPLETION},
    ],
)
def test_one_talk_in_the_form_of_each_interface(tmp_path: Path, run: dict[str, Any]) -> None:
    (found,), problems = read("chat", tmp_path, json.dumps(run))
    assert not problems
    assert told(found) == CHAT_STEPS
    assert (found.steps[1].args, found.steps[2].ref, found.identity.model) == ('{"a":2,"b":1}', 1, "m")


def test_a_batch_says_what_came(tmp_path: Path) -> None:
    """Lines of a batch's output: an answer, a refusal of the request, one that ran out of time."""
    lines = [
        {"id": "b1", "custom_id": "r1", "response": {"status_code": 200, "body": {**COMPLETION, "model": "m"}}},
        {"id": "b2", "custom_id": "r2", "response": {"status_code": 400, "body": {"error": {"message": "no"}}}},
        {"id": "b3", "custom_id": "r3", "response": None, "error": {"code": "batch_expired"}},
    ]
    (found,), problems = read("chat", tmp_path, "\n".join(map(json.dumps, lines)))
    assert (found.run_id, found.identity.model, told(found)) == ("b1", "m", CHAT_STEPS[3:])
    assert found.steps[0].ts == "2023-11-14T22:13:20+00:00"
    assert [(each.line, each.found) for each in problems] == [(2, "no messages"), (3, "no messages")]


@pytest.mark.parametrize(
    ("item", "tool", "text", "failed"),
    [
        (
            {"type": "web_search_call", "id": "w", "action": {"query": "x"}, "status": "completed"},
            "web_search",
            None,
            None,
        ),
        ({"type": "mcp_call", "id": "w", "name": "find", "arguments": "{}", "output": "found"}, "find", "found", False),
        ({"type": "mcp_call", "id": "w", "name": "find", "arguments": "{}", "error": "gone"}, "find", "gone", True),
        ({"type": "custom_tool_call", "call_id": "w", "name": "run", "input": "ls"}, "run", None, None),
        ({"type": "code_interpreter_call", "id": "w", "code": "1", "outputs": None}, "code_interpreter", None, None),
    ],
)
def test_calls_that_the_provider_makes(
    tmp_path: Path, item: dict[str, Any], tool: str, text: str | None, failed: bool | None
) -> None:
    (found,), _ = read("chat", tmp_path, json.dumps({"input": "hello", "output": [item]}))
    steps = [("user", "user_message", None, "hello", None), ("assistant", "tool_call", tool, "", None)]
    if text is not None:
        steps.append(("environment", "tool_result", tool, text, failed))  # type: ignore[arg-type]
    assert told(found) == steps


@pytest.mark.parametrize(
    ("said", "ts"),
    [
        ({"timestamp": "2025-06-01T10:00:00"}, "2025-06-01T10:00:00"),
        ({"created_at": 1_700_000_000}, "2023-11-14T22:13:20+00:00"),
        ({"timestamp": 1_700_000_000_000}, "2023-11-14T22:13:20+00:00"),
        ({"ts": "1700000000.5"}, "2023-11-14T22:13:20.500000+00:00"),
        ({"timestamp": None, "created": 1e300}, None),
        ({"timestamp": {"a": 1}}, None),
    ],
)
def test_times_in_any_way(tmp_path: Path, said: dict[str, Any], ts: str | None) -> None:
    (found,), _ = read("chat", tmp_path, json.dumps({"messages": [{"role": "user", "content": "hello", **said}]}))
    assert found.steps[0].ts == ts


@pytest.mark.parametrize("items", [[1], ["x"], [None], [{}], [{"content": "x"}], [[]]])
@pytest.mark.parametrize("name", ["messages", "input", "items", "traj"])
def test_what_is_no_message_is_told_of(tmp_path: Path, name: str, items: list[Any]) -> None:
    found, problems = read("chat", tmp_path, json.dumps({name: [*ITEMS, *items]}))
    assert (found, [each.found for each in problems]) == ([], ["a message without a role"])
