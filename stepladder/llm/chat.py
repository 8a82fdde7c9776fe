"""Reading chat completions: pure, and total over all statuses and bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stepladder.llm.body import Keys, error_in
from stepladder.llm.document import Format, document_of
from stepladder.llm.errors import BadResponse, ModelError, Refused, Truncated
from stepladder.llm.provider import ModelReply
from stepladder.llm.reading import (
    MESSAGE,
    Call,
    HttpAnswer,
    Said,
    ToolCall,
    Usage,
    agreed,
    answered,
    no_answer,
    text_of,
    tokens,
    words_of,
)
from stepladder.llm.statuses import inside, words_in
from stepladder.llm.stream import chat_of


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    error: Any = None
    native_finish_reason: Any = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None


def said_in(error: Mapping[str, Any]) -> Said:
    """What an error object of OpenAI's form says."""
    return Said(words_of(*words_in(error, "code", "type")), text_of(error.get("message"))[:MESSAGE])


FORMAT: Final = Format(
    keys=Keys((b'"choices"', b'"message"', b'"content"', b'"finish_reason"', b'"arguments"', b'"error"')),
    said=said_in,
    folded=chat_of,
    end="finish reason",
)


def read(call: Call, answer: HttpAnswer) -> ModelReply | ModelError:
    """What a chat completion says."""
    found = document_of(call, answer, FORMAT)
    if isinstance(found, ModelError):
        return found
    call, document, streamed = found
    usage = usage_in(document)
    if (error := error_in(document, "choices")) is not None:
        return inside(call, said_in(error), usage, streamed=streamed)
    try:
        choices = msgspec.convert(document, _Completion).choices
    except msgspec.ValidationError as failure:
        return no_answer(call, f"no chat completion: {failure}", usage)
    if not choices:
        return no_answer(call, "a chat completion without choices", usage)
    return agreed(call, [_choice(call, each, document, usage) for each in choices], usage)


def _choice(call: Call, choice: _Choice, document: Mapping[str, Any], usage: Usage) -> ModelReply | ModelError:
    message = choice.message or _Message()
    calls = [ToolCall(each.function.name, each.function.arguments or "") for each in message.tool_calls or ()]
    match choice.finish_reason:
        case "length":
            return call.fault(Truncated, f"stopped at {call.request.max_output_tokens} tokens", usage)
        case "content_filter":
            return call.fault(Refused, "the content filter stopped the answer", usage, reason="content_filter")
        case "stop" | "tool_calls" | "function_call" if message.refusal:
            return call.fault(Refused, message.refusal, usage, reason="refusal")
        case "tool_calls" | "function_call" if not calls:
            return no_answer(call, "calls were announced and there is none", usage)
        case ("stop" | "tool_calls" | "function_call") as finish:
            return answered(call, message.content or "", calls, document.get("model"), usage, finish)
        case "error":
            return _broke_off(call, choice, document, usage)
        case other:
            return no_answer(call, f"finish reason {other!r} where stop was expected", usage)


def _broke_off(call: Call, choice: _Choice, document: Mapping[str, Any], usage: Usage) -> ModelError:
    """Gateways say `error` for whatever stopped a model; what it was may stand beside it."""
    if isinstance(choice.error, dict):
        return inside(call, said_in(choice.error), usage, streamed=True)
    native = text_of(choice.native_finish_reason) or text_of(document.get("native_finish_reason"))
    if malformed(native):
        return no_answer(call, f"finished with {native}", usage)
    return call.fault(BadResponse, "the model broke off with an error", usage, sign="model")


def malformed(words: str) -> bool:
    """Whether these words say that the model wrote a call that cannot be read."""
    plain = words.replace("_", " ").lower()
    return "malformed" in plain and "call" in plain


def usage_in(document: Mapping[str, Any], read: str = "prompt_tokens", written: str = "completion_tokens") -> Usage:
    """What OpenAI's forms say that it took, with their names for what was read and written."""
    usage = document.get("usage")
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get(f"{read}_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return tokens(usage.get(read), usage.get(written), usage.get("total_tokens"), cached)
