"""Both official SDKs over real HTTP on loopback: what goes wrong on any wire, and that nothing is asked twice."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import resource
import socket
import time
from email.utils import formatdate
from typing import Any

import pytest

from stepladder.llm.errors import BadResponse, Late, ModelError, RateLimited, Rejected, Unavailable, Unreachable
from stepladder.llm.provider import ModelReply
from tests.llm import loopback
from tests.llm.loopback import Act, Loopback, answer, cut, zipped
from tests.llm.wires import KEY, TEXT, WIRES, Wire, ask, outcome, request


@pytest.fixture(params=WIRES, ids=str)
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


ERROR = {
    "error": {"message": "no <b>such</b>\nthing", "code": "some_code", "type": "some_type", "status": "SOME_STATUS"}
}
HTML = b"<html><body>Bad gateway, log in here</body></html>"

# What the server does -> what comes out, with these fields.
STATUSES: dict[str, tuple[Act, type[ModelError], dict[str, Any]]] = {
    "400": (answer(400, ERROR), Rejected, {"reason": "bad_request", "status": 400, "retryable": False}),
    "401": (answer(401, ERROR), Rejected, {"reason": "auth"}),
    "402": (answer(402, ERROR), Rejected, {"reason": "quota"}),
    "403": (answer(403, ERROR), Rejected, {"reason": "auth"}),
    "403 page": (answer(403, HTML, content_type="text/html"), Rejected, {"reason": "blocked", "status": 403}),
    "404": (answer(404, ERROR), Rejected, {"reason": "not_found"}),
    "404 empty": (answer(404), Rejected, {"reason": "no_endpoint"}),
    "413": (answer(413, ERROR), Rejected, {"reason": "too_large"}),
    "422": (answer(422, ERROR), Rejected, {"reason": "bad_request"}),
    "408": (answer(408, ERROR), Unavailable, {"status": 408, "may_be_billed": True}),
    "409": (answer(409, ERROR), Unavailable, {"status": 409, "may_be_billed": False}),
    "429": (answer(429, ERROR), RateLimited, {"retry_after_s": None, "retryable": True, "may_be_billed": False}),
    "429 seconds": (answer(429, ERROR, retry_after="2"), RateLimited, {"retry_after_s": 2.0}),
    "429 milliseconds": (
        answer(429, ERROR, retry_after_ms="1500", retry_after="9"),
        RateLimited,
        {"retry_after_s": 1.5},
    ),
    "429 date": (
        answer(429, ERROR, date=formatdate(1e9, usegmt=True), retry_after=formatdate(1e9 + 3, usegmt=True)),
        RateLimited,
        {"retry_after_s": 3.0},
    ),
    "429 past date": (
        answer(429, ERROR, retry_after=formatdate(1e9, usegmt=True)),
        RateLimited,
        {"retry_after_s": 0.0},
    ),
    "429 nonsense": (answer(429, b"[[[", retry_after="soon"), RateLimited, {"retry_after_s": None}),
    "429 infinite": (answer(429, ERROR, retry_after="inf"), RateLimited, {"retry_after_s": None}),
    "500": (answer(500, ERROR), Unavailable, {"status": 500, "retryable": True, "may_be_billed": False}),
    "500 null": (answer(500, b"null"), Unavailable, {"status": 500}),
    "502 page": (answer(502, HTML, content_type="text/html"), Unavailable, {"status": 502}),
    "503 hint": (answer(503, ERROR, retry_after="2"), Unavailable, {"status": 503, "retry_after_s": 2.0}),
    "504": (answer(504, ERROR), Unavailable, {"status": 504, "may_be_billed": True}),
    "529": (answer(529, ERROR), Unavailable, {"status": 529}),
    "error is a string": (answer(500, {"error": "boom"}), Unavailable, {"status": 500}),
    "error is a list": (answer(500, [ERROR]), Unavailable, {"status": 500}),
    "error is a number": (answer(400, {"error": 7}), Rejected, {"reason": "bad_request"}),
    "status 999": (answer(999, ERROR), Unavailable, {"status": 999}),
}


def check(wire: Wire, act: Act, kind: type, fields: dict[str, Any], deadline_s: float = 5.0) -> ModelReply | ModelError:
    with Loopback(act) as server:
        got = ask(wire.open(server.url), request(wire.model, deadline_s))
        assert len(server.requests) == 1
    assert type(got) is kind, got
    assert {name: getattr(got, name) for name in fields} == fields
    return got


@pytest.mark.parametrize("row", STATUSES.values(), ids=list(STATUSES))
def test_a_status_is_one_error_and_one_request(
    wire: Wire, row: tuple[Act, type[ModelError], dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    got = check(wire, *row)
    assert "Retrying" not in caplog.text
    assert isinstance(got, ModelError)
    assert got.provider in WIRES
    assert got.model == wire.model
    assert "<" not in got.detail
    assert "\n" not in str(got)
    assert got.input_tokens is None


BODIES: dict[str, tuple[Act, dict[str, Any]]] = {
    "empty": (answer(200), {"may_be_billed": True, "retryable": True}),
    "white space": (answer(200, b" \n "), {}),
    "204": (answer(204, content_length="0"), {}),
    "null": (answer(200, b"null"), {"may_be_billed": True}),
    "number": (answer(200, b"7"), {}),
    "list": (answer(200, b"[{}]"), {}),
    "empty object": (answer(200, {}), {}),
    "error in a 200": (answer(200, ERROR), {"retryable": True}),
    "error word in a 200": (answer(200, {"error": "overloaded"}), {}),
    "text": (answer(200, b"try later", content_type="text/plain"), {"retryable": True}),
    "login page": (answer(200, HTML, content_type="text/html"), {"retryable": False}),
    "not UTF-8": (answer(200, b'{"x": "caf\xe9"}'), {}),
    "NaN": (answer(200, b'{"x": NaN}'), {}),
    "lone surrogate": (answer(200, b'{"x": "\\ud83d"}'), {}),
    "byte order mark": (answer(200, b"\xef\xbb\xbf{}"), {}),
    "cut JSON": (answer(200, b'{"choices": [{"mess'), {}),
    "two documents": (answer(200, b"{}{}"), {}),
    "nested deep": (answer(200, b"[" * 100_000), {}),
    "huge number": (answer(200, b'{"x": ' + b"9" * 10_000 + b"}"), {}),
    "gzip promised, plain sent": (answer(200, {}, content_encoding="gzip"), {"may_be_billed": True}),
    "gzip cut": (zipped({"pad": "x" * 9000}, keep=0.5), {}),
    "unknown coding": (answer(200, b"\x01\x02", content_encoding="rot13"), {}),
    "too large": (answer(200, b'"' + b"x" * 4_100_000 + b'"'), {"retryable": False, "may_be_billed": True}),
    "gzip bomb": (zipped(b"0" * 200_000_000), {"retryable": False, "may_be_billed": True}),
    "gzip, then junk": (
        answer(200, gzip.compress(b"{") + b"\0" * 4_100_000, content_encoding="gzip"),
        {"retryable": False},
    ),
}


@pytest.mark.parametrize("row", BODIES.values(), ids=list(BODIES))
def test_a_strange_body_is_a_bad_response(wire: Wire, row: tuple[Act, dict[str, Any]]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    check(wire, row[0], BadResponse, row[1])
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 60_000, "the body was read far beyond the cap"


TRANSPORT: dict[str, tuple[Act, type[ModelError], dict[str, Any]]] = {
    "closed without a word": (loopback.raw(b""), Unreachable, {"may_be_billed": True, "retryable": True}),
    "reset without a word": (loopback.raw(b"", reset=True), Unreachable, {"may_be_billed": True}),
    "not HTTP": (loopback.raw(b"SSH-2.0-OpenSSH_9.6\r\n"), Unreachable, {}),
    "chunks without an end": (
        loopback.raw(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        Unreachable,
        {"may_be_billed": True},
    ),
    "silence": (loopback.hang, Late, {"may_be_billed": True, "retryable": True}),
}


@pytest.mark.parametrize("row", TRANSPORT.values(), ids=list(TRANSPORT))
def test_a_broken_connection_is_one_error_and_one_request(wire: Wire, row: tuple[Act, type, dict[str, Any]]) -> None:
    check(wire, *row, deadline_s=0.4)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_body_cut_in_the_middle_is_unreachable(wire: Wire, reset: bool) -> None:
    check(wire, cut(wire.ok, reset=reset), Unreachable, {"may_be_billed": True, "retryable": True})


def test_nobody_listens(wire: Wire) -> None:
    got = ask(wire.open(f"http://127.0.0.1:{loopback.closed_port()}"), request(wire.model))
    assert isinstance(got, Unreachable)
    assert (got.retryable, got.may_be_billed) == (True, False)


def test_an_unknown_host_is_unreachable_and_names_no_key(wire: Wire) -> None:
    got = ask(wire.open("http://no-such-host.invalid"), request(wire.model))
    assert isinstance(got, Unreachable)
    assert not got.may_be_billed


def test_nobody_picks_up(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.llm.wire.CONNECT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        got = ask(wire.open(f"http://127.0.0.1:{port}"), request(wire.model))
        for each in waiting:
            each.close()
    assert isinstance(got, Unreachable)
    assert (got.retryable, got.may_be_billed) == (True, False)


def test_a_base_url_that_is_none_is_rejected_before_sending(wire: Wire) -> None:
    got = ask(wire.open("gopher://127.0.0.1:1"), request(wire.model))
    assert isinstance(got, Rejected)
    assert (got.status, got.may_be_billed) == (None, False)


@pytest.mark.parametrize("act", ["drip", "hang"])
def test_the_deadline_cuts_within_a_fifth_of_a_second_and_hangs_up(wire: Wire, act: str) -> None:
    doing = loopback.drip(wire.ok) if act == "drip" else loopback.hang

    async def run(url: str) -> tuple[ModelReply | ModelError, float]:
        provider = wire.open(url)
        started = time.perf_counter()
        got = await outcome(provider, request(wire.model, 0.5))
        took = time.perf_counter() - started
        assert await asyncio.to_thread(server.hung_up.wait, 2), "the connection was left open"
        await provider.close()
        return got, took

    with Loopback(doing) as server:
        got, took = asyncio.run(run(server.url))
        assert len(server.requests) == 1
    assert isinstance(got, Late)
    assert got.may_be_billed
    assert 0.45 < took < 0.7


@pytest.mark.parametrize("deadline_s", [0.0, -1.0, float("nan")])
def test_no_time_left_means_nothing_is_sent(wire: Wire, deadline_s: float) -> None:
    with Loopback(answer(200, wire.ok)) as server:
        got = ask(wire.open(server.url), request(wire.model, deadline_s))
        assert server.requests == []
    assert isinstance(got, Late)
    assert not got.may_be_billed


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_stays_here(wire: Wire, status: int) -> None:
    with Loopback(answer(200, wire.ok)) as thief:
        got = check(wire, answer(status, location=f"{thief.url}/steal"), Rejected, {"reason": "redirect"})
        assert thief.requests == []
    assert isinstance(got, Rejected)
    assert got.status == status


def test_a_success_carries_everything_the_server_said(wire: Wire) -> None:
    with Loopback(answer(200, wire.ok, x_request_id="req-1")) as server:
        got = ask(wire.open(server.url), request(wire.model, temperature=0.0, max_output_tokens=99))
        [sent] = server.requests
    assert isinstance(got, ModelReply)
    assert got.text == TEXT
    assert (got.input_tokens, got.output_tokens, got.usage_known) == (412, 31, True)
    assert got.model in {"gpt-5-mini-2025-08-07", "gemini-2.5-flash-lite"}
    assert got.finish.lower() in {"stop", "completed"}
    assert got.request_id in {"req-1", "resp-1"}
    assert 0 < got.latency_s < 2
    assert KEY in json.dumps(sent.headers)
    assert sent.headers["accept-encoding"] == "identity"


def test_a_gzip_answer_nobody_asked_for_is_read(wire: Wire) -> None:
    check(wire, zipped(wire.ok), ModelReply, {"text": TEXT})


def test_a_key_echoed_by_the_server_is_struck_out(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    echoed = {"error": {"message": f"Incorrect API key: {KEY}; header Bearer {KEY}", "code": KEY}}
    for status in (200, 401, 500):
        with Loopback(answer(status, echoed)) as server:
            provider = wire.open(server.url)
            got = ask(provider, request(wire.model))
        assert isinstance(got, ModelError)
        shown = f"{got} {got!r} {got.args} {got.as_dict()} {provider!r} {caplog.text} {got.__cause__} {got.__context__}"
        assert KEY not in shown
        assert "loopback-0123456789" not in shown


def test_cancelling_goes_through_and_hangs_up(wire: Wire) -> None:
    async def run() -> None:
        provider = wire.open(server.url)
        task = asyncio.create_task(provider.ask(request(wire.model)))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.hung_up.wait, 2)
        await provider.close()

    with Loopback(loopback.hang) as server:
        asyncio.run(run())


def test_calls_run_side_by_side(wire: Wire) -> None:
    async def run() -> None:
        provider = wire.open(server.url)
        got = await asyncio.gather(*(outcome(provider, request(wire.model)) for _ in range(64)))
        assert all(isinstance(each, ModelReply) for each in got)
        await provider.close()

    with Loopback(loopback.after(0.3, answer(200, wire.ok))) as server:
        started = time.perf_counter()
        asyncio.run(run())
        assert time.perf_counter() - started < 2
        assert len(server.requests) == 64


def test_late_calls_leave_no_connection_behind(wire: Wire) -> None:
    async def run() -> None:
        provider = wire.open(server.url)
        late = await asyncio.gather(*(outcome(provider, request(wire.model, 0.3)) for _ in range(40)))
        assert {type(each) for each in late} <= {Late, Unreachable}, "late, or on a busy machine not even connected"
        server.act = answer(200, wire.ok)
        assert isinstance(await outcome(provider, request(wire.model)), ModelReply)
        await provider.close()

    with Loopback(loopback.hang) as server:
        asyncio.run(run())


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_provider_serves_one_loop_after_another(wire: Wire) -> None:
    with Loopback(answer(200, wire.ok)) as server:
        provider = wire.open(server.url)
        for _ in range(3):
            assert isinstance(asyncio.run(outcome(provider, request(wire.model))), ModelReply)
        asyncio.run(provider.close())
        assert len(server.requests) == 3
        del provider
        gc.collect()


def test_a_closed_provider_rejects(wire: Wire) -> None:
    async def run() -> ModelReply | ModelError:
        provider = wire.open("http://127.0.0.1:9")
        await provider.close()
        await provider.close()
        return await outcome(provider, request(wire.model))

    got = asyncio.run(run())
    assert isinstance(got, Rejected)
    assert got.reason == "closed"


def test_the_proxy_of_the_environment_is_used(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(answer(200, wire.ok)) as proxy:
        for name in ("NO_PROXY", "no_proxy", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert isinstance(ask(wire.open("http://models.invalid"), request(wire.model)), ModelReply)
        assert proxy.requests[0].line.startswith("POST http://models.invalid/")
