"""Collecting everything that is wrong with a file, each at its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from stepladder.errors import DefinitionError, Problem
from stepladder.workflow.yaml_text import Lines, Path


class Problems:
    """The problems of one file so far. `data` is what the file holds; None where that is not at hand."""

    def __init__(self, file: str, lines: Lines, data: Any = None) -> None:
        self.file, self.lines, self.data = file, lines, data
        self.found: list[Problem] = []

    def add(
        self,
        path: Sequence[str | int],
        found: str,
        expected: str,
        *,
        level: str = "error",
        code: str = "definition",
    ) -> None:
        """Note one problem at a path of keys."""
        written = self.written(path)
        where = ".".join(str(part) for part in written)
        self.found.append(Problem(where, found, expected, self.file, self.line(written), level, code))

    def unknown(
        self,
        path: Sequence[str | int],
        kind: str,
        name: str,
        known: Iterable[str],
        *,
        level: str = "error",
        code: str = "definition",
    ) -> None:
        """Note a name that nothing bears, with the nearest one that something does."""
        self.add(path, f"{kind} {name!r}", one_of(name, known), level=level, code=code)

    def written(self, path: Sequence[str | int]) -> Path:
        """The path as the file spells it: one name or mapping that stands for a list of one has no number."""
        if self.data is None:
            return self._with_lines(path)
        kept: Path = ()
        value = self.data
        for part in path:
            if isinstance(part, int) and not isinstance(value, list):
                continue
            kept = (*kept, part)
            value = _inside(value, part)
        return kept

    def _with_lines(self, path: Sequence[str | int]) -> Path:
        kept: Path = ()
        for part in path:
            if isinstance(part, str) or not self.lines or (*kept, part) in self.lines:
                kept = (*kept, part)
        return kept

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest key above it that has one; 0 without a file."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return 1 if self.lines else 0

    def in_order(self) -> list[Problem]:
        """All of them, in the order of the file."""
        rank = {".".join(map(str, path)): index for index, path in enumerate(self.lines)}
        return sorted(self.found, key=lambda problem: (problem.line, rank.get(problem.where, 0)))

    def raise_errors(self) -> None:
        """Raise DefinitionError if any problem is an error, in the order of the file."""
        errors = [problem for problem in self.in_order() if problem.level == "error"]
        if errors:
            raise DefinitionError(errors)


def one_of(name: str, known: Iterable[str]) -> str:
    """What was expected instead of `name`: the names there are, and the nearest."""
    names = sorted(set(known))
    if not names:
        return "no name: none is defined"
    near = get_close_matches(name, names, n=1) if len(names) > 1 else []
    hint = f" (did you mean {near[0]}?)" if near else ""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{'one of: ' if len(names) > 1 else ''}{', '.join(names[:20])}{more}{hint}"


def shown(value: object) -> str:
    """A value as its reader wrote it, shortened."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"a mapping of {', '.join(map(str, value))}"[:100] if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _inside(value: object, part: str | int) -> object:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None
