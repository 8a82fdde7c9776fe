"""A local server that speaks the wires of OpenAI (chat completions, responses) and Gemini, and misbehaves by a script.

It runs on a thread and a loop of its own, so that what is rehearsed has its own to itself. It counts every request and
what a provider would have billed for it, which is what a ledger has to cover.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote, unquote

import msgspec

from stepladder.llm import cost_usd
from stepladder.rehearsal.faults import (
    BODIES,
    CHAT,
    HTML,
    SOCKET,
    STATUSES,
    UNBILLED,
    Usage,
    error_body,
)
from stepladder.rehearsal.script import FaultLine, FaultScript

BYTES_A_TOKEN: Final = 4
NO_ACTION: Final = "AN_ACTION_THAT_NOBODY_DEFINED"
MOST_BODY: Final = 50_000_000
PIECES: Final = 40
"""Pieces that a dripping answer comes in."""


class Served(msgspec.Struct, frozen=True):
    """One request: the model (`provider:model`), which call of it, what was done (a fault's family, or ok), and the US
    dollars that a provider would have billed. `at_s` is seconds since the server began."""

    model: str
    call: int
    fault: str
    billed_usd: float
    at_s: float


class _Question(NamedTuple):
    wire: str
    provider: str
    model: str
    body: dict[str, Any]
    size: int

    @property
    def target(self) -> str:
        return f"{self.provider}:{self.model}"


class FaultServer:
    """Serves from `with FaultServer(script) as server:` on; `url` is where.

    Args:
        script: what goes wrong, when.
        answers: what healthy models say, by `provider:model`, in order; without one left, the first legal action.
        prices: US dollars per million tokens read and written, before the price list.
    """

    def __init__(
        self,
        script: FaultScript,
        answers: Mapping[str, Sequence[Any]] | None = None,
        prices: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.script, self.answers, self.prices = script, answers or {}, dict(prices or {})
        self.served: list[Served] = []
        self.url = ""
        self._calls: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._began = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stepladder-rehearsal", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    @property
    def openai_url(self) -> str:
        """The base_url for OpenAI's SDK."""
        return f"{self.url}/v1"

    def url_of(self, provider: str) -> str:
        """The base_url at which a provider of this name is served: on Gemini's wire for google, else on OpenAI's."""
        if provider == "google":
            return self.url
        return self.openai_url if provider == "openai" else f"{self.url}/{quote(provider, safe='')}/v1"

    @property
    def billed_usd(self) -> float:
        """What a provider would have billed for everything that was served."""
        return sum(each.billed_usd for each in self.served)

    # --- the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=512))
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        self._began = time.monotonic()
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (question := await _question(reader)) is not None:
                if not await self._serve(question, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError, ValueError, asyncio.CancelledError):
            pass
        finally:
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()

    async def _serve(self, question: _Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer, or fail to; whether the connection is good for more."""
        self._calls[question.target] += 1
        call, at_s = self._calls[question.target], time.monotonic() - self._began
        line = self.script.fault(question.target, call, at_s)
        family = line.fault if line else "ok"
        text, usage = self._said(question, family)
        billed = self._billed(question, usage, family)
        self.served.append(Served(question.target, call, family, billed, round(at_s, 6)))
        if self.script.latency_s:
            await asyncio.sleep(self.script.latency_s)
        if family in STATUSES:
            return await _send(writer, STATUSES[family].status, error_body(family, question.wire), _retry_after(line))
        body = BODIES[question.wire](question.model, text, usage, family)
        if line is not None and family in SOCKET:
            return await _misbehave(line, body, reader, writer)
        return await _send(writer, 200, body)

    def _said(self, question: _Question, family: str) -> tuple[str, Usage]:
        text = {"prose": CHAT, "empty": ""}.get(family)
        if text is None and family not in UNBILLED:
            text = self._answer(question, family)
        text = text or ""
        written = text[: len(text) // 2] if family == "truncated" else text
        return written, (max(1, question.size // BYTES_A_TOKEN), max(1, len(written) // BYTES_A_TOKEN))

    def _answer(self, question: _Question, family: str) -> str:
        """What the model says, from the script or the schema. What is scripted is used up by what comes whole."""
        if family == "illegal":
            return json.dumps({"reason": "I know better.", "action": NO_ACTION, "confidence": 1.0})
        lines, count = self.answers.get(question.target, ()), self._answered[question.target]
        if family in ("ok", "slow", "no_usage"):
            self._answered[question.target] += 1
        if count < len(lines):
            return lines[count] if isinstance(lines[count], str) else json.dumps(lines[count])
        return json.dumps(first_legal(_schema(question)))

    def _billed(self, question: _Question, usage: Usage, family: str) -> float:
        if family in UNBILLED:
            return 0.0
        return cost_usd(question.provider, question.model, *usage, overrides=self.prices) or 0.0


def first_legal(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of somebody who takes the first action that the schema offers."""
    properties = schema.get("properties", {})
    actions = properties.get("action", {}).get("enum") or ["NOTHING"]
    said: dict[str, Any] = {"reason": "the first legal action", "action": actions[0], "confidence": 0.9}
    if "next_state" in properties:
        said["next_state"] = None
    if "parameters" in properties:
        said["parameters"] = dict.fromkeys(properties["parameters"].get("properties", {}))
    return said


# --- the wire


async def _question(reader: asyncio.StreamReader) -> _Question | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    size = int(headers.get("content-length", 0))
    if size > MOST_BODY:
        return None
    raw = await reader.readexactly(size)
    path = first.split(" ")[1]
    body = json.loads(raw) if raw else {}
    if "enerateContent" in path:
        return _Question("google", "google", path.rpartition("/")[2].partition(":")[0], body, size)
    wire = "responses" if path.rstrip("/").endswith("/responses") else "chat"
    provider = unquote(path.strip("/").partition("/")[0])
    return _Question(wire, "openai" if provider == "v1" else provider, str(body.get("model", "")), body, size)


def _schema(question: _Question) -> Mapping[str, Any]:
    match question.wire:
        case "google":
            config = question.body.get("generationConfig", {})
            found = config.get("responseJsonSchema") or config.get("responseSchema") or _parameters(question.body)
        case "responses":
            found = question.body.get("text", {}).get("format", {}).get("schema") or _parameters(question.body)
        case _:
            found = question.body.get("response_format", {}).get("json_schema", {}).get("schema")
            found = found or _parameters(question.body)
    return found if isinstance(found, dict) else {}


def _parameters(body: Mapping[str, Any]) -> object:
    """The schema of an answer that is asked for as the call of a function."""
    tool: dict[str, Any] = next(iter(body.get("tools") or ()), {})
    declared: dict[str, Any] = next(iter(tool.get("functionDeclarations") or ()), {})
    names = ("parameters", "parametersJsonSchema", "parameters_json_schema")  # the last two are one in ProtoJSON
    holders = (tool, tool.get("function", {}), declared)
    return next((holder[name] for holder in holders for name in names if holder.get(name)), None)


def _head(status: int, size: int, kind: str = "application/json", more: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {size}\r\n{more}\r\n".encode()


async def _send(writer: asyncio.StreamWriter, status: int, body: Mapping[str, Any], more: str = "") -> bool:
    raw = json.dumps(body).encode()
    writer.write(_head(status, len(raw), more=more) + raw)
    await writer.drain()
    return True


def _retry_after(line: FaultLine | None) -> str:
    if line is None or line.fault != "rate_limited" or line.seconds is None:
        return ""
    return f"retry-after: {line.seconds:g}\r\n"


async def _misbehave(
    line: FaultLine, body: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    raw = json.dumps(body).encode()
    match line.fault:
        case "slow":
            await asyncio.sleep(line.wait_s)
            return await _send(writer, 200, body)
        case "hang" | "billed_late":
            await reader.read(1)  # until the client has gone
        case "gateway":
            page = HTML.encode()
            writer.write(_head(502, len(page), "text/html") + page)
        case "not_json":
            writer.write(_head(200, 9) + b"<nothing>")
        case "cut":
            writer.write(_head(200, len(raw)) + raw[: len(raw) // 2])
        case "drip":
            writer.write(_head(200, len(raw)))
            for start in range(0, len(raw), max(1, len(raw) // PIECES)):
                writer.write(raw[start : start + max(1, len(raw) // PIECES)])
                await writer.drain()
                await asyncio.sleep(line.wait_s / PIECES)
        case _:
            if (transport := writer.transport) is not None:
                transport.abort()
    with contextlib.suppress(OSError):
        await writer.drain()
    return False
