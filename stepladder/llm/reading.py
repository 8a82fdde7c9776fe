"""Reading HTTP answers: what both wire formats share. Pure, and total: whatever the bytes are, a value comes out.

An adapter's `read` gets a `Call` and an `HttpAnswer` and returns a `ModelReply` or a `ModelError`. The order is fixed:
status, JSON, usage (so that it is kept whatever is wrong further on), error object, finish reason, content.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from stepladder.llm.errors import BadResponse, ModelError, RateLimited, Reason, Refused, Rejected, Unavailable
from stepladder.llm.provider import ModelReply, ModelRequest

NOT_NOW = frozenset({408, 409, 425})
"""4xx that say nothing about the request: the gateway gave up waiting, a lock was held, too early."""
PERHAPS_BILLED = frozenset({408, 504})
"""The gateway lost patience; the model may have gone on and written its answer."""
REASONS: Mapping[int, Reason] = {
    401: "auth",
    403: "auth",
    402: "quota",
    404: "not_found",
    410: "not_found",
    413: "too_large",
}

Named = Mapping[str, Reason | Literal["refused"]]
"""An error object's own words, where they say more than the status."""

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
    """What an error object says: its code words, its message, and how many seconds to wait if it names them."""

    words: tuple[str, ...] = ()
    message: str = ""
    retry_after_s: float | None = None

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

    def reply(self, text: str, model: object, usage: Usage, finish: str) -> ModelReply:
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
        page = "html" in answer.headers.get("content-type", "").lower()
        hint = "; is base_url right?" if page else f": {failure}"
        return call.fault(BadResponse, f"{what} are not JSON{hint}", retryable=not page, may_be_billed=not page)
    if not isinstance(document, dict):
        return call.fault(BadResponse, f"{what} are JSON but no object", may_be_billed=True)
    return document


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


def by_status(call: Call, answer: HttpAnswer, said: Said, named: Named) -> ModelError:
    """The error that an HTTP status other than 2xx stands for; in a 4xx the `named` words of `said` come first."""
    status = answer.status
    detail = _status_detail(answer, said)
    if 300 <= status < 400:
        return call.fault(Rejected, detail, status=status, reason="redirect")
    if 400 <= status < 500:
        reason = next((named[word] for word in said.words if word in named), None)
        if reason == "refused":
            return call.fault(Refused, detail, reason=said.words[0])
        if reason is not None:
            return call.fault(Rejected, detail, status=status, reason=reason)
    hints = [each for each in (said.retry_after_s, retry_after_s(answer.headers)) if each is not None]
    hint = max(hints, default=None)
    if status == 429:
        return call.fault(RateLimited, detail, retry_after_s=hint)
    if status >= 500 or status in NOT_NOW:
        billed = status in PERHAPS_BILLED
        return call.fault(Unavailable, detail, status=status, retry_after_s=hint, may_be_billed=billed)
    return call.fault(Rejected, detail, status=status, reason=REASONS.get(status, "bad_request"))


def _status_detail(answer: HttpAnswer, said: Said) -> str:
    if said.line:
        return f"HTTP {answer.status}: {said.line}"
    if 300 <= answer.status < 400:
        return f"HTTP {answer.status} leads to {_host(answer.headers.get('location', ''))}; redirects are not followed"
    what = answer.headers.get("content-type", "unnamed type")
    return f"HTTP {answer.status} without an error object ({len(answer.body)} bytes of {what})"


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or "another path"
    except ValueError:
        return "an unreadable address"


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


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that `retry-after-ms` or `retry-after` (seconds or a date) ask for; None when nothing readable is there.

    A date is compared with the server's own `date` header, so that neither clock has to be right.
    """
    for header, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        seconds = number(headers.get(header, ""))
        if seconds is not None:
            return seconds / divisor
    until, now = _moment(headers.get("retry-after", "")), _moment(headers.get("date", ""))
    if until is None:
        return None
    return max(0.0, until - (now if now is not None else time.time()))


def number(text: str) -> float | None:
    """A finite number >= 0 written in `text`, else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _moment(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except (TypeError, ValueError, OverflowError, OSError, IndexError):
        return None
