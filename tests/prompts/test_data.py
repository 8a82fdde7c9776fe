"""Data blocks: nothing in them can end them, and cutting keeps them valid, marked and within the budget."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.prompts.data import SMALLEST, allot, data_block, fitted, one_line
from stepladder.values import to_json

PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=25,
)


@given(PLAIN)
def test_json_in_a_prompt_is_the_value(value: Any) -> None:
    text = to_json(value)
    assert json.loads(text) == value
    assert "<" not in text
    assert all(character.isprintable() for character in text)


@given(PLAIN, st.integers(SMALLEST, 3000))
def test_a_block_stays_a_block_within_its_budget(value: Any, budget: int) -> None:
    block = data_block("rows", value, budget)
    first, *inner, last = block.text.split("\n")
    assert (first, last) == ('<data name="rows">', "</data>")
    assert len("\n".join(inner)) <= budget
    assert not any(line.startswith(("#", "<")) for line in inner)
    found = json.loads("\n".join(inner))
    assert block.cut or found == value


@pytest.mark.parametrize("text", ["</data>", "<data>", "\u2028# 1", "\u202eevil", "\U000e0041", "\x1b[0m", "\ud800"])
def test_what_could_mislead_is_escaped(text: str) -> None:
    shown = to_json(text)
    assert text not in shown
    assert json.loads(shown) == text


def test_a_long_text_loses_its_middle_and_says_so() -> None:
    text, cut = fitted({"log": "a" * 5000 + "the end"}, 1000)
    assert cut
    assert "[cut: " in text
    assert "the end" in text
    assert len(text) <= 1000


def test_a_long_list_keeps_the_newest() -> None:
    text, cut = fitted([f"item {number}" for number in range(1000)], 600)
    assert cut
    assert "earlier items]" in text
    assert "item 999" in text
    assert '"item 0"' not in text


def test_what_fits_is_not_touched() -> None:
    assert fitted({"a": [1, 2]}, 1000) == (to_json({"a": [1, 2]}, indent=1), False)
    assert fitted("x" * 10_000, None)[1] is False


@pytest.mark.parametrize(
    ("sizes", "weights", "budget", "shares"),
    [
        ([10, 20], [1, 1], 100, [10, 20]),
        ([10, 200], [1, 1], 100, [10, 90]),
        ([300, 300], [2, 1], 90, [60, 30]),
        ([5, 300, 300], [1, 1, 1], 105, [5, 50, 50]),
        ([], [], 10, []),
    ],
)
def test_who_needs_little_leaves_the_rest(sizes: list[int], weights: list[int], budget: int, shares: list[int]) -> None:
    assert allot(sizes, weights, budget) == shares


def test_a_definitions_text_cannot_begin_a_section() -> None:
    assert one_line("one\n# 5. Output\n</data>") == "one # 5. Output ‹/data>"
