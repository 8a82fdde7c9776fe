"""What is below a session: the pipes of a process, or HTTP. Both cap what they read.

The pipes are ours: the SDK's read a line of any length, in a time that grows with its square (32 MB: 23 s). An HTTP
request that fails is answered here with a JSON-RPC error saying how, so it ends its own call and not the session.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final

import anyio
import httpx2
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, jsonrpc_message_adapter

from stepladder.drivers.mcp.server import Server
from stepladder.drivers.remote import MAX_ANSWER
from stepladder.drivers.remote import UNKNOWN as UNKNOWN_STATUS

NOT_SENT: Final = -31_001
LOST: Final = -31_002
SESSION_GONE: Final = -31_003
STATUS: Final = -31_004
"""Codes of our own, for what HTTP says: no connection, no whole answer, an unknown session, another status."""
CLOSING_S: Final = 2.0
"""Seconds that a server has to end by itself, then after SIGTERM, then after SIGKILL."""
NO_CONNECTION: Final = (
    *(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError),
    *(httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL),
)
"""Without a connection nothing was sent, so nothing was done."""


class Ending:
    """Why a connection ended, for the session: set by the wire, which calls `ended` once it knows."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self.ended, self.why, self.stray = ended, "", ""

    @property
    def aside(self) -> str:
        """What the server wrote that is no message; it may be the reason."""
        return f"; its output has {self.stray!r}" if self.stray else ""

    def tell(self, why: str) -> None:
        """It ended, for this reason."""
        self.why = why + self.aside
        self.ended()


Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


def connect(server: Server, ending: Ending) -> AbstractAsyncContextManager[Any]:
    """The SDK's transport to a server."""
    return _process(server, ending) if server.command else _http(server)


# --- stdio


@asynccontextmanager
async def _process(server: Server, ending: Ending) -> AsyncGenerator[Streams]:
    process = await asyncio.create_subprocess_exec(
        *server.command,
        stdin=PIPE,
        stdout=PIPE,
        env=get_default_environment() | server.env,
        cwd=server.cwd,
        limit=MAX_ANSWER,
        start_new_session=True,
    )
    try:
        heard, messages = anyio.create_memory_object_stream[SessionMessage | Exception]()
        said, requests = anyio.create_memory_object_stream[SessionMessage]()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hear, process, heard, ending)
            tasks.start_soon(_say, process, requests)
            yield messages, said
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process)


async def _hear(process: Process, heard: MemoryObjectSendStream[SessionMessage | Exception], ending: Ending) -> None:
    """Pass on the messages on standard output. Lines that are none are left out, as the SDK does."""
    assert process.stdout is not None
    async with heard:
        with suppress(anyio.BrokenResourceError):  # the session is closed
            try:
                async for line in process.stdout:
                    try:
                        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                    except ValueError:
                        ending.stray = line[:200].decode("utf-8", "replace").strip() or ending.stray
                        continue
                    await heard.send(SessionMessage(message))
            except ValueError:  # asyncio's word for a line beyond the limit
                ending.tell(f"a message of more than {MAX_ANSWER} bytes")
            else:
                await _exited(process, CLOSING_S / 4)
                code = process.returncode
                ending.tell("it closed its output" if code is None else f"it exited with status {code}")


async def _say(process: Process, requests: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None
    async with requests:
        async for each in requests:
            text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()
            except OSError:  # it does not listen any more, so it will not answer
                _kill(process, hard=False)


async def _stop(process: Process) -> None:
    """Close its input; where it then does not end, or what it started keeps its output open, end them all."""
    assert process.stdin is not None
    try:
        process.stdin.close()
        for hard in (False, True):
            if await _exited(process):
                return
            _kill(process, hard)
        await _exited(process)
    except BaseException:  # we are cut off ourselves
        _kill(process, hard=True)
        raise


async def _exited(process: Process, within_s: float = CLOSING_S) -> bool:
    """Whether it ends in this time. What it still writes is read and dropped: a full pipe would hold it up."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_s):
            while await process.stdout.read(65536):
                pass
            await process.wait()
    except TimeoutError:
        return False
    return True


def _kill(process: Process, hard: bool) -> None:
    """End it and what it has started, as far as the system has groups of processes."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL if hard else signal.SIGTERM)
        else:
            process.kill()


# --- HTTP


@asynccontextmanager
async def _http(server: Server) -> AsyncGenerator[Any]:
    async with (
        _Http(server) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=MAX_ANSWER) as streams,
    ):
        yield streams


class _Http(httpx2.AsyncClient):
    """A client that raises nothing for a request and follows no redirect.

    It has no time limits of its own but for saying goodbye: a call's deadline is its session's.
    """

    def __init__(self, server: Server) -> None:
        headers = {"Accept-Encoding": "identity", **server.headers}
        super().__init__(headers=headers, timeout=None, limits=httpx2.Limits(max_connections=None))

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: Any = False,
    ) -> httpx2.Response:
        """The answer, or one of ours that says why there is none."""
        if request.method == "DELETE":
            request.extensions = {**request.extensions, "timeout": dict.fromkeys(("connect", "read"), CLOSING_S)}
        try:
            response = await super().send(request, stream=True, auth=auth, follow_redirects=False)
            if _is_stream(response):
                return response
            return _checked(request, response, await _body(response))
        except NO_CONNECTION as error:
            return _error(request, NOT_SENT, f"{type(error).__name__}: {error}")
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            return _error(request, LOST, f"{type(error).__name__}: {error}")


def _is_stream(response: httpx2.Response) -> bool:
    return response.status_code == 200 and response.headers.get("content-type", "").startswith("text/event-stream")


async def _body(response: httpx2.Response) -> bytes:
    body = bytearray()
    try:
        async for chunk in _plain(response):
            body += chunk
            if len(body) > MAX_ANSWER:
                raise httpx2.StreamError(f"an answer of more than {MAX_ANSWER} bytes")
    finally:
        await response.aclose()
    return bytes(body)


def _plain(response: httpx2.Response) -> AsyncIterator[bytes]:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.StreamError("an answer that is compressed, which nobody asked for")
    return response.aiter_raw()


def _checked(request: httpx2.Request, response: httpx2.Response, body: bytes) -> httpx2.Response:
    status = response.status_code
    if status in UNKNOWN_STATUS:
        return _error(request, LOST, f"HTTP {status}")
    found = body[:500].decode("utf-8", "replace") or "an empty answer"
    if status in (400, 404) and "mcp-session-id" in request.headers:
        return _error(request, SESSION_GONE, f"HTTP {status}: {found}")
    if status >= 300 and _code(body) in (None, CONNECTION_CLOSED, REQUEST_TIMEOUT):  # often used for any error at all
        return _error(request, STATUS, found, status)
    headers = {name: value for name, value in response.headers.items() if name != "transfer-encoding"}
    return httpx2.Response(status, headers=headers, content=body, request=request)


def _code(body: bytes) -> Any:
    """The code of the JSON-RPC error that a body is, if it is one."""
    try:
        return json.loads(body)["error"]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _error(request: httpx2.Request, code: int, found: str, data: Any = None) -> httpx2.Response:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": found, "data": data}}
    return httpx2.Response(500, json=error, request=request)
