"""Calling an agent: any sync or async callable.

It is called with the step's arguments as keywords; one that has a parameter named `call` gets an AgentCall there. It
returns a mapping, a dataclass, a pydantic model or an AgentResult around one of these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec

from stepladder.commands import CallAgent
from stepladder.errors import InputError
from stepladder.events import AgentFailed, AgentReturned, Usage
from stepladder.values import plain
from stepladder.workflow.arguments import SECRET

ARTIFACT: Final = "$artifact"


class Artifact(msgspec.Struct, frozen=True):
    """Bytes in an agent's output that are kept beside the journal; the run sees their digest, size and type."""

    data: bytes
    media_type: str = "application/octet-stream"


class AgentResult(msgspec.Struct, frozen=True):
    """An agent's output together with what it used."""

    output: Any
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0


class AgentCall(msgspec.Struct, frozen=True):
    """What an agent may want to know about its call.

    `key` is the idempotency key: equal for every attempt at the same call, also after a crash. `deadline` is in seconds
    since 1970. `prompt` is the step's prompt, rendered with its arguments ("" where it has none).
    """

    run_id: str
    step: str
    agent: str
    key: str
    attempt: int
    deadline: float | None = None
    prompt_name: str = ""
    prompt: str = ""
    artifact: Callable[[str], bytes | None] = lambda _: None


class Agent:
    """A callable, looked at once."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise InputError(f"agent {name!r}", "", f"a {type(function).__name__}", "a function or another callable")
        self.name, self.function = name, function
        call = function if inspect.isroutine(function) else function.__call__
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
        self.wants_call = "call" in _parameters(function)

    def arguments(self, command: CallAgent, call: AgentCall, secrets: Callable[[str], str]) -> dict[str, Any]:
        """The keywords to call it with; secrets come in here and nowhere earlier."""
        arguments = _with_secrets(command.arguments, secrets)
        return {**arguments, "call": call} if self.wants_call else arguments


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return {}


def _with_secrets(value: Any, secrets: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and SECRET in value:
            return secrets(value[SECRET])
        return {key: _with_secrets(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_secrets(item, secrets) for item in value]
    return value


def returned(
    command: CallAgent, result: object, at: float, elapsed_s: float, check: Callable[[Any], str] | None
) -> tuple[AgentReturned | AgentFailed, dict[str, bytes]]:
    """The event for what an agent returned, and the artifacts to keep.

    An output that is not JSON, or does not fit the agent's schema, is a failure with the reason "invalid".
    """
    wrapped = result if isinstance(result, AgentResult) else AgentResult(result)
    usage = Usage(wrapped.input_tokens, wrapped.output_tokens, wrapped.cost_usd)
    kept: dict[str, bytes] = {}
    try:
        output = _output(command.agent, wrapped.output, kept)
        wrong = check(output) if check else ""
    except InputError as error:
        output, wrong = {}, str(error)
    if wrong:
        failed = AgentFailed(at, command.number, "invalid", wrong, "InvalidOutput", command.attempt, usage, elapsed_s)
        return failed, {}
    artifacts = {digest: "" for digest in kept}
    return AgentReturned(at, command.number, output, command.attempt, usage, artifacts, elapsed_s), kept


def _output(agent: str, output: object, kept: dict[str, bytes]) -> dict[str, Any]:
    what = f"result of agent {agent!r}"
    value = {} if output is None else plain(_set_aside(output, kept), what)
    if not isinstance(value, dict):
        raise InputError(what, "", f"a {type(output).__name__}", "a mapping of fields, such as {'text': ...}")
    return value


def _set_aside(value: Any, kept: dict[str, bytes]) -> Any:
    """The value with artifacts replaced by references to them."""
    if isinstance(value, Artifact):
        digest = sha256(value.data).hexdigest()
        kept[digest] = value.data
        return {ARTIFACT: digest, "bytes": len(value.data), "media_type": value.media_type}
    if type(value) is dict:
        return {key: _set_aside(item, kept) for key, item in value.items()} if _has_artifact(value) else value
    if type(value) in (list, tuple):
        return [_set_aside(item, kept) for item in value] if _has_artifact(value) else value
    return value


def _has_artifact(value: Any) -> bool:
    if isinstance(value, Artifact):
        return True
    items = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return any(_has_artifact(item) for item in items)
