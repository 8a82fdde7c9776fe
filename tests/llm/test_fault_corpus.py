"""The adapters against a corpus of faults reported for real providers, where it is at hand."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest

from stepladder.llm.errors import ModelError
from stepladder.llm.google import GoogleProvider
from stepladder.llm.openai import OpenAIProvider
from stepladder.llm.provider import ModelReply, Provider
from tests.llm.wires import KEY, outcome, request

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "faults"
DEADLINE_S = 1.2
WIRES = {"openai_chat": OpenAIProvider, "gemini_generate_content": GoogleProvider}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the fault corpus (../shared/data/faults) is not here")


@pytest.fixture(scope="module")
def server() -> Any:
    spec = importlib.util.spec_from_file_location("fault_server", CORPUS / "fault_server.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Server(str(CORPUS / "llm_faults.public.yaml"))


def suitable(server: Any, wire: str) -> list[str]:
    """Faults of this wire that one unstreamed answer can show."""
    found = []
    for name, fault in server.faults.items():
        sent = server.wire(fault, wire)
        made_elsewhere = sent and sent.get("transport", {}).get("kind") in {"pad_body", "gzip_bomb", "content_pad"}
        if sent and "stream" not in sent and not made_elsewhere:
            found.append(name)
    return found


@pytest.mark.parametrize("wire", WIRES)
def test_every_fault_is_a_reply_or_a_model_error_in_time_and_asked_once(server: Any, wire: str) -> None:
    async def one(name: str) -> tuple[str, ModelReply | ModelError, float]:
        provider: Provider = WIRES[wire](api_key=KEY, base_url=server.base(name, wire, wire))
        started = time.perf_counter()
        got = await outcome(provider, request("fault-model", DEADLINE_S))
        took = time.perf_counter() - started
        await provider.close()
        return name, got, took

    async def run() -> list[tuple[str, ModelReply | ModelError, float]]:
        done = []
        names = suitable(server, wire)
        for start in range(0, len(names), 16):
            done += await asyncio.gather(*(one(name) for name in names[start : start + 16]))
        return done

    results = asyncio.run(run())
    assert len(results) > 50
    for name, got, took in results:
        assert took < DEADLINE_S * 1.1 + 0.3, name
        assert server.stats.get((name, wire), {"requests": 0})["requests"] <= 1, name
        assert KEY not in f"{got}{got!r}", name
        agrees(name, got, server.faults[name])
    assert not any(KEY in hit for hit in server.sinkhits)


def agrees(name: str, got: ModelReply | ModelError, fault: dict[str, Any]) -> None:
    """What the corpus expects of a client and what the adapter alone can say do not contradict each other."""
    expected = fault["expected"]
    if expected["classification"] == "ok":
        assert isinstance(got, ModelReply), (name, got)
    if expected["classification"] == "retry" and isinstance(got, ModelError):
        assert got.retryable, (name, got)
    if expected["classification"] in {"fatal", "fallback"} and isinstance(got, ModelError):
        assert not got.retryable, (name, got)
    if expected["cost"] == "reserve" and isinstance(got, ModelError):
        assert got.may_be_billed, (name, got)
    if expected["cost"] == "none" and fault["family"] == "transport" and isinstance(got, ModelError):
        assert not got.may_be_billed, (name, got)
