"""Changing values of a policy where they stand in its file: `set`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.learning import PANEL
from stepladder.cli.options import AgentsFile, Json, Options

if TYPE_CHECKING:
    from stepladder.cli.screen import Screen

VALUE: Final = "value"

Changed = dict[str, tuple[Any, Any]]
"""What a key was and is."""


@app.command(
    "set",
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder set workflow.yaml limits.decisions=60\n"
    "  stepladder set workflow.yaml --remove limits.usd\n"
    "  stepladder set policy.yaml 'classifier.complex.failing=[error_count > 3]' --workflow workflow.yaml",
)
def set_values(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workflow or policy file.")],
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE...", help="A key of the policy, with dots, and its YAML.", show_default=False
        ),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="KEY", help="Take this key away; repeatable.")
    ] = None,
    workflow: Annotated[
        Path | None, typer.Option("--workflow", metavar="FILE", help="The workflow file, where FILE is a policy file.")
    ] = None,
    agents: AgentsFile = None,
    option: Options = None,
    as_json: Json = False,
) -> Exit:
    """Change values of a policy where they stand in its file; comments and layout stay.

    A key that is not there is added; --remove takes one away, so that its default holds. Where the file could not be
    used afterwards, nothing is written.
    """
    from stepladder.clauses import MISSING
    from stepladder.cli.failures import UsageError
    from stepladder.cli.files import read_text, write
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen
    from stepladder.workflow.yaml_edit import removed

    given = pairs(values, "KEY=VALUE")
    if not given and not remove:
        raise UsageError("set: give KEY=VALUE or --remove KEY")
    if both := sorted(given.keys() & set(remove or ())):
        raise UsageError(f"set: {both[0]} is both given a value and removed; expected one of these")
    text, changed = read_text(file), Changed()
    for key, value in given.items():
        text, changed[key] = _with(text, key, value, str(file))
    for key in dict.fromkeys(remove or ()):
        changed[key] = (_at(text, key, str(file)), MISSING)
        text = removed(text, ["policy", *key.split(".")], str(file))
    _usable(text, file, workflow, agents, pairs(option, "--option"))
    write(file, text)
    _tell(changed, file, Screen(json=as_json))
    return Exit.DONE


def _with(text: str, key: str, value: str, file: str) -> tuple[str, tuple[Any, Any]]:
    """The text with this value of the policy, and what it was and is."""
    from stepladder.clauses import MISSING
    from stepladder.cli.failures import UsageError
    from stepladder.workflow.yaml_edit import added, replaced
    from stepladder.workflow.yaml_text import read_yaml

    read = read_yaml(f"{VALUE}: {value}", f"KEY=VALUE {key}")[0]
    if read.keys() != {VALUE}:
        raise UsageError(f"{key}: expected one value on one line, such as 60 or [error_count > 3]")
    new, *place = read[VALUE], "policy", *key.split(".")
    old = _at(text, key, file)
    if old is MISSING:
        return added(text, place[:-1], place[-1], new, file), (old, new)
    return replaced(text, place, new, file), (old, new)


def _at(text: str, key: str, file: str) -> Any:
    """What stands under this key of the policy; MISSING where nothing does."""
    from stepladder.clauses import MISSING
    from stepladder.workflow.yaml_text import read_yaml

    found: Any = read_yaml(text, file)[0]
    for part in ("policy", *key.split(".")):
        found = found.get(part, MISSING) if isinstance(found, Mapping) else MISSING
    return found


def _usable(text: str, file: Path, workflow: Path | None, agents: Path | None, options: Mapping[str, str]) -> None:
    """Raises DefinitionError, at the places of `file`, where a file of this text could not be used."""
    from stepladder.cli.files import write
    from stepladder.cli.loading import looked_at
    from stepladder.errors import DefinitionError

    draft = file.with_name(f".{file.name}.{os.getpid()}.draft")
    try:
        write(draft, text)
        if workflow is None:
            looked_at(draft, agents, options)
        else:
            looked_at(workflow, agents, options).under(draft)
    except DefinitionError as error:
        problems = [replace(each, file=str(file)) if each.file == str(draft) else each for each in error.problems]
        raise DefinitionError(problems) from None
    finally:
        draft.unlink(missing_ok=True)


def _tell(changed: Changed, file: Path, screen: Screen) -> None:
    from stepladder.clauses import MISSING
    from stepladder.cli.screen import clean
    from stepladder.workflow.yaml_edit import flow

    if screen.json:
        told = {
            key: dict(zip(("was", "is"), (None if each is MISSING else each for each in values), strict=True))
            for key, values in changed.items()
        }
        screen.emit({"file": str(file), "changed": told})
        return
    for key, values in changed.items():
        old, new = ("not set" if each is MISSING else flow(each) for each in values)
        screen.out.print(f"{clean(key)}  {clean(old)} -> {clean(new)}", soft_wrap=True)
    screen.out.print(f"wrote {clean(file)}", style="green", soft_wrap=True)
