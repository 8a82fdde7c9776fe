"""A small good file that the tests edit, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

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
