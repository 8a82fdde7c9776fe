"""Run data in a prompt: JSON in blocks that their content cannot close, cut to a budget with a visible mark.

Inside a block `<` and every character that does not print are written as JSON escapes. So no text of an agent or a
person can end its block, begin another, or hide; and since JSON keeps a text on one line, none can begin a line of the
prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from stepladder.values import to_json

_NAME: Final = re.compile(r"\w+", re.ASCII)
_LEVELS: Final = ((8000, 200), (3000, 80), (1200, 40), (500, 20), (200, 10), (100, 5), (60, 3), (40, 2))
"""Tighter and tighter: characters of a text, items of a list or mapping."""
_MAX_DEPTH: Final = 12
SMALLEST: Final = 60
"""Characters that even the smallest cut needs for its mark."""


class Block(msgspec.Struct, frozen=True):
    """A named data block as it stands in the prompt, and whether something in it was cut."""

    name: str
    text: str
    cut: bool = False


def one_line(text: str) -> str:
    """A definition's text on one line, so that it cannot begin a section or a block."""
    return re.sub(r"<(?=/?\s*data\b)", "‹", " ".join(text.split()))


def data_block(name: str, value: Any, budget: int | None = None) -> Block:
    """The value as a data block of at most `budget` characters of JSON."""
    assert _NAME.fullmatch(name), "names of blocks are our own words"
    text, cut = fitted(value, budget)
    return Block(name, f'<data name="{name}">\n{text}\n</data>', cut)


def fitted(value: Any, budget: int | None) -> tuple[str, bool]:
    """The value as JSON within `budget` characters, and whether that took a cut.

    Texts lose their middle, lists their oldest (first) items, mappings their last keys; a mark says how much is gone.
    """
    whole = to_json(value, indent=1)
    if budget is None or len(whole) <= budget:
        return whole, False
    for characters, items in _LEVELS:
        text = to_json(_shrunk(value, characters, items, 0), indent=1)
        if len(text) <= budget:
            return text, True
    return _head(whole, max(budget, SMALLEST)), True


def allot(sizes: Sequence[int], weights: Sequence[int], budget: int) -> list[int]:
    """How much of a budget each gets: who needs less than its share by weight leaves the rest to the others."""
    shares = list(sizes)
    wanting = list(range(len(sizes)))
    left = budget
    while wanting:
        total = sum(weights[index] for index in wanting)
        modest = [index for index in wanting if sizes[index] * total <= left * weights[index]]
        if not modest:
            for index in wanting:
                shares[index] = left * weights[index] // total
            return shares
        left -= sum(sizes[index] for index in modest)
        wanting = [index for index in wanting if index not in modest]
    return shares


def _shrunk(value: Any, characters: int, items: int, depth: int) -> Any:
    if isinstance(value, str):
        return _shorter(value, characters)
    if depth >= _MAX_DEPTH and isinstance(value, (dict, list, tuple)) and value:
        return f"[cut: {len(value)} deeper items]"
    if isinstance(value, dict):
        kept = list(value.items())[:items]
        shown = {_shorter(key, characters): _shrunk(item, characters, items, depth + 1) for key, item in kept}
        gone = len(value) - len(kept)
        return {**shown, "[cut]": f"{gone} of {len(value)} fields"} if gone else shown
    if isinstance(value, (list, tuple)):
        newest = [_shrunk(item, characters, items, depth + 1) for item in value[-items:]]
        return [f"[cut: {len(value) - items} earlier items]", *newest] if len(value) > items else newest
    return value


def _shorter(text: str, characters: int) -> str:
    if len(text) <= characters + 40:
        return text
    head = characters * 2 // 3
    tail = characters - head
    return f"{text[:head]} [cut: {len(text) - characters:,} of {len(text):,} characters] {text[-tail:]}"


def _head(text: str, budget: int) -> str:
    flat = " ".join(text.split())
    length = budget
    while length > 1:
        length //= 2
        shown = to_json(f"{flat[:length]} [cut: {len(text):,} characters of JSON in all]")
        if len(shown) <= budget:
            return shown
    return to_json(f"[cut: {len(text):,} characters of JSON]")
