"""The command that begins a project: init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import Json
from stepladder.cli.scenarios import PANEL

FIRST_PROJECT = Path(__file__).parent / "first_project"
FILES = ("workflow.yaml", "agents.py", "scenarios/unclear.yaml", "README.md")
TRY = "stepladder run workflow.yaml --input ticket='My invoice is wrong'"


@app.command(rich_help_panel=PANEL, epilog=f"Example:\n  stepladder init my-project && cd my-project && {TRY}")
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; made if it is missing.")] = Path(),
    as_json: Json = False,
) -> Exit:
    """Write a first project that runs at once, offline. Nothing that is there is overwritten."""
    import shlex

    from stepladder.cli.screen import Screen, clean

    _refuse_to_overwrite(folder)
    _write(folder)
    screen = Screen(json=as_json)
    if as_json:
        screen.emit({"folder": str(folder), "files": list(FILES), "try": TRY})
        return Exit.DONE
    screen.out.print("\n".join(f"wrote {clean(folder / name)}" for name in FILES), style="green", soft_wrap=True)
    go = "" if folder == Path() else f"cd {shlex.quote(clean(folder))} && "
    screen.out.print(f"now: {go}{TRY}", soft_wrap=True)
    return Exit.DONE


def _refuse_to_overwrite(folder: Path) -> None:
    from stepladder.errors import InputError

    there = [name for name in FILES if (folder / name).exists()]
    if there:
        raise InputError(f"init {folder}", "", f"{', '.join(there)} there already", "a folder without them")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"init {folder}", "", "a file", "a folder")


def _write(folder: Path) -> None:
    from stepladder.errors import InputError, cause_of

    try:
        for name in FILES:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as file:
                file.write((FIRST_PROJECT / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"init {folder}", "", cause_of(error), "a folder that can be written") from None
