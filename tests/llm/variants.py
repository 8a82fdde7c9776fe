"""Faults of the same families as the catalogue's, and none of them in it: what a server does, and what is right then.

Written as values, by wire: `VARIANTS[name]` says what the server does on each wire and what has to follow. Sources of
what is right: RFC 9110 (statuses, Retry-After, redirects), RFC 8259 (JSON), RFC 6585 (429, 511), the error pages of
OpenAI, Gemini, Groq and Cloudflare, and the catalogue's own reactions to the nearest fault.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from email.utils import formatdate
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tests.llm import loopback
from tests.llm.loopback import Act, answer, raw
from tests.llm.wires import GOOGLE_OK, OPENAI_OK, RESPONSE_OK, changed

TEXT: Final = '{"action":"approve","confidence":0.9,"reason":"ok"}'
OTHER_TEXT: Final = '{"action":"reject","confidence":0.9,"reason":"no"}'
WIRES: Final = ("openai", "responses", "google")


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

    does: Callable[[str], Act | None]
    expect: Expect
    on: Mapping[str, Expect] = MappingProxyType({})

    def expected(self, wire: str) -> Expect:
        return self.on.get(wire, self.expect)


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

# --- documents


def ok(wire: str, text: str = TEXT) -> dict[str, Any]:
    """A good answer."""
    match wire:
        case "openai":
            return changed(changed(OPENAI_OK, "choices.0.message.content", text), "model", "fault-model")
        case "responses":
            return changed(changed(RESPONSE_OK, "output.1.content.0.text", text), "model", "fault-model")
        case _:
            return changed(changed(GOOGLE_OK, "candidates.0.content.parts.0.text", text), "modelVersion", "fault-model")


PATHS: Final[dict[str, dict[str, str]]] = {
    "openai": {
        "answers": "choices",
        "finish": "choices.0.finish_reason",
        "text": "choices.0.message.content",
        "message": "choices.0.message",
        "usage": "usage",
        "model": "model",
    },
    "responses": {
        "answers": "output",
        "finish": "status",
        "text": "output.1.content.0.text",
        "message": "output.1.content",
        "usage": "usage",
        "model": "model",
    },
    "google": {
        "answers": "candidates",
        "finish": "candidates.0.finishReason",
        "text": "candidates.0.content.parts.0.text",
        "message": "candidates.0.content",
        "usage": "usageMetadata",
        "model": "modelVersion",
    },
}
COUNTS: Final = {
    "openai": ("prompt_tokens", "completion_tokens", "total_tokens"),
    "responses": ("input_tokens", "output_tokens", "total_tokens"),
    "google": ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
}


def usage(wire: str, *counts: object) -> dict[str, Any]:
    """A good answer that says it took so many tokens (..., for one that it does not name)."""
    named = {name: value for name, value in zip(COUNTS[wire], counts, strict=True) if value is not ...}
    return changed(ok(wire), PATHS[wire]["usage"], named)


def with_(path: str, value: object) -> Callable[[str], Act | None]:
    """A good answer with something else in one place."""
    return lambda wire: answer(200, changed(ok(wire), PATHS[wire][path], value))


def says(text: str) -> Callable[[str], Act | None]:
    """A good envelope around this text."""
    return lambda wire: answer(200, ok(wire, text))


def body(data: bytes, **headers: str) -> Callable[[str], Act | None]:
    return lambda wire: answer(200, data, **headers)


def document(value: object) -> Callable[[str], Act | None]:
    return lambda wire: answer(200, value)


def swapped(old: str, new: str) -> Callable[[str], Act | None]:
    """A good answer with one piece of its bytes replaced."""

    def does(wire: str) -> Act:
        data = json.dumps(ok(wire))
        assert old in data, (wire, old)
        return answer(200, data.replace(old, new, 1).encode("utf-8", "surrogatepass"))

    return does


def only(wire: str, does: Callable[[str], Act | None]) -> Callable[[str], Act | None]:
    return lambda asked: does(asked) if asked == wire else None


def error(status: int, message: str = "no", code: str | None = None, kind: str | None = None, **headers: str) -> Any:
    """An error object in the form of each wire."""

    def does(wire: str) -> Act:
        if wire == "google":
            said: dict[str, Any] = {"code": status, "message": message, "status": code or kind or "SOME_STATUS"}
        else:
            said = {"message": message, "type": kind, "code": code, "param": None}
        return answer(status, {"error": said}, **headers)

    return does


def twice(wire: str) -> Act:
    """The field that holds the answers occurs twice, and they differ."""
    name = PATHS[wire]["answers"]
    first, second = (json.dumps({name: ok(wire, text)[name]})[1:-1] for text in (TEXT, OTHER_TEXT))
    rest = json.dumps({key: value for key, value in ok(wire).items() if key != name})[1:-1]
    return answer(200, f"{{{first},{rest},{second}}}".encode())


def several(*texts: str, finish: str = "") -> Callable[[str], Act | None]:
    """As many answers as texts."""

    def does(wire: str) -> Act | None:
        name = PATHS[wire]["answers"]
        if wire == "responses":
            return None
        found = [{**ok(wire, text)[name][0], "index": n} for n, text in enumerate(texts)]
        return answer(200, {**ok(wire), name: found})

    return does


def calls(*made: tuple[str, str | None], text: str | None = None) -> Callable[[str], Act | None]:
    """Calls of functions, by name and arguments, where text was asked for."""

    def does(wire: str) -> Act | None:
        if wire == "openai":
            listed = [{"type": "function", "function": {"name": n, "arguments": a}} for n, a in made]
            message = {"role": "assistant", "content": text, "tool_calls": listed}
            return answer(
                200, changed(changed(ok(wire), "choices.0.message", message), "choices.0.finish_reason", "tool_calls")
            )
        if wire == "responses":
            listed = [{"type": "function_call", "name": n, "arguments": a} for n, a in made]
            said = [changed(ok(wire), "output.1.content.0.text", text)["output"][1]] if text else []
            return answer(200, changed(ok(wire), "output", [*said, *listed]))
        if any(a is not None and not _is_object(a) for _, a in made):
            return None
        parts = [{"functionCall": {"name": n, "args": None if a is None else json.loads(a)}} for n, a in made]
        said = [{"text": text}] if text else []
        return answer(200, changed(ok(wire), "candidates.0.content.parts", [*said, *parts]))

    return does


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


# --- streams


def events(
    wire: str, *, end: bool = True, fault: Any = None, counted: bool = True, text: str = TEXT
) -> list[dict[str, Any]]:
    """The events of a stream: its text in two pieces, then `fault`, then its end."""
    halves = text[:20], text[20:]
    whole = ok(wire, text)
    used = {PATHS[wire]["usage"]: whole[PATHS[wire]["usage"]]} if counted else {}
    if wire == "openai":
        found = [{"choices": [{"index": 0, "delta": {"content": half}}], "model": "fault-model"} for half in halves]
        last: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **used}
    elif wire == "responses":
        found = [{"type": "response.output_text.delta", "delta": half} for half in halves]
        response = whole if counted else changed(whole, "usage", None)
        last = {"type": "response.completed", "response": response}
    else:
        found = [
            {"candidates": [{"content": {"parts": [{"text": half}]}}], "modelVersion": "fault-model"} for half in halves
        ]
        last = {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}], **used}
    return [*found, *([fault] if fault else []), *([last] if end else [])]


def stream(
    *, line: str = "\n", before: bytes = b"", after: bytes = b"", named: str = "text/event-stream", **how: Any
) -> Any:
    """A stream of events; `how` is for `events`."""

    def does(wire: str) -> Act:
        faults = how.get("fault")
        told = {**how, "fault": faults(wire)} if callable(faults) else how
        data = b"".join(f"data: {json.dumps(each)}{line}{line}".encode() for each in events(wire, **told))
        return answer(200, before + data + after, content_type=named)

    return does


def interleaved(*texts: str) -> Callable[[str], Act | None]:
    """A stream of as many answers as texts, each by its index, one piece of each after the other."""

    def does(wire: str) -> Act | None:
        if wire == "responses":
            return None
        name = PATHS[wire]["answers"]
        told = [events(wire, text=text) for text in texts]
        for number, each in enumerate(told):
            for event in each:
                event[name][0]["index"] = number
        data = b"".join(f"data: {json.dumps(event)}\n\n".encode() for row in zip(*told, strict=True) for event in row)
        return answer(200, data, content_type="text/event-stream")

    return does


def stream_error(wire: str) -> dict[str, Any]:
    said = {"message": "The server had an error", "type": "server_error", "code": None}
    return {**said, "type": "error", "code": "server_error"} if wire == "responses" else {"error": said}


# --- the table

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
HTTP_NOW: Final = formatdate(1e9, usegmt=True)
HTTP_LATER: Final = formatdate(1e9 + 3600, usegmt=True)
HTTP_SOON: Final = formatdate(1e9 + 1, usegmt=True)
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
PADDED: Final = b'{"pad": "' + b"A" * 6_000_000 + b'"}'


def body_of(wire: str) -> bytes:
    return json.dumps(ok(wire)).encode()


def framed(head: bytes, *, cut: int = 0, more: bytes = b"") -> Callable[[str], Act | None]:
    """A good body under a head of our own; {n} is its length."""

    def does(wire: str) -> Act:
        data = body_of(wire)
        return raw(head.replace(b"{n}", str(len(data)).encode()) + data[: len(data) - cut] + more)

    return does


def chunked(*, size: bytes = b"", end: bytes = b"0\r\n\r\n", cut: int = 0) -> Callable[[str], Act | None]:
    def does(wire: str) -> Act:
        data = body_of(wire)
        told = size or f"{len(data):x}".encode()
        return raw(
            HEAD + b"transfer-encoding: chunked\r\n\r\n" + told + b"\r\n" + data[: len(data) - cut] + b"\r\n" + end
        )

    return does


def packed(coding: str, data: Callable[[bytes], bytes]) -> Callable[[str], Act | None]:
    return lambda wire: answer(200, data(body_of(wire)), content_encoding=coding)


def dripped_head(connection: Any) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx-pad: " + b"a" * 400:
        connection.sendall(bytes([byte]))
        loopback.time.sleep(0.05)


def hang_after_head(connection: Any) -> None:
    connection.sendall(HEAD + b"content-length: 700\r\n\r\n")
    loopback.hang(connection)


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
    "404 with a page": Variant(lambda wire: answer(404, PAGE, content_type="text/html"), OFF),
    "404 of a framework": Variant(lambda wire: answer(404, {"detail": "Not Found"}), OFF),
    "404 of a key": Variant(lambda wire: answer(404, {"message": "Invalid API token"}), KEY_OFF),
    "403 of a key in another form": Variant(
        lambda wire: answer(403, {"detail": "x", "message": "API key expired"}), KEY_OFF
    ),
    "404 without words": Variant(error(404, "", code="", kind=""), OFF, {"google": NO_MODEL}),
    "404 of a path": Variant(error(404, "Invalid URL (POST /v1/chat/completion)", kind="invalid_request_error"), OFF),
    "404 of a model": Variant(error(404, "The model `x` does not exist or you do not have access to it."), NO_MODEL),
    "403 that is a limit": Variant(error(403, "Slow", code="RESOURCE_EXHAUSTED"), LIMITED),
    "400 that is overload": Variant(error(400, "Overloaded", kind="overloaded_error"), MODEL),
    "400 that is a key": Variant(error(400, "Incorrect API key provided: ***"), KEY_OFF),
    "400 that is a place": Variant(error(400, "User location is not supported for the API use."), KEY_OFF),
    "400 that is money": Variant(error(400, "Your credit balance is too low to access the API."), NO_MONEY),
    "400 that is length": Variant(error(400, "prompt is too long: 210000 tokens > 200000 maximum"), NEXT),
    "500 that is a key": Variant(error(500, "AuthenticationError", code="invalid_api_key"), KEY_OFF),
    "503 that is a model": Variant(error(503, "no channel for it", code="model_not_found"), NO_MODEL),
    "500 that is length": Variant(error(500, "too much", code="context_length_exceeded"), NEXT),
    "429 that is money": Variant(error(429, "You have run out", code="insufficient_quota"), NO_MONEY),
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
    "401, told to": Variant(error(401, x_should_retry="true"), KEY_OFF),
    "500, told to": Variant(error(500, x_should_retry="true"), MODEL),
    # where else to go
    **{
        f"redirect {status} to {name}": Variant(lambda wire, s=status, to=to: answer(s, location=to), OFF)
        for status in (300, 301, 302, 303, 304, 305, 307, 308)
        for name, to in (("another host", "http://127.0.0.2:9/steal"), ("another path", "/v2"), ("nowhere", "http://["))
    },
    # how it is packed
    "gzip promised": Variant(packed("gzip", lambda data: data), LOST),
    "deflate promised": Variant(packed("deflate", lambda data: data), LOST),
    "brotli promised": Variant(packed("br", lambda data: data), LOST),
    "zstd promised": Variant(packed("zstd", lambda data: data), LOST),
    "gzip in gzip": Variant(packed("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))), LOST),
    "gzip bomb": Variant(
        packed("gzip", lambda data: gzip.compress(PADDED, 1)), Expect("failover", breaker="endpoint", cost="reserve")
    ),
    "deflate bomb": Variant(
        packed("deflate", lambda data: zlib.compress(PADDED, 1)), Expect("failover", breaker="endpoint", cost="reserve")
    ),
    "gzip cut": Variant(packed("gzip", lambda data: gzip.compress(data)[:-40]), LOST),
    "gzip with a wrong sum": Variant(packed("gzip", lambda data: gzip.compress(data)[:-8] + b"\0" * 8), LOST),
    "a coding that is none": Variant(packed("utf-8", lambda data: data), OK),
    "gzip that is one": Variant(packed("gzip", gzip.compress), OK),
    # how it is framed
    "chunks without an end": Variant(chunked(end=b""), LOST),
    "a chunk that is short": Variant(chunked(cut=40, end=b""), LOST),
    "a chunk of no size": Variant(chunked(size=b"xyz"), LOST),
    "a chunk of a negative size": Variant(chunked(size=b"-5"), LOST),
    "longer than it is": Variant(framed(HEAD + b"content-length: 99999\r\n\r\n"), LOST),
    "shorter than it is": Variant(framed(HEAD + b"content-length: 60\r\n\r\n"), LOST),
    "of two lengths": Variant(framed(HEAD + b"content-length: 3\r\ncontent-length: {n}\r\n\r\n"), LOST),
    "of a negative length": Variant(framed(HEAD + b"content-length: -1\r\n\r\n"), LOST),
    "of no length": Variant(framed(HEAD + b"\r\n"), OK),
    "of no status": Variant(framed(b"HTTP/1.1 abc OK\r\n\r\n"), LOST),
    "of an old protocol": Variant(framed(b""), LOST),
    "of another protocol": Variant(lambda wire: raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), LOST),
    "a header that is none": Variant(framed(HEAD + b"nonsense\r\ncontent-length: {n}\r\n\r\n"), LOST),
    "a head without an end": Variant(framed(HEAD + b"x-pad: " + b"a" * 300_000), LOST),
    "go on, then an answer": Variant(
        framed(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"content-length: {n}\r\n\r\n"), OK
    ),
    "more than was promised": Variant(framed(HEAD + b"content-length: {n}\r\n\r\n", more=b"garbage"), OK),
    "reset in the head": Variant(lambda wire: raw(b"HTTP/1.1 200 OK\r\nx-a: ", reset=True), LOST),
    "reset in the body": Variant(lambda wire: raw(HEAD + b"content-length: 90\r\n\r\n{", reset=True), LOST),
    "a slow head": Variant(lambda wire: dripped_head, CUT),
    "a slow body": Variant(lambda wire: loopback.drip(ok(wire), 0.05), CUT),
    "no body": Variant(lambda wire: hang_after_head, CUT),
    "no head": Variant(lambda wire: loopback.hang, CUT),
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
    "204": Variant(lambda wire: answer(204, content_length="0"), LOST),
    "202 with a ticket": Variant(lambda wire: answer(202, {"id": "job-1", "status_url": "/v1/jobs/1"}), UNKNOWN),
    "206": Variant(lambda wire: answer(206, ok(wire)), OK),
    "an empty object": Variant(document({}), UNKNOWN),
    "an answer of another provider": Variant(
        document(ANTHROPIC), UNKNOWN, {"responses": Expect("repair", 2, cost="usage")}
    ),
    "half a character": Variant(swapped('reason\\":\\"ok', 'reason\\":\\"\\ud83d'), LOST),
    "not UTF-8": Variant(swapped('reason\\":\\"ok', 'reason\\":\\"caf\udce9'), LOST),
    "a byte order mark": Variant(
        lambda wire: answer(200, b"\xef\xbb\xbf" + body_of(wire)), MENDED.but(repaired="byte_order_mark")
    ),
    "another content type": Variant(lambda wire: answer(200, ok(wire), content_type="binary/octet-stream"), MENDED),
    "the answers twice": Variant(twice, UNKNOWN),
    # an error in a 200
    "200, overloaded": Variant(document({"error": {"message": "Overloaded", "type": "overloaded_error"}}), ENDPOINT),
    "200, an error in a word": Variant(document({"error": "upstream failed"}), ENDPOINT),
    "200, an error that is the document": Variant(
        document({"object": "error", "message": "engine died", "code": 50001}), ENDPOINT
    ),
    "200, errors in a list": Variant(
        document({"success": False, "errors": [{"message": "died", "code": 7}]}), ENDPOINT
    ),
    "200, code and message": Variant(document({"code": 500, "message": "internal error"}), ENDPOINT),
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
    "it ended by the filter": Variant(only("openai", with_("finish", "content_filter")), REFUSED),
    "it ended by error": Variant(only("openai", with_("finish", "error")), MODEL.but(cost="usage")),
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
    "incomplete for another reason": Variant(
        only(
            "responses",
            lambda wire: answer(200, {**ok(wire), "status": "incomplete", "incomplete_details": {"reason": "odd"}}),
        ),
        REPAIR,
    ),
    # several, and calls
    "two answers alike": Variant(several(TEXT, TEXT), OK),
    "two answers, spelt otherwise": Variant(several(TEXT, json.dumps(json.loads(TEXT))), OK),
    "two answers that differ": Variant(several(TEXT, OTHER_TEXT), REPAIR),
    "three answers, one empty": Variant(several(TEXT, TEXT, ""), REPAIR),
    "a call that is the answer": Variant(calls(("decide", TEXT)), MENDED),
    "a call of another name": Variant(calls(("approve", TEXT)), REPAIR),
    "a call without arguments": Variant(calls(("decide", None)), REPAIR),
    "a call with half its arguments": Variant(calls(("decide", TEXT[:-9])), REPAIR),
    "a call beside words": Variant(calls(("decide", TEXT), text="I would approve it."), MENDED),
    "a call beside the same": Variant(calls(("decide", TEXT), text=f"So: {TEXT}"), MENDED),
    "a call beside another answer": Variant(calls(("decide", TEXT), text=f"So: {OTHER_TEXT}"), REPAIR),
    "calls that differ": Variant(calls(("decide", TEXT), ("decide", OTHER_TEXT)), REPAIR),
    "calls of two names": Variant(calls(("decide", TEXT), ("search", "{}")), REPAIR),
    # what it says
    **{f"its text is {value!r}": Variant(with_("text", value), REPAIR) for value in (None, "", 7, [], {})},
    **{f"its message is {value!r}": Variant(with_("message", value), REPAIR) for value in (None, 7, "x")},
    "it declines": Variant(says("I'm sorry, but I can't help with that request."), REFUSED),
    "it declines by a field": Variant(
        only("openai", with_("message", {"role": "assistant", "content": None, "refusal": "I will not."})), REFUSED
    ),
    "it declines beside an answer": Variant(
        only("openai", with_("message", {"role": "assistant", "content": TEXT, "refusal": "I will not."})), REFUSED
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
    "a stream": Variant(stream(after=b"data: [DONE]\n\n"), OK),
    "a stream with CRLF": Variant(stream(line="\r\n"), OK),
    "a stream with a mark": Variant(stream(before=b"\xef\xbb\xbf"), OK),
    "a stream with comments": Variant(stream(before=b": wait\n\n: wait\n\n"), OK),
    "a stream called JSON": Variant(stream(named="application/json"), OK),
    "a stream that tells no usage": Variant(stream(counted=False), OK.but(cost="estimate")),
    "a stream without an end": Variant(stream(end=False), BROKEN),
    "a stream without an end that says it is done": Variant(stream(end=False, after=b"data: [DONE]\n\n"), BROKEN),
    "a stream of nothing": Variant(
        lambda wire: answer(200, b": wait\n\ndata: [DONE]\n\n", content_type="text/event-stream"), BROKEN
    ),
    "a stream with an error": Variant(stream(fault=stream_error, end=False), BROKEN),
    "a stream with an error before its end": Variant(stream(fault=stream_error), BROKEN),
    "a stream with half an event": Variant(stream(after=b'data: {"choi\n\n'), BROKEN),
    "a stream of lists": Variant(stream(after=b"data: [1]\n\n"), BROKEN),
    "a stream of half a decision": Variant(stream(text=TEXT[:-9]), REPAIR),
    "a stream of two answers alike": Variant(interleaved(TEXT, TEXT), OK),
    "a stream of two answers that differ": Variant(interleaved(TEXT, OTHER_TEXT), REPAIR),
}
