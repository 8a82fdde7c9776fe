"""Faults of the same families as the catalogue's, and none of them in it: what a server does, and what is right then.

Written as values, by wire: `VARIANTS[name]` says what the server does on each wire (`server_acts`) and what has to
follow. Sources of what is right: RFC 9110 (statuses, Retry-After, redirects), RFC 8259 (JSON), RFC 6585 (429, 511), the
error pages of OpenAI, Gemini, Groq and Cloudflare, and the catalogue's own reactions to the nearest fault.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tests.llm import loopback
from tests.llm.loopback import answer, raw
from tests.llm.server_acts import (
    HEAD,
    HTTP_LATER,
    HTTP_NOW,
    OTHER_TEXT,
    PADDED,
    TEXT,
    Does,
    body,
    body_of,
    calls,
    chunked,
    document,
    dripped_head,
    error,
    framed,
    hang_after_head,
    interleaved,
    ok,
    only,
    packed,
    says,
    several,
    stream,
    stream_error,
    swapped,
    twice,
    usage,
    with_,
)


class Expect(NamedTuple):
    """What has to follow: the class; how often the same target is asked; who else is; what the breaker counts, what is
    switched off, how it is booked, whether somebody is told (None: either) and whether the answer is taken."""

    name: str
    asked: int = 1
    others: bool = True
    breaker: str = ""
    latch: str = ""
    cost: str = "none"
    alert: bool | None = None
    accepted: bool = False
    repaired: str = ""

    def but(self, **fields: Any) -> Expect:
        return self._replace(**fields)


class Variant(NamedTuple):
    """A fault: what the server does on a wire (None: it does not exist there), and what has to follow on each."""

    does: Does
    expect: Expect
    on: Mapping[str, Expect] = MappingProxyType({})

    def expected(self, wire: str) -> Expect:
        return self.on.get(wire, self.expect)


def alike(expect: Expect, does: Mapping[str, Does]) -> dict[str, Variant]:
    """Faults after which the same has to follow."""
    return {name: Variant(each, expect) for name, each in does.items()}


MODEL: Final = Expect("retry", 3, breaker="model", alert=False)
ENDPOINT: Final = Expect("retry", 3, breaker="endpoint", alert=False)
LIMITED: Final = Expect("retry", 3, alert=False)
TOLD: Final = Expect("failover", alert=True)
NEXT: Final = Expect("failover", alert=False)
OFF: Final = Expect("fatal", latch="provider", alert=True)
BLOCKED: Final = Expect("failover", breaker="endpoint", alert=True)
KEY_OFF: Final = Expect("fatal", latch="api_key", alert=True)
NO_MONEY: Final = Expect("failover", latch="api_key", alert=True)
NO_MODEL: Final = Expect("failover", latch="model", alert=True)
LATER: Final = Expect("failover", latch="model until", alert=False)
REPAIR: Final = Expect("repair", 2, cost="usage", alert=False)
UNKNOWN: Final = REPAIR.but(cost="reserve")
REFUSED: Final = Expect("fallback", others=False, cost="usage", alert=False)
OK: Final = Expect("ok", others=False, cost="usage", accepted=True)
MENDED: Final = OK.but(name="repair")
LOST: Final = ENDPOINT.but(cost="reserve")
BROKEN: Final = MODEL.but(cost="reserve")
CUT: Final = BROKEN.but(asked=1)

STATUSES: Final = {
    **dict.fromkeys((400, 406, 411, 412, 414, 415, 416, 417, 418, 421, 422, 424, 426, 428, 431, 494), TOLD),
    **dict.fromkeys((501, 505, 506, 508, 510), TOLD),
    **dict.fromkeys((401, 403, 407, 451), KEY_OFF),
    402: NO_MONEY,
    405: OFF,
    **dict.fromkeys((404, 410), NO_MODEL),
    413: NEXT,
    **dict.fromkeys((409, 423, 425, 498), MODEL),
    **dict.fromkeys((408, 499, 504), MODEL.but(cost="reserve")),
    **dict.fromkeys((500, 503, 507, 529, 599, 999), MODEL),
    **dict.fromkeys((502, 520, 521, 522, 523, 525, 526, 527, 530), ENDPOINT),
    524: ENDPOINT.but(cost="reserve"),
    511: OFF.but(breaker="endpoint"),
    429: LIMITED,
}
PAGE: Final = b"<html><head><title>Attention Required!</title></head><body>blocked</body></html>"
ANTHROPIC: Final = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 412, "output_tokens": 31},
}
STRANGE: Final = {
    "html": (PAGE, "text/html"),
    "empty": (b"", "application/json"),
    "another provider": (b'{"type":"error","error":{"type":"odd_error","message":"Odd"}}', "application/json"),
    "problem": (b'{"title":"Odd","detail":"odd"}', "application/problem+json"),
    "array": (b"[1,2]", "application/json"),
    "null": (b"null", "application/json"),
    "number": (b"7", "application/json"),
    "text": (b"upstream connect error or disconnect/reset before headers", "text/plain"),
    "not JSON": (b'{"error": {"message": "cut', "application/json"),
}
BETWEEN: Final = {
    "a page that calls itself JSON": (PAGE, "application/json"),
    "a challenge": (b"<!DOCTYPE html><title>Just a moment...</title>", "text/html; charset=UTF-8"),
    "a word": (b"RBAC: access denied", "text/plain"),
    "a word in JSON": (b'"Forbidden"', "application/json"),
    "a gateway's message": (b'{"message":"Forbidden"}', "application/json"),
    "a framework's detail": (b'{"detail":"Unauthorized"}', "application/json"),
    "a fault in XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "application/xml"),
    "an error that says nothing": (b'{"error": {}}', "application/json"),
}
"""What stands between us and a server of models says so; 403, 407 and 451 are not believed where it is no JSON."""
THEIRS: Final = {
    "another provider": STRANGE["another provider"],
    "an error in a word": (b'{"error": "no"}', "application/json"),
    "an error in a list": (b'[{"error": {"message": "no", "code": 1}}]', "application/json"),
    "errors": (b'{"success": false, "errors": [{"message": "no", "code": 7}]}', "application/json"),
    "code and message": (b'{"code": 7, "message": "no"}', "application/json"),
    "an error as a whole": (b'{"object": "error", "message": "no"}', "application/json"),
    "an error that calls itself a page": (b'{"error": {"message": "no", "type": "odd"}}', "text/html"),
    "an error behind a mark": (b'\xef\xbb\xbf{"error": {"message": "no", "type": "odd"}}', "application/json"),
}
"""Forms in which servers of models say it."""


VARIANTS: Final[dict[str, Variant]] = {
    **{f"status {status}": Variant(error(status, "Odd"), expect) for status, expect in STATUSES.items()},
    **{
        f"{status} with {name}": Variant(
            lambda wire, status=status, data=data, named=named: answer(status, data, content_type=named),
            ENDPOINT if status == 500 and name == "html" else STATUSES[status],
        )
        for status in (401, 413, 429, 500, 503, 504, 530)
        for name, (data, named) in STRANGE.items()
        if not (status in (503, 504) and name == "html")
    },
    **{
        f"{status} with {name}": Variant(
            lambda wire, status=status, data=data, named=named: answer(status, data, content_type=named),
            BLOCKED if data.strip() and not data.lstrip(b"\xef\xbb\xbf").startswith((b"{", b"[")) else STATUSES[status],
        )
        for status in (403, 407, 451)
        for name, (data, named) in {**STRANGE, **BETWEEN, **THEIRS}.items()
    },
    **alike(
        OFF,
        {
            "404 with a page": lambda wire: answer(404, PAGE, content_type="text/html"),
            "404 of a framework": lambda wire: answer(404, {"detail": "Not Found"}),
            "404 of a path": error(404, "Invalid URL (POST /v1/chat/completion)", kind="invalid_request_error"),
        },
    ),
    **alike(
        KEY_OFF,
        {
            "404 of a key": lambda wire: answer(404, {"message": "Invalid API token"}),
            "403 of a key in another form": lambda wire: answer(403, {"detail": "x", "message": "API key expired"}),
            "400 that is a key": error(400, "Incorrect API key provided: ***"),
            "400 that is a place": error(400, "User location is not supported for the API use."),
            "500 that is a key": error(500, "AuthenticationError", code="invalid_api_key"),
        },
    ),
    "404 without words": Variant(error(404, "", code="", kind=""), OFF, {"google": NO_MODEL}),
    "404 of a model": Variant(error(404, "The model `x` does not exist or you do not have access to it."), NO_MODEL),
    "503 that is a model": Variant(error(503, "no channel for it", code="model_not_found"), NO_MODEL),
    "403 that is a limit": Variant(error(403, "Slow", code="RESOURCE_EXHAUSTED"), LIMITED),
    "400 that is overload": Variant(error(400, "Overloaded", kind="overloaded_error"), MODEL),
    "400 that is money": Variant(error(400, "Your credit balance is too low to access the API."), NO_MONEY),
    "429 that is money": Variant(error(429, "You have run out", code="insufficient_quota"), NO_MONEY),
    "400 that is length": Variant(error(400, "prompt is too long: 210000 tokens > 200000 maximum"), NEXT),
    "500 that is length": Variant(error(500, "too much", code="context_length_exceeded"), NEXT),
    "429 of a day": Variant(error(429, "Rate limit reached on requests per day (RPD): Limit 200, Used 200"), LATER),
    "429 in words": Variant(error(429, "Please try again in 7m12s."), LATER),
    # how long to wait
    **{
        f"{status} after {name}": Variant(
            error(status, "Odd", **headers),
            {"retry": first, "later": LATER.but(breaker=first.breaker), "once": first.but(asked=1)}[then],
        )
        for status, first in ((429, LIMITED), (503, MODEL))
        for name, headers, then in (
            ("-5", {"retry_after": "-5"}, "retry"),
            ("garbage", {"retry_after": "soon, I hope"}, "retry"),
            ("nothing", {"retry_after": ""}, "retry"),
            ("a float", {"retry_after": "0.05"}, "retry"),
            ("milliseconds", {"retry_after_ms": "40", "retry_after": "3600"}, "retry"),
            ("negative milliseconds", {"retry_after_ms": "-40"}, "retry"),
            ("infinity", {"retry_after": "inf"}, "retry"),
            ("half a minute", {"retry_after": "30"}, "once"),
            ("an hour", {"retry_after": "3600"}, "later"),
            ("ages", {"retry_after": "1e15"}, "later"),
            ("a date", {"retry_after": HTTP_LATER, "date": HTTP_NOW}, "later"),
            ("a past date", {"retry_after": HTTP_NOW}, "retry"),
            ("an impossible date", {"retry_after": "Thu, 99 Foo 2026 99:99:99 GMT"}, "retry"),
        )
    },
    "500, told not to": Variant(error(500, x_should_retry="false"), Expect("failover", breaker="model")),
    "503, told Not to": Variant(error(503, x_should_retry="False"), Expect("failover", breaker="model")),
    "429, told not to": Variant(error(429, x_should_retry="false"), NEXT),
    "400, told to": Variant(error(400, x_should_retry="true"), MODEL),
    "500, told to": Variant(error(500, x_should_retry="true"), MODEL),
    "401, told to": Variant(error(401, x_should_retry="true"), KEY_OFF),
    # where else to go
    **{
        f"redirect {status} to {name}": Variant(lambda wire, s=status, to=to: answer(s, location=to), OFF)
        for status in (300, 301, 302, 303, 304, 305, 307, 308)
        for name, to in (("another host", "http://127.0.0.2:9/steal"), ("another path", "/v2"), ("nowhere", "http://["))
    },
    # how it is packed
    **alike(
        LOST,
        {
            "gzip promised": packed("gzip", lambda data: data),
            "deflate promised": packed("deflate", lambda data: data),
            "brotli promised": packed("br", lambda data: data),
            "zstd promised": packed("zstd", lambda data: data),
            "gzip in gzip": packed("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
            "gzip cut": packed("gzip", lambda data: gzip.compress(data)[:-40]),
            "gzip with a wrong sum": packed("gzip", lambda data: gzip.compress(data)[:-8] + b"\0" * 8),
        },
    ),
    "gzip bomb": Variant(
        packed("gzip", lambda data: gzip.compress(PADDED, 1)), Expect("failover", breaker="endpoint", cost="reserve")
    ),
    "deflate bomb": Variant(
        packed("deflate", lambda data: zlib.compress(PADDED, 1)), Expect("failover", breaker="endpoint", cost="reserve")
    ),
    "a coding that is none": Variant(packed("utf-8", lambda data: data), OK),
    "gzip that is one": Variant(packed("gzip", gzip.compress), OK),
    # how it is framed
    **alike(
        LOST,
        {
            "chunks without an end": chunked(end=b""),
            "a chunk that is short": chunked(cut=40, end=b""),
            "a chunk of no size": chunked(size=b"xyz"),
            "a chunk of a negative size": chunked(size=b"-5"),
            "longer than it is": framed(HEAD + b"content-length: 99999\r\n\r\n"),
            "shorter than it is": framed(HEAD + b"content-length: 60\r\n\r\n"),
            "of two lengths": framed(HEAD + b"content-length: 3\r\ncontent-length: {n}\r\n\r\n"),
            "of a negative length": framed(HEAD + b"content-length: -1\r\n\r\n"),
            "of no status": framed(b"HTTP/1.1 abc OK\r\n\r\n"),
            "of an old protocol": framed(b""),
            "of another protocol": lambda wire: raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
            "a header that is none": framed(HEAD + b"nonsense\r\ncontent-length: {n}\r\n\r\n"),
            "a head without an end": framed(HEAD + b"x-pad: " + b"a" * 300_000),
            "reset in the head": lambda wire: raw(b"HTTP/1.1 200 OK\r\nx-a: ", reset=True),
            "reset in the body": lambda wire: raw(HEAD + b"content-length: 90\r\n\r\n{", reset=True),
        },
    ),
    **alike(
        OK,
        {
            "of no length": framed(HEAD + b"\r\n"),
            "go on, then an answer": framed(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"content-length: {n}\r\n\r\n"),
            "more than was promised": framed(HEAD + b"content-length: {n}\r\n\r\n", more=b"garbage"),
        },
    ),
    **alike(
        CUT,
        {
            "a slow head": lambda wire: dripped_head,
            "a slow body": lambda wire: loopback.drip(ok(wire), 0.05),
            "no body": lambda wire: hang_after_head,
            "no head": lambda wire: loopback.hang,
        },
    ),
    # what comes in a 200
    **{
        f"200 with {name}": Variant(body(data), LOST)
        for name, data in {
            "nothing": b"",
            "white space": b" \n ",
            "null": b"null",
            "a number": b"7",
            "a list": b"[{}]",
            "a text": b'"ok"',
            "no JSON": b"overloaded",
            "half of it": b'{"choices": [{"mess',
            "two documents": b"{}{}",
            "a nest": b'{"x":' + b"[" * 90_000,
            "NaN": b'{"x": NaN}',
            "Infinity": b'{"x": -Infinity}',
            "UTF-16": '{"x": "y"}'.encode("utf-16"),
        }.items()
    },
    "200 with a page": Variant(body(PAGE, content_type="text/html"), OFF.but(breaker="endpoint")),
    **alike(
        LOST,
        {
            "204": lambda wire: answer(204, content_length="0"),
            "half a character": swapped('reason\\":\\"ok', 'reason\\":\\"\\ud83d'),
            "not UTF-8": swapped('reason\\":\\"ok', 'reason\\":\\"caf\udce9'),
        },
    ),
    **alike(
        UNKNOWN,
        {
            "202 with a ticket": lambda wire: answer(202, {"id": "job-1", "status_url": "/v1/jobs/1"}),
            "an empty object": document({}),
            "the answers twice": twice,
        },
    ),
    "206": Variant(lambda wire: answer(206, ok(wire)), OK),
    "an answer of another provider": Variant(
        document(ANTHROPIC), UNKNOWN, {"responses": Expect("repair", 2, cost="usage")}
    ),
    "a byte order mark": Variant(
        lambda wire: answer(200, b"\xef\xbb\xbf" + body_of(wire)), MENDED.but(repaired="byte_order_mark")
    ),
    "another content type": Variant(lambda wire: answer(200, ok(wire), content_type="binary/octet-stream"), MENDED),
    # an error in a 200
    **alike(
        ENDPOINT,
        {
            "200, overloaded": document({"error": {"message": "Overloaded", "type": "overloaded_error"}}),
            "200, an error in a word": document({"error": "upstream failed"}),
            "200, an error that is the document": document(
                {"object": "error", "message": "engine died", "code": 50001}
            ),
            "200, errors in a list": document({"success": False, "errors": [{"message": "died", "code": 7}]}),
            "200, code and message": document({"code": 500, "message": "internal error"}),
        },
    ),
    "200, a key": Variant(
        document({"error": {"message": "no", "code": "invalid_api_key", "status": "UNAUTHENTICATED"}}), KEY_OFF
    ),
    "200, money": Variant(document({"error": {"message": "out of credits", "code": 402}}), NO_MONEY),
    "200, a limit": Variant(document({"error": {"message": "slow down", "code": 429}}), LIMITED),
    "200, an error beside an answer": Variant(
        lambda wire: answer(200, {**ok(wire), "error": {"message": "died", "code": 500}}),
        ENDPOINT.but(cost="usage"),
        {"responses": MODEL.but(cost="usage")},
    ),
    "200, an error that is null": Variant(lambda wire: answer(200, {**ok(wire), "error": None}), OK),
    # how it ended
    **{f"answers are {value!r}": Variant(with_("answers", value), REPAIR) for value in ([], None, "x", 7, {})},
    "no answers": Variant(with_("answers", ...), REPAIR),
    **{
        f"it ended by {value!r}": Variant(with_("finish", value), REPAIR)
        for value in ("end_turn", "eos", "", "STOPPED", 7, None, [])
    },
    "it ended by nothing": Variant(with_("finish", ...), REPAIR),
    **{
        f"it is {status}": Variant(only("responses", with_("finish", status)), MODEL.but(cost="usage"))
        for status in ("queued", "in_progress", "cancelled", "failed")
    },
    **{
        f"it ended by {value}": Variant(only("google", with_("finish", value)), expect)
        for value, expect in {
            "MAX_TOKENS": REPAIR,
            "SAFETY": REFUSED,
            "BLOCKLIST": REFUSED,
            "PROHIBITED_CONTENT": REFUSED,
            "SPII": REFUSED,
            "RECITATION": NEXT.but(cost="usage"),
            "LANGUAGE": NEXT.but(cost="usage"),
            "OTHER": REPAIR,
            "MALFORMED_FUNCTION_CALL": REPAIR,
            "UNEXPECTED_TOOL_CALL": REPAIR,
            "TOO_MANY_TOOL_CALLS": REPAIR,
            "FINISH_REASON_UNSPECIFIED": REPAIR,
        }.items()
    },
    "it ended by length": Variant(only("openai", with_("finish", "length")), REPAIR),
    "incomplete for another reason": Variant(
        only(
            "responses",
            lambda wire: answer(200, {**ok(wire), "status": "incomplete", "incomplete_details": {"reason": "odd"}}),
        ),
        REPAIR,
    ),
    "it ended by the filter": Variant(only("openai", with_("finish", "content_filter")), REFUSED),
    "the prompt is blocked": Variant(
        only(
            "google",
            document(
                {
                    "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
                    "usageMetadata": {"promptTokenCount": 412, "totalTokenCount": 412},
                }
            ),
        ),
        REFUSED,
    ),
    "it ended by error": Variant(only("openai", with_("finish", "error")), MODEL.but(cost="usage")),
    # several, and calls
    "two answers alike": Variant(several(TEXT, TEXT), OK),
    "two answers, spelt otherwise": Variant(several(TEXT, json.dumps(json.loads(TEXT))), OK),
    **alike(
        REPAIR,
        {
            "two answers that differ": several(TEXT, OTHER_TEXT),
            "three answers, one empty": several(TEXT, TEXT, ""),
            "a call of another name": calls(("approve", TEXT)),
            "a call without arguments": calls(("decide", None)),
            "a call with half its arguments": calls(("decide", TEXT[:-9])),
            "a call beside another answer": calls(("decide", TEXT), text=f"So: {OTHER_TEXT}"),
            "calls that differ": calls(("decide", TEXT), ("decide", OTHER_TEXT)),
            "calls of two names": calls(("decide", TEXT), ("search", "{}")),
        },
    ),
    **alike(
        MENDED,
        {
            "a call that is the answer": calls(("decide", TEXT)),
            "a call beside words": calls(("decide", TEXT), text="I would approve it."),
            "a call beside the same": calls(("decide", TEXT), text=f"So: {TEXT}"),
        },
    ),
    # what it says
    **{f"its text is {value!r}": Variant(with_("text", value), REPAIR) for value in (None, "", 7, [], {})},
    **{f"its message is {value!r}": Variant(with_("message", value), REPAIR) for value in (None, 7, "x")},
    **alike(
        REFUSED,
        {
            "it declines": says("I'm sorry, but I can't help with that request."),
            "it declines by a field": only(
                "openai", with_("message", {"role": "assistant", "content": None, "refusal": "I will not."})
            ),
            "it declines beside an answer": only(
                "openai", with_("message", {"role": "assistant", "content": TEXT, "refusal": "I will not."})
            ),
        },
    ),
    **{
        f"it says {name}": Variant(says(text), expect)
        for name, text, expect in (
            ("a key twice", '{"action":"approve","action":"reject","confidence":0.9,"reason":"x"}', REPAIR),
            ("NaN", '{"action":"approve","confidence":NaN,"reason":"x"}', REPAIR),
            ("infinity", '{"action":"approve","confidence":Infinity,"reason":"x"}', REPAIR),
            ("more than a float holds", '{"action":"approve","confidence":1e999,"reason":"x"}', REPAIR),
            ("per cent", '{"action":"approve","confidence":"90%","reason":"x"}', REPAIR),
            ("true for a number", '{"action":"approve","confidence":true,"reason":"x"}', REPAIR),
            ("a list of actions", '{"action":["approve"],"confidence":0.9,"reason":"x"}', REPAIR),
            ("an action in an object", '{"action":{"name":"approve"},"confidence":0.9,"reason":"x"}', REPAIR),
            ("an action with a tail", '{"action":"approve now","confidence":0.9,"reason":"x"}', REPAIR),
            ("an action in other letters", '{"action":"\u0430pprove","confidence":0.9,"reason":"x"}', REPAIR),
            ("an action in full width", '{"action":"\uff41pprove","confidence":0.9,"reason":"x"}', REPAIR),
            ("an action with nothing in it", '{"action":"app\u200brove","confidence":0.9,"reason":"x"}', REPAIR),
            ("an empty object", "{}", REPAIR),
            ("null", "null", REPAIR),
            ("a list of two", f"[{TEXT},{OTHER_TEXT}]", REPAIR),
            ("two that differ", f"{TEXT}\n{OTHER_TEXT}", REPAIR),
            ("half of it", TEXT[:-12], REPAIR),
            ("a nest", '{"action":' + "[" * 3_000 + "]" * 3_000 + "}", REPAIR),
            ("a fence", f"```json\n{TEXT}\n```", MENDED),
            ("a mark", f"\ufeff{TEXT}", MENDED),
            ("an action in capitals", TEXT.replace("approve", "APPROVE"), MENDED),
            ("white space around", f"\n  {TEXT}  \n", OK),
        )
    },
    # what it took
    **{
        f"it took {name}": Variant(lambda wire, c=counts: answer(200, usage(wire, *c)), OK.but(cost=cost))
        for name, counts, cost in (
            ("nothing that it tells", (..., ..., ...), "estimate"),
            ("nothing", (0, 0, 0), "estimate"),
            ("nothing to write", (412, 0, 412), "estimate"),
            ("less than nothing", (-412, -31, -443), "estimate"),
            ("words", ("many", "few", "some"), "estimate"),
            ("digits", ("412", "31", "443"), "usage"),
            ("whole floats", (412.0, 31.0, 443.0), "usage"),
            ("half a token", (412.5, 31, 443.5), "estimate"),
            ("more than there are", (10**12, 10**12, 2 * 10**12), "estimate"),
            ("true", (True, True, True), "estimate"),
            ("lists", ([412], [31], [443]), "estimate"),
            ("more in all", (412, 31, 999), "usage"),
            ("less in all", (412, 31, 3), "usage"),
            ("only all", (..., ..., 443), "estimate"),
            ("what is missing in all", (412, ..., 443), "usage"),
        )
    },
    **{
        f"its usage is {value!r}": Variant(with_("usage", value), OK.but(cost="estimate"))
        for value in (None, [], "412", 7, ...)
    },
    # who says it
    "another model": Variant(with_("model", "cheap-model-8b"), OK.but(repaired="other_model")),
    "a smaller model of the family": Variant(with_("model", "fault-model-mini"), OK.but(repaired="other_model")),
    "the model of a day": Variant(with_("model", "fault-model-2026-08-07"), OK),
    "the model by its maker": Variant(with_("model", "maker/fault-model"), OK),
    **{f"the model is {value!r}": Variant(with_("model", value), OK) for value in (None, "", 7, [], ...)},
    # streams that nobody asked for
    **alike(
        OK,
        {
            "a stream": stream(after=b"data: [DONE]\n\n"),
            "a stream with CRLF": stream(line="\r\n"),
            "a stream with a mark": stream(before=b"\xef\xbb\xbf"),
            "a stream with comments": stream(before=b": wait\n\n: wait\n\n"),
            "a stream called JSON": stream(named="application/json"),
            "a stream of two answers alike": interleaved(TEXT, TEXT),
        },
    ),
    "a stream that tells no usage": Variant(stream(counted=False), OK.but(cost="estimate")),
    **alike(
        BROKEN,
        {
            "a stream without an end": stream(end=False),
            "a stream without an end that says it is done": stream(end=False, after=b"data: [DONE]\n\n"),
            "a stream of nothing": lambda wire: answer(
                200, b": wait\n\ndata: [DONE]\n\n", content_type="text/event-stream"
            ),
            "a stream with an error": stream(fault=stream_error, end=False),
            "a stream with an error before its end": stream(fault=stream_error),
            "a stream with half an event": stream(after=b'data: {"choi\n\n'),
            "a stream of lists": stream(after=b"data: [1]\n\n"),
        },
    ),
    "a stream of half a decision": Variant(stream(text=TEXT[:-9]), REPAIR),
    "a stream of two answers that differ": Variant(interleaved(TEXT, OTHER_TEXT), REPAIR),
}
