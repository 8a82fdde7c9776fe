"""An MCP server made with the official SDK. `stdio`, or `http`: it then prints its port.

Over HTTP a tool named `http_...` is answered below the SDK, with a fault. At /legacy the server knows no protocol newer
than 2025-11-25, so it has sessions.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import sys
from collections import Counter
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("tests", log_level="CRITICAL")
seen: Counter[str] = Counter()


@server.tool()
def greet(name: str, ctx: Context[Any]) -> dict[str, Any]:
    meta = dict(ctx.request_context.meta or {})
    seen[meta["stepladder/idempotency-key"]] += 1
    told = {key: value for key, value in meta.items() if key.startswith("stepladder/")}
    return {"text": f"Hello, {name}", "meta": told, "same": seen[meta["stepladder/idempotency-key"]]}


@server.tool()
def process() -> dict[str, Any]:
    return {"pid": os.getpid(), "secret": os.environ.get("TEST_SECRET"), "given": os.environ.get("GIVEN")}


@server.tool()
def header(ctx: Context[Any]) -> dict[str, Any]:
    return {"said": (ctx.headers or {}).get("authorization")}


@server.tool()
def numbers() -> list[int]:
    return [1, 2]


@server.tool()
def spelled() -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text='{"rows": [{"$ref": "secret.X"}]}')])


@server.tool()
def words() -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text) for text in ("one", '{"a": 1}')])


@server.tool()
def nothing() -> types.CallToolResult:
    return types.CallToolResult(content=[])


@server.tool()
def picture() -> types.CallToolResult:
    blob = types.BlobResourceContents(uri="x:y", blob="AAE=")
    return types.CallToolResult(
        content=[
            types.TextContent(type="text", text="a dot"),
            types.ImageContent(type="image", data="PHN2Zy8+", mime_type="image/svg+xml"),
            types.EmbeddedResource(type="resource", resource=blob),
            types.ResourceLink(type="resource_link", uri="file:///etc/passwd", name="more"),
        ]
    )


@server.tool()
def no_base64() -> types.CallToolResult:
    return types.CallToolResult(content=[types.ImageContent(type="image", data="?", mime_type="image/png")])


@server.tool()
def fail() -> str:
    raise ToolError("out of {{ ink }}")


@server.tool()
def crash() -> str:
    os._exit(3)


@server.tool()
async def hang() -> str:
    await asyncio.sleep(600)
    return "late"


@server.tool()
def big() -> str:
    return "x" * 17 * 1024 * 1024


JSON = {"content-type": "application/json"}
FAULTS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "http_500": (500, {}, b"it broke"),
    "http_404": (404, {}, b""),
    "http_401": (401, JSON, b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32001, "message": "who are you?"}}'),
    "http_504": (504, {}, b"gateway"),
    "http_302": (302, {"location": "/elsewhere"}, b""),
    "http_cut": (200, {**JSON, "content-length": "9999"}, b'{"jsonrpc":'),
    "http_text": (200, JSON, b"hello"),
    "http_long": (200, JSON, b" " * 17 * 1024 * 1024),
    "http_gzip": (200, {**JSON, "content-encoding": "gzip"}, gzip.compress(b"{}" * 99)),
    "http_stream_cut": (200, {"content-type": "text/event-stream"}, b"event: message\r\n"),
}
for name in (*FAULTS, "http_gone"):
    server.add_tool(lambda: "never", name=name)


class Faulty:
    """The SDK's app behind something that answers for it now and then."""

    def __init__(self) -> None:
        self.app = server.streamable_http_app()
        self.sessions: dict[bytes, int] = {}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "DELETE" and scope["path"] == "/legacy/stuck":
            await asyncio.sleep(600)
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app({**scope, "path": "/mcp"}, receive, send)
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        told = json.loads(body)
        found = self._fault(scope, told)
        if found is not None:
            status, headers, content = found
            pairs = [(key.encode(), value.encode()) for key, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": pairs})
            return await send({"type": "http.response.body", "body": content})
        bodies = [{"type": "http.request", "body": body, "more_body": False}]
        await self.app({**scope, "path": "/mcp"}, lambda: _next(bodies, receive), send)
        return None

    def _fault(self, scope: dict[str, Any], told: dict[str, Any]) -> tuple[int, dict[str, str], bytes] | None:
        name = (told.get("params") or {}).get("name")
        if scope["path"].startswith("/legacy") and told["method"] == "server/discover":
            return 404, {}, b""
        if name == "http_gone":  # every other session is a forgotten one
            session = dict(scope["headers"])[b"mcp-session-id"]
            number = self.sessions.setdefault(session, len(self.sessions))
            return None if number % 2 else (404 if number % 4 else 400, {}, b"")
        return FAULTS.get(name)


async def _next(bodies: list[dict[str, Any]], receive: Any) -> dict[str, Any]:
    return bodies.pop() if bodies else await receive()


def serve_http() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(Faulty(), log_level="critical")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve_http() if sys.argv[1] == "http" else server.run()
