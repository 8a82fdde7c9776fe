from __future__ import annotations

import json

import pytest

from stepladder.cli.screen import clean, document, line, spelt
from stepladder.cli.tell import cost, seconds

CLEANED = {
    "plain text": ("Wie viele Kunden? 你好", "Wie viele Kunden? 你好"),
    "colours": ("\x1b[31;1mred\x1b[0m", "red"),
    "cursor and screen": ("a\x1b[2J\x1b[1;1Hb", "ab"),
    "a title": ("\x1b]0;owned\x07x", "x"),
    "a link": ("\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\", "text"),
    "an unfinished sequence": ("x\x1b]0;never ends", "x"),
    "eight-bit sequences": ("\x9b31mred\x9d0;t\x9cx", "redx"),
    "a lone escape": ("a\x1bcb\x1b", "ab"),
    "control characters": ("a\x00\x07\x08b\x7f", "ab"),
    "line ends": ("a\r\nb\rc\nd", "a\nbc\nd"),
    "the direction of writing": ("\u202egnp.exe\u202c", "gnp.exe"),
    "half a character": ("\ud800x", "x"),
    "markup is text": ("[bold]x[/]", "[bold]x[/]"),
}


@pytest.mark.parametrize(("text", "shown"), CLEANED.values(), ids=CLEANED)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert clean(shown) == shown


def test_one_line() -> None:
    assert line("a\n  b\t c") == "a b c"
    assert line("abcdef", 4) == "abc…"
    assert spelt({"a": [1, None, "ü"]}) == '{"a": [1, null, "ü"]}'
    assert spelt("as it stands") == "as it stands"


def test_json_on_a_terminal_is_safe_and_the_same() -> None:
    value = {"a": "\x1b[31m\x9b\u202e\u007f ü", "b": [1.5, None]}
    text = document(value)
    assert not set(text) & {"\x1b", "\x9b", "\u202e", "\x7f"}
    assert json.loads(text) == value


COSTS = {0: "$0", None: "unpriced", 1.5: "$1.50", 0.1234: "$0.12", 0.0123: "$0.012", 0.00001234: "$0.0000123"}
TIMES = {0.0: "0.00 s", 59.5: "59.50 s", 61.0: "1 min 01 s", 3_725.0: "1 h 02 min"}


@pytest.mark.parametrize(("usd", "told"), COSTS.items())
def test_costs(usd: float | None, told: str) -> None:
    assert cost(usd) == told


@pytest.mark.parametrize(("value", "told"), TIMES.items())
def test_times(value: float, told: str) -> None:
    assert seconds(value) == told
