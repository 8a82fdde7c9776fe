from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from stepladder.llm import (
    KeyMissing,
    ModelNameError,
    Providers,
    ScriptedProvider,
    SdkMissing,
    SetupError,
    open_provider,
    parse_model,
)
from tests.llm.wires import request


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("openai:gpt-5-mini", ("openai", "gpt-5-mini")),
        ("google:gemini-2.5-flash-lite", ("google", "gemini-2.5-flash-lite")),
        ("openai:ft:gpt-4o:org::id", ("openai", "ft:gpt-4o:org::id")),
        ("openai:meta-llama/Llama-3", ("openai", "meta-llama/Llama-3")),
        ("scripted:any", ("scripted", "any")),
    ],
)
def test_a_model_is_provider_colon_model(text: str, parsed: tuple[str, str]) -> None:
    assert parse_model(text) == parsed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpt-5-mini", "no colon"),
        ("", "no colon"),
        ("opnai:gpt-5", "unknown provider 'opnai'"),
        (":gpt-5", "unknown provider ''"),
        ("OpenAI:gpt-5", "unknown provider"),
        ("openai:", "no model"),
        ("openai: ", "no model"),
        ("openai: gpt-5", "white space"),
        (None, "NoneType"),
    ],
)
def test_what_is_wrong_with_a_model_name_is_said(text: str, found: str) -> None:
    with pytest.raises(ModelNameError, match=found) as caught:
        parse_model(text)
    assert "google, openai, scripted, vertex" in str(caught.value)


def test_each_provider_is_opened_once_per_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-at-all")

    async def run() -> None:
        async with Providers(options={"google": {"api_key": "none-at-all"}}) as providers:
            first, model = providers.resolve("openai:gpt-5-mini")
            assert model == "gpt-5-mini"
            assert providers["openai"] is first
            assert providers.open("openai", base_url="http://127.0.0.1:9/v1") is not first
            assert providers["google"].name == "google"

    asyncio.run(run())


def test_own_providers_come_first_and_stay_open() -> None:
    async def run() -> None:
        own = ScriptedProvider(["a", "b"])
        async with Providers({"scripted": own, "openai": own}) as providers:
            for name in ("scripted:x", "openai:gpt-5-mini"):
                provider, model = providers.resolve(name)
                assert provider is own
                await provider.ask(request(model))
            with pytest.raises(ModelNameError):
                providers.resolve("other:x")
        assert own.left == 0

    asyncio.run(run())


def test_a_scripted_provider_has_to_be_handed_in() -> None:
    with pytest.raises(SetupError, match="ScriptedProvider"):
        open_provider("scripted")
    with pytest.raises(ModelNameError):
        Providers().resolve("scripted:x")
    with pytest.raises(ModelNameError):
        open_provider("nobody")


@pytest.mark.parametrize(("name", "variable"), [("openai", "OPENAI_API_KEY"), ("google", "GEMINI_API_KEY")])
def test_a_missing_key_names_the_variable(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(each, raising=False)
    with pytest.raises(KeyMissing, match=variable):
        open_provider(name)


@pytest.mark.parametrize(("name", "module"), [("openai", "openai"), ("google", "google.genai"), ("openai", "httpx2")])
def test_a_missing_sdk_names_what_to_install(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("openai", "google", "wire"):
        monkeypatch.delitem(sys.modules, f"stepladder.llm.{each}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SdkMissing, match=rf"pip install 'stepladder\[{name}\]'"):
        open_provider(name, api_key="none-at-all")


def test_importing_the_package_imports_no_sdk() -> None:
    heavy = {"openai", "google", "google.genai", "httpx2", "httpx", "pydantic", "genai_prices", "anyio"}
    code = f"import sys, stepladder.llm; print(sorted({heavy!r} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_importing_the_package_takes_little_time() -> None:
    code = (
        "import time, asyncio, json, msgspec, typing; began = time.perf_counter(); "
        "import stepladder.llm; print(time.perf_counter() - began)"
    )
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in range(3)
    ]
    assert min(runs) < 0.15
