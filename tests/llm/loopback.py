"""A raw HTTP server on loopback that does what a test says, counts what it was sent and notices who hangs up."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Self

Act = Callable[[socket.socket], None]
"""What the server does with a connection once a whole request is here."""


class Received(NamedTuple):
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Loopback:
    """Serves `act` for every request, one thread per connection, until closed."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.requests: list[Received] = []
        self.hung_up = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while request := _receive(connection):
                    self.requests.append(request)
                    self.act(connection)
            except OSError:
                pass
        self.hung_up.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


def _receive(connection: socket.socket) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, body = data.split(b"\r\n\r\n", 1)
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        chunk = connection.recv(65536)
        if not chunk:
            return None  # it hung up in the middle of its request
        body += chunk
    return Received(line, headers, body)


def head(status: int, length: int, headers: dict[str, str]) -> bytes:
    lines = {"content-type": "application/json", "content-length": str(length), **headers}
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode()


def encode(body: object) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def answer(status: int, body: object = b"", **headers: str) -> Act:
    """A complete answer; underscores in header names become hyphens."""
    raw, named = encode(body), {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda connection: connection.sendall(head(status, len(raw), named) + raw)


def zipped(body: object, keep: float = 1.0) -> Act:
    """A gzip answer, cut to the first `keep` of its compressed bytes."""
    raw = gzip.compress(encode(body))
    return answer(200, raw[: int(len(raw) * keep)], content_encoding="gzip")


def raw(data: bytes, *, reset: bool = False) -> Act:
    """These bytes on the wire, then the end: a clean one or a reset."""

    def act(connection: socket.socket) -> None:
        connection.sendall(data)
        if reset:
            time.sleep(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            connection.shutdown(socket.SHUT_RDWR)

    return act


def cut(body: object, *, reset: bool = False) -> Act:
    """Half of an answer whose head promised all of it."""
    data = encode(body)
    return raw(head(200, len(data), {}) + data[: len(data) // 2], reset=reset)


def drip(body: object, every_s: float = 0.2) -> Act:
    """One byte every `every_s` seconds: each read succeeds and the call never ends."""

    def act(connection: socket.socket) -> None:
        data = encode(body)
        connection.sendall(head(200, len(data), {}))
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(every_s)

    return act


def hang(connection: socket.socket) -> None:
    """Say nothing until the client goes away."""
    connection.settimeout(30)
    if not connection.recv(1):
        raise OSError("the client hung up")


def after(seconds: float, act: Act) -> Act:
    """`act`, later."""

    def late(connection: socket.socket) -> None:
        time.sleep(seconds)
        act(connection)

    return late


_HELD: Final[list[socket.socket]] = []


def closed_port() -> int:
    """A port nobody listens on, and that nobody else is given as long as this process lives."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return int(held.getsockname()[1])
