"""What a span of generative AI says was said, in any of the forms that instrumentations have had.

    gen_ai.input.messages, gen_ai.output.messages      attributes, or those of an event; JSON text or structured
    gen_ai.user.message, gen_ai.choice, ...            an event for each message
    gen_ai.content.prompt, gen_ai.content.completion   an event with all of them as JSON
    gen_ai.prompt.0.role, gen_ai.completion.0.content  an attribute for each field (OpenLLMetry)

Each gives the same values: `Message`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from stepladder.scenarios.importers.chat import parsed
from stepladder.scenarios.importers.writer import mapping, text_of, word

ROLES: Final = ("user", "assistant", "system", "tool")
EVENTS: Final = {f"gen_ai.{role}.message": role for role in ROLES}
Attributes = Mapping[str, Any]


class Call(NamedTuple):
    """A tool that a message calls."""

    id: str
    name: str
    arguments: Any


class Message(NamedTuple):
    """Who says what; the calls in it, and by their ids the results of earlier ones (of one without: "")."""

    role: str
    text: str
    calls: tuple[Call, ...] = ()
    results: tuple[tuple[str, str], ...] = ()


def heard(said: Attributes, events: list[tuple[str, Attributes]]) -> list[Message]:
    """What the model was given."""
    found = _structured(said, events, "gen_ai.input.messages") or _numbered(said, "gen_ai.prompt")
    found = found or _blob(said, events, "gen_ai.prompt")
    return found or [_event(given, EVENTS[name]) for name, given in events if name in EVENTS]


def answered(said: Attributes, events: list[tuple[str, Attributes]]) -> list[Message]:
    """What the model said."""
    found = _structured(said, events, "gen_ai.output.messages") or _numbered(said, "gen_ai.completion")
    found = found or _blob(said, events, "gen_ai.completion")
    return found or [_event(given, "assistant") for name, given in events if name == "gen_ai.choice"]


def _structured(said: Attributes, events: list[tuple[str, Attributes]], name: str) -> list[Message]:
    for given in (said, *(each for _, each in events)):
        if name in given:
            return [_message(each) for each in _list(given[name])]
    return []


def _blob(said: Attributes, events: list[tuple[str, Attributes]], name: str) -> list[Message]:
    """All messages as one JSON text; a text that is none is one message."""
    role = "user" if name.endswith("prompt") else "assistant"
    for given in (said, *(each for _, each in events)):
        if name in given:
            value = parsed(given[name]) if isinstance(given[name], str) else given[name]
            return [Message(role, value)] if isinstance(value, str) else [_message(each, role) for each in _list(value)]
    return []


def _numbered(said: Attributes, head: str) -> list[Message]:
    """Messages whose fields are attributes: HEAD.0.role, HEAD.0.tool_calls.1.name."""
    tree: dict[str, Any] = {}
    for name, value in said.items():
        if name.startswith(f"{head}."):
            place = tree
            *path, last = name.removeprefix(f"{head}.").split(".")
            for part in path:
                inner = place.setdefault(part, {})
                place = inner if isinstance(inner, dict) else {}
            place[last] = value
    role = "user" if head.endswith("prompt") else "assistant"
    return [_message(each, role) for each in _in_order(tree)]


def _in_order(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The mappings under 0, 1, 2 ...; their `tool_calls` as a list."""
    for key in sorted((key for key in tree if key.isdigit()), key=int):
        each = mapping(tree[key])
        calls = each.get("tool_calls")
        yield {**each, "tool_calls": list(_in_order(calls))} if isinstance(calls, Mapping) else each


def _event(given: Attributes, role: str) -> Message:
    """A message of an event: its fields, or its body as JSON; a choice has it under `message`."""
    body = mapping(parsed(given.get("gen_ai.event.content", given.get("body"))))
    fields = {**given, **body}
    inner = parsed(fields.get("message")) if "message" in fields else fields
    return Message(role, inner) if isinstance(inner, str) else _message({**fields, **mapping(inner)}, role)


def _message(value: Mapping[str, Any], role: str = "") -> Message:
    role, parts = word(value.get("role"), role), _list(value.get("parts"))
    calls = [part for part in parts if part.get("type") == "tool_call"]
    calls += _list(value.get("tool_calls"))
    results = [part for part in parts if part.get("type") == "tool_call_response"]
    found = tuple((word(each.get("id")), _plain(each.get("response", each.get("result")))) for each in results)
    text = text_of([part for part in parts if part.get("type") in ("text", None)]) or _content(value.get("content"))
    if role == "tool" and not found:
        found = ((word(value.get("tool_call_id")) or word(value.get("id")), text),)
    return Message(role, "" if found else text, tuple(map(_call, calls)), found)


def _content(value: Any) -> str:
    """The text of a content; one that is JSON text of parts (as OpenLLMetry writes it) is that of the parts."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        return text_of(parsed(value)) or value
    return text_of(value)


def _call(value: Mapping[str, Any]) -> Call:
    function = mapping(value.get("function")) or value
    return Call(word(value.get("id")), word(function.get("name"), "unnamed"), parsed(function.get("arguments")))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _list(value: Any) -> list[Mapping[str, Any]]:
    value = parsed(value) if isinstance(value, str) else value
    listed = value if isinstance(value, list) else [value]
    return [each for each in listed if isinstance(each, Mapping)]
