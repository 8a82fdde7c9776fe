"""From an HTTP status and an error object to one of our errors: the tables that all wires share.

Three things are read, the more telling first: the words of the error object (code, type, status, reason), its message,
and the status. The same tables serve an error that comes inside a 200 or as an event of a stream.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from stepladder.llm.body import is_foreign, is_page
from stepladder.llm.errors import BadResponse, ModelError, RateLimited, Reason, Refused, Rejected, Unavailable
from stepladder.llm.reading import Call, HttpAnswer, Said, Usage
from stepladder.llm.waits import retry_after_s, spoken_s

NOT_NOW: Final = frozenset({408, 409, 423, 425, 498, 499})
"""4xx that say nothing about the request: the gateway gave up waiting, a lock was held, too early, no capacity is left
(Groq's flex tier: https://console.groq.com/docs/flex-processing), somebody else cancelled it."""
NEVER: Final = frozenset({501, 505, 506, 508, 510})
"""5xx that say something about the request, and nothing about the server's health (RFC 9110, 2295, 5842, 2774)."""
PORTAL: Final = 511
"""Said by a network that wants somebody to log in, never by the server that was meant (RFC 6585)."""
PERHAPS_BILLED: Final = frozenset({408, 499, 504, 524})
"""Somebody lost patience; the model may have gone on and written its answer."""
GATEWAY: Final = frozenset({502, *range(520, 528), 530})
"""Said by what stands before the models."""
REASONS: Final[Mapping[int, Reason]] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    405: "no_endpoint",
    407: "auth",
    410: "not_found",
    413: "too_large",
    451: "auth",
}

FORBIDDING: Final = frozenset({403, 407, 451})
"""What firewalls and proxies say in words of their own; then nothing is known of the key."""

Word = Reason | Literal["refused"]
Named = Mapping[str, Word]
NAMED: Final[Named] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "billing_error": "quota",
    "insufficient_credits": "quota",
    "account_deactivated": "auth",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "permission_denied": "auth",
    "invalid_organization": "auth",
    "unsupported_country_region_territory": "auth",
    "API_KEY_INVALID": "auth",
    "API_KEY_EXPIRED": "auth",
    "API_KEY_SERVICE_BLOCKED": "auth",
    "SERVICE_DISABLED": "auth",
    "CONSUMER_SUSPENDED": "auth",
    "BILLING_DISABLED": "quota",
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "auth",
    "daily_quota": "daily_quota",
    "dailyLimitExceeded": "daily_quota",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "model_decommissioned": "not_found",
    "model_deprecated": "not_found",
    "DeploymentNotFound": "not_found",
    "context_length_exceeded": "too_large",
    "string_above_max_length": "too_large",
    "request_too_large": "too_large",
    "content_filter": "refused",
    "content_policy_violation": "refused",
    "ResponsibleAIPolicyViolation": "refused",
}
"""Words of an error object that say more than its status."""

_SPOKEN_OF: Final[tuple[tuple[str, Word], ...]] = (
    (r"content management policy|content policy|safety (?:system|policy)|responsible ai", "refused"),
    (
        r"api[ _-]?key (?:not valid|is invalid|expired|not found)"
        r"|(?:invalid|incorrect|missing) (?:x-)?api[ _-]?(?:key|token)",
        "auth",
    ),
    (r"(?:country|region|territory|location)\b.{0,40}\bnot supported", "auth"),
    (r"credit balance|insufficient (?:funds|credits|balance)|out of credits", "quota"),
    (
        r"maximum context length|context (?:window|length) exceeded|(?:prompt|input) is too long|request too large"
        r"|too many (?:input |prompt )?tokens|token count .{0,40}exceeds"
        r"|exceeds? .{0,60}(?:context|number of tokens)"
        r"|request exceeds .{0,40}(?:quota|limit)",
        "too_large",
    ),
    (r"model .{0,120}(?:does not exist|not found|decommissioned|been (?:retired|deprecated))", "not_found"),
)
"""Where the words say nothing, the message may."""
_NOWHERE: Final = re.compile(
    r"(?:invalid|unknown|unrecogni[sz]ed) (?:request )?(?:url|route|path|endpoint)|cannot post /"
    r"|(?:url|route|path|endpoint) .{0,120}(?:not found|does not exist)",
    re.IGNORECASE,
)
"""What a server says that has no such address, where others say that they have no such model."""
_DAILY: Final = re.compile(r"\b(?:per|a) day\b|\bdaily\b|\((?:RPD|TPD)\)", re.IGNORECASE)
_MESSAGES: Final[tuple[tuple[re.Pattern[str], Word], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), reason) for pattern, reason in _SPOKEN_OF
)
_MONEY: Final = re.compile(r"plan and billing", re.IGNORECASE)

MEANT: Final[Mapping[str, int]] = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "too_many_requests": 429,
    "RESOURCE_EXHAUSTED": 429,
    "RATE_LIMIT_EXCEEDED": 429,
    "rateLimitExceeded": 429,
    "userRateLimitExceeded": 429,
    "CANCELLED": 499,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "OUT_OF_RANGE": 400,
    "ALREADY_EXISTS": 409,
    "capacity_exceeded": 503,
    "overloaded": 503,
    "slow_down": 503,
    "server_error": 500,
    "api_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "overloaded_error": 529,
    "server_is_overloaded": 503,
    "service_unavailable": 503,
    "UNAVAILABLE": 503,
    "timeout": 504,
    "timeout_error": 504,
    "DEADLINE_EXCEEDED": 504,
    "ABORTED": 409,
    "invalid_request_error": 400,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
}
"""The status that a word stands for, where an error comes without one."""


def by_status(call: Call, answer: HttpAnswer, said: Said) -> ModelError:
    """The error that an HTTP status other than 2xx stands for."""
    status = answer.status
    detail = _detail(answer, said)
    if 300 <= status < 400:
        return call.fault(Rejected, detail, status=status, reason="redirect")
    if status == PORTAL:
        return call.fault(BadResponse, detail, retryable=False, sign="page")
    found = _by_number(call, _plainer(status, said), said, detail, retry_after_s(answer.headers))
    page, told = is_page(answer), answer.headers.get("x-should-retry", "").strip().lower()
    if told == "true" and isinstance(found, Rejected) and found.reason == "bad_request":
        found = call.fault(Unavailable, detail)
    if isinstance(found, Unavailable):
        found.status, found.sign = status, "gateway" if page or status in GATEWAY else ""
    elif isinstance(found, Rejected):
        found.reason = _said_by_whom(answer, said, found.reason)
    if told == "false" and isinstance(found, Unavailable | RateLimited):
        found.sign, found.retryable = "final", False
    return found


def _said_by_whom(answer: HttpAnswer, said: Said, reason: Reason) -> Reason:
    """The reason; another one where it was no server of models that spoke, or one without this address."""
    if answer.status in FORBIDDING and is_foreign(answer):
        return "blocked"
    nowhere = answer.status == 404 and (is_page(answer) or not said.line or _NOWHERE.search(said.message))
    return "no_endpoint" if nowhere else reason


def _plainer(status: int, said: Said) -> int:
    """Some say by a word that they are overrun or full, and by a status no more than no."""
    meant = next((MEANT[word] for word in said.words if word in MEANT), status)
    return meant if status in (400, 403) and meant in (429, 503, 529) else status


def inside(call: Call, said: Said, usage: Usage | None = None, *, streamed: bool = False) -> ModelError:
    """The error that came inside a 200: as its body, or as an event of a stream that had begun."""
    status = next((code for word in said.words if (code := _number_of(word)) is not None), None)
    words = f"an error in a {'stream' if streamed else '200'}: {said.line}"
    if status is None:
        sign = "model" if streamed else ""
        found: ModelError = call.fault(BadResponse, words, usage, sign=sign)
    else:
        found = _by_number(call, status, said, words, None, usage)
        if isinstance(found, Unavailable):
            found.sign = "" if streamed else "gateway"
    if usage is None or not usage.known:
        found.may_be_billed = streamed
    return found


def _number_of(word: str) -> int | None:
    if len(word) == 3 and word.isascii() and word.isdigit() and 400 <= int(word) < 600:
        return int(word)
    if word in NAMED:
        return 400
    return MEANT.get(word)


def _by_number(
    call: Call, status: int, said: Said, detail: str, header_s: float | None, usage: Usage | None = None
) -> ModelError:
    hints = [each for each in (said.retry_after_s, header_s) if each is not None]
    hint = max(hints) if hints else spoken_s(said.message)
    if status >= 400:
        reason = _reason(status, said, hint)
        if reason == "refused":
            word = next((word for word in said.words if NAMED.get(word) == "refused"), "filter")
            billed = {} if usage is not None and usage.known else {"may_be_billed": True}
            return call.fault(Refused, detail, usage, reason=word, **billed)
        if reason is not None:
            return call.fault(Rejected, detail, usage, status=status, reason=reason)
    if status == 429:
        return call.fault(RateLimited, detail, usage, retry_after_s=hint)
    if (status >= 500 and status not in NEVER) or status in NOT_NOW:
        billed = {} if usage is not None and usage.known else {"may_be_billed": status in PERHAPS_BILLED}
        return call.fault(Unavailable, detail, usage, status=status, retry_after_s=hint, **billed)
    return call.fault(Rejected, detail, usage, status=status, reason=REASONS.get(status, "bad_request"))


def _reason(status: int, said: Said, hint: float | None) -> Word | None:
    for word in said.words:
        if word in NAMED:
            return NAMED[word]
    if status in NOT_NOW or status >= 500:
        return None
    if status == 429 and hint is None and said.limits == () and _MONEY.search(said.message):
        return "quota"
    if status == 429 and hint is None and _DAILY.search(said.message):
        return "daily_quota"
    for pattern, reason in _MESSAGES:
        if pattern.search(said.message):
            return reason
    return None


def _detail(answer: HttpAnswer, said: Said) -> str:
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


def words_in(error: Mapping[str, Any], *names: str) -> tuple[object, ...]:
    """These fields of an error object, and those of the error inside it that gateways and Azure add."""
    inner = error.get("innererror")
    extra = (inner.get("code"),) if isinstance(inner, dict) else ()
    return (*(error.get(name) for name in names), *extra)
