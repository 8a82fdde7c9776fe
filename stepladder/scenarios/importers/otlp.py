"""OpenTelemetry spans and events of generative AI, as OTLP JSON (the collector's file exporter writes a document a
line).

A run is a conversation (`gen_ai.conversation.id`), else a trace. Its spans are taken in the order in which they began;
`gen_ai.operation.name` says what each is:

    chat, generate_content, text_completion    what a model said and called
    execute_tool                               a call (where no model span has it) and its result
    invoke_agent, inside another span          a hand-over; what it says counts where no model span says anything

What was said stands in attributes, in events of the span, or in events that are log records (`resourceLogs`), in
whichever form the instrumentation had (`otlp_messages`). Log records are joined with their span by trace and span id,
whichever file they are in; those without their span (`otlp_alone`) make up for it. A result that no span of its own
tells of is taken from the messages that the model was given next. A span whose status is an error failed. Spans and
records of other kinds are left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from stepladder.errors import Problem
from stepladder.scenarios.importers.documents import Document, documents, parsed
from stepladder.scenarios.importers.gathered import Part, gathered
from stepladder.scenarios.importers.otlp_alone import joined
from stepladder.scenarios.importers.otlp_messages import answered, heard
from stepladder.scenarios.importers.otlp_parts import CHAT, Event, Span, events, is_otlp, spans
from stepladder.scenarios.importers.writer import Writer, word
from stepladder.scenarios.recording import Afterwards, Identity, Outcome, Recording
from stepladder.scenarios.recording_files import OnBytes, OnProblem

TOOLS: Final = ("gen_ai.tool.name", "tool.name", "traceloop.entity.name")
ARGUMENTS: Final = (
    "gen_ai.tool.call.arguments",
    "tool_arguments",
    "gcp.vertex.agent.tool_call_args",
    "traceloop.entity.input",
    "input.value",
)
RESULTS: Final = (
    "gen_ai.tool.call.result",
    "tool_response",
    "gcp.vertex.agent.tool_response",
    "traceloop.entity.output",
    "output.value",
)
"""What a span of a tool calls its name, arguments and result: today, and with Pydantic AI, Google's ADK, OpenLLMetry
and OpenInference."""
AGENTS: Final = ("gen_ai.agent.name", "agent_name", "agent.name")
MODELS: Final = ("gen_ai.request.model", "gen_ai.response.model", "llm.model_name")
OUTPUT: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
INPUT: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")


def read_otlp(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Recording]:
    """The runs in OTLP JSON.

    Spans and events of one run may stand anywhere, so all are read first, and kept on disk meanwhile: memory holds one
    run.

    Raises:
        InputError: a file cannot be opened, or there is no room on disk.
    """
    files, silent = list(files), 0
    for name, kept in gathered(_parts(files, told, on_bytes)):
        found, apart = list[Span](), list[Event]()
        for kind, *fields in map(json.loads, kept):
            if kind == "span":
                found.append(Span(*fields))
            else:
                apart.append(Event(*fields))
        run = _recording(name, joined(found, apart))
        if run is not None:
            yield run
        else:
            silent += 1
    if silent:
        found_, expected = (
            f"no message in {silent} run{'s' * (silent > 1)}",
            "what was said, in attributes, events or logs",
        )
        told(Problem("", found_, expected, ", ".join(map(str, files)), level="warning", code="import"))


def _parts(files: Iterable[Path], told: OnProblem, on_bytes: OnBytes) -> Iterator[Part]:
    """Every span and event; files without any are told of, and documents that are no OTLP."""
    for file in files:
        empty = True
        for document in documents([file], told, on_bytes):
            if not is_otlp(document.value):
                empty = False
                told(document.problem("no OTLP", "OTLP JSON with resourceSpans or resourceLogs"))
            for part in _of_document(document, told):
                empty = False
                yield part
        if empty:
            found, expected = "nothing of generative AI", "spans or log records with gen_ai attributes or events"
            told(Problem("", found, expected, str(file), level="warning", code="import"))


def _of_document(document: Document, told: OnProblem) -> Iterator[Part]:
    times = Counter[str]()
    listed: list[Span | Event] = [*spans(document.value), *events(document.value)]
    for each in listed:
        try:
            text = json.dumps([type(each).__name__.lower(), *msgspec.structs.astuple(each)])
        except RecursionError:
            told(document.problem("a span whose values are nested too deeply", "flat attributes"))
            continue
        if isinstance(each, Span):
            yield Part(text, each.trace, each.id, each.run, "", each.ended)
        elif each.trace or each.run:
            times[text] += 1  # in one document they are several, in another one the same
            digest = blake2b(f"{times[text]} {text}".encode(), digest_size=16).hexdigest()
            yield Part(text, each.trace, each.span, each.run, digest)
        else:
            told(document.problem("an event of no trace", "a traceId, or gen_ai.conversation.id"))


class _Run:
    """One run while its spans come in: what was heard and which calls were answered is not told again."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.heard, self.returned = Counter[str](), set[str]()
        self.open: dict[str, list[str]] = {}

    def chat(self, span: Span) -> None:
        """What the model was given that is new, and what it said."""
        agent, writer, times = _first(span.said, AGENTS, "assistant"), self.writer, Counter[str]()
        for message in heard(span.said, span.events, span.logs):
            if message.role == "user" and message.text:  # each span repeats the past
                times[message.text] += 1
                if times[message.text] > self.heard[message.text]:
                    self.heard[message.text] += 1
                    writer.asked(message.text, ts=_time(span.began))
            for call_id, text, tool, failed in message.results:
                named = call_id or self._of_tool(tool, times)
                if writer.knows(named) and named not in self.returned:
                    self.returned.add(named)
                    writer.returned(text, error=failed, call_id=named, ts=_time(span.began))
        used: dict[str, Any] = {"tokens": span.used(*OUTPUT), "prompt_tokens": span.used(*INPUT)}
        used["ts"] = _time(span.ended)
        for message in answered(span.said, span.events, span.logs):
            writer.said(agent, message.text, **used)
            for call in message.calls:
                call_id = call.id or f"call {len(writer.steps)}"
                self.open.setdefault(call.name, []).append(call_id)
                writer.called(agent, call.name, call.arguments, call_id, ts=used["ts"])

    def _of_tool(self, tool: str, times: Counter[str]) -> str:
        """The call that a result without an id answers: they are told in the order of the calls, all of them each
        time."""
        key = f"the results of {tool}"
        times[key] += 1
        calls = self.open.get(tool, [])
        return calls[times[key] - 1] if times[key] <= len(calls) else ""

    def _unanswered(self, tool: str) -> str:
        """The oldest call of this tool that has no result yet."""
        return next((each for each in self.open.get(tool, ()) if each not in self.returned), "")

    def tool(self, span: Span) -> None:
        """A call, where no model span has it, and its result."""
        said, writer = span.said, self.writer
        tool = _first(said, TOOLS, "unnamed")
        call_id = word(said.get("gen_ai.tool.call.id")) or word(said.get("tool_call.id")) or self._unanswered(tool)
        if not writer.knows(call_id):
            call_id = call_id or f"span {len(writer.steps)}"
            writer.called(_first(said, AGENTS, "assistant"), tool, _arguments(span), call_id, ts=_time(span.began))
        if call_id not in self.returned:
            self.returned.add(call_id)
            told = _result(span) or word(said.get("error.type"))
            writer.returned(told, error=span.failed, call_id=call_id, ts=_time(span.ended))


def _arguments(span: Span) -> Any:
    """What a tool was called with; some say it as a message that the span was given."""
    given = next((span.said[name] for name in ARGUMENTS if name in span.said), None)
    if given is None:
        for message in heard(span.said, span.events, span.logs):
            found = [call.arguments for call in message.calls] + [parsed(result.text) for result in message.results]
            given = next(iter(found), None)
    return parsed(given)


def _result(span: Span) -> str:
    """What a tool returned; some say it as what the span answered."""
    given = next((span.said[name] for name in RESULTS if name in span.said), None)
    if given is None:
        found = answered(span.said, span.events, span.logs)
        return next((text for each in found for text in (*(result.text for result in each.results), each.text)), "")
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _first(said: Mapping[str, Any], names: Iterable[str], otherwise: str = "") -> str:
    return next(filter(None, (word(said.get(name)) for name in names)), otherwise)


def _recording(name: str, spans: list[Span]) -> Recording | None:
    run = _Run()
    models = any(span.operation in CHAT and _speaks(span) for span in spans)
    for span in spans:
        if span.operation in CHAT:
            run.chat(span)
        elif span.operation == "execute_tool":
            run.tool(span)
        else:
            if span.parent:
                agent = _first(span.said, AGENTS, "agent")
                run.writer.called(span.service, agent, "", kind="handoff", ts=_time(span.began))
            if not models:
                run.chat(span)
    if not run.writer.steps:
        return None
    model = next(filter(None, (_first(span.said, MODELS) for span in spans)), None)
    root = next((span for span in spans if not span.parent and span.id), None)
    failed = root is not None and root.failed
    service = spans[0].service
    return Recording(
        name,
        "otlp",
        f"otlp/{service}",
        service,
        name,
        tuple(run.writer.steps),
        Identity(model, agent_system=service),
        Afterwards(Outcome(False if failed else None)),
    )


def _speaks(span: Span) -> bool:
    return bool(answered(span.said, span.events, span.logs) or heard(span.said, span.events, span.logs))


def _time(nanoseconds: int) -> str | None:
    if not nanoseconds:
        return None
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
