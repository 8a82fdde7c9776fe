"""Reading what Gemini generated (generateContent): pure, and total over all statuses and bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stepladder.llm.body import Keys, error_in
from stepladder.llm.document import Format, document_of
from stepladder.llm.errors import ModelError, Refused, Truncated
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
    clean,
    count,
    no_answer,
    struck,
    text_of,
    tokens,
    words_of,
)
from stepladder.llm.statuses import inside
from stepladder.llm.stream import generated_of
from stepladder.llm.waits import number

TRUNCATED: Final = frozenset({"MAX_TOKENS", "CONTINUATION"})
UNQUOTABLE: Final = frozenset({"RECITATION", "LANGUAGE", "IMAGE_RECITATION"})
"""This model will not say it; another may."""
REFUSED: Final = frozenset(
    {
        "SAFETY",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "MODEL_ARMOR",
    }
)


class _Function(msgspec.Struct, rename="camel"):
    name: str = ""
    args: dict[str, Any] | None = None
    will_continue: bool | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _Function | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Generated(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None


def _said(error: Mapping[str, Any]) -> Said:
    details = error.get("details")
    entries = [entry for entry in details if isinstance(entry, dict)] if isinstance(details, list) else []
    words = words_of(*(entry.get("reason") for entry in entries), error.get("status"), error.get("code"))
    limits = tuple(text_of(each) for entry in entries for each in _quota_ids(entry))
    if any("PerDay" in each for each in limits):
        words = ("daily_quota", *words)
    delays = [number(text_of(entry.get("retryDelay")).removesuffix("s")) for entry in entries]
    hint = max((each for each in delays if each is not None), default=None)
    return Said(words, text_of(error.get("message"))[:MESSAGE], hint, limits)


def _quota_ids(entry: Mapping[str, Any]) -> list[object]:
    violations = entry.get("violations")
    return (
        [each.get("quotaId") for each in violations if isinstance(each, dict)] if isinstance(violations, list) else []
    )


FORMAT: Final = Format(
    keys=Keys(
        once=(b'"candidates"', b'"parts"', b'"text"', b'"finishReason"', b'"error"'),
        whole=(b'"functionCall"',),  # its arguments come decoded: what occurs twice in them is not seen later
    ),
    said=_said,
    folded=generated_of,
    end="finish reason",
)


def read(call: Call, answer: HttpAnswer) -> ModelReply | ModelError:
    """What an answer of generateContent says."""
    found = document_of(call, answer, FORMAT)
    if isinstance(found, ModelError):
        return found
    call, document, streamed = found
    request_id = struck(text_of(document.get("responseId"))[:200], call.secrets)
    call = msgspec.structs.replace(call, request_id=request_id)
    usage = _usage(document.get("usageMetadata"))
    if (error := error_in(document, "candidates", "promptFeedback")) is not None:
        return inside(call, _said(error), usage, streamed=streamed)
    try:
        generated = msgspec.convert(document, _Generated)
    except msgspec.ValidationError as failure:
        return no_answer(call, f"no generated content: {failure}", usage)
    blocked = generated.prompt_feedback and generated.prompt_feedback.block_reason
    if blocked:
        return call.fault(Refused, f"the prompt was blocked: {blocked}", usage, reason=clean(blocked, call.secrets))
    if not generated.candidates:
        return no_answer(call, "an answer without candidates", usage)
    model = document.get("modelVersion")
    return agreed(call, [_candidate(call, each, model, usage) for each in generated.candidates], usage)


def _candidate(call: Call, candidate: _Candidate, model: object, usage: Usage) -> ModelReply | ModelError:
    finish = candidate.finish_reason
    if finish in TRUNCATED:
        return call.fault(Truncated, f"{finish} at {call.request.max_output_tokens} tokens", usage)
    if finish in REFUSED or finish in UNQUOTABLE:
        sign = "unquotable" if finish in UNQUOTABLE else ""
        return call.fault(Refused, f"finished with {finish}", usage, reason=finish, sign=sign)
    if finish != "STOP":
        return no_answer(call, f"finish reason {finish!r} where STOP was expected", usage)
    parts = [each for each in (candidate.content and candidate.content.parts) or () if not each.thought]
    calls = [each.function_call for each in parts if each.function_call is not None]
    if any(each.will_continue for each in calls):
        return no_answer(call, "a call whose rest is missing", usage)
    text = "".join(part.text or "" for part in parts)
    return answered(call, text, [_called(each) for each in calls], model, usage, finish)


def _called(function: _Function) -> ToolCall:
    return ToolCall(function.name, "" if function.args is None else msgspec.json.encode(function.args).decode())


def _usage(usage: object) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    counts = [count(usage.get(name)) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    known = [each for each in counts if each is not None]
    written = sum(known) if known else None
    return tokens(
        usage.get("promptTokenCount"), written, usage.get("totalTokenCount"), usage.get("cachedContentTokenCount")
    )
