"""What OTLP JSON holds of generative AI: spans, and events, which are log records.

As the collector's file exporter and the SDKs write it: names in camelCase (or as in the protocol's own files), ids as
text, 64-bit numbers as text or numbers, enumerations as numbers or names, values in their own wrappers.
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from stepladder.scenarios.importers.otlp_messages import DETAILS, MESSAGES, Named
from stepladder.scenarios.importers.writer import mapping, whole, word

CHAT: Final = frozenset({"chat", "generate_content", "text_completion"})
KNOWN: Final = CHAT | {"execute_tool", "invoke_agent"}
OLDER: Final = {
    "chat": "chat",
    "completion": "text_completion",
    "tool": "execute_tool",
    "agent": "invoke_agent",
    "LLM": "chat",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
}
"""What older instrumentations, OpenLLMetry and OpenInference call what a span did."""
ERROR: Final = (2, "STATUS_CODE_ERROR")
PARTS: Final = ("resourceSpans", "resourceLogs", "resourceMetrics", "resourceProfiles")
_CAPITAL: Final = re.compile(r"[A-Z]")


class Span(msgspec.Struct, frozen=True):
    """What a span says that matters here; `logs`: the events that came as log records, oldest first."""

    trace: str
    id: str
    parent: str
    began: int
    ended: int
    failed: bool
    said: dict[str, Any]
    service: str
    operation: str
    events: tuple[Named, ...] = ()
    logs: tuple[Named, ...] = ()

    @property
    def run(self) -> str:
        """The conversation that it names."""
        return conversation_of(self.said)

    def used(self, *names: str) -> int | None:
        """How many tokens, by the first of these names that is there."""
        return whole(next((self.said[name] for name in names if name in self.said), None))


class Event(msgspec.Struct, frozen=True):
    """A log record that tells of a message; its body is `body` among what it says."""

    trace: str
    span: str
    at: int
    name: str
    said: dict[str, Any]
    service: str

    @property
    def run(self) -> str:
        """The conversation that it names."""
        return conversation_of(self.said)


def conversation_of(said: Mapping[str, Any]) -> str:
    """The conversation that these attributes name; "" for none. OpenInference calls it a session."""
    session = said.get("session.id") if "openinference.span.kind" in said else ""
    return word(said.get("gen_ai.conversation.id")) or word(session)


def is_otlp(document: Any) -> bool:
    """Whether it is OTLP at all, of whatever kind."""
    return any(_of(mapping(document), name) is not None for name in PARTS)


def spans(document: Any) -> Iterator[Span]:
    """The spans of generative AI in a document."""
    for resource in listed(_of(mapping(document), "resourceSpans")):
        service = _service(resource)
        for scope in listed(_of(resource, "scopeSpans", "instrumentationLibrarySpans")):
            for span in listed(scope.get("spans")):
                said = attributes(span.get("attributes"))
                operation = operation_of(said)
                if operation in KNOWN:
                    yield _span(span, said, service, operation)


def _span(span: Mapping[str, Any], said: dict[str, Any], service: str, operation: str) -> Span:
    events = ((word(each.get("name")), attributes(each.get("attributes"))) for each in listed(span.get("events")))
    return Span(
        word(_of(span, "traceId"), "trace"),
        word(_of(span, "spanId")),
        word(_of(span, "parentSpanId")),
        whole(_of(span, "startTimeUnixNano")) or 0,
        whole(_of(span, "endTimeUnixNano")) or 0,
        mapping(span.get("status")).get("code") in ERROR or "error.type" in said,
        said,
        service,
        operation,
        tuple(events),
    )


def events(document: Any) -> Iterator[Event]:
    """The events of generative AI among the log records of a document."""
    for resource in listed(_of(mapping(document), "resourceLogs")):
        service = _service(resource)
        for scope in listed(_of(resource, "scopeLogs", "instrumentationLibraryLogs")):
            for record in listed(_of(scope, "logRecords", "logs")):
                said = attributes(record.get("attributes"))
                name = word(_of(record, "eventName")) or word(said.get("event.name")) or word(record.get("name"))
                if name in MESSAGES or name == DETAILS:
                    body = value_of(mapping(record.get("body")))
                    at = whole(_of(record, "timeUnixNano")) or whole(_of(record, "observedTimeUnixNano")) or 0
                    said = said if body is None else {**said, "body": body}
                    ids = word(_of(record, "traceId")), word(_of(record, "spanId"))
                    yield Event(*ids, at, name, said, service)


def operation_of(said: Mapping[str, Any]) -> str:
    """What a span did; older instrumentations say it in their own words, or by what they tell of."""
    named = word(said.get("gen_ai.operation.name"))
    if named:
        return named
    for name in ("llm.request.type", "traceloop.span.kind", "openinference.span.kind"):
        if (older := word(said.get(name))) in OLDER:
            return OLDER[older]
    if "gen_ai.tool.name" in said:
        return "execute_tool"
    return "chat" if "gen_ai.request.model" in said and "gen_ai.system" in said else ""


def listed(value: Any) -> list[Mapping[str, Any]]:
    """The mappings of a list; none of what is no list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def attributes(given: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    return {word(each.get("key")): value_of(mapping(each.get("value"))) for each in listed(given)}


def value_of(value: Mapping[str, Any]) -> Any:
    """A value out of its wrapper; None for an empty one."""
    for kind, found in value.items():
        match kind.replace("_value", "Value"):
            case "intValue":
                return whole(found)
            case "arrayValue":
                return [value_of(each) for each in listed(mapping(found).get("values"))]
            case "kvlistValue":
                return attributes(mapping(found).get("values"))
            case "bytesValue":
                return _text(found)
            case _:
                return found
    return None


def _text(found: Any) -> Any:
    """The text that bytes hold; bytes that are none stay as they are written."""
    try:
        return base64.b64decode(found, validate=True).decode()
    except (binascii.Error, TypeError, ValueError):
        return found


def _of(value: Mapping[str, Any], *names: str) -> Any:
    """What stands under the first of these names that is there, written either way."""
    for name in names:
        for written in (name, _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)):
            if written in value:
                return value[written]
    return None


def _service(resource: Mapping[str, Any]) -> str:
    return word(attributes(mapping(resource.get("resource")).get("attributes")).get("service.name"), "otlp")
