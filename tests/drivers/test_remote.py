"""Agents behind HTTP: a real server on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepladder import InputError, Orchestrator, Run, Workflow, http_agent
from stepladder.drivers.agents import AgentCall
from stepladder.drivers.remote import RemoteAgentError
from tests.llm.loopback import Act, Loopback, answer, closed_port, cut, hang, raw

WORKFLOW = {
    "workflow": "remote",
    "input": {"name": "string"},
    "start": "greeting",
    "phases": {"only": {"steps": {"greeting": {"agent": "greeter", "timeout_s": 0.5, "with": {"name": "input.name"}}}}},
    "ends": {
        "done": {"success": True, "output": {"text": "last.text"}},
        "failed": {"success": False, "output": {"error": "last.error"}},
    },
    "actions": {
        "FINISH": {"from": "greeting", "to": "done", "guard": ["returned == ok"]},
        "FAIL": {"from": "greeting", "to": "failed", "guard": ["returned != ok"]},
    },
    "rules": {"greeting": {"ok": {"do": "FINISH"}, "no": {"do": "FAIL"}}},
}


def run_against(url: str, *, idempotent: bool = True, **headers: str) -> Run:
    greeter = {"idempotent": idempotent, "output": {"text": "string"}}

    async def run() -> Run:
        agents = {"greeter": http_agent(url, headers=headers)}
        workflow = Workflow.define({**WORKFLOW, "agents": {"greeter": greeter}})
        async with Orchestrator(workflow, agents=agents) as orchestrator:
            return await orchestrator.run({"name": "Ada"}, run_id="r-1")

    return asyncio.run(run())


def test_the_arguments_go_out_with_their_key_and_the_answer_comes_in() -> None:
    with Loopback(answer(200, {"text": "Hello, Ada"})) as server:
        run = run_against(f"{server.url}/greet?lang=en", Authorization="Bearer of-the-server")
        (request,) = server.requests
    assert (run.end, run.output) == ("done", {"text": "Hello, Ada"})
    assert request.line.startswith("POST /greet?lang=en ")
    assert request.json == {"name": "Ada"}
    assert request.headers["idempotency-key"].endswith("-0")
    assert request.headers["authorization"] == "Bearer of-the-server"
    assert (request.headers["stepladder-run"], request.headers["stepladder-attempt"]) == ("r-1", "1")


@pytest.mark.parametrize(
    ("case", "act", "found"),
    [
        ("a server error", answer(500, b"it broke"), "HTTP 500: it broke"),
        ("an empty error", answer(404, b""), "HTTP 404: an empty answer"),
        ("a redirect is not followed", answer(302, b"", location="http://127.0.0.1:1/"), "HTTP 302"),
        ("no JSON", answer(200, b"hello"), "not JSON"),
        ("a list", answer(200, [1, 2]), "expected an object"),
        ("another field type", answer(200, {"text": 5}), "text: 5 is not of type"),
    ],
)
def test_what_a_server_does_wrong_is_a_failed_call(case: str, act: Act, found: str) -> None:
    with Loopback(act) as server:
        run = run_against(server.url)
        asked = len(server.requests)
    assert (run.end, asked) == ("failed", 1)
    assert found in (run.output or {})["error"]


@pytest.mark.parametrize(
    ("case", "act"),
    [
        ("half an answer", cut({"text": "x" * 5000})),
        ("no HTTP", raw(b"what?\r\n\r\n")),
        ("nothing at all", raw(b"")),
        ("a reset", raw(b"HTTP/1.1 200 OK\r\n", reset=True)),
        ("a gateway gives up", answer(504, b"")),
    ],
)
@pytest.mark.parametrize("idempotent", [True, False])
def test_what_nobody_knows_is_late_or_in_doubt(case: str, act: Act, idempotent: bool) -> None:
    with Loopback(act) as server:
        run = run_against(server.url, idempotent=idempotent)
    if idempotent:
        assert (run.end, run.state.returned) == ("failed", "late")
    else:
        assert run.waiting is not None
        assert (run.waiting.about, run.waiting.options) == ("effect", ("done", "redo", "unknown"))


def test_nobody_listens() -> None:
    run = run_against(f"http://127.0.0.1:{closed_port()}")
    assert "ConnectionRefusedError" in (run.output or {})["error"]


def test_a_server_that_hangs_is_late() -> None:
    with Loopback(hang) as server:
        run = run_against(server.url)
    assert (run.end, run.state.returned) == ("failed", "late")


@pytest.mark.parametrize("url", ["ftp://example.org", "file:///etc/passwd", "localhost:80", "http://", "http://u:p@h/"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InputError):
        http_agent(url)


@pytest.mark.parametrize(("status", "again"), [(500, True), (503, True), (429, True), (404, False), (302, False)])
def test_whether_to_try_again(status: int, again: bool) -> None:
    with Loopback(answer(status, b"no")) as server:
        call: Any = AgentCall("r", "s", "a", "k-0", 1)
        with pytest.raises(RemoteAgentError) as raised:
            http_agent(server.url)(call=call)
    assert raised.value.retryable is again
