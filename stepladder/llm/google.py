"""Gemini, by the official SDK: the Gemini API with a key, or Vertex AI with credentials.

What the SDK is not trusted with (google-genai 3.x): its second request when aiohttp is installed, its automatic
continuation (one more request per hop) and function calling, redirects that take the key along, a deadline, the size of
a body, and reading the answer: an error, `null` or nothing in a 200 is an empty success to it. It builds the request;
`stepladder.llm.wire` sends it and `stepladder.llm.generated` judges what came back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import google.auth.exceptions
import httpx2
import msgspec
from google import genai
from google.genai import errors, types

from stepladder.llm.attachments import not_taken, parts
from stepladder.llm.errors import BadResponse, KeyMissing, ModelError, Rejected, RetryingClient, SetupError, Unreachable
from stepladder.llm.form import Form, as_asked, form_of
from stepladder.llm.generated import read
from stepladder.llm.keys import find_key
from stepladder.llm.prices import GEMINI_URL, Prices, cost_usd
from stepladder.llm.provider import Attachment, ModelReply, ModelRequest
from stepladder.llm.reading import Call, clean
from stepladder.llm.wire import TRANSPORT, CappedClient, Fault, PerLoop, exchange, settle

KEY_VARIABLES: Final = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""In the SDK's own order."""

FAULTS: Final = (
    Fault((google.auth.exceptions.TransportError,), Unreachable),
    Fault((google.auth.exceptions.GoogleAuthError,), Rejected, {"status": None, "reason": "auth"}),
    *TRANSPORT,
    Fault((errors.APIError, errors.UnknownApiResponseError), BadResponse),
)
"""Every foreign exception of a call that got no complete answer."""

TAKEN: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "application/pdf"})
"""Media types of attachments, besides text."""


JSON: Final = "application/json"
REGION: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
DESCRIPTION: Final = "Hands in the answer."
"""What the function is for; Gemini wants every function described."""


class GoogleProvider:
    """Asks Gemini models for an answer by a JSON schema.

    `api_key` falls back to $GOOGLE_API_KEY, then $GEMINI_API_KEY. `api_version` None is the SDK's choice (v1 since 3.x;
    aliases like gemini-pro-latest want "v1beta"). With `vertexai` it is Vertex AI: `project` and
    `location` with `credentials` (None: application default credentials), or an explicit `api_key` in express mode;
    the environment's key is not used then. `form` is how the answer is asked for: by its `schema`, as the call of a
    `function` (the one that is declared, and has to be called), as any JSON `object`, or as `text`; it is judged in the
    same way. Key and token go to the one host that the SDK chooses when the provider is made, or that of `base_url`.
    Of `http_options` headers, body, address and version are taken. Raises `KeyMissing`, `SetupError` for a form or a
    location that is none, and `RetryingClient` for options that try again by themselves.
    """

    keeps_time = True
    """A call ends within its deadline, whatever the server does."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        api_version: str | None = None,
        vertexai: bool = False,
        project: str | None = None,
        location: str | None = None,
        credentials: Any = None,
        name: str = "google",
        prices: Prices | None = None,
        form: Form = "schema",
        http_options: types.HttpOptions | None = None,
    ) -> None:
        self.name = name
        self._form: Form = form_of(name, form)
        if http_options is not None and http_options.retry_options is not None:
            raise RetryingClient(name, "retry_options", "none")
        self._key = None if vertexai and api_key is None else find_key(name, api_key, KEY_VARIABLES)
        given = {"headers": http_options.headers, "extra_body": http_options.extra_body} if http_options else {}
        if http_options is not None:
            base_url, api_version = base_url or http_options.base_url, api_version or http_options.api_version
        self._server = {**given, "base_url": base_url, "api_version": api_version}
        if vertexai:
            _check_region(name, location or os.environ.get("GOOGLE_CLOUD_LOCATION") or "")
        self._url = ""
        self._place = {"project": project, "location": location, "credentials": credentials} if vertexai else {}
        self._vertexai = vertexai
        self._prices = prices
        self._clients = PerLoop(self._build)

    def __repr__(self) -> str:
        return f"GoogleProvider(name={self.name!r}, vertexai={self._vertexai})"

    @property
    def server(self) -> str:
        """The server that is asked; what the SDK chooses where none was given."""
        return str(self._server["base_url"] or self._url.rstrip("/"))

    def price(self, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """US dollars for so many tokens; None where nobody knows."""
        return self._price(model, input_tokens, output_tokens, 0)

    def _build(self) -> _Client:
        try:
            client = _Client(self._server, vertexai=self._vertexai, api_key=self._key, **self._place)
        except (google.auth.exceptions.GoogleAuthError, ValueError) as failure:
            found = f"no usable credentials: {clean(str(failure))}"
            raise KeyMissing(self.name, ("GOOGLE_APPLICATION_CREDENTIALS",), found) from None
        self._bind(client.http, client.url)
        return client

    def _bind(self, http: CappedClient, url: str) -> None:
        """The key or the token goes to the server that the SDK chose when the first client was made, and to no other.

        Raises:
            SetupError: it does not say which.
        """
        self._url = self._url or url
        host = urlsplit(self._url).hostname or ""
        if not host:
            raise SetupError(f"provider {self.name}: google-genai does not say whom it asks; give a base_url")
        http.bind(host)

    async def ask(self, request: ModelRequest) -> ModelReply:
        """The answer to one request. Raises `ModelError` or lets `CancelledError` through, nothing else."""
        outcome = await self._ask(request)
        if isinstance(outcome, ModelError):
            raise outcome
        return outcome

    async def _ask(self, request: ModelRequest) -> ModelReply | ModelError:
        secrets = (self._key,) if self._key else ()
        call = Call(provider=self.name, request=request, price=self._price, secrets=secrets)
        if self._clients.closed:
            return call.fault(Rejected, "the provider has been closed", status=None, reason="closed")
        if (refused := not_taken(call, TAKEN)) is not None:
            return refused
        client = self._clients.get()
        record = await exchange(lambda: client.create(request, self._form), request.deadline_s)
        call = msgspec.structs.replace(call, latency_s=record.latency_s, secrets=(*secrets, *record.secrets))
        return as_asked(settle(call, record, read, FAULTS), self._form)

    def _price(self, model: str, read_tokens: int, written: int, cached: int) -> float | None:
        return cost_usd(
            self.name,
            model,
            read_tokens,
            written,
            cached_input_tokens=cached,
            base_url=GEMINI_URL,
            overrides=self._prices,
        )

    async def close(self) -> None:
        """Give back connections. May be called twice."""
        await self._clients.close()


class _Client:
    """The SDK's client and the HTTP client under it, both for one event loop."""

    def __init__(self, server: Mapping[str, Any], **options: Any) -> None:
        self.http = CappedClient(host="")  # to nobody, until the SDK has said whom it will ask
        # Our own asynchronous client switches aiohttp off; a synchronous one without sockets saves the SDK's own.
        unused = httpx2.Client(transport=httpx2.MockTransport(_never))
        http_options = types.HttpOptions(httpx_client=unused, httpx_async_client=self.http, **server)
        self._sdk = genai.Client(http_options=http_options, **options)
        self.url = _url_of(self._sdk)

    async def create(self, request: ModelRequest, form: Form) -> object:
        config = types.GenerateContentConfig(
            system_instruction=request.system or None,
            temperature=request.temperature,
            max_output_tokens=request.max_output_tokens,
            should_return_http_response=True,
            automatic_continuation=False,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            **_asked_as(request, form),
        )
        models = self._sdk.aio.models
        return await models.generate_content(model=request.model, contents=_contents(request), config=config)

    async def aclose(self) -> None:
        await self.http.aclose()


def _check_region(name: str, location: str) -> None:
    """The SDK makes a host name of it: it must not become another one's."""
    if location and not REGION.fullmatch(location):
        found = f"provider {name}: location is {clean(location)!r}"
        raise SetupError(f"{found}, expected a region of Google Cloud, for example europe-west4, or global")


def _url_of(sdk: genai.Client) -> str:
    """Whom the SDK will ask, "" where it does not tell: it decides when it is made, by region, environment and mutual
    TLS, and says so nowhere but here."""
    client: Any = getattr(sdk, "_api_client", None)
    url = str(getattr(getattr(client, "_http_options", None), "base_url", None) or "")
    moved = getattr(client, "_httpx_url", None)
    return str(moved(url, is_async=True)) if moved is not None and url else url


def _never(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.UnsupportedProtocol("the synchronous client is not used", request=request)


def _asked_as(request: ModelRequest, form: Form) -> dict[str, Any]:
    """What is sent for a form. JSON as a media type and functions exclude one another."""
    match form:
        case "schema":
            return {"response_mime_type": JSON, "response_json_schema": request.schema}
        case "function":
            declared = types.FunctionDeclaration(
                name=request.name, description=DESCRIPTION, parameters_json_schema=request.schema
            )
            calling = types.FunctionCallingConfig(
                mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=[request.name]
            )
            return {
                "tools": [types.Tool(function_declarations=[declared])],
                "tool_config": types.ToolConfig(function_calling_config=calling),
            }
        case "object":
            return {"response_mime_type": JSON}
        case "text":
            return {}


def _contents(request: ModelRequest) -> str | types.Content:
    if not request.attachments:
        return request.prompt
    return types.Content(role="user", parts=list(parts(request, _text_part, _data_part)))


def _text_part(text: str) -> types.Part:
    return types.Part.from_text(text=text)


def _data_part(attachment: Attachment) -> types.Part:
    return types.Part.from_bytes(data=attachment.data, mime_type=attachment.media_type)
