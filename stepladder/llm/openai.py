"""OpenAI and every server that speaks its chat completions or its Responses API, by the official SDK.

What the SDK is not trusted with (openai 3.5x): retries, redirects, a total deadline, the size of a body, and
reading the answer. It builds the request; `stepladder.llm.wire` sends it and the readers in `chat` and `responses`
judge what came back.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
import openai

from stepladder.llm import chat, responses
from stepladder.llm.attachments import not_taken, parts
from stepladder.llm.errors import BadResponse, ModelError, Rejected, RetryingClient, Unreachable
from stepladder.llm.form import Form, as_asked, form_of
from stepladder.llm.keys import find_key
from stepladder.llm.prices import Prices, cost_usd
from stepladder.llm.provider import Attachment, ModelReply, ModelRequest
from stepladder.llm.reading import Call, Read, struck
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

Wire = Literal["chat", "responses"]
READ: Final[Mapping[Wire, Read]] = {"chat": chat.read, "responses": responses.read}

PDF: Final = "application/pdf"
"""The only file that both take."""
TAKEN: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", PDF})
"""Media types of attachments, besides text."""


class OpenAIProvider:
    """Asks models for an answer by a strict JSON schema.

    `base_url` is any compatible server (None: $OPENAI_BASE_URL or OpenAI itself); its models are priced as that
    server's, and the key goes to that host only. `api_key` falls back to $OPENAI_API_KEY, and under another `name` to
    that name's ($CLAUDE_API_KEY for claude): no key goes to a server that it was not given for. `wire` is chat
    (completions, what compatible servers speak) or responses. `form` is how the answer is asked for: by its `schema`,
    or for servers that do not know schemas as the call of a `function`, as any JSON `object`, or as `text`; it is
    judged in the same way. `extra_body` is added to every request, for servers that need more.
    `client` is a client of the SDK to take key, address and headers from (Azure's, for one). Raises `KeyMissing`,
    `SetupError` for a form that is none, and `RetryingClient` for a client that tries again by itself.
    """

    keeps_time = True
    """A call ends within its deadline, whatever the server does."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        name: str = "openai",
        prices: Prices | None = None,
        extra_body: Mapping[str, Any] | None = None,
        wire: Wire = "chat",
        form: Form = "schema",
        client: openai.AsyncOpenAI | None = None,
    ) -> None:
        self.name = name
        if client is not None and client.max_retries > 0:
            raise RetryingClient(name, f"max_retries={client.max_retries}", "max_retries=0")
        self._form: Form = form_of(name, form)
        self._given = client
        self._key = client.api_key if client is not None else find_key(name, api_key, _variables(name))
        self._base_url = (
            str(client.base_url) if client is not None else base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        )
        self._wire: Wire = wire
        self._prices = prices
        self._extra_body = dict(extra_body) if extra_body else None
        self._clients = PerLoop(self._build)

    def __repr__(self) -> str:
        return f"OpenAIProvider(name={self.name!r})"

    @property
    def server(self) -> str:
        """The server that is asked."""
        return self._base_url

    def price(self, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """US dollars for so many tokens; None where nobody knows."""
        return self._price(model, input_tokens, output_tokens, 0)

    def _build(self) -> _Client:
        http = CappedClient(host=urlsplit(self._base_url).hostname)
        if self._given is not None:
            return _Client(
                self._given.copy(http_client=http, max_retries=0, timeout=None), http, self._wire, self._form
            )
        options: dict[str, Any] = {"api_key": self._key, "base_url": self._base_url, "max_retries": 0, "timeout": None}
        return _Client(openai.AsyncOpenAI(http_client=http, **options), http, self._wire, self._form)

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
            request_id=struck(headers.get("x-request-id", "")[:200], (self._key,)),
            secrets=(*call.secrets, *record.secrets),
        )
        return as_asked(settle(call, record, READ[self._wire], FAULTS), self._form)

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

    def __init__(self, sdk: openai.AsyncOpenAI, http: CappedClient, wire: Wire, form: Form) -> None:
        self._http = http
        self._form: Form = form
        self._completions: Any = sdk.chat.completions.with_raw_response
        self._responses: Any = sdk.responses.with_raw_response
        self.create = self._response if wire == "responses" else self._completion

    async def _completion(self, request: ModelRequest, extra_body: Mapping[str, Any] | None) -> object:
        system = [{"role": "system", "content": request.system}] if request.system else []
        optional = {} if request.temperature is None else {"temperature": request.temperature}
        return await self._completions.create(
            model=request.model,
            messages=[*system, {"role": "user", "content": _content(request)}],
            **_chat_form(request, self._form),
            max_completion_tokens=request.max_output_tokens,
            extra_body=extra_body,
            **optional,
        )

    async def _response(self, request: ModelRequest, extra_body: Mapping[str, Any] | None) -> object:
        optional: dict[str, Any] = {} if request.temperature is None else {"temperature": request.temperature}
        if request.system:
            optional["instructions"] = request.system
        return await self._responses.create(
            model=request.model,
            input=[{"role": "user", "content": list(parts(request, _input_text, _input_data))}],
            **_response_form(request, self._form),
            max_output_tokens=request.max_output_tokens,
            store=False,
            extra_body=extra_body,
            **optional,
        )

    async def aclose(self) -> None:
        await self._http.aclose()


def _variables(name: str) -> tuple[str, ...]:
    return KEY_VARIABLES if name == "openai" else (f"{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_API_KEY",)


def _chat_form(request: ModelRequest, form: Form) -> dict[str, Any]:
    answer = {"name": request.name, "strict": request.strict}
    match form:
        case "schema":
            schema = {"type": "json_schema", "json_schema": {**answer, "schema": request.schema}}
            return {"response_format": schema}
        case "function":
            function = {**answer, "parameters": request.schema}
            choice = {"type": "function", "function": {"name": request.name}}
            return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
        case "object":
            return {"response_format": {"type": "json_object"}}
        case "text":
            return {}


def _response_form(request: ModelRequest, form: Form) -> dict[str, Any]:
    answer = {"name": request.name, "strict": request.strict}
    match form:
        case "schema":
            return {"text": {"format": {"type": "json_schema", **answer, "schema": request.schema}}}
        case "function":
            tool = {"type": "function", **answer, "parameters": request.schema}
            return {"tools": [tool], "tool_choice": {"type": "function", "name": request.name}}
        case "object":
            return {"text": {"format": {"type": "json_object"}}}
        case "text":
            return {}


def _content(request: ModelRequest) -> str | list[dict[str, Any]]:
    return list(parts(request, _text_part, _data_part)) if request.attachments else request.prompt


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _data_part(attachment: Attachment) -> dict[str, Any]:
    url = f"data:{attachment.media_type};base64,{b64encode(attachment.data).decode()}"
    if attachment.media_type == PDF:
        return {"type": "file", "file": {"filename": f"{attachment.name}.pdf", "file_data": url}}
    return {"type": "image_url", "image_url": {"url": url}}


def _input_text(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def _input_data(attachment: Attachment) -> dict[str, Any]:
    url = f"data:{attachment.media_type};base64,{b64encode(attachment.data).decode()}"
    if attachment.media_type == PDF:
        return {"type": "input_file", "filename": f"{attachment.name}.pdf", "file_data": url}
    return {"type": "input_image", "image_url": url, "detail": "auto"}
