"""Upper bounds of what a call may cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.llm import Attachment, ModelRequest, ScriptedProvider
from stepladder.money import PriceList, input_tokens_at_most


def request(prompt: str = "p", **more: object) -> ModelRequest:
    return ModelRequest(model="m", system="s", prompt=prompt, schema={"type": "object"}, deadline_s=1.0, **more)  # type: ignore[arg-type]


@given(st.text())
def test_there_are_never_more_tokens_than_bytes(text: str) -> None:
    assert input_tokens_at_most(request(text)) >= len(text.encode()) + len("s") + 256


def test_attachments_count_by_size_and_never_little() -> None:
    small, large = Attachment("image/png", b"x", "a"), Attachment("application/pdf", b"x" * 200_000, "b")
    bare = input_tokens_at_most(request())
    assert input_tokens_at_most(request(attachments=(small,))) == bare + 50_000
    assert input_tokens_at_most(request(attachments=(small, large))) == bare + 250_000


@pytest.mark.parametrize(
    ("target", "overrides", "expected"),
    [
        ("openai:gpt-5-mini", {}, (1000 * 0.25 + 100 * 2.0) / 1e6),
        ("openai:gpt-5-mini", {"openai:gpt-5-mini": (1.0, 10.0)}, (1000 * 1.0 + 100 * 10.0) / 1e6),
        ("openai:nobody-knows-this", {}, None),
        ("mine:llama", {"mine:llama": (0.0, 0.0)}, 0.0),
    ],
)
def test_prices(target: str, overrides: dict[str, tuple[float, float]], expected: float | None) -> None:
    assert PriceList(overrides).usd(target, 1000, 100) == (None if expected is None else pytest.approx(expected))


def test_a_providers_own_price_comes_before_the_list_and_after_the_policys() -> None:
    scripted = ScriptedProvider([])
    assert PriceList().usd("openai:gpt-5-mini", 1000, 100, scripted.price) == 0.0
    own = PriceList({"openai:gpt-5-mini": (1.0, 1.0)})
    assert own.usd("openai:gpt-5-mini", 1_000_000, 0, scripted.price) == 1.0


def test_the_most_is_all_that_was_sent_and_all_that_may_be_written() -> None:
    asked = request("p" * 100, max_output_tokens=500)
    expected = (input_tokens_at_most(asked) * 2 + 500 * 8) / 1e6
    assert PriceList({"x:m": (2, 8)}).at_most("x:m", asked) == pytest.approx(expected)
