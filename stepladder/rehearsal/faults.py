"""What a provider can do wrong, as a small vocabulary, each family with how it looks on the wire.

    family        what happens                                                          billed
    reset         the connection is cut as soon as the question is there                no
    hang          nothing comes back, until the client gives up                         no
    billed_late   the same, but the answer was written and is billed                    yes
    slow          the answer comes, `seconds` late                                      yes
    drip          the answer comes byte by byte, over `seconds`                         yes
    cut           the connection is cut in the middle of the answer                     yes
    rate_limited  429, with Retry-After where `seconds` is given                        no
    quota         429: the account has no money left                                    no
    overloaded    503                                                                   no
    error         500                                                                   no
    gateway       502 with a page of HTML                                               no
    bad_key       401                                                                   no
    not_found     404: no such model                                                    no
    bad_request   400                                                                   no
    refusal       the model declines                                                    yes
    filtered      the safety filter stops the answer                                    yes
    truncated     the answer stops at the length limit                                  yes
    empty         an answer without a content                                           yes
    not_json      a body that is no JSON                                                no
    prose         the model chats instead of answering                                  yes
    illegal       the model names an action that is not legal here                      yes
    no_usage      a good answer that does not say what it used                          yes

Statuses and bodies are those that OpenAI's and Gemini's references document for these cases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

Body = dict[str, Any] | str


class Status(NamedTuple):
    """An HTTP status with the code words that OpenAI and Gemini give beside it."""

    status: int
    openai: tuple[str, str]
    """`type` and `code` of OpenAI's error object."""
    google: str
    """`status` of Google's error object."""
    message: str


STATUSES: Final[dict[str, Status]] = {
    "rate_limited": Status(429, ("requests", "rate_limit_exceeded"), "RESOURCE_EXHAUSTED", "Rate limit reached."),
    "quota": Status(
        429, ("insufficient_quota", "insufficient_quota"), "RESOURCE_EXHAUSTED", "You exceeded your quota."
    ),
    "overloaded": Status(503, ("server_error", "overloaded"), "UNAVAILABLE", "The model is overloaded."),
    "error": Status(500, ("server_error", "server_error"), "INTERNAL", "The server had an error."),
    "bad_key": Status(401, ("invalid_request_error", "invalid_api_key"), "UNAUTHENTICATED", "Incorrect API key."),
    "not_found": Status(404, ("invalid_request_error", "model_not_found"), "NOT_FOUND", "The model does not exist."),
    "bad_request": Status(400, ("invalid_request_error", "invalid_value"), "INVALID_ARGUMENT", "Invalid request."),
}
ANSWERS: Final = ("refusal", "filtered", "truncated", "empty", "prose", "illegal", "no_usage")
"""Families that come as a 200."""
SOCKET: Final = ("reset", "hang", "billed_late", "slow", "drip", "cut", "gateway", "not_json")
FAMILIES: Final = (*SOCKET, *STATUSES, *ANSWERS)
UNBILLED: Final = frozenset({"reset", "hang", "gateway", "not_json", *STATUSES})
"""Families for which a provider takes no money."""
TIMED: Final[dict[str, float]] = {"slow": 1.0, "drip": 10.0}
"""Families that take `seconds`, and how many where none are given."""
CHAT: Final = "Well, that is a good question. It depends on many things."
HTML: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def error_body(family: str, wire: str) -> dict[str, Any]:
    """The error object that a wire gives with a status."""
    known = STATUSES[family]
    if wire == "google":
        return {"error": {"code": known.status, "message": known.message, "status": known.google}}
    kind, code = known.openai
    return {"error": {"message": known.message, "type": kind, "param": None, "code": code}}


Usage = tuple[int, int]
"""Tokens read and written."""


def chat_body(model: str, text: str, usage: Usage, family: str) -> dict[str, Any]:
    """A chat completion, as this family makes it."""
    finish = {"truncated": "length", "filtered": "content_filter"}.get(family, "stop")
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if family == "refusal":
        message |= {"content": None, "refusal": "I cannot help with that."}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    head = {"id": "chatcmpl-rehearsal", "object": "chat.completion", "created": 1_700_000_000, "model": model}
    return {**head, "choices": [choice], **({} if family == "no_usage" else {"usage": counted})}


def responses_body(model: str, text: str, usage: Usage, family: str) -> dict[str, Any]:
    """An OpenAI response, as this family makes it."""
    part = {"type": "output_text", "text": text, "annotations": []}
    if family == "refusal":
        part = {"type": "refusal", "refusal": "I cannot help with that."}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    why = {"truncated": "max_output_tokens", "filtered": "content_filter"}.get(family)
    counted = {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": sum(usage)}
    return {
        "id": "resp_rehearsal",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "incomplete" if why else "completed",
        "incomplete_details": {"reason": why} if why else None,
        "error": None,
        "model": model,
        "output": [] if family == "empty" else [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **({} if family == "no_usage" else {"usage": counted}),
    }


def google_body(model: str, text: str, usage: Usage, family: str) -> dict[str, Any]:
    """What generateContent gives, as this family makes it."""
    finish = {"truncated": "MAX_TOKENS", "filtered": "SAFETY", "refusal": "SAFETY"}.get(family, "STOP")
    parts = [] if family in ("refusal", "filtered", "empty") else [{"text": text}]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}
    counted = {"promptTokenCount": usage[0], "candidatesTokenCount": usage[1], "totalTokenCount": sum(usage)}
    head = {"candidates": [candidate], "modelVersion": model, "responseId": "rehearsal"}
    return head if family == "no_usage" else {**head, "usageMetadata": counted}


BODIES: Final[dict[str, Callable[[str, str, Usage, str], dict[str, Any]]]] = {
    "chat": chat_body,
    "responses": responses_body,
    "google": google_body,
}
