"""What the tests of scenarios share: workflows in a folder, and scenarios played there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from stepladder.scenarios import Played, load_scenario, play_async
from tests.drivers.desk import LADDER, ONE, TALK, go

FILES: Final = {"one": ONE, "talk": TALK, "ladder": LADDER}
OWLS: Final = "input: {topic: owls}"
X: Final = "input: {x: 1}"


def written(folder: Path, files: dict[str, str]) -> Path:
    """The folder, with these files in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def scenario(folder: Path, workflow: str, *lines: str) -> Path:
    """The file of a scenario of one of FILES, or of another workflow's text, which is written beside it."""
    text = FILES.get(workflow, workflow)
    head = ("scenario: it is tried", "workflow: w.yaml")
    written(folder, {"w.yaml": text, "s.yaml": "\n".join([*head, *lines]) + "\n"})
    return folder / "s.yaml"


def played(folder: Path, text: str, /, *lines: str, **settings: Any) -> Played:
    """The scenario, played; one that hangs fails."""
    return go(play_async(load_scenario(scenario(folder, text, *lines)), **settings))


def script_of(result: Played) -> str:
    """What the check of the script found."""
    (check,) = [each for each in result.checks if each.what == "script"]
    assert check.held == (check.found == "used up exactly")
    return str(check.found)
