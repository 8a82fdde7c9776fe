"""OpenAI and every server that speaks its chat completions, by the official SDK.

What the SDK is not trusted with (openai 3.5x): retries, redirects, a total deadline, the size of a body, and
reading the answer. It builds the request; `stepladder.llm.wire` sends it and `read` below judges what came back.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import openai

from stepladder.llm.attachments import not_taken, parts
from stepladder.llm.errors import BadResponse, ModelError, Refused, Rejected, Truncated, Unreachable
from stepladder.llm.keys import find_key
from stepladder.llm.prices import Prices, cost_usd
from stepladder.llm.provider import Attachment, ModelReply, ModelRequest
from stepladder.llm.reading import (
    Call,
    HttpAnswer,
    Named,
    Said,
    Usage,
    by_status,
    decode,
    error_document,
    text_of,
    tokens,
    words_of,
)
from stepladder.llm.wire import TRANSPORT, CappedClient, Fault, PerLoop, exchange, settle

KEY_VARIABLES: Final = ("OPENAI_API_KEY",)
OPENAI_URL: Final = "https://api.openai.com/v1"

FAULTS: Final = (
    *TRANSPORT,
    Fault((openai.APIConnectionError,), Unreachable),
    Fault((openai.APIError,), BadResponse),
    Fault((openai.OpenAIError,), Rejected, {"status": None}),
)
"""Every foreign exception of a call that got no complete answer."""

NAMED: Final[Named] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "invalid_api_key": "auth",
    "model_not_found": "not_found",
    "context_length_exceeded": "too_large",
    "string_above_max_length": "too_large",
    "content_filter": "refused",
    "content_policy_violation": "refused",
}
"""Codes and types of an error object that say more than its status."""

PDF: Final = "application/pdf"
"""The only file that chat completions take; other documents are for the Responses API."""
TAKEN: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", PDF})
"""Media types of attachments, besides text."""


class OpenAIProvider:
    """Asks models by chat completions with a strict JSON schema.

    `base_url` is any compatible server (None: $OPENAI_BASE_URL or OpenAI itself); its models are priced as that
    server's. `api_key` falls back to $OPENAI_API_KEY. `extra_body` is added to every request, for servers that
    need more. Raises `KeyMissing`.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        name: str = "openai",
        prices: Prices | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self._key = find_key(name, api_key, KEY_VARIABLES)
        self._base_url = base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        self._prices = prices
        self._extra_body = dict(extra_body) if extra_body else None
        self._clients = PerLoop(self._build)

    def __repr__(self) -> str:
        return f"OpenAIProvider(name={self.name!r})"

    def _build(self) -> _Client:
        return _Client(self._key, self._base_url)

    async def ask(self, request: ModelRequest) -> ModelReply:
        """The answer to one request. Raises `ModelError` or lets `CancelledError` through, nothing else."""
        outcome = await self._ask(request)
        if isinstance(outcome, ModelError):
            raise outcome
        return outcome

    async def _ask(self, request: ModelRequest) -> ModelReply | ModelError:
        call = Call(provider=self.name, request=request, price=self._price, secrets=(self._key,))
        if self._clients.closed:
            return call.fault(Rejected, "the provider has been closed", status=None, reason="closed")
        if (refused := not_taken(call, TAKEN)) is not None:
            return refused
        client = self._clients.get()
        record = await exchange(lambda: client.create(request, self._extra_body), request.deadline_s)
        headers = record.answer.headers if record.answer else {}
        call = msgspec.structs.replace(
            call,
            latency_s=record.latency_s,
            request_id=headers.get("x-request-id", "")[:200],
            secrets=(*call.secrets, *record.secrets),
        )
        return settle(call, record, read, FAULTS)

    def price_usd(self, model: str, read_tokens: int, written: int, cached: int = 0) -> float | None:
        """US dollars for so many tokens of a model of this server, or None where nobody knows."""
        return self._price(model, read_tokens, written, cached)

    def _price(self, model: str, read_tokens: int, written: int, cached: int) -> float | None:
        return cost_usd(
            self.name,
            model,
            read_tokens,
            written,
            cached_input_tokens=cached,
            base_url=self._base_url,
            overrides=self._prices,
        )

    async def close(self) -> None:
        """Give back connections. May be called twice."""
        await self._clients.close()


class _Client:
    """The SDK's client and the HTTP client under it, both for one event loop."""

    def __init__(self, key: str, base_url: str) -> None:
        self._http = CappedClient()
        sdk = openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=None, http_client=self._http)
        self._completions: Any = sdk.chat.completions.with_raw_response

    async def create(self, request: ModelRequest, extra_body: Mapping[str, Any] | None) -> object:
        system = [{"role": "system", "content": request.system}] if request.system else []
        answer = {"name": "answer", "schema": request.schema, "strict": request.strict}
        optional = {} if request.temperature is None else {"temperature": request.temperature}
        return await self._completions.create(
            model=request.model,
            messages=[*system, {"role": "user", "content": _content(request)}],
            response_format={"type": "json_schema", "json_schema": answer},
            max_completion_tokens=request.max_output_tokens,
            extra_body=extra_body,
            **optional,
        )

    async def aclose(self) -> None:
        await self._http.aclose()


def _content(request: ModelRequest) -> str | list[dict[str, Any]]:
    return list(parts(request, _text_part, _data_part)) if request.attachments else request.prompt


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _data_part(attachment: Attachment) -> dict[str, Any]:
    url = f"data:{attachment.media_type};base64,{b64encode(attachment.data).decode()}"
    if attachment.media_type == PDF:
        return {"type": "file", "file": {"filename": f"{attachment.name}.pdf", "file_data": url}}
    return {"type": "image_url", "image_url": {"url": url}}


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] | None = None


def read(call: Call, answer: HttpAnswer) -> ModelReply | ModelError:
    """What a chat completion says: pure, and total over all statuses and bodies."""
    if not 200 <= answer.status < 300:
        return by_status(call, answer, _said(error_document(answer)), NAMED)
    document = decode(call, answer)
    if isinstance(document, ModelError):
        return document
    usage = _usage(document.get("usage"))
    if document.get("error"):
        said = _said(error_document(answer))
        return call.fault(BadResponse, f"an error in a 200: {said.line}", usage)
    try:
        choices = msgspec.convert(document, _Completion).choices
    except msgspec.ValidationError as failure:
        return call.fault(BadResponse, f"no chat completion: {failure}", usage)
    if not choices:
        return call.fault(BadResponse, "a chat completion without choices", usage)
    return _choice(call, choices[0], document.get("model"), usage)


def _choice(call: Call, choice: _Choice, model: object, usage: Usage) -> ModelReply | ModelError:
    message = choice.message or _Message()
    match choice.finish_reason:
        case "length":
            return call.fault(Truncated, f"stopped at {call.request.max_output_tokens} tokens", usage)
        case "content_filter":
            return call.fault(Refused, "the content filter stopped the answer", usage, reason="content_filter")
        case "stop" if message.refusal:
            return call.fault(Refused, message.refusal, usage, reason="refusal")
        case "stop" if message.content:
            return call.reply(message.content, model, usage, "stop")
        case "stop":
            return call.fault(BadResponse, "finished with no content", usage)
        case finish:
            return call.fault(BadResponse, f"finish reason {finish!r} where stop was expected", usage)


def _usage(usage: object) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return tokens(usage.get("prompt_tokens"), usage.get("completion_tokens"), usage.get("total_tokens"), cached)


def _said(error: Mapping[str, Any]) -> Said:
    return Said(words_of(error.get("code"), error.get("type")), text_of(error.get("message")))
