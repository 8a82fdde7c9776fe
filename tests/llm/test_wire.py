from __future__ import annotations

import asyncio

import pytest

from stepladder.llm.errors import BadResponse, Unreachable
from stepladder.llm.provider import ModelReply
from stepladder.llm.reading import Call, HttpAnswer
from stepladder.llm.wire import TRANSPORT, CappedClient, Exchange, SecondRequest, exchange, settle
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import WIRES, outcome, request

CALL = Call(provider="p", request=request("m"), price=lambda *_: None)


def test_a_second_request_of_one_call_is_never_sent() -> None:
    async def run(url: str) -> Exchange:
        client = CappedClient()

        async def twice() -> None:
            await client.get(url)
            await client.get(url)

        record = await exchange(twice, 2)
        await client.aclose()
        return record

    with Loopback(answer(200, {})) as server:
        record = asyncio.run(run(server.url))
        assert len(server.requests) == 1
    assert isinstance(record.failure, SecondRequest)
    assert record.answer
    assert record.answer.body == b"{}"


def test_a_hole_in_a_reader_is_a_bad_response() -> None:
    def read(call: Call, answered: HttpAnswer) -> ModelReply:
        raise KeyError(answered.body)

    record = Exchange()
    record.answer = HttpAnswer(200, {}, b"secret")
    got = settle(CALL, record, read, TRANSPORT)
    assert isinstance(got, BadResponse)
    assert got.detail == "unreadable body: KeyError"


@pytest.mark.parametrize("failure", [TypeError("x"), IndexError(), RuntimeError("event loop is closed")])
def test_an_exception_nobody_expects_depends_on_whether_the_question_left(failure: Exception) -> None:
    record = Exchange()
    record.failure = failure
    before = settle(CALL, record, WIRES["openai"].read, TRANSPORT)
    assert (before.code, before.retryable, before.may_be_billed) == ("rejected", False, False)  # type: ignore[union-attr]
    record.sent = True
    after = settle(CALL, record, WIRES["openai"].read, TRANSPORT)
    assert isinstance(after, Unreachable)
    assert after.may_be_billed


@pytest.mark.parametrize("name", WIRES)
def test_closing_gives_the_connections_back(name: str) -> None:
    async def run(url: str) -> None:
        provider = WIRES[name].open(url)
        assert isinstance(await outcome(provider, request(WIRES[name].model)), ModelReply)
        assert not server.hung_up.is_set()
        await provider.close()
        assert await asyncio.to_thread(server.hung_up.wait, 2)

    with Loopback(answer(200, WIRES[name].ok)) as server:
        asyncio.run(run(server.url))
