"""What a message is made of, as OpenTelemetry and the providers write it: text, calls and results.

| whose | where | a call | a result |
|---|---|---|---|
| OpenTelemetry | `parts` | type `tool_call` | type `tool_call_response` |
| OpenAI | `tool_calls` beside the content (before: `function_call`) | `function` | a message of role tool |
| Anthropic | `content` | type `tool_use` | type `tool_result` |
| Bedrock, Strands | `content` | `toolUse` | `toolResult` |
| Google | `content.parts` | `function_call` | `function_response` |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from stepladder.scenarios.importers.documents import parsed
from stepladder.scenarios.importers.writer import mapping, text_of, word

_CALLS: Final = ("toolUse", "function_call", "functionCall")
_RESULTS: Final = ("toolResult", "function_response", "functionResponse")
_SPOKEN: Final = ("text", "output_text", "input_text", "refusal", None)
"""Types of a part that is text; thoughts (`reasoning`, `thinking`) are not said."""
_CALLED: Final = ("tool_call", "tool_use")
_RETURNED: Final = ("tool_call_response", "tool_result")
_TYPES: Final = {
    *_SPOKEN[:-1],
    *_CALLED,
    *_RETURNED,
    "reasoning",
    "thinking",
    "image",
    "image_url",
    "blob",
    "uri",
    "file",
}


class Call(NamedTuple):
    """A tool that a message calls."""

    id: str
    name: str
    arguments: Any


class Result(NamedTuple):
    """What an earlier call returned: the call's id, or "" where it has none, and then its tool; whether it failed,
    where it says so."""

    id: str
    text: str
    tool: str = ""
    failed: bool | None = None


def calls_in(message: Mapping[str, Any]) -> tuple[Call, ...]:
    """The calls in a message."""
    inside = [found for part in _parts(message) if (found := _called(part)) is not None]
    listed = [*_listed(message.get("tool_calls")), *_listed(message.get("function_call"))]
    return (*map(_call, inside), *(_call(each) for each in listed if isinstance(each, Mapping)))


def results_in(message: Mapping[str, Any]) -> tuple[Result, ...]:
    """The results in a message."""
    return tuple(_result(found) for part in _parts(message) if (found := _returned(part)) is not None)


def text_in(message: Mapping[str, Any]) -> str:
    """The text of a message."""
    return text_of([part for part in _parts(message) if part.get("type") in _SPOKEN]) or _plain_text(message)


def _plain_text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return text_of([each for each in content if isinstance(each, str)])
    return "" if isinstance(content, str) and _blocks(content) else text_of(content)


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of a message that has any."""
    content = message.get("content")
    content = mapping(content).get("parts", content)
    return [*_blocks(message.get("parts")), *_blocks(content)]


def _blocks(content: Any) -> list[Mapping[str, Any]]:
    """The blocks of a content that is a list of them, also as JSON text; JSON text of anything else is just text."""
    if isinstance(content, list):
        return [each for each in content if isinstance(each, Mapping)]
    if isinstance(content, str) and content.lstrip().startswith("["):
        found = parsed(content)
        return found if isinstance(found, list) and all(map(_is_block, found)) else []
    return []


def _is_block(part: Any) -> bool:
    if not isinstance(part, Mapping):
        return False
    said = part.get("type") in _TYPES or (set(part) == {"text"} and isinstance(part["text"], str))
    return said or any(name in part for name in (*_CALLS, *_RESULTS))


def _called(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if part.get("type") in _CALLED:
        return part
    return next((part[name] for name in _CALLS if isinstance(part.get(name), Mapping)), None)


def _returned(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if part.get("type") in _RETURNED:
        return part
    return next((part[name] for name in _RESULTS if isinstance(part.get(name), Mapping)), None)


def _call(value: Mapping[str, Any]) -> Call:
    function = mapping(value.get("function")) or value
    given = next((function[name] for name in ("arguments", "input", "args") if name in function), None)
    return Call(_id(value), word(function.get("name"), "unnamed"), parsed(given))


def _result(value: Mapping[str, Any]) -> Result:
    said = next((value[name] for name in ("response", "result", "content") if name in value), None)
    failed = value.get("is_error", value["status"] == "error" if "status" in value else None)
    return Result(_id(value), plain(said), word(value.get("name")), failed if isinstance(failed, bool) else None)


def _id(value: Mapping[str, Any]) -> str:
    return next(filter(None, (word(value.get(name)) for name in ("id", "toolUseId", "tool_use_id"))), "")


def plain(value: Any) -> str:
    """What was returned as text: text as it stands, the text of blocks that are nothing else, else JSON."""
    if isinstance(value, str) or value is None:
        return value or ""
    told = isinstance(value, list) and value and all(isinstance(mapping(each).get("text"), str) for each in value)
    return text_of(value) if told else json.dumps(value, ensure_ascii=False)


def _listed(value: Any) -> list[Any]:
    value = parsed(value) if isinstance(value, str) else value
    return value if isinstance(value, list) else [value] if isinstance(value, Mapping) else []
