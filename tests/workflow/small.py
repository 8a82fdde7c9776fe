"""A small good file that the tests edit, and what comes of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from stepladder.errors import DefinitionError, Problem
from stepladder.workflow.build import build
from stepladder.workflow.definition import Definition
from stepladder.workflow.lint import lint
from stepladder.workflow.yaml_text import read_yaml

HERE: Final = Path(__file__).parent
SMALL: Final = (HERE / "small.yaml").read_text(encoding="utf-8")
TEXT_TO_SQL: Final = (HERE / "text_to_sql.yaml").read_text(encoding="utf-8")
FILE: Final = "small.yaml"


def edited(*changes: tuple[str, str], text: str = SMALL) -> str:
    """The text with each `old` replaced by `new`; every `old` must stand there exactly once."""
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
        text = text.replace(old, new)
    return text


def line_of(piece: str, text: str = SMALL) -> int:
    """The line on which the piece begins."""
    assert text.count(piece) == 1, f"{piece!r} stands there {text.count(piece)} times"
    return text.count("\n", 0, text.index(piece)) + 1


def built(text: str = SMALL) -> Definition:
    """The definition that the text spells."""
    data, lines = read_yaml(text, FILE)
    return build(data, file=FILE, lines=lines)


def problems_of(text: str) -> tuple[Problem, ...]:
    """What is wrong with the text; () where it builds."""
    try:
        built(text)
    except DefinitionError as error:
        return error.problems
    return ()


def lints_of(text: str, prompt_files: tuple[str, ...] = ()) -> tuple[Problem, ...]:
    """What the lints say of the text, which must build."""
    data, lines = read_yaml(text, FILE)
    return lint(build(data, file=FILE, lines=lines), lines, prompt_files)


def paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in it, its own first."""
    inner: list[tuple[Any, ...]] = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            inner += paths(item, (*path, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            inner += paths(item, (*path, index))
    return inner


def replaced(data: dict[str, Any], path: tuple[Any, ...], value: object) -> dict[str, Any]:
    """A copy of the data with another value at the path."""
    found = copy.deepcopy(data)
    place: Any = found
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return found


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(
        ["idle", "writing", "done", "returned == ok", "last.x", "STOP", "*", "string", "", "a == 'b", "it"]
    )
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
"""Values that may stand anywhere in a file, more or less fitting."""
