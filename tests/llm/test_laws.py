"""Whatever a server answers: a reply or a `ModelError`, one request, text that can be written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.llm.errors import ModelError
from stepladder.llm.provider import ModelReply, Provider
from stepladder.llm.reading import Call, HttpAnswer
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import WIRES, Wire, changed, outcome, request

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["stop", "STOP", "length", "SAFETY"])
)
json_values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "date", "content-type", "location", "x-request-id"]),
    st.text(max_size=12)
    | st.sampled_from(["2", "-1", "1e999", "nan", "Thu, 01 Jan 1970 00:00:00 GMT", "http://[", "text/html"]),
)
statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 404, 408, 429, 500, 503, 599])


def paths(document: Any, prefix: str = "") -> Iterator[str]:
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        path = f"{prefix}{key}"
        yield path
        yield from paths(value, f"{path}.")


@st.composite
def bodies(draw: st.DrawFn, wire: Wire) -> bytes:
    """Arbitrary bytes, arbitrary JSON, an error object, or a good answer with some values replaced."""
    shape = draw(st.sampled_from(["bytes", "json", "error", "changed", "cut"]))
    if shape == "bytes":
        return draw(st.binary(max_size=60))
    if shape == "json":
        return json.dumps(draw(json_values)).encode()
    if shape == "error":
        return json.dumps({"error": draw(json_values)}).encode()
    document = wire.ok
    for path in draw(st.lists(st.sampled_from(sorted(paths(wire.ok))), max_size=2)):
        try:
            document = changed(document, path, draw(json_values))
        except (KeyError, IndexError, TypeError, AttributeError):
            continue
    whole = json.dumps(document).encode()
    return whole[: draw(st.integers(0, len(whole)))] if shape == "cut" else whole


def writable(got: ModelReply | ModelError) -> None:
    if isinstance(got, ModelReply):
        assert got.text
        got.text.encode()
        assert got.input_tokens >= 0
        assert got.output_tokens >= 0
        assert got.cost_usd is None or got.cost_usd >= 0
    else:
        assert type(got) is not ModelError
        assert str(got).isprintable()
        assert len(got.detail) <= 240
        json.dumps(got.as_dict(), allow_nan=False).encode()


@pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_reader_is_total(wire: Wire, data: st.DataObject) -> None:
    call = Call(provider="p", request=request(wire.model), price=lambda *_: 0.25)
    answered = HttpAnswer(data.draw(statuses), data.draw(headers), data.draw(bodies(wire)))
    writable(wire.read(call, answered))


@pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))
def test_a_provider_is_total(wire: Wire) -> None:
    served: list[bytes] = []

    with Loopback(lambda connection: None) as server, asyncio.Runner() as runner:
        provider: Provider = wire.open(server.url)

        @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(status=statuses, body=bodies(wire))
        def law(status: int, body: bytes) -> None:
            server.act = answer(status, b"" if status == 204 else body)
            before = len(server.requests)
            writable(runner.run(outcome(provider, request(wire.model))))
            served.append(body)
            assert len(server.requests) == before + 1

        law()
        runner.run(provider.close())
    assert served
