"""Agents that are tools of MCP servers: real ones, as a process over stdio and on loopback HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from stepladder import (
    AgentCall,
    Artifact,
    InputError,
    Orchestrator,
    OutcomeUnknownError,
    Run,
    SyncOrchestrator,
    Workflow,
    mcp_agent,
)
from stepladder.cli.commands import app
from stepladder.drivers.mcp import McpAgent, ToolError
from stepladder.drivers.remote import RemoteAgentError
from tests.drivers.desk import go, turns, until
from tests.drivers.test_remote import WORKFLOW
from tests.llm.loopback import closed_port

HERE: Final = Path(__file__).parent
SDK: Final = [sys.executable, str(HERE / "mcp_server.py"), "stdio"]
BARE: Final = [sys.executable, str(HERE / "mcp_bare.py")]


@pytest.fixture(scope="module")
def http() -> Iterator[str]:
    command = [sys.executable, str(HERE / "mcp_server.py"), "http"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@pytest.fixture(params=["stdio", "http", "legacy"])
def server(request: pytest.FixtureRequest) -> str | list[str]:
    if request.param == "stdio":
        return SDK
    return f"{request.getfixturevalue('http')}/{'mcp' if request.param == 'http' else 'legacy'}"


def a_call(seconds: float = 60.0, key: str = "k-0") -> AgentCall:
    return AgentCall("r", "s", "a", key, 1, time.time() + seconds)


async def alone(agent: McpAgent, seconds: float = 60.0, **arguments: Any) -> dict[str, Any]:
    """One call, then the end: nothing is left of it."""
    try:
        return await agent(a_call(seconds), **arguments)
    finally:
        await agent.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}


def asked(server: str | list[str], tool: str, seconds: float = 60.0, **arguments: Any) -> dict[str, Any]:
    return go(alone(mcp_agent(server, tool), seconds, **arguments), 90)


def source_of(*, idempotent: bool = True, timeout_s: float = 60) -> dict[str, Any]:
    greeter = {"idempotent": idempotent, "output": {"text": "string"}}
    step = {"agent": "greeter", "timeout_s": timeout_s, "with": {"name": "input.name"}}
    return {**WORKFLOW, "agents": {"greeter": greeter}, "phases": {"only": {"steps": {"greeting": step}}}}


def run_with(agent: McpAgent, **more: Any) -> Run:
    async def run() -> Run:
        async with Orchestrator(Workflow.define(source_of(**more)), agents={"greeter": agent}) as orchestrator:
            run = await orchestrator.run({"name": "Ada"}, run_id="r-1")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return run

    return go(run(), 90)


# --- what a tool says


def test_the_arguments_go_out_with_their_key_and_the_result_comes_in(server: str | list[str]) -> None:
    run = run_with(mcp_agent(server, "greet"))
    assert (run.end, (run.output or {})["text"]) == ("done", "Hello, Ada")
    meta = run.state.results["greeting"]["meta"]
    assert meta.pop("stepladder/idempotency-key").endswith("-0")
    assert meta == {"stepladder/run": "r-1", "stepladder/step": "greeting", "stepladder/attempt": 1}


PICTURE: Final = {
    "text": "a dot",
    "artifacts": [Artifact(b"<svg/>", "image/svg+xml"), Artifact(b"\0\1")],
    "links": [{"type": "resource_link", "name": "more", "uri": "file:///etc/passwd"}],
}


@pytest.mark.parametrize(
    ("tool", "output"),
    [
        ("numbers", {"result": [1, 2]}),
        ("spelled", {"rows": [{"$ref": "secret.X"}]}),
        ("words", {"text": 'one\n{"a": 1}'}),
        ("nothing", {"text": ""}),
        ("picture", PICTURE),
    ],
)
def test_a_result_is_an_output(http: str, tool: str, output: dict[str, Any]) -> None:
    assert asked(f"{http}/mcp", tool) == output


def test_a_tool_that_fails_says_why(server: str | list[str]) -> None:
    with pytest.raises(ToolError, match=r"fail: out of \{\{ ink \}\}") as raised:
        asked(server, "fail")
    assert not raised.value.retryable


def test_a_tool_that_is_not_there_is_not_called(server: str | list[str]) -> None:
    with pytest.raises(RemoteAgentError, match=r"no tool 'gret'; there are: .*greet"):
        asked(server, "gret")


def test_a_failure_is_one_of_the_run() -> None:
    run = run_with(mcp_agent([*BARE], "error"), idempotent=False)
    assert (run.end, run.state.returned) == ("failed", "failed")
    assert "it broke" in (run.output or {})["error"]


# --- faults

FAULTS: Final = [
    ("exit", OutcomeUnknownError, "it exited with status 3"),
    ("garbage", OutcomeUnknownError, "it exited with status 4; its output has 'what now'"),
    ("closed", OutcomeUnknownError, "the one behind me went away"),
    ("long", OutcomeUnknownError, "more than 16777216 bytes"),
    ("error", RemoteAgentError, "it broke"),
    ("wrong", RemoteAgentError, "valid list"),
]


@pytest.mark.parametrize(("tool", "kind", "found"), FAULTS)
def test_what_a_process_does_wrong(tool: str, kind: type[Exception], found: str) -> None:
    """Afterwards another session is there, or the same one still is."""
    broken, fine = mcp_agent(BARE, tool), mcp_agent(BARE, "ok")

    async def play() -> None:
        with pytest.raises(kind, match=found):
            await broken(a_call())
        assert await alone(fine) == {"text": "fine"}

    go(play(), 30)


def test_lines_that_are_no_messages_are_left_out() -> None:
    assert asked(BARE, "litter") == {"text": "clean"}


@pytest.mark.parametrize(
    ("tool", "kind", "found"),
    [
        ("http_500", RemoteAgentError, "HTTP 500: it broke"),
        ("http_401", RemoteAgentError, "HTTP 401: .*who are you"),
        ("http_302", RemoteAgentError, "HTTP 302: an empty answer"),
        ("http_text", RemoteAgentError, "Failed to parse JSON"),
        ("http_504", OutcomeUnknownError, "HTTP 504"),
        ("http_cut", OutcomeUnknownError, "RemoteProtocolError"),
        ("http_long", OutcomeUnknownError, "more than 16777216 bytes"),
        ("http_gzip", OutcomeUnknownError, "compressed"),
        ("http_stream_cut", OutcomeUnknownError, "without a response"),
        ("big", OutcomeUnknownError, "more than 16777216 bytes|SSE stream failed"),
        ("no_base64", RemoteAgentError, "not base64"),
    ],
)
@pytest.mark.parametrize("path", ["mcp", "legacy"])
def test_what_http_does_wrong_is_wrong_with_one_call(
    http: str, path: str, tool: str, kind: type[Exception], found: str
) -> None:
    async def play() -> None:
        broken, hanging = mcp_agent(f"{http}/{path}", tool), mcp_agent(f"{http}/{path}", "hang")
        beside = asyncio.create_task(hanging(a_call()))
        with pytest.raises(kind, match=found):
            await broken(a_call())
        assert not beside.done()
        beside.cancel()
        await asyncio.wait([beside])
        await broken.aclose()

    go(play(), 60)


def test_a_session_that_the_server_has_forgotten_is_opened_again(http: str) -> None:
    for _ in (404, 400):
        assert asked(f"{http}/legacy", "http_gone") == {"text": "never"}
    with pytest.raises(RemoteAgentError, match="HTTP 404: an empty answer") as raised:
        asked(f"{http}/mcp", "http_404")
    assert (raised.value.status, raised.value.retryable) == (404, False)


@pytest.mark.parametrize(
    ("case", "place", "found"),
    [
        ("it exits", [*BARE, "exits"], "it exited with status 7; its output has 'no such database'"),
        ("no such program", ["/nowhere/at-all"], "at-all: FileNotFoundError"),
        ("nobody listens", f"http://127.0.0.1:{closed_port()}/mcp", "ConnectError"),
    ],
)
def test_a_server_that_does_not_open_is_a_plain_failure(case: str, place: str | list[str], found: str) -> None:
    with pytest.raises(RemoteAgentError, match=found) as raised:
        asked(place, "ok")
    assert raised.value.retryable


def test_a_server_that_never_answers_is_a_plain_failure_within_the_time_of_the_call() -> None:
    run = run_with(mcp_agent([*BARE, "deaf"], "ok"), idempotent=False, timeout_s=2)
    assert (run.end, run.state.returned) == ("failed", "failed")
    assert "is not open in time; its output has 'starting'" in (run.output or {})["error"]


@pytest.mark.parametrize(("idempotent", "tool"), [(True, "hang"), (False, "hang"), (False, "exit")])
def test_what_nobody_knows_is_late_or_in_doubt(idempotent: bool, tool: str) -> None:
    run = run_with(mcp_agent(BARE, tool), idempotent=idempotent, timeout_s=4)
    if idempotent:
        assert (run.end, run.state.returned) == ("failed", "late")
    else:
        assert run.waiting is not None
        assert (run.waiting.about, run.waiting.options) == ("effect", ("done", "redo", "unknown"))


# --- sessions


def test_agents_of_a_server_share_a_session_and_a_cancelled_call_leaves_it_whole(server: str | list[str]) -> None:
    async def play() -> None:
        hanging, process = mcp_agent(server, "hang"), mcp_agent(server, "process")
        first = await process(a_call())
        waits = asyncio.create_task(hanging(a_call()))
        found = await asyncio.gather(*(process(a_call()) for _ in range(20)))
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert [first] * 21 == [*found, await process(a_call())]
        await hanging.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    go(play(), 60)


def test_a_session_is_opened_again_after_the_server_went_away() -> None:
    async def play() -> None:
        process, crash = mcp_agent(SDK, "process"), mcp_agent(SDK, "crash")
        before = await process(a_call())
        with pytest.raises(OutcomeUnknownError, match="it exited with status 3"):
            await crash(a_call())
        assert (await process(a_call()))["pid"] != before["pid"]
        await process.aclose()
        await until(lambda: gone(before["pid"]))

    go(play(), 60)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_two_loops_have_a_process_each_and_none_stays() -> None:
    agent = mcp_agent(SDK, "process")

    async def pid() -> int:
        found: int = (await agent(a_call()))["pid"]
        return found

    async def closed() -> int:
        found = await pid()
        await agent.aclose()
        return found

    left, done = asyncio.run(pid()), asyncio.run(closed())  # the first is ended with its loop
    assert left != done
    assert gone(left)
    assert gone(done)


def test_closing_waits_for_nobody_elses_call_and_cuts_none_off() -> None:
    async def play() -> None:
        slow, closing = mcp_agent(SDK, "hang"), mcp_agent(SDK, "process")
        before = await closing(a_call())
        waits = asyncio.create_task(slow(a_call()))
        await asyncio.sleep(0)
        await closing.aclose()
        assert (await closing(a_call()))["pid"] != before["pid"]
        assert not waits.done()
        waits.cancel()
        await asyncio.wait([waits])
        await closing.aclose()
        await until(lambda: gone(before["pid"]))

    go(play(), 60)


@pytest.mark.parametrize("mode", ["", "stays", "ignores", "leaves"])
def test_no_process_stays(tmp_path: Path, mode: str) -> None:
    """Not one that does not end with its input, nor one that ignores SIGTERM, nor one that a server has started."""
    file = tmp_path / "pid"
    assert asked([*BARE, mode, str(file)], "ok") == {"text": "fine"}
    go(until(lambda: gone(int(file.read_text()))))


def test_a_server_that_does_not_say_goodbye_is_left(http: str) -> None:
    start = time.monotonic()
    assert asked(f"{http}/legacy/stuck", "numbers") == {"result": [1, 2]}
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("started", [False, True])
def test_nobody_waits_for_it_to_open_so_it_is_given_up(tmp_path: Path, started: bool) -> None:
    file = tmp_path / "pid"

    async def play() -> None:
        agent = mcp_agent([*BARE, "deaf", str(file)], "ok")
        call = asyncio.create_task(agent(a_call()))
        await (until(file.exists) if started else turns(3))
        call.cancel()
        await asyncio.wait([call])
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        await agent.aclose()

    go(play(), 30)
    assert file.exists() is started
    assert not started or gone(int(file.read_text()))


def test_without_a_loop_of_ones_own() -> None:
    with SyncOrchestrator(Workflow.define(source_of()), agents={"greeter": mcp_agent(BARE, "ok")}) as orchestrator:
        assert orchestrator.run({"name": "Ada"}).output == {"text": "fine"}


def test_in_a_project_of_the_command_line(tmp_path: Path) -> None:
    """Nothing is started where a workflow is only looked at."""
    started = tmp_path / "started"
    (tmp_path / "workflow.yaml").write_text(json.dumps(source_of()), encoding="utf-8")
    agents = (
        f"from stepladder import mcp_agent\nAGENTS = {{'greeter': mcp_agent({[*BARE, '', str(started)]!r}, 'ok')}}\n"
    )
    (tmp_path / "agents.py").write_text(agents, encoding="utf-8")
    with chdir(tmp_path):
        assert CliRunner().invoke(app, ["check", "workflow.yaml", "--agents", "agents.py"]).exit_code == 0
        assert not started.exists()
        told = CliRunner().invoke(app, ["run", "workflow.yaml", "--input", "name=Ada", "--id", "r-1"])
    assert "fine" in told.output
    assert gone(int(started.read_text()))


# --- how one is made


def test_a_process_gets_the_environment_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SECRET", "of this process")
    agent = mcp_agent(SDK, "process", env={"GIVEN": "yes"}, cwd=HERE)
    found = go(alone(agent), 60)
    assert (found["secret"], found["given"]) == (None, "yes")


def test_headers_go_with_every_request_and_into_no_message(http: str) -> None:
    headers = {"Authorization": "Bearer of-the-server"}
    assert go(alone(mcp_agent(f"{http}/mcp", "header", headers=headers)), 60) == {"said": "Bearer of-the-server"}
    agent = mcp_agent(f"http://127.0.0.1:{closed_port()}/mcp?token=abc", "header", headers=headers)
    with pytest.raises(RemoteAgentError) as raised:
        go(alone(agent), 60)
    assert "of-the-server" not in str(raised.value)
    assert "abc" not in str(raised.value)


@pytest.mark.parametrize(
    ("server", "options"),
    [
        ("python server.py", {}),
        ("ftp://example.org", {}),
        ("http://u:p@h/", {}),
        ([], {}),
        ([1], {}),
        ("http://h/", {"env": {}}),
        ("http://h/", {"cwd": "."}),
        (["x"], {"headers": {}}),
    ],
)
def test_a_place_that_is_none(server: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        mcp_agent(server, "tool", **options)


def test_nothing_is_imported_or_started_before_the_first_call() -> None:
    code = (
        "import sys\nfrom stepladder import Orchestrator, mcp_agent\n"
        "mcp_agent(['/nowhere/at-all'], 'x')\nassert not {'mcp', 'anyio', 'httpx2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
