"""Agents that live elsewhere: one HTTP request a call, made like any other agent's.

The body is the step's arguments as a JSON object; the idempotency key goes along as `Idempotency-Key`, so a server can
tell a call made again from a new one. The answer is a JSON object. There are no retries here (a step's `retry` has
them) and no redirects: another address would get the arguments and the headers.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from stepladder.drivers.agents import AgentCall, OutcomeUnknownError
from stepladder.errors import InputError, StepladderError

MAX_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an answer that are read; a longer one is an error."""
NO_DEADLINE_S: Final = 300.0
"""Seconds for a call whose step has no timeout."""
GRACE_S: Final = 2.0
"""Seconds beyond a call's deadline that a connection is kept: the run's own clock says first that it is late."""
UNKNOWN: Final = frozenset({408, 502, 504})
"""Answers of somebody in between, who does not know what became of the request."""


class RemoteAgentError(StepladderError):
    """A remote agent gave no output: the HTTP `status` (0 where none came) and what was `found`."""

    def __init__(self, url: str, status: int, found: str) -> None:
        self.url, self.status, self.found = url, status, found
        self.retryable = status in (0, 425, 429) or status >= 500
        super().__init__(f"{url}: {f'HTTP {status}: ' if status else ''}{found}")


def http_agent(url: str, *, headers: Mapping[str, str] | None = None) -> Callable[..., dict[str, Any]]:
    """An agent that POSTs its arguments to `url` and gives the JSON object that comes back.

    `headers` go with every call. A call has the time its step's `timeout_s` leaves it. Where nothing was done the agent
    raises RemoteAgentError; where that is not known - the connection was lost after the request had gone out, a gateway
    gave up - OutcomeUnknownError.

    Raises:
        InputError: `url` is not an http or https address.
    """
    parts = address("http_agent", url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    shown = shown_address(parts)

    def call_remote(call: AgentCall, **arguments: Any) -> dict[str, Any]:
        left_s = seconds_left(call)
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = connect(parts.hostname or "", parts.port, timeout=left_s)
        try:
            _connected(connection, shown)
            connection.request("POST", target, json.dumps(arguments).encode(), _headers(headers or {}, call))
            return _output(shown, *_answer(connection))
        except (OSError, http.client.HTTPException) as error:
            raise OutcomeUnknownError(f"{shown}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    return call_remote


def address(agent: str, url: str) -> SplitResult:
    """The parts of an http or https address. Raises InputError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise InputError(agent, "url", repr(url), "an http or https address without a user or password in it")
    return parts


def shown_address(parts: SplitResult) -> str:
    """The address as messages show it: without its query, which may hold a key."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def seconds_left(call: AgentCall) -> float:
    """How long a call may take: until its deadline, and the grace beyond it."""
    return NO_DEADLINE_S if call.deadline is None else max(0.0, call.deadline - time.time()) + GRACE_S


def _connected(connection: http.client.HTTPConnection, url: str) -> None:
    """Without a connection nothing was sent, so nothing was done."""
    try:
        connection.connect()
    except OSError as error:
        raise RemoteAgentError(url, 0, f"{type(error).__name__}: {error}") from error


def _answer(connection: http.client.HTTPConnection) -> tuple[int, bytes]:
    answer = connection.getresponse()
    body = answer.read(MAX_ANSWER + 1)
    if answer.length and len(body) <= MAX_ANSWER:
        raise http.client.IncompleteRead(body[:0], answer.length)
    return answer.status, body


def _headers(own: Mapping[str, str], call: AgentCall) -> dict[str, str]:
    return {
        **own,
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Idempotency-Key": call.key,
        "Stepladder-Run": call.run_id.encode("ascii", "backslashreplace").decode(),
        "Stepladder-Step": call.step,
        "Stepladder-Attempt": str(call.attempt),
    }


def _output(url: str, status: int, body: bytes) -> dict[str, Any]:
    if status in UNKNOWN:
        raise OutcomeUnknownError(f"{url}: HTTP {status}")
    if not 200 <= status < 300:
        raise RemoteAgentError(url, status, body[:500].decode("utf-8", "replace") or "an empty answer")
    if len(body) > MAX_ANSWER:
        raise RemoteAgentError(url, status, f"an answer of more than {MAX_ANSWER} bytes")
    try:
        output = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RemoteAgentError(url, status, f"an answer that is not JSON ({str(error)[:100]})") from error
    if not isinstance(output, dict):
        raise RemoteAgentError(url, status, f"a JSON {type(output).__name__}; expected an object")
    return output
