"""`--only KEY=PATTERN`: which recordings are meant, and one clear error where none is."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stepladder.scenarios.recording import Recording

SHOWN: Final = 8
"""Values that are shown where nothing matches, the most frequent first."""
LONGEST: Final = 60
"""Characters of a value that are shown."""


class OnlyThese:
    """The recordings that are meant: one pattern of each key has to fit what a run says of itself. No key: all.

    Raises:
        UsageError: it is no `KEY=PATTERN`, or the key is none of `keys`.
    """

    def __init__(self, only: Sequence[str] | None, keys: Sequence[str] = ("source", "family", "domain")) -> None:
        self.given = tuple(only or ())
        self.patterns: dict[str, list[str]] = {}
        for each in self.given:
            key, pattern = _pair(each, keys)
            self.patterns.setdefault(key, []).append(pattern)

    def of(self, recordings: Iterable[Recording]) -> Iterator[Recording]:
        """Those of these recordings that are meant.

        Raises:
            InputError: at their end, where there were some and none of them was.
        """
        said: dict[str, Counter[str]] = {key: Counter() for key in self.patterns}
        met = read = 0
        for run in recordings:
            read += 1
            for key, values in said.items():
                values[run.said(key)] += 1
            if all(any(fnmatchcase(run.said(key), each) for each in fits) for key, fits in self.patterns.items()):
                met += 1
                yield run
        if read and not met:
            raise self._nothing(read, said)

    def _nothing(self, read: int, said: dict[str, Counter[str]]) -> Exception:
        from stepladder.cli.tell import many
        from stepladder.errors import InputError

        found = f"none of {many(read, 'run')}"
        together = ", all in one run" if len(said) > 1 else ""
        return InputError(
            "recordings", f"--only {' '.join(self.given)}", found, "; ".join(map(_values, said.items())) + together
        )


def _pair(given: str, keys: Sequence[str]) -> tuple[str, str]:
    from stepladder.cli.failures import UsageError

    key, equals, pattern = given.partition("=")
    if not equals or key not in keys or not pattern:
        *others, last = (f"{name}=" for name in keys)
        raise UsageError(f"--only {given}: expected {', '.join(others)} or {last} and a pattern, such as domain=retail")
    return key, pattern


def _values(item: tuple[str, Counter[str]]) -> str:
    key, values = item
    shown = [
        f"{value[:LONGEST]!r} ({count})"
        for value, count in sorted(values.items(), key=lambda each: (-each[1], each[0]))
    ]
    more = [f"{len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
    return f"a {key} of: {', '.join([*shown[:SHOWN], *more])}"
