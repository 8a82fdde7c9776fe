"""OpenTelemetry spans of generative AI, as OTLP JSON (what the collector's file exporter writes, one document a line).

A run is a conversation (`gen_ai.conversation.id`), else a trace. Its spans are taken in the order in which they began;
`gen_ai.operation.name` says what each is:

    chat, generate_content, text_completion    what a model said and called
    execute_tool                               a call (where no model span has it) and its result
    invoke_agent, inside another span          a hand-over

What was said stands in attributes or events, in whichever form the instrumentation had (`otlp_messages`). A result that
no span of its own tells of is taken from the messages that the model was given next. A span whose status is an error
failed. Spans of other kinds are left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from stepladder.scenarios.importers.chat import parsed
from stepladder.scenarios.importers.documents import documents
from stepladder.scenarios.importers.gathered import gathered
from stepladder.scenarios.importers.otlp_messages import answered, heard
from stepladder.scenarios.importers.writer import Writer, mapping, whole, word
from stepladder.scenarios.recording import Afterwards, Identity, Outcome, Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem

CHAT: Final = frozenset({"chat", "generate_content", "text_completion"})
KNOWN: Final = CHAT | {"execute_tool", "invoke_agent"}
OLDER: Final = {
    "chat": "chat",
    "completion": "text_completion",
    "tool": "execute_tool",
    "agent": "invoke_agent",
}
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
    operation: str
    events: tuple[tuple[str, dict[str, Any]], ...] = ()

    def used(self, name: str, older: str) -> int | None:
        """How many tokens, by the name of today or the one before."""
        said = self.said.get(f"gen_ai.usage.{name}_tokens", self.said.get(f"gen_ai.usage.{older}_tokens"))
        return whole(said)


def read_otlp(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Recording]:
    """The runs in OTLP JSON.

    Spans of one run may stand anywhere, so all are read first, and kept on disk meanwhile: memory holds one run.

    Raises:
        InputError: a file cannot be opened, or there is no room on disk.
    """
    for name, kept in gathered(_named(files, told, on_bytes)):
        spans = [Span(*json.loads(each)) for each in kept]
        found = _recording(name, sorted(spans, key=lambda each: (each.began, -each.ended)))
        if found is not None:
            yield found


def _named(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[tuple[str, str]]:
    """The name of its run and the fields, as JSON, of every span."""
    for document in documents(files, told, on_bytes):
        spans = list(_spans(document.value))
        if not spans:
            told(document.problem("no span of generative AI", "OTLP JSON with resourceSpans"))
        for span in spans:
            try:
                fields = json.dumps(msgspec.structs.astuple(span))
            except RecursionError:
                told(document.problem("a span whose values are nested too deeply", "flat attributes"))
                continue
            yield word(span.said.get("gen_ai.conversation.id")) or span.trace, fields


def _spans(document: Any) -> Iterator[Span]:
    for resource in _list(mapping(document).get("resourceSpans")):
        service = word(_attributes(mapping(resource.get("resource")).get("attributes")).get("service.name"), "otlp")
        for scope in _list(resource.get("scopeSpans", resource.get("instrumentationLibrarySpans"))):
            for span in _list(scope.get("spans")):
                said = _attributes(span.get("attributes"))
                operation = _operation(said)
                if operation not in KNOWN:
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
                    operation,
                    tuple(_events(span.get("events"))),
                )


def _events(listed: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in _list(listed):
        yield word(each.get("name")), _attributes(each.get("attributes"))


def _operation(said: Mapping[str, Any]) -> str:
    """What a span did; older instrumentations say it in their own words, or by what they tell of."""
    named = word(said.get("gen_ai.operation.name"))
    if named:
        return named
    older = word(said.get("llm.request.type")) or word(said.get("traceloop.span.kind"))
    if older in OLDER:
        return OLDER[older]
    return "chat" if "gen_ai.request.model" in said and "gen_ai.system" in said else ""


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


class _Run:
    """One run while its spans come in: what was heard and which calls were answered is not told again."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.heard, self.returned = Counter[str](), set[str]()
        self.open: dict[str, list[str]] = {}

    def chat(self, span: Span) -> None:
        """What the model was given that is new, and what it said."""
        agent, writer, times = word(span.said.get("gen_ai.agent.name"), "assistant"), self.writer, Counter[str]()
        for message in heard(span.said, list(span.events)):
            if message.role == "user" and message.text:  # each span repeats the past
                times[message.text] += 1
                if times[message.text] > self.heard[message.text]:
                    self.heard[message.text] += 1
                    writer.asked(message.text, ts=_time(span.began))
            for call_id, text in message.results:
                if writer.knows(call_id) and call_id not in self.returned:
                    self.returned.add(call_id)
                    writer.returned(text, error=None, call_id=call_id, ts=_time(span.began))
        used: dict[str, Any] = {
            "tokens": span.used("output", "completion"),
            "prompt_tokens": span.used("input", "prompt"),
        }
        used["ts"] = _time(span.ended)
        for message in answered(span.said, list(span.events)):
            writer.said(agent, message.text, **used)
            for call in message.calls:
                call_id = call.id or f"call {len(writer.steps)}"
                self.open.setdefault(call.name, []).append(call_id)
                writer.called(agent, call.name, call.arguments, call_id, ts=used["ts"])

    def _unanswered(self, tool: str) -> str:
        """The oldest call of this tool that has no result yet."""
        return next((each for each in self.open.get(tool, ()) if each not in self.returned), "")

    def tool(self, span: Span) -> None:
        """A call, where no model span has it, and its result."""
        said, writer = span.said, self.writer
        tool = word(said.get("gen_ai.tool.name")) or word(said.get("traceloop.entity.name"), "unnamed")
        call_id = word(said.get("gen_ai.tool.call.id")) or self._unanswered(tool)
        if not writer.knows(call_id):
            agent = word(said.get("gen_ai.agent.name"), "assistant")
            call_id = call_id or f"span {len(writer.steps)}"
            arguments = parsed(said.get("gen_ai.tool.call.arguments", said.get("traceloop.entity.input")))
            writer.called(agent, tool, arguments, call_id, ts=_time(span.began))
        result = said.get("gen_ai.tool.call.result", said.get("traceloop.entity.output", ""))
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        if call_id not in self.returned:
            self.returned.add(call_id)
            told = text or word(said.get("error.type"))
            writer.returned(told, error=span.failed, call_id=call_id, ts=_time(span.ended))


def _recording(name: str, spans: list[Span]) -> Recording | None:
    run = _Run()
    for span in spans:
        if span.operation in CHAT:
            run.chat(span)
        elif span.operation == "execute_tool":
            run.tool(span)
        elif span.parent:
            agent = word(span.said.get("gen_ai.agent.name"), "agent")
            run.writer.called(span.service, agent, "", kind="handoff", ts=_time(span.began))
    if not run.writer.steps:
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
        tuple(run.writer.steps),
        Identity(next(filter(None, models), None), agent_system=spans[0].service),
        Afterwards(Outcome(False if failed else None)),
    )


def _time(nanoseconds: int) -> str | None:
    if not nanoseconds:
        return None
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
