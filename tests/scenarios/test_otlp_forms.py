"""OTLP in every form that instrumentations have had gives the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.test_importers import otlp, read, span, told


def keyed(**said: Any) -> list[dict[str, Any]]:
    """Attributes as OTLP has them: whole numbers as text, lists and mappings in their own wrappers."""

    def value(each: Any) -> dict[str, Any]:
        match each:
            case bool():
                return {"boolValue": each}
            case int():
                return {"intValue": str(each)}
            case list():
                return {"arrayValue": {"values": [value(item) for item in each]}}
            case dict():
                return {"kvlistValue": {"values": [{"key": key, "value": value(item)} for key, item in each.items()]}}
            case _:
                return {"stringValue": each}

    return [{"key": name, "value": value(each)} for name, each in said.items()]


DETAILS = "gen_ai.client.inference.operation.details"
USER, ANSWER = "where is it?", "It is lost."
FUNCTION = {"name": "find", "arguments": '{"id": 7}'}
PAST = [{"role": "user", "content": USER}, {"role": "assistant", "tool_calls": [{"id": "c1", "function": FUNCTION}]}]
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "no such parcel"}
PARTS = [
    {"role": "user", "parts": [{"type": "text", "content": USER}]},
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "find", "arguments": {"id": 7}}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "no such parcel"}]},
    {"role": "assistant", "parts": [{"type": "text", "content": ANSWER}], "finish_reason": "stop"},
]


def dumped(given: Any, said: Any) -> dict[str, Any]:
    """Both lists of messages as JSON text."""
    return {"gen_ai.input.messages": json.dumps(given), "gen_ai.output.messages": json.dumps(said)}


Told = tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]
FORMS: dict[str, tuple[Told, Told]] = {
    "structured attributes": (
        ({"gen_ai.input.messages": PARTS[:1], "gen_ai.output.messages": PARTS[1:2]}, []),
        ({"gen_ai.input.messages": PARTS[:3], "gen_ai.output.messages": PARTS[3:]}, []),
    ),
    "an event with them": (
        ({}, [(DETAILS, dumped(PARTS[:1], PARTS[1:2]))]),
        ({}, [(DETAILS, dumped(PARTS[:3], PARTS[3:]))]),
    ),
    "an event for each message": (
        (
            {},
            [
                ("gen_ai.system.message", {"content": "be kind"}),
                ("gen_ai.user.message", {"content": USER}),
                ("gen_ai.choice", {"index": 0, "finish_reason": "tool_calls", "message": json.dumps(PAST[1])}),
            ],
        ),
        (
            {},
            [
                ("gen_ai.user.message", {"content": USER}),
                ("gen_ai.assistant.message", {"tool_calls": json.dumps(PAST[1]["tool_calls"])}),
                ("gen_ai.tool.message", {"id": "c1", "content": "no such parcel"}),
                ("gen_ai.choice", {"message": {"role": "assistant", "content": ANSWER}}),
            ],
        ),
    ),
    "events with JSON": (
        (
            {},
            [
                ("gen_ai.user.message", {"gen_ai.event.content": json.dumps({"content": USER})}),
                ("gen_ai.choice", {"gen_ai.event.content": json.dumps({"message": PAST[1]})}),
            ],
        ),
        (
            {},
            [
                ("gen_ai.tool.message", {"gen_ai.event.content": json.dumps(RESULT)}),
                ("gen_ai.choice", {"gen_ai.event.content": json.dumps({"message": {"content": ANSWER}})}),
            ],
        ),
    ),
    "two events with all of them": (
        (
            {},
            [
                ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(PAST[:1])}),
                ("gen_ai.content.completion", {"gen_ai.completion": json.dumps(PAST[1:])}),
            ],
        ),
        (
            {},
            [
                ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps([*PAST, RESULT])}),
                (
                    "gen_ai.content.completion",
                    {"gen_ai.completion": json.dumps([{"role": "assistant", "content": ANSWER}])},
                ),
            ],
        ),
    ),
    "an attribute for each field": (
        (
            {
                "llm.request.type": "chat",
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": json.dumps([{"type": "text", "text": USER}]),
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.tool_calls.0.id": "c1",
                "gen_ai.completion.0.tool_calls.0.name": "find",
                "gen_ai.completion.0.tool_calls.0.arguments": '{"id": 7}',
                "gen_ai.usage.completion_tokens": 5,
            },
            [],
        ),
        (
            {
                "llm.request.type": "chat",
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": USER,
                "gen_ai.prompt.10.role": "tool",
                "gen_ai.prompt.10.tool_call_id": "c1",
                "gen_ai.prompt.10.content": "no such parcel",
                "gen_ai.completion.0.content": ANSWER,
            },
            [],
        ),
    ),
}


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("spanned", [False, True], ids=["result in messages", "span of the tool"])
@pytest.mark.parametrize("form", FORMS)
def test_otlp_in_every_form_that_instrumentations_had(tmp_path: Path, form: str, spanned: bool, batched: bool) -> None:
    spans = []
    for began, (said, events) in zip((10, 30), FORMS[form], strict=True):
        each = span("", began)
        older = "llm.request.type" in said
        operation = {} if older else {"gen_ai.operation.name": "chat"}
        each["attributes"] = keyed(**operation, **{"gen_ai.request.model": "m", "gen_ai.system": "openai"}, **said)
        each["events"] = [{"name": name, "timeUnixNano": "1", "attributes": keyed(**given)} for name, given in events]
        spans.append(each)
    if spanned:  # without the id of the call, as many have it
        spans.append(span("execute_tool", 20, failed=True, tool__name="find", tool__call__result="no such parcel"))
    text = otlp(*spans) if batched else "\n".join(otlp(each) for each in spans)
    (run,), problems = read("otlp", tmp_path, text, "in.jsonl")
    assert not problems
    assert told(run) == [
        ("user", "user_message", None, USER, None),
        ("assistant", "tool_call", "find", "", None),
        ("environment", "tool_result", "find", "no such parcel", True if spanned else None),
        ("assistant", "message", None, ANSWER, None),
    ]
    assert (run.steps[1].args, run.steps[2].ref) == ('{"id":7}', 1)


@pytest.mark.parametrize(
    "value", ["{", "[1, 2]", "null", '"text"', "[[]]", '[{"role": 1, "parts": {"a": 1}}]', "[" * 9_000]
)
@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.input.messages",
        "gen_ai.prompt",
        "gen_ai.prompt.0",
        "gen_ai.prompt.x.y",
        "gen_ai.completion.0.tool_calls",
    ],
)
def test_otlp_with_odd_messages_is_read_all_the_same(tmp_path: Path, name: str, value: str) -> None:
    each = span("chat", 1)
    each["attributes"] += keyed(**{name: value, "gen_ai.output.messages": json.dumps(PARTS[3:])})
    (run,), _ = read("otlp", tmp_path, otlp(each))
    assert run.steps[-1].text == ANSWER
