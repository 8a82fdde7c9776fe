"""The pages under docs/, and the README, as their tests read them: marked blocks, headings, links, tables.

A block is marked by a comment in the line above its fence:

    <!-- file: NAME -->         written to NAME in the page's folder; a workflow must build, without a lint error
    <!-- builds -->             a whole workflow that builds, without a lint error
    <!-- builds in NAME -->     a part that builds when it is laid over that file
    <!-- refused -->            a whole file that is refused; <!-- refused in NAME --> a part laid over that file
    <!-- runs -->               Python, run in the page's folder, offline
    <!-- session -->            a terminal: each line after `$` is run, and must print the lines below it
    <!-- prints -->             what the block before printed, or why it was refused; a line `...` stands for any lines
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = (
    "README",
    *("quickstart", "workflow-file", "signals", "embedding", "command-line", "scenarios", "upgrading", "operating"),
    *("models", "money", "rehearsal", "tuning", "evidence"),
)
KINDS: Final = ("file:", "builds", "builds in", "refused", "refused in", "runs", "session", "prints")
_FENCE: Final = re.compile(
    r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<lang>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_HEADING: Final = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_TICKED: Final = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its mark and the mark's argument."""

    place: str
    line: int
    lang: str
    mark: str
    about: str
    text: str


def path_of(page: str) -> Path:
    """The page's file."""
    return (ROOT if page == "README" else DOCS) / f"{page}.md"


def read(page: str) -> str:
    """The page's text."""
    return path_of(page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Every fenced block, in order."""
    text = read(page)
    return [_block(page, text, found) for found in _FENCE.finditer(text)]


def _block(page: str, text: str, found: re.Match[str]) -> Block:
    line = text.count("\n", 0, found.start("text")) + 1
    mark, _, about = (found["mark"] or "").partition(" ")
    return Block(f"{page}.md:{line}", line, found["lang"], mark.removesuffix(":"), about, found["text"])


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", read(page))


def ticked(page: str) -> set[str]:
    """Everything in the prose that stands between backticks."""
    return set(_TICKED.findall(prose(page)))


def anchors(page: str) -> set[str]:
    """What links within the page can lead to."""
    names = (re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for _, heading in _HEADING.findall(prose(page)))
    return set(names)


def links(page: str) -> list[str]:
    """Every link that does not lead to another site."""
    return [target for target in _LINK.findall(prose(page)) if "://" not in target]


def rows(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table below this heading, without its head, as cells."""
    _, _, below = prose(page).partition(f"# {heading}\n")
    lines = below.split("\n")
    start = next((index for index, line in enumerate(lines) if line.startswith("|")), len(lines))
    table: list[list[str]] = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
    return table[2:]
