"""An agent that calls one tool of an MCP server.

The tool's arguments are the step's. The idempotency key goes along in `_meta`, so a server can tell a call made again
from a new one. There are no retries here: a step's `retry` has them. What the tool says is data, whatever it says.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any, Final

from stepladder.drivers.agents import AgentCall
from stepladder.drivers.artifacts import Artifact
from stepladder.drivers.mcp.server import Server
from stepladder.drivers.remote import RemoteAgentError, address, seconds_left
from stepladder.errors import InputError

KEY: Final = "stepladder/idempotency-key"
"""Where in a call's `_meta` its idempotency key is; `stepladder/run`, `/step` and `/attempt` are beside it."""


class ToolError(RemoteAgentError):
    """A tool said that it failed: `found` is its text."""

    def __init__(self, server: str, found: str) -> None:
        super().__init__(server, 0, found)
        self.retryable = False


def mcp_agent(
    server: str | Sequence[str],
    tool: str,
    *,
    headers: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | PathLike[str] | None = None,
) -> McpAgent:
    """An agent that calls `tool` of an MCP server and gives the object that comes back.

    `server` is an address (streamable HTTP) or a command as a list of arguments (stdio). `headers` go with every
    request to an address. A command is started in `cwd`, with `env` and what a program needs to run (PATH, HOME, ...),
    and nothing else of this process' environment. Nothing is started or connected before the first call; the session is
    then shared by all agents of this server on the event loop, and is opened again where it broke.

    Raises:
        InputError: neither an address nor a command, or options of the other kind.
    """
    if not isinstance(tool, str) or not tool:
        raise InputError("mcp_agent", "tool", repr(tool), "the name of a tool")
    if isinstance(server, str):
        address("mcp_agent", server)
        _must_be_absent("a command", env=env, cwd=cwd)
        return McpAgent(Server(server, dict(headers or {})), tool)
    if not server or not all(isinstance(each, str) for each in server):
        raise InputError("mcp_agent", "server", repr(server), "an address, or a command as a list of arguments")
    _must_be_absent("an address", headers=headers)
    folder = None if cwd is None else fspath(cwd)
    return McpAgent(Server(command=tuple(server), env=dict(env or {}), cwd=folder), tool)


def _must_be_absent(belongs_to: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise InputError("mcp_agent", name, "a value", f"nothing: it belongs to {belongs_to}")


class McpAgent:
    """A tool of a server, as an agent; `mcp_agent` makes one."""

    def __init__(self, server: Server, tool: str) -> None:
        self.server, self.tool = server, tool

    async def __call__(self, /, call: AgentCall, **arguments: Any) -> dict[str, Any]:
        """The tool's output.

        Raises:
            ToolError: the tool said that it failed.
            RemoteAgentError: nothing was done, or the answer is not to be understood.
            OutcomeUnknownError: no whole answer came after the request had gone out.
        """
        try:
            from stepladder.drivers.mcp.session import call_tool
        except ModuleNotFoundError as missing:
            wanted = f"needs the module {missing.name!r}: pip install 'stepladder[mcp]'"
            raise RemoteAgentError(self.server.shown, 0, wanted) from missing
        result = await call_tool(self.server, self.tool, arguments, _meta(call), seconds_left(call))
        return _output(f"{self.server.shown}: {self.tool}", result)

    async def aclose(self) -> None:
        """Close the session on this event loop, once the calls in it are done. Another call opens a new one."""
        try:
            from stepladder.drivers.mcp.session import close
        except ModuleNotFoundError:
            return
        await close(self.server)


def _meta(call: AgentCall) -> dict[str, Any]:
    return {
        KEY: call.key,
        "stepladder/run": call.run_id,
        "stepladder/step": call.step,
        "stepladder/attempt": call.attempt,
    }


def _output(shown: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """What a tool's result is as an output. Its text is one that came as one block or as several, in lines."""
    try:
        parts = [_part(block) for block in result["content"]]
    except ValueError as error:
        raise RemoteAgentError(shown, 0, f"bytes that are not base64 ({error})") from error
    text = "\n".join(part for part in parts if isinstance(part, str))
    structured = result.get("structuredContent")
    if result.get("isError"):
        raise ToolError(shown, text or json.dumps(structured or "it gave no reason"))
    artifacts = [part for part in parts if isinstance(part, Artifact)]
    links = [part for part in parts if isinstance(part, dict)]
    beside = {name: found for name, found in (("artifacts", artifacts), ("links", links)) if found}
    if structured is None:
        structured = _spelled(text) if len(parts) == 1 else None
    if structured is None:
        return {"text": text, **beside} if text or not beside else beside
    return beside | (structured if isinstance(structured, dict) else {"result": structured})


def _part(block: Mapping[str, Any]) -> str | Artifact | dict[str, Any]:
    """A content block as a text, as bytes, or as what it says about a thing elsewhere."""
    inside = block.get("resource", block)
    for name in ("data", "blob"):
        if name in inside:
            return Artifact(b64decode(inside[name], validate=True), inside.get("mimeType", "application/octet-stream"))
    return str(inside["text"]) if "text" in inside else dict(block)


def _spelled(text: str) -> dict[str, Any] | None:
    """The JSON object that a text spells, if it does."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
