"""Arguments: what `with` and `output` hand on. Plain values, 'quoted text', or references such as `result.plan.sql`.

References are resolved once, when the step is entered; what leads nowhere is null. `secret.NAME` stays a reference
until the command is performed, so a secret is never in the state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from stepladder.clauses import Facts, reader
from stepladder.workflow.yaml_text import Path

SECRET: Final = "$secret"
_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)
_SECRET_PATH: Final = re.compile(r"secret\.\w+", re.ASCII)
_QUOTED: Final = re.compile(r"'((?:[^']|'')*)'", re.DOTALL)

Resolve = Callable[[Facts], Any]


class ArgumentError(ValueError):
    """An argument that is neither a literal nor a reference."""

    def __init__(self, path: Path, found: str, expected: str) -> None:
        self.path, self.found, self.expected = path, found, expected
        super().__init__(f"{'.'.join(map(str, path))}: found {found}; expected {expected}")


class Arguments:
    """A mapping of names to references and literals, compiled. `references` gives each with where it stands."""

    __slots__ = ("_resolve", "placed", "source")

    def __init__(self, source: Mapping[str, Any], roots: frozenset[str]) -> None:
        self.source = dict(source)
        self.placed: list[tuple[Path, str]] = []
        self._resolve = {name: self._compile(item, (name,), roots) for name, item in source.items()}

    def __bool__(self) -> bool:
        return bool(self.source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arguments) and self.source == other.source

    def __hash__(self) -> int:
        return hash(frozenset(self.source))

    @property
    def references(self) -> list[str]:
        """The paths that are read."""
        return [reference for _, reference in self.placed]

    @property
    def literals(self) -> dict[str, Any]:
        """The values of those arguments that read nothing."""
        reading = {place[0] for place, _ in self.placed}
        return {name: resolve({}) for name, resolve in self._resolve.items() if name not in reading}

    def resolve(self, facts: Facts) -> dict[str, Any]:
        """The arguments as plain values."""
        return {name: resolve(facts) for name, resolve in self._resolve.items()}

    def _compile(self, item: Any, path: Path, roots: frozenset[str]) -> Resolve:
        if isinstance(item, str):
            return self._text(item, path, roots)
        if isinstance(item, Mapping):
            inner = {key: self._compile(each, (*path, str(key)), roots) for key, each in item.items()}
            return lambda facts: {key: resolve(facts) for key, resolve in inner.items()}
        if isinstance(item, list):
            items = [self._compile(each, (*path, index), roots) for index, each in enumerate(item)]
            return lambda facts: [resolve(facts) for resolve in items]
        return lambda _: item

    def _text(self, text: str, path: Path, roots: frozenset[str]) -> Resolve:
        if quoted := _QUOTED.fullmatch(text):
            literal = quoted[1].replace("''", "'")
            return lambda _: literal
        root, _, rest = text.partition(".")
        if root == "secret" and not _SECRET_PATH.fullmatch(text):
            raise ArgumentError(path, repr(text), "secret.NAME")
        if not _PATH.fullmatch(text) or (root not in roots and root != "secret"):
            raise ArgumentError(path, repr(text), _expected(root, roots))
        self.placed.append((path, text))
        if root == "secret":
            return lambda _: {SECRET: rest}
        return reader(text, None)


def _expected(root: str, roots: frozenset[str]) -> str:
    near = get_close_matches(root, sorted(roots), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"a reference such as input.name, last.name or result.STEP.name{hint}, or text in quotes: \"'...'\""
