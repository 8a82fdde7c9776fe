"""Agents: whatever callable they are, whatever they give back, raise, or do later to what they gave."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import threading
from collections import OrderedDict
from concurrent.futures import CancelledError as FutureCancelled
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Any

import msgspec
import pydantic
import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.drivers import AgentCall, AgentResult, Artifact
from stepladder.errors import InputError
from stepladder.events import AgentFailed, AgentReturned
from stepladder.journal import MemoryJournal
from tests.drivers.desk import ONE, go, of, one, workflow

# --- what may be an agent


async def as_async(x: Any) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"got": x}


def as_sync(x: Any) -> dict[str, Any]:
    return {"got": x}


class Sync:
    def __call__(self, x: Any) -> dict[str, Any]:
        return {"got": x}

    def method(self, x: Any) -> dict[str, Any]:
        return {"got": x}

    @staticmethod
    def static(x: Any) -> dict[str, Any]:
        return {"got": x}


class Async:
    async def __call__(self, x: Any) -> dict[str, Any]:
        return {"got": x}

    async def method(self, x: Any) -> dict[str, Any]:
        return {"got": x}


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


class Later:
    """Awaitable, and no coroutine."""

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return {"got": 7}


@pytest.mark.parametrize(
    "agent",
    [
        as_async,
        as_sync,
        Sync(),
        Sync().method,
        Sync.static,
        Async(),
        Async().method,
        functools.partial(as_sync),
        functools.partial(as_async),
        functools.partial(lambda more, x: {"got": x}, "more"),
        functools.partial(Async()),
        wrapped(as_sync),
        wrapped(as_async),
        lambda x: {"got": x},
        lambda x: as_async(x),  # noqa: PLW0108 - a plain function that gives a coroutine
        lambda x: Later(),
        lambda **given: {"got": given["x"]},
        dict,
    ],
    ids=repr,
)
def test_any_callable_is_an_agent(agent: Any) -> None:
    run = go(one(agent, 7))
    assert run.success, run.output
    assert run.output["made"] in ({"got": 7}, {"x": 7})


@pytest.mark.parametrize("agent", [None, 3, "agent", {"a": 1}])
def test_what_cannot_be_called_is_refused_at_once(agent: Any) -> None:
    with pytest.raises(InputError, match=r"agent 'worker'.*a function or another callable"):
        Orchestrator(workflow(ONE), agents={"worker": agent})


def test_missing_and_unknown_agents_are_named() -> None:
    with pytest.raises(InputError, match=r"found nothing.*each agent of one"):
        Orchestrator(workflow(ONE))
    with pytest.raises(InputError, match="workr"):
        Orchestrator(workflow(ONE), agents={"worker": as_sync, "workr": as_sync})


def test_a_sync_agent_runs_beside_the_loop_and_an_async_one_on_it() -> None:
    seen: list[str] = []

    def sync(x: Any) -> None:
        seen.append(threading.current_thread().name)

    async def asynchronous(x: Any) -> None:
        seen.append(threading.current_thread().name)

    go(one(sync))
    go(one(asynchronous))
    assert seen[0].startswith("stepladder-agent")
    assert seen[1] == threading.current_thread().name


def test_a_call_parameter_gets_key_attempt_deadline_and_prompt() -> None:
    seen: list[AgentCall] = []

    async def agent(x: Any, call: AgentCall) -> dict[str, Any]:
        seen.append(call)
        return {}

    step = {"agent": "worker", "prompt": "say@1", "timeout_s": 30, "with": {"x": "input.x"}}
    changed = workflow(
        ONE, {"phases": {"work": {"steps": {"working": step}}}}, prompts={"say@1": "You write.\n\n---\nAbout {{ x }}."}
    )

    async def body() -> None:
        async with Orchestrator(changed, agents={"worker": agent}) as orchestrator:
            await orchestrator.run({"x": "owls"}, run_id="r")

    go(body())
    (call,) = seen
    assert (call.run_id, call.step, call.agent, call.attempt) == ("r", "working", "worker", 1)
    assert call.key
    assert call.deadline is not None
    assert call.prompt_name == "say@1"
    assert "owls" in call.prompt


def test_an_agent_without_a_call_parameter_gets_its_arguments_only() -> None:
    run = go(one(lambda **given: {"names": sorted(given)}))
    assert run.output["made"] == {"names": ["x"]}


# --- what it may give back


class Model(pydantic.BaseModel):
    text: str
    size: int = 2


@dataclasses.dataclass
class Data:
    text: str
    size: int = 2


class Struct(msgspec.Struct):
    text: str
    size: int = 2


class Colour(Enum):
    RED = "red"


class Word(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"text": "a"}, {"text": "a"}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Model(text="a"), {"text": "a", "size": 2}),
        (Data("a"), {"text": "a", "size": 2}),
        (Struct("a"), {"text": "a", "size": 2}),
        (None, {}),
        ({}, {}),
        ({"rows": [(1, 2), (3, 4)]}, {"rows": [[1, 2], [3, 4]]}),
        (
            {"inner": Model(text="a"), "other": [Data("b", 1)]},
            {"inner": {"text": "a", "size": 2}, "other": [{"text": "b", "size": 1}]},
        ),
        ({"colour": Colour.RED, "word": Word("w")}, {"colour": "red", "word": "w"}),
        ({"big": 2**70, "small": -(2**70), "exact": 2**53 + 1}, {"big": 2**70, "small": -(2**70), "exact": 2**53 + 1}),
        ({"float": 0.1, "zero": -0.0, "huge": 1e300}, {"float": 0.1, "zero": 0.0, "huge": 1e300}),
        ({"text": "é \u2028 \x00 😀"}, {"text": "é \u2028 \x00 😀"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_results_become_plain_values(given: object, kept: dict[str, Any]) -> None:
    run = go(one(lambda x: given))
    assert run.success, run.output
    assert run.output["made"] == kept
    assert of(run, AgentReturned)[0].output == kept


class Hostile:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare me")

    __hash__ = None  # type: ignore[assignment]


def cyclic() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["self"] = found
    return found


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("text", "found a str; expected a mapping"),
        (3, "found a int; expected a mapping"),
        ([1], "found a list; expected a mapping"),
        (True, "found a bool; expected a mapping"),
        ({"a": {"b": [1, {2, 3}]}}, ".a.b[1]: found a set"),
        ({"a": b"bytes"}, ".a: found a bytes"),
        ({"a": float("nan")}, ".a: found nan; expected a finite number"),
        ({"a": [1.0, float("-inf")]}, ".a[1]: found -inf"),
        ({1: "a"}, "a key of type int (1)"),
        ({"a": Decimal("1.5")}, ".a: found a Decimal"),
        ({"a": "\ud800"}, "a lone surrogate"),
        ({"\udfff": 1}, "a lone surrogate"),
        ({"a": object()}, ".a: found a object"),
        ({"a": Hostile()}, ".a: found a Hostile"),
        ({"a": 2**20_000}, "bits"),
        ({"a": deep(100)}, "nesting deeper"),
        (cyclic(), "nesting deeper than 64"),
        (Model, "found a "),
        ({"a": as_sync}, ".a: found a function"),
        ((each for each in ()), "found a generator"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_not_json_is_refused_with_its_path(given: object, said: str) -> None:
    run = go(one(lambda x: given))
    assert not run.success
    assert run.output["error_type"] == "InvalidOutput"
    assert run.output["returned"] == "failed"
    assert said in run.output["error"]
    assert of(run, AgentFailed)[0].reason == "invalid"


@pytest.mark.parametrize(
    "output", [{"text": 3}, {"text": None}, {"text": "a", "size": "b"}, {"text": "a", "size": 1.5}]
)
def test_an_output_that_does_not_fit_its_schema_is_invalid(output: dict[str, Any]) -> None:
    agents = {"agents": {"worker": {"output": {"text": "string", "size": "integer"}}}}
    run = go(one(lambda x: AgentResult(output, 10, 5, 0.25), changes=agents))
    (failed,) = of(run, AgentFailed)
    assert failed.reason == "invalid"
    assert ("text" in failed.error) or ("size" in failed.error)
    assert (run.usd, failed.usage.input_tokens) == (0.25, 10), "what it used is counted all the same"


def test_usage_is_counted() -> None:
    run = go(one(lambda x: AgentResult({"a": 1}, input_tokens=120, output_tokens=30, cost_usd=0.02)))
    (returned,) = of(run, AgentReturned)
    assert (returned.usage.input_tokens, returned.usage.output_tokens, returned.usage.cost_usd) == (120, 30, 0.02)
    assert run.usd == 0.02


def test_an_unknown_price_stays_unknown() -> None:
    run = go(one(lambda x: AgentResult({"a": 1}, 120, 30, None)))
    assert of(run, AgentReturned)[0].usage.cost_usd is None
    assert run.usd == 0.0


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": None},
        {"input_tokens": -1},
        {"input_tokens": "12"},
        {"output_tokens": 1.5},
        {"cost_usd": float("nan")},
        {"cost_usd": -0.1},
        {"cost_usd": "0.1"},
        {"cost_usd": Decimal("0.1")},
    ],
    ids=str,
)
def test_a_usage_that_is_none_is_refused_and_the_journal_stays_readable(usage: dict[str, Any]) -> None:
    run = go(one(lambda x: AgentResult({"a": 1}, **usage)))
    (failed,) = of(run, AgentFailed)
    assert failed.reason == "invalid"
    assert next(iter(usage)) in failed.error


# --- artifacts


def test_artifacts_are_kept_beside_the_journal() -> None:
    picture = bytes(range(256))
    journal = MemoryJournal()
    run = go(one(lambda x: {"charts": [Artifact(picture, "image/png")], "n": 1}, journal=journal))
    name = sha256(picture).hexdigest()
    assert run.output["made"] == {"charts": [{"$artifact": name, "bytes": 256, "media_type": "image/png"}], "n": 1}
    assert journal.artifact(name) == picture
    assert run.state.artifacts == {name: ""}


@dataclasses.dataclass
class Chart:
    picture: Artifact
    title: str = "t"


class ChartModel(pydantic.BaseModel, arbitrary_types_allowed=True):
    picture: Any
    title: str = "t"


class ChartStruct(msgspec.Struct):
    picture: Artifact
    title: str = "t"


@pytest.mark.parametrize("kind", [Chart, ChartModel, ChartStruct])
def test_artifacts_in_fields_are_kept_too(kind: Any) -> None:
    journal = MemoryJournal()
    run = go(one(lambda x: kind(picture=Artifact(b"pic")), journal=journal))
    name = sha256(b"pic").hexdigest()
    assert run.output["made"]["title"] == "t"
    assert run.output["made"]["picture"]["$artifact"] == name
    assert journal.artifact(name) == b"pic"


def test_a_later_agent_reads_an_artifact_by_its_digest() -> None:
    journal = MemoryJournal()

    async def body() -> Any:
        first = await one(lambda x: {"file": Artifact(b"abc")}, journal=journal)
        digest = first.output["made"]["file"]["$artifact"]

        def reader(x: str, call: AgentCall) -> dict[str, Any]:
            return {"text": (call.artifact(x) or b"").decode(), "nothing": call.artifact("0") is None}

        async with Orchestrator(workflow(ONE), agents={"worker": reader}, journal=journal) as orchestrator:
            return (await orchestrator.run({"x": digest}, run_id="second")).output

    assert go(body())["made"] == {"text": "abc", "nothing": True}


def test_an_artifact_that_is_not_bytes_is_invalid() -> None:
    run = go(one(lambda x: {"file": Artifact("text")}))  # type: ignore[arg-type]
    assert run.output["error_type"] == "InvalidOutput"


# --- what it may raise


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ValueError("no such table"), "ValueError", "no such table"),
        (KeyError("x"), "KeyError", "'x'"),
        (Exception(), "Exception", ""),
        (StopIteration("next() of nothing"), "StopIteration", "next() of nothing"),
        (SystemExit(2), "SystemExit", "2"),
        (asyncio.CancelledError("inner"), "CancelledError", "inner"),
        (FutureCancelled("inner"), "CancelledError", "inner"),
        (TimeoutError("slow"), "TimeoutError", "slow"),
        (MuteError(), "MuteError", "a MuteError that cannot be shown"),
        (OSError("\udcff is no name"), "OSError", "? is no name"),
        (RuntimeError("x" * 100_000), "RuntimeError", "x" * 10_000),
        (ExceptionGroup("two", [ValueError("a"), ValueError("b")]), "ExceptionGroup", "two (2 sub-exceptions)"),
        (BaseExceptionGroup("one", [KeyboardInterrupt()]), "BaseExceptionGroup", "one (1 sub-exception)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
@pytest.mark.parametrize("how", ["sync", "async"])
def test_whatever_an_agent_raises_is_a_failure_that_the_rules_see(
    how: str, error: BaseException, kind: str, said: str
) -> None:
    def sync(x: Any) -> None:
        raise error

    async def asynchronous(x: Any) -> None:
        await asyncio.sleep(0)
        raise error

    run = go(one(sync if how == "sync" else asynchronous))
    if how == "async" and kind == "StopIteration":
        kind, said = "RuntimeError", "coroutine raised StopIteration"  # Python's own doing
    assert (run.end, run.output["error_type"], run.output["error"]) == ("failed", kind, said or "raised")
    assert of(run, AgentFailed)[0].reason == "raised"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit("x")], ids=["interrupt", "exit"])
def test_an_agent_in_a_thread_interrupts_nobody_but_itself(error: BaseException) -> None:
    def agent(x: Any) -> None:
        raise error

    run = go(one(agent))
    assert run.output["error_type"] == type(error).__name__


def test_an_agent_that_does_not_take_its_arguments_fails() -> None:
    run = go(one(lambda y: {}))
    assert run.output["error_type"] == "TypeError"


def test_an_agent_whose_inner_task_is_cancelled_fails() -> None:
    async def agent(x: Any) -> None:
        inner = asyncio.create_task(asyncio.sleep(10))
        inner.cancel()
        await inner

    assert go(one(agent)).output["error_type"] == "CancelledError"


# --- what it may do later


def test_changing_arguments_does_not_change_the_run() -> None:
    given = {"list": [1, {"deep": True}]}

    def agent(x: Any) -> dict[str, Any]:
        x["list"][1]["deep"] = "changed"
        x["list"].append(9)
        x["more"] = 1
        return {}

    run = go(one(agent, given))
    assert run.state.input == {"x": {"list": [1, {"deep": True}]}}
    assert given == {"list": [1, {"deep": True}]}


def test_changing_the_result_later_does_not_change_the_run() -> None:
    mine: dict[str, Any] = {"list": [1], "inner": {"a": 1}}
    run = go(one(lambda x: mine))
    mine["list"].append(2)
    mine["inner"]["a"] = 2
    assert run.output["made"] == {"list": [1], "inner": {"a": 1}}


def test_changing_the_input_later_does_not_change_the_run() -> None:
    mine = {"a": [1]}

    async def body() -> Any:
        async with Orchestrator(workflow(ONE), agents={"worker": as_sync}) as orchestrator:
            started = await orchestrator.start({"x": mine}, run_id="r")
            mine["a"].append(2)
            return (await orchestrator.wait(started.id)).output

    assert go(body()) == {"made": {"got": {"a": [1]}}}
