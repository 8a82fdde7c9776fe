"""What a server of models can do on each wire, well and badly: documents, errors, calls, streams, frames.

Each function gives what a server does on a wire, by the wire's name; None where there is no such thing on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final

from tests.llm import loopback
from tests.llm.loopback import Act, answer, raw
from tests.llm.wires import GOOGLE_OK, OPENAI_OK, RESPONSE_OK, changed

TEXT: Final = '{"action":"approve","confidence":0.9,"reason":"ok"}'
OTHER_TEXT: Final = '{"action":"reject","confidence":0.9,"reason":"no"}'
WIRES: Final = ("openai", "responses", "google")
Does = Callable[[str], Act | None]

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


def with_(path: str, value: object) -> Does:
    """A good answer with something else in one place."""
    return lambda wire: answer(200, changed(ok(wire), PATHS[wire][path], value))


def says(text: str) -> Does:
    """A good envelope around this text."""
    return lambda wire: answer(200, ok(wire, text))


def body(data: bytes, **headers: str) -> Does:
    return lambda wire: answer(200, data, **headers)


def document(value: object) -> Does:
    return lambda wire: answer(200, value)


def swapped(old: str, new: str) -> Does:
    """A good answer with one piece of its bytes replaced."""

    def does(wire: str) -> Act:
        data = json.dumps(ok(wire))
        assert old in data, (wire, old)
        return answer(200, data.replace(old, new, 1).encode("utf-8", "surrogatepass"))

    return does


def only(wire: str, does: Does) -> Does:
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


def several(*texts: str) -> Does:
    """As many answers as texts."""

    def does(wire: str) -> Act | None:
        name = PATHS[wire]["answers"]
        if wire == "responses":
            return None
        found = [{**ok(wire, text)[name][0], "index": n} for n, text in enumerate(texts)]
        return answer(200, {**ok(wire), name: found})

    return does


def calls(*made: tuple[str, str | None], text: str | None = None) -> Does:
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


def interleaved(*texts: str) -> Does:
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


# --- frames

HTTP_NOW: Final = formatdate(1e9, usegmt=True)
HTTP_LATER: Final = formatdate(1e9 + 3600, usegmt=True)
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
PADDED: Final = b'{"pad": "' + b"A" * 6_000_000 + b'"}'


def body_of(wire: str) -> bytes:
    return json.dumps(ok(wire)).encode()


def framed(head: bytes, *, cut: int = 0, more: bytes = b"") -> Does:
    """A good body under a head of our own; {n} is its length."""

    def does(wire: str) -> Act:
        data = body_of(wire)
        return raw(head.replace(b"{n}", str(len(data)).encode()) + data[: len(data) - cut] + more)

    return does


def chunked(*, size: bytes = b"", end: bytes = b"0\r\n\r\n", cut: int = 0) -> Does:
    def does(wire: str) -> Act:
        data = body_of(wire)
        told = size or f"{len(data):x}".encode()
        return raw(
            HEAD + b"transfer-encoding: chunked\r\n\r\n" + told + b"\r\n" + data[: len(data) - cut] + b"\r\n" + end
        )

    return does


def packed(coding: str, data: Callable[[bytes], bytes]) -> Does:
    return lambda wire: answer(200, data(body_of(wire)), content_encoding=coding)


def dripped_head(connection: Any) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx-pad: " + b"a" * 400:
        connection.sendall(bytes([byte]))
        loopback.time.sleep(0.05)


def hang_after_head(connection: Any) -> None:
    connection.sendall(HEAD + b"content-length: 700\r\n\r\n")
    loopback.hang(connection)
