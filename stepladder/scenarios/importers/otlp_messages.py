"""What a span of generative AI says was said, in any of the forms that instrumentations have had.

    gen_ai.input.messages, gen_ai.output.messages      attributes, or those of an event; JSON text or structured
    gen_ai.user.message, gen_ai.choice, ...            an event for each message: of the span, or a log record
    gen_ai.content.prompt, gen_ai.content.completion   an event with all of them as JSON
    events                                             an attribute with the events as JSON (Pydantic AI)
    gen_ai.prompt.0.role, gen_ai.completion.0.content  an attribute for each field (OpenLLMetry)
    llm.input_messages.0.message.role                  the same (OpenInference)

Each gives the same values: `Message`. Where a span says the same in several of these, the first counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from stepladder.scenarios.importers.blocks import Call, Result, calls_in, results_in, text_in
from stepladder.scenarios.importers.documents import parsed
from stepladder.scenarios.importers.writer import mapping, word

ROLES: Final = ("user", "assistant", "system", "tool")
HEARD: Final = {f"gen_ai.{role}.message": role for role in ROLES}
CHOICE: Final = "gen_ai.choice"
DETAILS: Final = "gen_ai.client.inference.operation.details"
MESSAGES: Final = frozenset({*HEARD, CHOICE, "gen_ai.content.prompt", "gen_ai.content.completion"})
_INNER: Final = ("message", "tool_call", "message_content")
"""Under what OpenInference puts the fields of what it numbers."""
Attributes = Mapping[str, Any]
Named = tuple[str, dict[str, Any]]
"""An event: its name and what it says."""


class Message(NamedTuple):
    """Who says what; the calls in it, and the results of earlier ones."""

    role: str
    text: str
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()


def heard(said: Attributes, *events: Iterable[Named]) -> list[Message]:
    """What the model was given; `events`: those of the span, and those that came as log records."""
    return _found(said, events, "gen_ai.input.messages", ("gen_ai.prompt", "llm.input_messages"), HEARD)


def answered(said: Attributes, *events: Iterable[Named]) -> list[Message]:
    """What the model said."""
    numbered = ("gen_ai.completion", "llm.output_messages")
    return _found(said, events, "gen_ai.output.messages", numbered, {CHOICE: "assistant"})


def _found(
    said: Attributes,
    events: tuple[Iterable[Named], ...],
    structured: str,
    numbered: tuple[str, str],
    named: Mapping[str, str],
) -> list[Message]:
    sources = [*map(list, events), _as_attribute(said)]
    everything = [said, *(given for source in sources for _, given in source)]
    ways: list[Callable[[], list[Message]]] = [
        lambda: _structured(everything, structured),
        *(lambda head=head: _numbered(said, head) for head in numbered),
        lambda: _blob(everything, numbered[0]),
        *(
            lambda source=source: [_event(given, named[name]) for name, given in source if name in named]
            for source in sources
        ),
    ]
    return next(filter(None, (way() for way in ways)), [])


def _as_attribute(said: Attributes) -> list[Named]:
    return [(word(each.get("event.name")), dict(each)) for each in _list(said.get("events"))]


def _structured(everything: list[Attributes], name: str) -> list[Message]:
    for given in everything:
        if name in given and (found := [message_of(each) for each in _list(given[name])]):
            return found
    return []


def _blob(everything: list[Attributes], name: str) -> list[Message]:
    """All messages as one JSON text; a text that is none is one message."""
    role = "user" if name.endswith("prompt") else "assistant"
    for given in everything:
        if name in given:
            value = parsed(given[name]) if isinstance(given[name], str) else given[name]
            if isinstance(value, str):
                return [Message(role, value)]
            return [message_of(each, role) for each in _list(value)]
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
    role = "user" if head.endswith(("prompt", "input_messages")) else "assistant"
    return [message_of(each, role) for each in _in_order(tree)]


def _in_order(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The mappings under 0, 1, 2 ... ; what they number as lists."""
    for key in sorted((key for key in tree if key.isdecimal()), key=int):
        each = mapping(tree[key])
        each = next((inner for name in _INNER if (inner := mapping(each.get(name)))), each)
        if isinstance(each.get("tool_calls"), Mapping):
            each = {**each, "tool_calls": list(_in_order(each["tool_calls"]))}
        if isinstance(each.get("contents"), Mapping):
            each = {**each, "content": list(_in_order(each["contents"]))}
        yield each


def _event(given: Attributes, role: str) -> Message:
    """A message of an event: its fields, or its body, as JSON or structured; a choice has it under `message`."""
    body = parsed(given.get("gen_ai.event.content", given.get("body")))
    fields: dict[str, Any] = {**given, **(body if isinstance(body, Mapping) else {"content": body} if body else {})}
    inner = parsed(fields.get("message")) if "message" in fields else fields
    if isinstance(inner, str):
        return Message(role, inner)
    inner = {"content": inner} if isinstance(inner, list) else mapping(inner)
    return message_of({**fields, **inner}, role)


def message_of(value: Mapping[str, Any], role: str = "") -> Message:
    """The message that a mapping holds, in any of the forms that providers have."""
    role = word(value.get("role"), role)
    calls, results, text = calls_in(value), results_in(value), text_in(value)
    if role == "tool" and not results:
        call_id = word(value.get("tool_call_id")) or word(value.get("id"))
        results = (Result(call_id, text, word(value.get("name"))),)
    return Message(role, "" if results else text, calls, results)


def _list(value: Any) -> list[Mapping[str, Any]]:
    value = parsed(value) if isinstance(value, str) else value
    listed = value if isinstance(value, list) else [value]
    return [each for each in listed if isinstance(each, Mapping)]
