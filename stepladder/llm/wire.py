"""The HTTP edge under both SDKs: one request per call, capped bytes, one deadline, one table of foreign errors.

The SDKs build and sign the request; what came back is taken here, below them, as it was on the wire. So it does not
matter what an SDK makes of a strange answer (an empty success, a TypeError, a second request): if a complete answer
arrived it is read by our own reader, and only if none did does the SDK's exception say why.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import httpx2

from stepladder.llm.errors import BadResponse, Late, ModelError, Rejected, Unreachable
from stepladder.llm.keys import Key, forms_of
from stepladder.llm.provider import ModelReply
from stepladder.llm.reading import LEAST_SECRET, Call, HttpAnswer, Read

MAX_BODY_BYTES = 4_000_000
CONNECT_TIMEOUT_S = 5.0
"""A server that does not pick up within this time is unreachable, however long the deadline."""

UNREADABLE = (",", "br", "zstd", "compress")
"""Codings of which one small piece can unpack to gigabytes; gzip and deflate make a thousand bytes of one at most."""
_SECRET_HEADERS = ("authorization", "x-goog-api-key", "api-key", "x-api-key", "proxy-authorization", "cookie")


class BodyTooLarge(Exception):
    """The body is larger than the cap, on the wire or unpacked."""


class SecondRequest(Exception):
    """An SDK wanted to send a second request for one call."""


class WrongHost(Exception):
    """A request was to go to another host than the one that the key is for."""


class Fault(NamedTuple):
    """A row of a table of foreign errors: these exceptions are our `kind` of error, with these fields."""

    foreign: tuple[type[BaseException], ...]
    kind: type[ModelError]
    fields: Mapping[str, Any] = {}


TRANSPORT: tuple[Fault, ...] = (
    Fault((BodyTooLarge,), BadResponse, {"retryable": False, "sign": "too_large"}),
    Fault((SecondRequest,), BadResponse, {"retryable": False}),
    Fault((WrongHost,), Rejected, {"status": None, "reason": "unsendable"}),
    Fault((ssl.SSLCertVerificationError,), Unreachable, {"retryable": False, "sign": "tls"}),
    Fault(
        (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError),
        Rejected,
        {"status": None, "reason": "unsendable"},
    ),
    Fault((socket.gaierror,), Unreachable, {"sign": "dns"}),
    Fault((httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError), Unreachable),
    Fault((httpx2.DecodingError,), BadResponse),
    Fault((httpx2.RequestError, httpx2.StreamError, OSError, EOFError), Unreachable),
)
"""First row that fits any exception of the chain. An adapter puts its SDK's own rows below these."""


class Exchange:
    """What is known of one call: its answer, or why there is none."""

    def __init__(self) -> None:
        self.requests = 0
        self.sent = False
        self.answer: HttpAnswer | None = None
        self.failure: Exception | None = None
        self.late = False
        self.latency_s = 0.0
        self.secrets: set[Key] = set()

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Take note that the question left: before that, nothing can have been billed."""
        self.sent = self.sent or event.endswith("send_request_body.started")


_exchange: ContextVar[Exchange | None] = ContextVar("stepladder_llm_exchange", default=None)


async def exchange(send: Callable[[], Awaitable[object]], deadline_s: float) -> Exchange:
    """Run one SDK call within `deadline_s` seconds and take down what happened. Only cancellation comes through."""
    record = Exchange()
    if not deadline_s > 0:
        record.late = True
        return record
    started = time.perf_counter()
    token = _exchange.set(record)
    deadline = asyncio.timeout(deadline_s)
    try:
        async with deadline:
            await send()
    except Exception as failure:  # the edge: whatever an SDK raises becomes data here
        record.failure = failure
    finally:
        _exchange.reset(token)
    record.late = deadline.expired()
    record.latency_s = time.perf_counter() - started
    return record


def settle(call: Call, record: Exchange, read: Read, faults: Sequence[Fault]) -> ModelReply | ModelError:
    """The reply or the error that an exchange comes to."""
    if record.answer is not None:
        try:
            return read(call, record.answer)
        except Exception as failure:  # a hole in a reader must not become a hole in the run
            return call.fault(BadResponse, f"unreadable body: {type(failure).__name__}", may_be_billed=True)
    if record.late and record.requests and not record.sent:
        return call.fault(Unreachable, f"no connection within {call.request.deadline_s:.3g} s")
    if record.late:
        within = f"no complete answer within {call.request.deadline_s:.3g} s"
        return call.fault(Late, within, may_be_billed=record.sent)
    return _fault(call, record, faults)


def _fault(call: Call, record: Exchange, faults: Sequence[Fault]) -> ModelError:
    chain = _chain(record.failure)
    for foreign, kind, fields in faults:
        for failure in chain:
            if isinstance(failure, foreign):
                return call.fault(kind, _words(failure, chain), may_be_billed=record.sent, **fields)
    detail = _words(chain[0], chain) if chain else "the SDK returned without sending anything"
    if record.sent:
        return call.fault(Unreachable, detail, may_be_billed=True)
    return call.fault(Rejected, f"the SDK would not send it: {detail}", status=None)


def _chain(failure: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while failure is not None and failure not in chain and len(chain) < 10:
        chain.append(failure)
        failure = failure.__cause__ or failure.__context__
    return chain


def _words(failure: BaseException, chain: Sequence[BaseException]) -> str:
    said = [str(each) for each in (failure, *reversed(chain)) if str(each)]
    return f"{type(failure).__name__}: {said[0]}" if said else type(failure).__name__


class CappedClient(httpx2.AsyncClient):
    """An HTTP client that reads at most `max_body_bytes`, follows no redirect and sends one request per exchange, to no
    other `host` than the key's (None: to any).

    A subclass with another `send` rather than a transport: httpx2 ignores the proxies of the environment as soon as
    it is given a transport. The whole body is here when `send` returns, whatever `stream` says.
    """

    def __init__(self, max_body_bytes: int = MAX_BODY_BYTES, host: str | None = None) -> None:
        limits = httpx2.Limits(max_keepalive_connections=20)
        super().__init__(verify=_trust(), follow_redirects=False, timeout=None, limits=limits)
        self._max_body_bytes = max_body_bytes
        self._host = host

    def bind(self, host: str) -> None:
        """From now on, to this host only."""
        self._host = host

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: Any = False,
    ) -> httpx2.Response:
        """Send and read the whole body. Raises httpx2's errors, `BodyTooLarge` or `SecondRequest`."""
        record = _exchange.get()
        if record is not None:
            record.secrets.update(_secrets(request.headers))
            if record.requests:
                raise SecondRequest("the SDK wanted to send a second request for one call")
            record.requests += 1
        if self._host is not None and request.url.host.lower() != self._host:
            raise WrongHost(f"the key is for {self._host}, not for another host")
        if record is not None:
            request.extensions = {**request.extensions, "trace": record.trace}
        request.headers["accept-encoding"] = "identity"
        request.extensions = {**request.extensions, "timeout": {"connect": CONNECT_TIMEOUT_S}}
        response = await super().send(request, stream=True, auth=auth, follow_redirects=False)
        answer = await _read(response, self._max_body_bytes)
        if record is not None:
            record.answer = answer = unechoed(answer, record.secrets)
        return httpx2.Response(answer.status, headers=answer.headers, content=answer.body, request=request)


@functools.cache
def _trust() -> ssl.SSLContext:
    """One TLS context for all clients: loading the certificates is 16 of the 20 ms that a client costs."""
    return httpx2.create_ssl_context()


async def _read(response: httpx2.Response, most: int) -> HttpAnswer:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Capped(response.stream, most)
    body = bytearray()
    try:
        packed = response.headers.get("content-encoding", "").lower()
        if any(word in packed for word in UNREADABLE):
            raise httpx2.DecodingError(f"content-encoding {packed[:40]!r}, though none was asked for")
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > most:
                raise BodyTooLarge(f"more than {most} bytes")
    finally:
        await response.aclose()
    framing = ("content-encoding", "content-length", "transfer-encoding")
    headers = {name.lower(): value for name, value in response.headers.items() if name.lower() not in framing}
    return HttpAnswer(response.status_code, headers, bytes(body))


class _Capped(httpx2.AsyncByteStream):
    """Counts the bytes before they are unpacked: what unpacks to nothing is capped as well."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._stream:
            seen += len(chunk)
            if seen > self._most:
                raise BodyTooLarge(f"more than {self._most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Unechoed(logging.Filter):
    """Takes the secrets of the running exchange out of what the HTTP library logs: it shows headers as they come."""

    def filter(self, record: logging.LogRecord) -> bool:
        running = _exchange.get()
        if running is not None and running.secrets:
            said = record.getMessage()
            for form in _forms(frozenset(running.secrets)):
                said = said.replace(form, "***")
            if said != record.getMessage():
                record.msg, record.args = said, ()
        return True


for _name in ("httpx2", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy"):
    logging.getLogger(_name).addFilter(_Unechoed())


@functools.lru_cache(maxsize=256)
def _forms(secrets: frozenset[str]) -> list[str]:
    found = {form for secret in secrets if len(secret) >= LEAST_SECRET for form in forms_of(secret)}
    return sorted(found, key=len, reverse=True)


def unechoed(answer: HttpAnswer, secrets: Iterable[str]) -> HttpAnswer:
    """The answer without what only its request may hold: some servers send keys back, in errors or anywhere else."""
    body, headers = answer.body, answer.headers
    for form in _forms(frozenset(secrets)):
        body = body.replace(form.encode(errors="replace"), b"***")
        if any(form in value for value in headers.values()):
            headers = {name: value.replace(form, "***") for name, value in headers.items()}
    return answer if body is answer.body and headers is answer.headers else HttpAnswer(answer.status, headers, body)


def _secrets(headers: Mapping[str, str]) -> set[Key]:
    values = {headers.get(name, "") for name in _SECRET_HEADERS}
    bare = {value.partition(" ")[2].strip() for value in values}
    return {Key(each) for each in values | bare if each}


class Closing(Protocol):
    """Something that can be closed."""

    async def aclose(self) -> None:
        """Give back its connections."""
        ...


C = TypeVar("C", bound=Closing)


class PerLoop(Generic[C]):
    """One client per event loop: pooled connections belong to the loop that opened them.

    The first is built at once, so that the first call does not pay for it. Those of ended loops are dropped.
    """

    def __init__(self, build: Callable[[], C]) -> None:
        self._build = build
        self._spare: C | None = build()
        self._clients: dict[asyncio.AbstractEventLoop, C] = {}
        self.closed = False

    def get(self) -> C:
        """The client of the running loop."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            for ended in [each for each in self._clients if each.is_closed()]:
                del self._clients[ended]
            client, self._spare = self._spare or self._build(), None
            self._clients[loop] = client
        return client

    async def close(self) -> None:
        """Close the clients of all loops that still run; the others took their connections with them."""
        self.closed = True
        clients, self._clients = self._clients, {}
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.aclose()
        for loop, client in clients.items():
            if loop is asyncio.get_running_loop():
                await client.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(client.aclose(), loop)
