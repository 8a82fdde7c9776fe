"""Reading the Responses API: pure, and total over all statuses and bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stepladder.llm.body import Keys, error_in
from stepladder.llm.chat import malformed, said_in, usage_in
from stepladder.llm.document import Format, document_of
from stepladder.llm.errors import BadResponse, ModelError, Refused, Truncated
from stepladder.llm.provider import ModelReply
from stepladder.llm.reading import Call, HttpAnswer, Said, ToolCall, Usage, answered, no_answer
from stepladder.llm.statuses import inside
from stepladder.llm.stream import response_of


class _Content(msgspec.Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    type: str = ""
    content: list[_Content] | None = None
    name: str = ""
    arguments: str | None = None


class _Output(msgspec.Struct):
    output: list[_Item] | None = None


FORMAT: Final = Format(
    keys=Keys((b'"output"', b'"content"', b'"text"', b'"arguments"', b'"error"')),
    said=said_in,
    folded=response_of,
    end="last event",
)


def read(call: Call, answer: HttpAnswer) -> ModelReply | ModelError:
    """What a response says."""
    found = document_of(call, answer, FORMAT)
    if isinstance(found, ModelError):
        return found
    call, document, _ = found
    usage = usage_in(document, "input_tokens", "output_tokens")
    if (error := error_in(document, "output")) is not None:
        return _failed(call, document, said_in(error), usage)
    match document.get("status"):
        case "completed":
            return _completed(call, document, usage)
        case "incomplete":
            return _incomplete(call, document, usage)
        case "failed" | "cancelled" | "queued" | "in_progress" as status:
            return call.fault(BadResponse, f"status {status!r} where completed was expected", usage, sign="model")
        case None if "output" not in document:
            return no_answer(call, "no response", usage)
        case status:
            return no_answer(call, f"status {status!r} where completed was expected", usage)


def _failed(call: Call, document: Mapping[str, Any], said: Said, usage: Usage) -> ModelError:
    """A response that failed on its way was begun, and may be billed; an error that is no response was not."""
    if malformed(said.message):
        return no_answer(call, said.line, usage)
    return inside(call, said, usage, streamed=document.get("status") is not None)


def _incomplete(call: Call, document: Mapping[str, Any], usage: Usage) -> ModelError:
    details = document.get("incomplete_details")
    match details.get("reason") if isinstance(details, dict) else None:
        case "max_output_tokens":
            return call.fault(Truncated, f"stopped at {call.request.max_output_tokens} tokens", usage)
        case "content_filter":
            return call.fault(Refused, "the content filter stopped the answer", usage, reason="content_filter")
        case why:
            return no_answer(call, f"incomplete: {why!r}", usage)


def _completed(call: Call, document: Mapping[str, Any], usage: Usage) -> ModelReply | ModelError:
    try:
        items = msgspec.convert(document, _Output).output or []
    except msgspec.ValidationError as failure:
        return no_answer(call, f"no response: {failure}", usage)
    contents = [each for item in items if item.type == "message" for each in item.content or ()]
    if refused := "".join(each.refusal or "" for each in contents if each.type == "refusal"):
        return call.fault(Refused, refused, usage, reason="refusal")
    text = "".join(each.text or "" for each in contents if each.type == "output_text")
    calls = [ToolCall(item.name, item.arguments or "") for item in items if item.type == "function_call"]
    return answered(call, text, calls, document.get("model"), usage, "completed")
