"""Sessions with MCP servers: one for each event loop and server, opened by the first call that needs it.

A session is kept by a task of its own, since the SDK's scopes must be left by the task that entered them; calls are
made from the tasks of their callers. It ends when it is closed and no call is in it, when the server goes away, or when
nobody waits for it to open any more. The next call opens another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

from mcp import Client, MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT

from stepladder.drivers.agents import OutcomeUnknownError
from stepladder.drivers.mcp.server import Server
from stepladder.drivers.mcp.wire import LOST, NOT_SENT, SESSION_GONE, STATUS, Ending, connect
from stepladder.drivers.remote import GRACE_S, RemoteAgentError

if TYPE_CHECKING:
    from mcp_types import RequestParamsMeta

UNKNOWN: Final = frozenset({CONNECTION_CLOSED, REQUEST_TIMEOUT, LOST})
"""Errors of somebody who does not know what became of the request."""
OPENING: Final = 0.9
"""The share of a call's time in which its session must be open: a server that does not start is a plain failure, so it
has to be one before the call is late."""
MOST_PAGES: Final = 100
"""Pages of a server's list of tools that are read."""


async def call_tool(
    server: Server, tool: str, arguments: dict[str, Any], meta: dict[str, Any], left_s: float
) -> dict[str, Any]:
    """The result of a tool as JSON.

    Raises:
        RemoteAgentError: nothing was done, or the answer is not to be understood.
        OutcomeUnknownError: no whole answer came after the request had gone out.
    """
    now = asyncio.get_running_loop().time()
    open_by, done_by = now + (OPENING * (left_s - GRACE_S) or GRACE_S), now + left_s
    for forgotten in (False, True):
        with _session(server).in_use() as session:
            client = await session.opened(tool, open_by)
            try:
                async with asyncio.timeout_at(done_by):
                    result = await client.call_tool(tool, arguments, meta=cast("RequestParamsMeta", meta))
                return result.model_dump(mode="json", by_alias=True, exclude_none=True)
            except MCPError as error:
                if error.code != SESSION_GONE or forgotten:
                    raise _failed(session, error) from error
                session.leave()
            except (RuntimeError, ValueError) as error:  # the SDK's words for a result that its schemas do not allow
                raise RemoteAgentError(server.shown, 0, f"{tool}: {error}") from error
            except TimeoutError as error:
                raise OutcomeUnknownError(f"{server.shown}: {tool}: no answer within {left_s:.3g} s") from error
            except Exception as error:
                raise OutcomeUnknownError(f"{server.shown}: {tool}: {type(error).__name__}: {error}") from error
    raise AssertionError("the second time raises")


async def close(server: Server) -> None:
    """Close this loop's sessions with the server; one in which there are calls is closed after them."""
    sessions = [each for each in _SESSIONS.get(asyncio.get_running_loop(), ()) if each.server == server]
    for session in sessions:
        session.leave()
    ending = [session.task for session in sessions if not session.calls]
    if ending:
        await asyncio.wait(ending)


class Session:
    """A connection to a server. `over`: it takes no more calls; `calls`: how many are in it."""

    def __init__(self, server: Server) -> None:
        loop = asyncio.get_running_loop()
        self.server, self.calls, self.over = server, 0, False
        self.ending = Ending(self._ended)
        self._end = asyncio.Event()
        self._client: asyncio.Future[Client] = loop.create_future()
        self._tools: set[str] = set()
        self.task = loop.create_task(self._keep(), name=f"stepladder-mcp-{server.shown}")

    @contextmanager
    def in_use(self) -> Iterator[Session]:
        """Be a call in it."""
        self.calls += 1
        try:
            yield self
        finally:
            self.calls -= 1
            if not self.calls and (self.over or not self._client.done()):
                self.leave()

    def leave(self) -> None:
        """Take no more calls; end once there are none in it."""
        self.over = True
        if not self.calls:
            self._end.set()
            if self._client.cancel():  # it was not open yet
                self.task.cancel()

    async def opened(self, tool: str, by: float) -> Client:
        """The client, once it is open and the server has this tool.

        Raises:
            RemoteAgentError: it cannot be opened, is not by this time of the loop, or the tool is not there.
        """
        try:
            async with asyncio.timeout_at(by):
                client = await asyncio.shield(self._client)
                if tool not in self._tools:
                    self._tools = await _tools(client)
        except MCPError as error:
            raise _refused(self, error) from error
        except TimeoutError as error:
            raise RemoteAgentError(self.server.shown, 0, f"is not open in time{self.ending.aside}") from error
        if tool not in self._tools:
            there = ", ".join(sorted(self._tools)) or "none"
            raise _final(RemoteAgentError(self.server.shown, 0, f"no tool {tool!r}; there are: {there[:500]}"))
        return client

    def _ended(self) -> None:
        self.over = True
        self._end.set()

    async def _keep(self) -> None:
        try:
            async with Client(connect(self.server, self.ending)) as client:
                self._tools = await _tools(client)
                self._client.set_result(client)
                await self._end.wait()
        except (Exception, BaseExceptionGroup) as error:
            if not self._client.done():
                self._client.set_exception(_refused(self, error))
        finally:
            self._ended()
            self._client.cancel()


_SESSIONS: WeakKeyDictionary[asyncio.AbstractEventLoop, set[Session]] = WeakKeyDictionary()


def _session(server: Server) -> Session:
    """The session of the running loop with this server."""
    mine = _SESSIONS.setdefault(asyncio.get_running_loop(), set())
    for each in mine:
        if each.server == server and not each.over:
            return each
    session = Session(server)
    mine.add(session)
    session.task.add_done_callback(lambda _: mine.discard(session))
    return session


async def _tools(client: Client) -> set[str]:
    """The names of a server's tools. The SDK wants them listed before it checks an answer."""
    names, cursor = set[str](), None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        names |= {tool.name for tool in page.tools}
        cursor = page.next_cursor
        if cursor is None:
            break
    return names


def _failed(session: Session, error: MCPError) -> RemoteAgentError | OutcomeUnknownError:
    """What a call's error is to the run."""
    if error.code in UNKNOWN:
        return OutcomeUnknownError(f"{session.server.shown}: {_said(session, error)}")
    return _refused(session, error)


def _refused(session: Session, error: BaseException) -> RemoteAgentError:
    """An error before anything was done."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    shown = session.server.shown
    if not isinstance(error, MCPError):
        return RemoteAgentError(shown, 0, session.ending.why or f"{type(error).__name__}: {error}")
    if error.code == STATUS:
        return RemoteAgentError(shown, error.data, error.message)
    refused = RemoteAgentError(shown, 0, _said(session, error))
    return refused if error.code in {*UNKNOWN, NOT_SENT, SESSION_GONE} else _final(refused)


def _said(session: Session, error: MCPError) -> str:
    return (session.ending.why if error.code == CONNECTION_CLOSED else "") or error.message


def _final(error: RemoteAgentError) -> RemoteAgentError:
    """The error as one that stays when it is tried again."""
    error.retryable = False
    return error
