"""Calling an agent: any sync or async callable.

It is called with the step's arguments as keywords; one that has a parameter named `call` gets an AgentCall there. It
returns a mapping, a dataclass, a pydantic model or an AgentResult around one of these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from stepladder.commands import CallAgent
from stepladder.drivers.artifacts import taken_in
from stepladder.errors import InputError, StepladderError
from stepladder.events import NOTHING_USED, AgentFailed, AgentReturned, Usage
from stepladder.values import copied, plain
from stepladder.workflow.yaml_text import Path

LONGEST_ERROR: Final = 10_000
"""Characters of what an agent says about its failure that are kept."""


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
    """A callable, looked at once. Raises InputError: it cannot be called."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise InputError(f"agent {name!r}", "", f"a {type(function).__name__}", "a function or another callable")
        self.name, self.function = name, function
        called = function if inspect.isroutine(function) or isinstance(function, type) else type(function).__call__
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
        self.wants_call = "call" in _parameters(function)

    def arguments(
        self,
        command: CallAgent,
        call: AgentCall | None,
        places: Iterable[tuple[Path, str]],
        secret: Callable[[str], str],
    ) -> dict[str, Any]:
        """The keywords to call it with: a copy, with secrets at the `places` where the workflow's file names them.

        Secrets come in here and nowhere earlier, and never because run data asks for one.
        """
        arguments = copied(command.arguments)
        for path, reference in places:
            root, _, name = reference.partition(".")
            if root == "secret":
                _put(arguments, path, secret(name))
        return {**arguments, "call": call} if self.wants_call else arguments

    async def close(self) -> None:
        """Let it give back what it holds, where it is a thing with an `aclose`."""
        close = getattr(self.function, "aclose", None)
        if close is not None:
            await close()


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return {}


def _put(inside: Any, path: Path, value: str) -> None:
    *before, last = path
    for part in before:
        inside = inside[part]
    inside[last] = value


class OutcomeUnknownError(StepladderError):
    """Raised by an agent that does not know whether its effect happened: a connection lost after the request went out.

    The call keeps its key. It is made again where the agent is idempotent, and is otherwise put to a person.
    """


class Raised(msgspec.Struct, frozen=True):
    """Instead of a result: what the agent raised."""

    error: BaseException


def attempt(function: Callable[..., Any], arguments: dict[str, Any]) -> object:
    """What a synchronous agent gives, or Raised, in a thread.

    Whatever is raised there is the agent's own, for signals reach the main thread only; and a thread cannot hand every
    exception on: StopIteration hangs, KeyboardInterrupt ends the loop.
    """
    try:
        return function(**arguments)
    except BaseException as error:
        return Raised(error)


def raised(command: CallAgent, error: BaseException, at: float, elapsed_s: float) -> AgentFailed:
    """The event for an agent that raised."""
    kind = _text(type(error).__name__)
    reason: Literal["raised", "cut_off"] = "cut_off" if isinstance(error, OutcomeUnknownError) else "raised"
    return AgentFailed(at, command.number, reason, _said(error), kind, command.attempt, elapsed_s=elapsed_s)


def _said(error: BaseException) -> str:
    try:
        return _text(str(error))
    except Exception:
        return f"a {_text(type(error).__name__)} that cannot be shown"


def _text(text: str) -> str:
    """The text as a journal can hold it."""
    return text[:LONGEST_ERROR].encode("utf-8", "replace").decode()


def returned(
    command: CallAgent, result: object, at: float, elapsed_s: float, check: Callable[[Any], str] | None
) -> tuple[AgentReturned | AgentFailed, dict[str, bytes]]:
    """The event for what an agent returned, and the artifacts to keep.

    An output that is not JSON, or does not fit the agent's schema, is a failure with the reason "invalid". So is a
    usage that is none.
    """
    wrapped = result if isinstance(result, AgentResult) else AgentResult(result)
    kept: dict[str, bytes] = {}
    usage, wrong = (NOTHING_USED, "") if wrapped is not result else _usage(command.agent, wrapped)
    output: dict[str, Any] = {}
    if not wrong:
        try:
            output = _output(command.agent, wrapped.output, kept)
            wrong = check(output) if check else ""
        except Exception as error:  # its values are the agent's own classes, and may raise anything
            wrong = _said(error)
    if wrong:
        wrong = _text(wrong)
        failed = AgentFailed(at, command.number, "invalid", wrong, "InvalidOutput", command.attempt, usage, elapsed_s)
        return failed, {}
    artifacts = dict.fromkeys(kept, "")
    return AgentReturned(at, command.number, output, command.attempt, usage, artifacts, elapsed_s), kept


def _usage(agent: str, result: AgentResult) -> tuple[Usage, str]:
    """What it used, and what is wrong with that: counts from 0, a finite price from 0 or None."""
    told = {"input_tokens": result.input_tokens, "output_tokens": result.output_tokens, "cost_usd": result.cost_usd}
    try:
        return msgspec.convert(plain(told, f"usage of agent {agent!r}"), _CheckedUsage).usage(), ""
    except (InputError, msgspec.ValidationError) as error:
        return Usage(), f"usage of agent {agent!r}: {_said(error)}"


_Count = Annotated[int, msgspec.Meta(ge=0)]


class _CheckedUsage(msgspec.Struct):
    input_tokens: _Count
    output_tokens: _Count
    cost_usd: Annotated[float, msgspec.Meta(ge=0)] | None

    def usage(self) -> Usage:
        return Usage(self.input_tokens, self.output_tokens, self.cost_usd)


def _output(agent: str, output: object, kept: dict[str, bytes]) -> dict[str, Any]:
    what = f"result of agent {agent!r}"
    if output is None:
        return {}
    value = taken_in(output, what, kept)
    if not isinstance(value, dict):
        raise InputError(what, "", f"a {type(output).__name__}", "a mapping of fields, such as {'text': ...}")
    return value
