from __future__ import annotations

from email.utils import formatdate

import pytest

from stepladder.llm.reading import clean, count, tokens
from stepladder.llm.statuses import retry_after_s


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("two\nlines\t\x00 \u202eand \x1b[31mred", "two lines and [31mred"),
        ("<html><b>bold</b> text", "bold text"),
        ("key local-key-7 told", "key *** told"),
        ("Bearer abcdefghi, sk-abcdefghi; AIzaSyABCDEF", "***, ***; ***"),
        ("lone \ud83d surrogate", "lone surrogate"),
        ("x" * 999, "x" * 237 + "..."),
    ],
)
def test_a_detail_is_one_short_clean_line(text: str, cleaned: str) -> None:
    assert clean(text, ("local-key-7", "")) == cleaned


@pytest.mark.parametrize(
    ("value", "counted"),
    [
        (0, 0),
        (7, 7),
        (7.0, 7),
        ("7", 7),
        (7.5, None),
        (-1, None),
        (True, None),
        ("٧", None),
        (None, None),
        (10**30, None),
    ],
)
def test_a_count_is_a_whole_number_however_it_is_written(value: object, counted: int | None) -> None:
    assert count(value) == counted


def test_a_total_without_its_parts() -> None:
    assert tokens(None, None, 9, None).known is False
    assert tokens(5, None, 9, 7).output_tokens == 4
    assert tokens(5, None, 9, 7).cached_tokens == 5
    assert tokens(5, 6, 3, None).output_tokens == 6


NOW, LATER = formatdate(1e9, usegmt=True), formatdate(1e9 + 90, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": LATER, "date": NOW}, 90.0),
        ({"retry-after": NOW, "date": LATER}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
    ],
)
def test_what_the_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
