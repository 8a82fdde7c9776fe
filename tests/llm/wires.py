"""The three wire formats side by side, so that every fault that has nothing to do with the format is tested on both."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from stepladder.llm.chat import read as read_chat
from stepladder.llm.errors import ModelError
from stepladder.llm.generated import read as read_google
from stepladder.llm.google import GoogleProvider
from stepladder.llm.openai import OpenAIProvider
from stepladder.llm.provider import ModelReply, ModelRequest, Provider
from stepladder.llm.reading import Read
from stepladder.llm.responses import read as read_response

KEY = "sk-loopback-0123456789abcdef"
SCHEMA = {
    "type": "object",
    "properties": {"action": {"enum": ["RETRY", "STOP"]}},
    "required": ["action"],
    "additionalProperties": False,
}
TEXT = '{"action": "RETRY", "reason": "größer – 👍"}'

OPENAI_OK: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1760000000,
    "model": "gpt-5-mini-2025-08-07",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": TEXT, "refusal": None}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 412, "completion_tokens": 31, "total_tokens": 443},
}
RESPONSE_OK: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1760000000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-5-mini-2025-08-07",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        },
    ],
    "usage": {"input_tokens": 412, "output_tokens": 31, "total_tokens": 443},
}
GOOGLE_OK: dict[str, Any] = {
    "candidates": [{"content": {"parts": [{"text": TEXT}], "role": "model"}, "finishReason": "STOP", "index": 0}],
    "modelVersion": "gemini-2.5-flash-lite",
    "responseId": "resp-1",
    "usageMetadata": {"promptTokenCount": 412, "candidatesTokenCount": 31, "totalTokenCount": 443},
}


class Wire(NamedTuple):
    """One provider over its own wire: how to open it and what a good answer of it looks like."""

    open: Callable[[str], Provider]
    model: str
    ok: dict[str, Any]
    read: Read

    def __repr__(self) -> str:
        return f"<{self.model}>"


WIRES = {
    "openai": Wire(lambda url: OpenAIProvider(api_key=KEY, base_url=f"{url}/v1"), "gpt-5-mini", OPENAI_OK, read_chat),
    "responses": Wire(
        lambda url: OpenAIProvider(api_key=KEY, base_url=f"{url}/v1", wire="responses"),
        "gpt-5-mini",
        RESPONSE_OK,
        read_response,
    ),
    "google": Wire(
        lambda url: GoogleProvider(api_key=KEY, base_url=url), "gemini-2.5-flash-lite", GOOGLE_OK, read_google
    ),
}


def request(model: str = "m", deadline_s: float = 5.0, **fields: Any) -> ModelRequest:
    question = {"system": "You decide.", "prompt": "What next?", "schema": SCHEMA, **fields}
    return ModelRequest(model=model, deadline_s=deadline_s, **question)


def ask(provider: Provider, asked: ModelRequest) -> ModelReply | ModelError:
    """The outcome of one call in its own event loop; a `ModelError` is returned, anything else comes through."""

    async def run() -> ModelReply | ModelError:
        try:
            return await outcome(provider, asked)
        finally:
            await provider.close()

    return asyncio.run(run())


async def outcome(provider: Provider, asked: ModelRequest) -> ModelReply | ModelError:
    try:
        return await provider.ask(asked)
    except ModelError as failure:
        return failure


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `document` with the value at a dotted path replaced, or removed if it is `...`."""
    whole = copy.deepcopy(document)
    *parents, last = (int(step) if step.isdigit() else step for step in path.split("."))
    inner: Any = whole
    for step in parents:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return whole
