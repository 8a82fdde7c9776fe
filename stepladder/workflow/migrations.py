"""What a file says of the workflows that its runs may come from, looked up in the workflow that it defines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from stepladder.events import Renames
from stepladder.workflow.definition import Migration
from stepladder.workflow.file import MigrationFile
from stepladder.workflow.problems import Problems

KINDS: Final = ("steps", "ends", "actions", "signals")


def migrations(
    sections: list[MigrationFile], known: Mapping[str, Collection[str]], problems: Problems
) -> tuple[Migration, ...]:
    """The migrations; `known` are the names of each kind that the workflow has now."""
    for index, section in enumerate(sections):
        if section.from_ in [each.from_ for each in sections[:index]]:
            found, expected = f"{section.from_} a second time", "each workflow once"
            problems.add(("migrates", index, "from"), found, expected)
        for kind in KINDS:
            _names(getattr(section, kind), kind, known[kind], ("migrates", index, kind), problems)
    return tuple(Migration(each.from_, Renames(each.steps, each.ends, each.actions, each.signals)) for each in sections)


def _names(
    names: Mapping[str, str], kind: str, known: Collection[str], path: tuple[str | int, ...], problems: Problems
) -> None:
    word = kind.removesuffix("s")
    taken: dict[str, str] = {}
    for old, new in names.items():
        if new not in known:
            problems.unknown((*path, old), word, new, known)
        elif new in taken:
            found = f"{word} {new!r} a second time"
            problems.add((*path, old), found, f"one old name for each new one (it is {taken[new]} already)")
        taken[new] = old
