"""Collecting everything that is wrong with a file, each at its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from stepladder.errors import DefinitionError, Problem
from stepladder.workflow.yaml_text import Lines, Path


class Problems:
    """The problems of one file so far."""

    def __init__(self, file: str, lines: Lines) -> None:
        self.file, self.lines = file, lines
        self.found: list[Problem] = []

    def add(self, path: Sequence[str | int], found: str, expected: str, *, level: str = "error", code: str = "definition") -> None:
        """Note one problem at a path of keys."""
        where = ".".join(str(part) for part in path)
        self.found.append(Problem(where, found, expected, self.file, self.line(tuple(path)), level, code))

    def unknown(self, path: Sequence[str | int], kind: str, name: str, known: Iterable[str], *, level: str = "error", code: str = "definition") -> None:
        """Note a name that nothing bears, with the nearest one that something does."""
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        listed = ", ".join(names[:20]) or "none is defined"
        self.add(path, f"{kind} {name!r}", f"one of: {listed}{hint}", level=level, code=code)

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest key above it that has one; 0 without a file."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return 1 if self.lines else 0

    def raise_errors(self) -> None:
        """Raise DefinitionError if any problem is an error, in the order of the file."""
        errors = [problem for problem in self.found if problem.level == "error"]
        if errors:
            raise DefinitionError(sorted(errors, key=lambda problem: problem.line))


def from_pydantic(error: ValidationError, file: str, lines: Lines) -> DefinitionError:
    """The same problems, in our words."""
    problems = Problems(file, lines)
    for each in error.errors(include_url=False):
        path = _path(each["loc"], lines)
        found, expected = _say(each)
        problems.add(path, found, expected)
    return DefinitionError(problems.found)


def _path(loc: Sequence[str | int], lines: Lines) -> tuple[str | int, ...]:
    """pydantic counts an entry that we made a list of; the file has no such key."""
    path: tuple[str | int, ...] = ()
    for part in loc:
        if isinstance(part, int) and lines and (*path, part) not in lines:
            continue
        if part == "[key]":
            continue
        path = (*path, part)
    return path


def _say(each: Any) -> tuple[str, str]:
    found = _short(each["input"])
    match each["type"]:
        case "extra_forbidden":
            return f"key {each['loc'][-1]!r}", "no such key here (see `stepladder schema`)"
        case "missing":
            return "nothing", f"the key {each['loc'][-1]!r}"
        case "string_pattern_mismatch":
            return f"name {found}", "letters, digits and _, not beginning with a digit"
        case _:
            return found, each["msg"].removeprefix("Input should be ").removeprefix("Value error, ")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
