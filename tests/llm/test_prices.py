from __future__ import annotations

import socket
import threading

import pytest

from stepladder.llm import cost_usd


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a price was looked up on the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize(
    ("provider", "model", "usd"),
    [
        ("openai", "gpt-5-mini", 0.25 + 2.0),
        ("openai", "gpt-5-mini-2025-08-07", 0.25 + 2.0),
        ("google", "gemini-2.5-flash-lite", 0.10 + 0.40),
        ("openai", "no-such-model", None),
        ("nobody", "gpt-5-mini", None),
        ("openai", "", None),
    ],
)
def test_a_price_per_million_tokens_or_none(provider: str, model: str, usd: float | None) -> None:
    threads = threading.active_count()
    assert cost_usd(provider, model, 1_000_000, 1_000_000) == (usd if usd is None else pytest.approx(usd))
    assert threading.active_count() == threads


def test_overrides_come_first() -> None:
    assert cost_usd("openai", "gpt-5-mini", 1000, 10, overrides={"openai:gpt-5-mini": (1.0, 2.0)}) == pytest.approx(
        0.00102
    )
    assert cost_usd("mine", "llama3:8b", 1000, 10, overrides={"mine:llama3:8b": (0.0, 0.0)}) == 0.0


def test_cached_tokens_cost_less() -> None:
    full, cached = (cost_usd("openai", "gpt-5-mini", 1000, 10, cached_input_tokens=n) for n in (0, 900))
    assert full is not None
    assert cached is not None
    assert cached < full
    assert cost_usd("openai", "gpt-5-mini", 10, 10, cached_input_tokens=99) is not None


def test_a_server_has_its_own_prices() -> None:
    assert cost_usd("openai", "gpt-5-mini", 1000, 10, base_url="http://127.0.0.1:8000/v1") is None
    assert cost_usd("any", "gpt-5-mini", 1000, 10, base_url="https://api.openai.com/v1") == pytest.approx(0.00027)
