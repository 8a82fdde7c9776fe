"""OpenTelemetry spans of generative AI, as OTLP JSON (what the collector's file exporter writes, one document a line).

A run is a conversation (`gen_ai.conversation.id`), else a trace. Its spans are taken in the order in which they began;
`gen_ai.operation.name` says what each is:

    chat, generate_content, text_completion    what a model said and called
    execute_tool                               a call (where no model span has it) and its result
    invoke_agent, inside another span          a hand-over

The attributes are those of the semantic conventions (`gen_ai.input.messages`, `gen_ai.output.messages`,
`gen_ai.tool.call.*`). A span whose status is an error failed. Spans of other kinds are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from stepladder.scenarios.importers.chat import parsed
from stepladder.scenarios.importers.documents import documents
from stepladder.scenarios.importers.writer import Writer, mapping, text_of, whole, word
from stepladder.scenarios.recording import Afterwards, Identity, Outcome, Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem

CHAT: Final = frozenset({"chat", "generate_content", "text_completion"})
KNOWN: Final = CHAT | {"execute_tool", "invoke_agent"}
ERROR: Final = (2, "STATUS_CODE_ERROR")


class Span(msgspec.Struct, frozen=True):
    """What a span says that matters here."""

    trace: str
    parent: str
    began: int
    ended: int
    failed: bool
    said: dict[str, Any]
    service: str

    @property
    def operation(self) -> str:
        """What it did."""
        return word(self.said.get("gen_ai.operation.name"))


def read_otlp(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Recording]:
    """The runs in OTLP JSON. Spans of one run may stand anywhere, so all are read first. Raises InputError."""
    runs: dict[str, list[Span]] = {}
    for document in documents(files, told, on_bytes):
        spans = list(_spans(document.value))
        if not spans:
            told(document.problem("no span of generative AI", "OTLP JSON with resourceSpans"))
        for span in spans:
            runs.setdefault(word(span.said.get("gen_ai.conversation.id")) or span.trace, []).append(span)
    for name, spans in runs.items():
        found = _recording(name, sorted(spans, key=lambda each: (each.began, -each.ended)))
        if found is not None:
            yield found


def _spans(document: Any) -> Iterator[Span]:
    for resource in _list(mapping(document).get("resourceSpans")):
        service = word(_attributes(mapping(resource.get("resource")).get("attributes")).get("service.name"), "otlp")
        for scope in _list(resource.get("scopeSpans")):
            for span in _list(scope.get("spans")):
                said = _attributes(span.get("attributes"))
                if word(said.get("gen_ai.operation.name")) not in KNOWN:
                    continue
                status = mapping(span.get("status")).get("code")
                yield Span(
                    word(span.get("traceId"), "trace"),
                    word(span.get("parentSpanId")),
                    whole(span.get("startTimeUnixNano")) or 0,
                    whole(span.get("endTimeUnixNano")) or 0,
                    status in ERROR or "error.type" in said,
                    said,
                    service,
                )


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _attributes(listed: Any) -> dict[str, Any]:
    return {word(each.get("key")): _value(mapping(each.get("value"))) for each in _list(listed)}


def _value(value: Mapping[str, Any]) -> Any:
    for kind, found in value.items():
        if kind == "intValue":
            return whole(found)
        if kind == "arrayValue":
            return [_value(each) for each in _list(mapping(found).get("values"))]
        if kind == "kvlistValue":
            return {
                word(each.get("key")): _value(mapping(each.get("value")))
                for each in _list(mapping(found).get("values"))
            }
        return found
    return None


def _recording(name: str, spans: list[Span]) -> Recording | None:
    writer, heard = Writer(), set[str]()
    for span in spans:
        if span.operation in CHAT:
            _chat(writer, span, heard)
        elif span.operation == "execute_tool":
            _tool(writer, span)
        elif span.parent:
            agent = word(span.said.get("gen_ai.agent.name"), "agent")
            writer.called(span.service, agent, "", kind="handoff", ts=_time(span.began))
    if not writer.steps:
        return None
    models = (word(span.said.get("gen_ai.request.model")) for span in spans)
    root = next((span for span in spans if not span.parent), None)
    failed = root is not None and root.failed
    return Recording(
        name,
        "otlp",
        f"otlp/{spans[0].service}",
        spans[0].service,
        name,
        tuple(writer.steps),
        Identity(next(filter(None, models), None), agent_system=spans[0].service),
        Afterwards(Outcome(False if failed else None)),
    )


def _chat(writer: Writer, span: Span, heard: set[str]) -> None:
    agent = word(span.said.get("gen_ai.agent.name"), "assistant")
    for message in _messages(span.said.get("gen_ai.input.messages")):
        text = _text(message)
        if message.get("role") == "user" and text and text not in heard:  # every span repeats what came before
            heard.add(text)
            writer.asked(text, ts=_time(span.began))
    used = {
        "tokens": whole(span.said.get("gen_ai.usage.output_tokens")),
        "prompt_tokens": whole(span.said.get("gen_ai.usage.input_tokens")),
        "ts": _time(span.ended),
    }
    for message in _messages(span.said.get("gen_ai.output.messages")):
        writer.said(agent, _text(message), **used)
        for part in _list(message.get("parts")):
            if part.get("type") == "tool_call":
                arguments = parsed(part.get("arguments"))
                writer.called(agent, word(part.get("name"), "unnamed"), arguments, word(part.get("id")), ts=used["ts"])


def _tool(writer: Writer, span: Span) -> None:
    tool, call_id = word(span.said.get("gen_ai.tool.name"), "unnamed"), word(span.said.get("gen_ai.tool.call.id"))
    if not writer.knows(call_id):
        agent = word(span.said.get("gen_ai.agent.name"), "assistant")
        call_id = call_id or f"span {len(writer.steps)}"
        writer.called(agent, tool, parsed(span.said.get("gen_ai.tool.call.arguments")), call_id, ts=_time(span.began))
    result = span.said.get("gen_ai.tool.call.result", "")
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    writer.returned(text or word(span.said.get("error.type")), error=span.failed, call_id=call_id, ts=_time(span.ended))


def _messages(value: Any) -> list[Mapping[str, Any]]:
    return _list(parsed(value) if isinstance(value, str) else value)


def _text(message: Mapping[str, Any]) -> str:
    parts = [part for part in _list(message.get("parts")) if part.get("type") == "text"]
    return text_of(parts) or text_of(message.get("content"))


def _time(nanoseconds: int) -> str | None:
    if not nanoseconds:
        return None
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
