"""Gemini in a workflow: its API and Vertex AI, the default model, and answers as the call of a function."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepladder import Orchestrator
from stepladder.app.loading import Workflow
from stepladder.errors import DefinitionError
from tests.app.test_model_limits import FLOW, flow
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import GOOGLE_OK, changed

MODEL = "gemini-2.5-flash-lite"


@pytest.mark.parametrize("provider", ["google", "vertex"])
@pytest.mark.parametrize("form", ["schema", "function"])
def test_gemini_is_asked_for_its_default_model_where_only_the_provider_is_named(provider: str, form: str) -> None:
    said = {"action": "ANSWER", "confidence": 0.9, "reason": "ok", "next_state": None, "parameters": None}
    part = {"text": json.dumps(said)} if form == "schema" else {"functionCall": {"name": "decide", "args": said}}
    body = changed(GOOGLE_OK, "candidates.0.content.parts", [part])

    async def main(url: str) -> None:
        options = {provider: {"api_key": "AIza-nothing-0123", "base_url": url, "form": form}}
        agents = {"reader": lambda ticket: {"kind": "complaint"}}
        async with Orchestrator(flow(None, model=provider), agents=agents, options=options) as desk:
            run = await desk.run({"ticket": "x"})
        (call,) = run.decisions[-1].calls
        assert (run.decisions[-1].decision_source, call.asked) == ("agreement", f"{provider}:{MODEL}")
        assert call.usage.cost_usd == pytest.approx(412 * 0.1e-6 + 31 * 0.4e-6)

    with Loopback(answer(200, body)) as server:
        asyncio.run(main(server.url))
        [sent] = server.requests
    assert f"/{MODEL}:generateContent " in sent.line
    assert ("/publishers/google/models/" in sent.line) == (provider == "vertex")
    assert sent.headers["x-goog-api-key"] == "AIza-nothing-0123"


def of(**said: Any) -> Workflow:
    """The workflow with a rung that says this of its models."""
    data = yaml.safe_load(FLOW)
    data["policy"]["rungs"]["supervisor"] = said
    return Workflow.define(data)


@pytest.mark.parametrize("provider", ["google", "vertex"])
def test_a_default_model_is_the_same_policy_as_its_full_name(provider: str) -> None:
    full = f"{provider}:{MODEL}"
    for key, short, long in (
        ("model", provider, full),
        ("model", f"{provider}:", full),
        ("models", [provider, "openai:x"], [full, "openai:x"]),
        ("chain", ["openai:x", provider], ["openai:x", full]),
        ("chain", ["openai:x", {"model": provider}], ["openai:x", {"model": full}]),
    ):
        assert of(**{key: short}).machine.policy.hash == of(**{key: long}).machine.policy.hash
    rates = flow({"rates": {full: {"at_once": 1}}}, model=provider).machine.policy.ladder.targets
    assert rates is not None
    assert list(rates.rates) == [full]


@pytest.mark.parametrize("model", ["openai", "openai:", "mine", "Google", ":x", "google :"])
def test_other_providers_have_no_default(model: str) -> None:
    with pytest.raises(DefinitionError, match="expected provider:name, such as openai:gpt-5-mini"):
        flow(None, model=model)


def test_vertex_without_a_project_or_a_key_is_a_failed_rung(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    for name in ("GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_VERTEX_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    async def main() -> None:
        async with Orchestrator(
            flow(None, model="vertex"), agents={"reader": lambda ticket: {"kind": "complaint"}}
        ) as desk:
            run = await desk.run({"ticket": "x"})
        assert run.end == "answered"
        assert "GOOGLE_APPLICATION_CREDENTIALS" in run.decisions[-1].calls[0].error

    asyncio.run(main())
