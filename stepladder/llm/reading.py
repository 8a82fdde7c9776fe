"""Reading HTTP answers: what both wire formats share. Pure, and total: whatever the bytes are, a value comes out.

An adapter's `read` gets a `Call` and an `HttpAnswer` and returns a `ModelReply` or a `ModelError`. The order is fixed:
status, JSON, usage (so that it is kept whatever is wrong further on), error object, finish reason, content. What a
status and an error object mean is in `statuses`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from stepladder.llm.errors import BadResponse, ModelError, Refused
from stepladder.llm.provider import ModelReply, ModelRequest

_DETAIL_CHARS = 240
_MOST_TOKENS = 10**9
_TAG = re.compile(r"<[^<>]{0,400}>")
_KEY_LIKE = re.compile(r"(?:sk-|AIza|ya29\.|Bearer\s+)[^\s\"',;)]{6,}")

Error = TypeVar("Error", bound=ModelError)


class HttpAnswer(msgspec.Struct, frozen=True):
    """A complete HTTP answer: status, headers by lower-case name, decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call; None where the server did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0

    @property
    def known(self) -> bool:
        """Both counts are there, so the call can be priced."""
        return self.input_tokens is not None and self.output_tokens is not None


class Said(msgspec.Struct, frozen=True):
    """What an error object says: its code words, its message, how many seconds to wait if it names them, and the names
    of the limits that were reached."""

    words: tuple[str, ...] = ()
    message: str = ""
    retry_after_s: float | None = None
    limits: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """Words and message in one line."""
        return ": ".join(each for each in (" ".join(dict.fromkeys(self.words)), self.message) if each)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call while its answer is being read; makes replies and errors that carry what is known of it."""

    provider: str
    request: ModelRequest
    price: Callable[[str, int, int, int], float | None]
    """(model, input, output, cached tokens) -> US dollars."""
    latency_s: float = 0.0
    request_id: str = ""
    secrets: tuple[str, ...] = ()
    """What must not appear in any message."""
    repaired: tuple[str, ...] = ()
    """What was odd about the HTTP answer and does not matter."""

    def reply(self, text: str, model: object, usage: Usage, finish: str, repaired: tuple[str, ...] = ()) -> ModelReply:
        """The answer; a `model` that is no word is replaced by the one asked for."""
        served = model if isinstance(model, str) and model else self.request.model
        return ModelReply(
            text=text,
            model=served,
            input_tokens=usage.input_tokens or 0 if usage.known else 0,
            output_tokens=usage.output_tokens or 0 if usage.known else 0,
            cost_usd=self._cost(served, usage),
            latency_s=self.latency_s,
            finish=finish,
            provider=self.provider,
            request_id=self.request_id,
            usage_known=usage.known,
            repaired=(*self.repaired, *repaired),
        )

    def fault(self, kind: type[Error], detail: str, usage: Usage | None = None, **fields: Any) -> Error:
        """An error of `kind` with a cleaned detail and, where known, what the call used and cost."""
        if usage is not None:
            cost = self._cost(self.request.model, usage)
            fields.setdefault("may_be_billed", not usage.known)
            fields |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens, "cost_usd": cost}
        fields.setdefault("request_id", self.request_id)
        return kind(self.provider, self.request.model, clean(detail, self.secrets), **fields)

    def _cost(self, model: str, usage: Usage) -> float | None:
        read, written = usage.input_tokens, usage.output_tokens
        if read is None or written is None:
            return None
        cost = self.price(model, read, written, usage.cached_tokens)
        if cost is None and model != self.request.model:
            return self.price(self.request.model, read, written, usage.cached_tokens)
        return cost


Read = Callable[[Call, HttpAnswer], ModelReply | ModelError]


def clean(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` as one short line without secrets, markup and unprintable characters."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "***")
    text = _KEY_LIKE.sub("***", _TAG.sub(" ", text[:4000]))
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _DETAIL_CHARS else f"{line[: _DETAIL_CHARS - 3]}..."


def decode(call: Call, answer: HttpAnswer) -> dict[str, Any] | BadResponse:
    """The body as a JSON object, strictly: valid UTF-8, no NaN, no lone surrogate, nothing after its end."""
    what = f"{len(answer.body)} bytes of {answer.headers.get('content-type', 'unnamed type')}"
    if not answer.body.strip():
        return call.fault(BadResponse, f"HTTP {answer.status} with an empty body", may_be_billed=True)
    try:
        document = msgspec.json.decode(answer.body)
    except (ValueError, RecursionError) as failure:  # msgspec's errors and UnicodeDecodeError are ValueErrors
        page = is_page(answer)
        hint = "; is base_url right?" if page else f": {failure}"
        sign = "page" if page else ""
        detail = f"{what} are not JSON{hint}"
        return call.fault(BadResponse, detail, retryable=not page, may_be_billed=not page, sign=sign)
    if not isinstance(document, dict):
        return call.fault(BadResponse, f"{what} are JSON but no object", may_be_billed=True)
    return document


def is_page(answer: HttpAnswer) -> bool:
    """Whether the body is a page for people."""
    start = answer.body[:200].lstrip().lower()
    return "html" in answer.headers.get("content-type", "").lower() or start.startswith((b"<!doctype html", b"<html"))


def oddities(answer: HttpAnswer) -> tuple[str, ...]:
    """What is odd about the head of a good answer: JSON that is called something else."""
    named = answer.headers.get("content-type", "application/json").lower()
    return () if "json" in named or "event-stream" in named else ("content_type",)


class ToolCall(NamedTuple):
    """A call of a function in an answer: its name, and its arguments as JSON text."""

    name: str
    arguments: str


def answered(
    call: Call, text: str, calls: Sequence[ToolCall], model: object, usage: Usage, finish: str
) -> ModelReply | ModelError:
    """What a finished answer comes to: its text, or the one call of the function that the answer is named after."""
    if calls:
        if {each.name for each in calls} != {call.request.name} or len({_told(each.arguments) for each in calls}) > 1:
            names = ", ".join(sorted({clean(each.name)[:40] for each in calls}))
            return no_answer(call, f"{len(calls)} calls ({names}) where one answer was asked for", usage)
        if not calls[0].arguments.strip():
            return no_answer(call, "a call without arguments", usage)
        repaired = ("tool_call",) if len(calls) == 1 else ("tool_call", "same_calls")
        return call.reply(calls[0].arguments, model, usage, finish, repaired)
    if not text:
        return no_answer(call, "finished with no text", usage)
    if declines(text):
        return call.fault(Refused, text, usage, reason="refusal")
    return call.reply(text, model, usage, finish)


def no_answer(call: Call, detail: str, usage: Usage) -> BadResponse:
    """The error for a complete exchange that holds no answer: it may be asked for once more."""
    return call.fault(BadResponse, detail, usage, sign="no_answer")


def _told(arguments: str) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments), order="deterministic")
    except (ValueError, RecursionError):
        return arguments.encode(errors="replace")


_DECLINES: Final = re.compile(
    r"\W*(?:(?:i am|i'm|we are|we're)? ?(?:very |really |so )?sorry\b|i (?:apologi[sz]e|regret)|unfortunately\b)?"
    r"\W*(?:but )?\W*(?:i|we) ?(?:can't|cannot|can not|won't|will not|(?:am|are|'m|'re) (?:unable|not able) to"
    r"|(?:must|have to) decline)\b.{0,60}?"
    r"(?:help|assist|comply|do that|do this|provide|answer|continue|fulfil|engage|discuss|support|request|decline)",
    re.IGNORECASE | re.DOTALL,
)


def declines(text: str) -> bool:
    """Whether a text that holds no object says no more than that its writer will not do it."""
    return len(text) < 600 and "{" not in text and _DECLINES.match(text.replace("\u2019", "'")) is not None


def count(value: object) -> int | None:
    """A number of tokens: an int, a whole float or digits in a string; None for everything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
        return value
    return None


def tokens(read: object, written: object, total: object, cached: object) -> Usage:
    """Usage from four counts. What `total` has more than the others is thinking, and billed as written."""
    input_tokens, output_tokens, both = count(read), count(written), count(total)
    if input_tokens is not None and both is not None:
        output_tokens = max(output_tokens or 0, both - input_tokens)
    return Usage(input_tokens, output_tokens, min(count(cached) or 0, input_tokens or 0))


def error_document(answer: HttpAnswer) -> dict[str, Any]:
    """The error object of a body, or an empty one. Gemini at times wraps it in a list of one."""
    try:
        document = msgspec.json.decode(answer.body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    error = document.get("error", document) if isinstance(document, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def text_of(value: object) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def words_of(*values: object) -> tuple[str, ...]:
    """Those of `values` that are words, or numbers standing for one (gateways put a status there)."""
    plain = (value for value in values if isinstance(value, str | int) and not isinstance(value, bool))
    return tuple(str(value) for value in plain if value != "")
