"""What goes to the terminal: text for people on two consoles, or one JSON document on stdout.

Text from runs is data: it is never read as markup, and escape sequences and control characters are taken out of it.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|\Z)"  # OSC, DCS: titles, links
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""C0, C1, marks that turn the direction of writing, and halves of characters."""

WIDE: Final = 1000
"""Columns that a table may take that is not cut."""
SETTINGS: Final = {"no_color": False, "debug": False}
"""What the options before the command say."""


def clean(text: object) -> str:
    """The text without anything that moves a terminal; line ends stay."""
    plain = _ESCAPES.sub("", str(text)).replace("\r\n", "\n").replace("\t", " ")
    return _CONTROLS.sub("", plain)


def line(text: object, longest: int = 0) -> str:
    """The same on one line, and no longer than `longest` characters (0: any length)."""
    told = " ".join(clean(text).split())
    return told if not longest or len(told) <= longest else told[: longest - 1] + "…"


def spelt(value: Any, longest: int = 0) -> str:
    """A value as people read it: text as it stands, everything else as JSON, on one line."""
    return line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str), longest)


def told(values: dict[str, Any], longest: int = 60) -> str:
    """A mapping on one line: `name value, name value`."""
    return ", ".join(f"{line(name)} {spelt(value, longest)}" for name, value in values.items())


def document(value: Any) -> str:
    """The value as JSON text that is safe to show on a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return _CONTROLS.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


class Screen:
    """Where a command writes. With `json` nothing but one document goes to stdout."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json

    @property
    def out(self) -> Console:
        """The console on stdout."""
        return console(stderr=False)

    @property
    def err(self) -> Console:
        """The console on stderr."""
        return console(stderr=True)

    def whole(self, table: Table) -> None:
        """A table on stdout that is not cut, however narrow the screen: figures that end in dots say nothing."""
        from rich.measure import Measurement

        out = self.out
        wide = Measurement.get(out, out.options.update(width=WIDE), table).maximum
        out.width = max(out.width, wide)
        out.print(table)

    def emit(self, value: Any) -> None:
        """The one JSON document."""
        sys.stdout.write(document(value) + "\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def only_json(self) -> Iterator[None]:
        """What agents print meanwhile goes to stderr where stdout is for JSON."""
        with contextlib.redirect_stdout(sys.stderr) if self.json else contextlib.nullcontext():
            yield


def console(*, stderr: bool = False) -> Console:
    """A console that takes nothing for markup."""
    from rich.console import Console

    no_color = True if SETTINGS["no_color"] else None
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, no_color=no_color)
