from __future__ import annotations

from typing import Any

import pytest

from examples.text_to_sql.responder import respond

CASES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "empty": ([], "Nothing in the database matches."),
    "one number": ([{"count": 80}], "count: 80."),
    "a large number": ([{"count": 1234567}], "count: 1,234,567."),
    "a fraction": ([{"avg_price": 12.5}], "avg price: 12.5."),
    "a whole fraction": ([{"avg_price": 12.0}], "avg price: 12."),
    "nothing": ([{"max_price": None}], "max price: none."),
    "a truth": ([{"ok": True}], "ok: yes."),
    "one row": ([{"name": "Anna", "n": 3}], "name: Anna; n: 3."),
    "a table": (
        [{"name": "Anna", "n": 3}, {"name": "Bo", "n": 12}],
        "2 rows:\nname | n\n-----+---\nAnna | 3\nBo   | 12",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_respond(name: str) -> None:
    rows, text = CASES[name]
    assert respond("?", rows) == {"text": text}


def test_many_rows_are_cut_and_said_so() -> None:
    text = respond("?", [{"n": n} for n in range(50)])["text"]
    assert text.startswith("50 rows:")
    assert text.endswith("... and 30 more")


def test_truncated_rows_are_only_the_first() -> None:
    assert respond("?", [{"n": 1}, {"n": 2}], truncated=True)["text"].startswith("The first 2 rows:")


def test_a_long_text_is_cut_and_stays_on_its_line() -> None:
    text = respond("?", [{"n": "a\nb" * 40}])["text"]
    assert "\n" not in text
    assert len(text) < 60


def test_nothing_at_all() -> None:
    assert respond() == respond("x", None)
