"""A planted key is nowhere but in the request: not in a run's journal, export, record or log, in no error, no
traceback, no value that a debugger would show. Servers that repeat the key they were sent are among those asked."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from stepladder.app.orchestrator import Orchestrator
from stepladder.cli.exporting import exported
from stepladder.fallback import BreakerPolicy
from stepladder.journal.sqlite import SqliteJournal
from stepladder.llm import Providers, SetupError
from stepladder.llm.google import GoogleProvider
from stepladder.llm.health import Health
from stepladder.llm.keys import Key, find_key
from stepladder.llm.openai import OpenAIProvider
from stepladder.llm.provider import ModelReply
from stepladder.llm.reading import Call
from tests.drivers.desk import LADDER, workflow
from tests.llm import wires
from tests.llm.logs import all_logs
from tests.llm.loopback import Act, Loopback, answer, raw
from tests.llm.server_acts import TEXT, WIRES, ok

KEYS = ("sk-planted-0d5e7a91b3c2f468", "planted/by+hand.0d5e7a91b3c2f468==", 'odd"planted\\0d5e7a91b3c2f468')
"""Of a form that anybody knows for a key; of none; with characters that JSON escapes."""


def shown(key: str) -> tuple[str, ...]:
    """What a key looks like in a text, in JSON, in JSON within JSON, in an address."""
    inner = json.dumps(key)[1:-1]
    return key, inner, json.dumps(inner)[1:-1], quote(key, safe=""), key[3:], repr(key)[1:-1]


def repeated(key: str, name: str) -> dict[str, Act]:
    """Servers that send the key back, in each way that they know."""
    escaped = "".join(f"\\u{ord(char):04x}" for char in key)
    return {
        "in an error": answer(
            401, {"error": {"message": f"Incorrect API key: Bearer {key}", "code": key, "type": key}}
        ),
        "as an error": answer(400, {"error": key}),
        "in a page": answer(403, f"<html>authorization: Bearer {key}</html>".encode(), content_type="text/html"),
        "as the body": answer(500, key.encode()),
        "in a 200": answer(200, {"error": {"message": f"you sent {key}"}}),
        "escaped": answer(400, f'{{"error": {{"message": "{escaped}"}}}}'.encode()),
        "in its headers": answer(
            503, {"error": {"message": "no"}}, x_request_id=key, x_echo=f"Bearer {key}", location=key
        ),
        "as where to go": answer(307, location=f"http://127.0.0.1:9/?key={quote(key)}&again={key}"),
        "as a field": answer(200, {**ok(name), "model": key, "modelVersion": key, "responseId": key, "id": key}),
        "as a reason": answer(200, ok(name, TEXT.replace('"ok"', json.dumps(f"the key {key} says so")))),
        "as an answer": answer(200, ok(name, key)),
        "as an action": answer(200, ok(name, TEXT.replace("approve", "x"))),
        "as a block": answer(200, {"promptFeedback": {"blockReason": key}, "status": key, "choices": key}),
        "in what is no HTTP": raw(f"HTTP/1.1 200 OK\r\n{key}\r\n\r\n".encode()),
        "in half a body": raw(f"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{key}".encode()),
        "in a stream": answer(
            200, f'data: {{"error": {{"message": "{key}"}}}}\n\n'.encode(), content_type="text/event-stream"
        ),
    }


def opened(wire: str, url: str, key: str | None, name: str = "openai") -> Any:
    if wire == "google":
        return GoogleProvider(api_key=key, base_url=url)
    return OpenAIProvider(
        api_key=key, base_url=f"{url}/v1", wire="responses" if wire == "responses" else "chat", name=name
    )


def told(error: BaseException) -> str:
    """All that a traceback can show of an error, local values included."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return f"{error} {error!r} {error.args} {vars(error)} {''.join(lines)}"


@pytest.mark.parametrize("by", ["environment", "configuration"])
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("key", KEYS)
def test_no_error_reply_or_log_of_a_provider_shows_it(
    key: str, wire: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, key)
    for name, act in repeated(key, wire).items():
        with Loopback(act) as server, all_logs() as said:
            provider = opened(wire, server.url, None if by == "environment" else key)
            got = wires.ask(provider, wires.request("fault-model"))
            assert server.requests, name
        seen = f"{got!r} {provider!r} {said.getvalue()}" + (told(got) if isinstance(got, Exception) else "")
        assert [form for form in shown(key) if form in seen] == [], name
        assert isinstance(got, ModelReply) or got.as_dict()


def test_values_that_hold_it_do_not_show_it() -> None:
    key = find_key("openai", KEYS[0], ())
    assert isinstance(key, Key)
    call = Call(provider="p", request=wires.request(), price=lambda *_: None, secrets=(key,))
    assert KEYS[0] not in f"{call!r} {[key]!r} {{'api_key': key!r}}"
    assert f"{key}" == KEYS[0], "a header needs it"


def test_no_setup_error_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEYS[0]} with a space")
    for name, options in {
        "openai": {"base_url": "http://[", "api_key": KEYS[0]},
        "google": {"api_key": f"{KEYS[1]}\n{KEYS[1]}"},
    }.items():
        with pytest.raises(Exception) as caught:
            Providers(options={name: options}).open(name)
        assert [key for key in KEYS if key in f"{caught.value} {caught.value!r}"] == []
    with pytest.raises(SetupError) as refused:
        Providers().open("openai")
    assert KEYS[0] not in f"{refused.value} {refused.value!r} {vars(refused.value)}"


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(answer(500)) as made:
        yield made


@pytest.mark.parametrize("by", ["environment", "configuration"])
@pytest.mark.parametrize("key", KEYS[:2])
def test_no_run_shows_it(key: str, by: str, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a workflow over servers that repeat the key: the journal's bytes, the export, records, the log."""
    if by == "environment":
        monkeypatch.setenv("OPENAI_API_KEY", key)
    rung = {"model": "openai:m", "deadline_s": 2, "retry": {"attempts": 1}}
    options = {"openai": {"base_url": f"{server.url}/v1", **({} if by == "environment" else {"api_key": key})}}

    async def run(act: Act, number: int) -> Any:
        server.act = act
        models.health.reset()
        return await orchestrator.run({"x": 1}, run_id=f"r{number}")

    async def everything() -> str:
        async with orchestrator:
            made = [await run(act, number) for number, act in enumerate(repeated(key, "openai").values())]
            return " ".join(
                json.dumps(exported(journal, each), default=str) + str([d.explain() for d in each.decisions])
                for each in made
            )

    models = Providers(options=options, health=Health(breaker=BreakerPolicy(calls=999, least=999, straight=999)))
    journal = SqliteJournal(tmp_path / "j.db")
    with all_logs() as said:
        orchestrator = Orchestrator(
            workflow(LADDER, {"policy": {"rungs": {"first": rung}}}),
            agents={"worker": lambda x: {"done": False}},
            journal=journal,
            providers=models,
        )
        told_of = asyncio.run(everything())
    journal.close()
    assert len(server.requests) >= len(repeated(key, "openai"))
    assert all(key in str(each.headers) for each in server.requests), "it is sent"
    written = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert written
    for form in shown(key):
        assert form not in told_of
        assert form not in said.getvalue()
        assert form.encode() not in written
