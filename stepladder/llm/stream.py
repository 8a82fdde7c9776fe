"""Event streams as documents: an answer that came as server-sent events, folded into the form it has in one piece.

Nothing here asks for a stream; a server that sends one all the same is understood. A stream counts only with its last
event: text that ends without a finish reason, complete or not, is no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stepladder.llm.body import MARK, NO_KEYS, Keys, Twice, parsed, twice
from stepladder.llm.errors import BadResponse, ModelError
from stepladder.llm.reading import Call, HttpAnswer, text_of


def is_stream(answer: HttpAnswer) -> bool:
    """Whether the body is a stream of events, by its name or its first bytes."""
    named = answer.headers.get("content-type", "").lower()
    return "event-stream" in named or answer.body.removeprefix(MARK).startswith((b"data:", b"event:", b": "))


def events(call: Call, answer: HttpAnswer, keys: Keys = NO_KEYS) -> list[dict[str, Any]] | ModelError:
    """The data of every event, in order; comments, empty events and the closing [DONE] are left out."""
    found: list[dict[str, Any]] = []
    for data in _data(answer.body):
        if data.strip() in (b"", b"[DONE]"):
            continue
        try:
            value = parsed(data, keys)
        except Twice:
            return twice(call, "an event")
        except (ValueError, RecursionError):
            return broken(call, "an event that is not JSON")
        if not isinstance(value, dict):
            return broken(call, "an event that is no object")
        found.append(value)
    return found


def broken(call: Call, detail: str) -> ModelError:
    """The error for a stream that is none, or has no end."""
    return call.fault(BadResponse, f"a stream with {detail}", may_be_billed=True, sign="model")


def _data(body: bytes) -> Iterator[bytes]:
    lines: list[bytes] = []
    for line in body.removeprefix(MARK).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if not line:
            yield b"\n".join(lines)
            lines = []
        elif line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
    if lines:
        yield b"\n".join(lines)


def chat_of(chunks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Chunks of a chat completion as one; None where the last event is missing. An error among them stays one."""
    whole: dict[str, Any] = {}
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        if chunk.get("error"):
            return chunk
        whole |= {name: chunk[name] for name in ("id", "model", "usage") if chunk.get(name)}
        for index, choice in _several(chunk.get("choices")):
            choices.setdefault(index, _Choice()).take(choice)
    if not any(choice.finish for choice in choices.values()):
        return None
    return {**whole, "choices": [{"index": index, **choice.whole()} for index, choice in sorted(choices.items())]}


def _several(answers: object) -> Iterator[tuple[int, dict[str, Any]]]:
    """The parts of several answers that one chunk holds, each with the number of its answer."""
    for answer in answers if isinstance(answers, list) else ():
        if isinstance(answer, dict):
            index = answer.get("index")
            yield index if isinstance(index, int) else 0, answer


class _Choice:
    """One of the answers of a streamed completion, as far as it has come."""

    def __init__(self) -> None:
        self.text = self.refusal = ""
        self.finish: Any = None
        self.calls: dict[object, dict[str, str]] = {}

    def take(self, choice: dict[str, Any]) -> None:
        """The next part of it."""
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        self.text += text_of(delta.get("content"))
        self.refusal += text_of(delta.get("refusal"))
        _join_calls(self.calls, delta.get("tool_calls"))
        self.finish = choice.get("finish_reason") or self.finish

    def whole(self) -> dict[str, Any]:
        """As it would have come in one piece."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None, "refusal": self.refusal or None}
        if self.calls:
            message |= {"tool_calls": [{"type": "function", "function": each} for each in self.calls.values()]}
        return {"message": message, "finish_reason": self.finish}


def _join_calls(calls: dict[object, dict[str, str]], parts: object) -> None:
    for part in parts if isinstance(parts, list) else ():
        function = part.get("function") if isinstance(part, dict) else None
        if isinstance(function, dict):
            index = part.get("index") if isinstance(part.get("index"), int) else 0
            made = calls.setdefault(index, {"name": "", "arguments": ""})
            made["name"] += text_of(function.get("name"))
            made["arguments"] += text_of(function.get("arguments"))


def generated_of(chunks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Chunks of generateContent as one; None where no finish reason came. An error among them stays one."""
    whole: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        if chunk.get("error"):
            return chunk
        names = ("modelVersion", "responseId", "usageMetadata", "promptFeedback")
        whole |= {name: chunk[name] for name in names if chunk.get(name)}
        for index, part in _several(chunk.get("candidates")):
            found = candidates.setdefault(index, {"content": {"parts": []}})
            content = part.get("content")
            listed = content.get("parts") if isinstance(content, dict) else None
            found["content"]["parts"] += listed if isinstance(listed, list) else []
            found |= {name: part[name] for name in ("finishReason", "finishMessage") if part.get(name)}
    blocked = bool(whole.get("promptFeedback"))
    if not blocked and not any("finishReason" in each or "finishMessage" in each for each in candidates.values()):
        return None
    said = any(each["content"]["parts"] for each in candidates.values())
    return {**whole, **({} if blocked and not said else {"candidates": [candidates[i] for i in sorted(candidates)]})}


def response_of(chunks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The response that the last event of a Responses stream carries; None where that is missing."""
    for chunk in chunks:
        if chunk.get("type") == "error":
            inner = chunk.get("error")
            return {"error": inner if isinstance(inner, dict) else chunk, "status": "failed"}
        if chunk.get("type") in ("response.completed", "response.incomplete", "response.failed"):
            found = chunk.get("response")
            return found if isinstance(found, dict) else None
    return None
