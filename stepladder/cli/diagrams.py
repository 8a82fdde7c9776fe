"""The command that draws: diagram."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.cli.check import PANEL
from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, JournalFile, Json, Options, Output, Place

if TYPE_CHECKING:
    from stepladder.diagram import Path as RunPath
    from stepladder.workflow.definition import Definition

FORMATS = ("mermaid", "svg")


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder diagram workflow.yaml\n  stepladder diagram --run last --format svg -o last.svg",
)
def diagram(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The workflow file; with --run the journal knows the workflow."),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="mermaid|svg", help="The form. Default: by the name of -o, else mermaid.")
    ] = "",
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="Mark the path of this run.")] = "",
    output: Output = None,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Draw a workflow as Mermaid text or SVG, plain or with the path of a run."""
    from stepladder.cli.failures import UsageError
    from stepladder.cli.files import write
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen, clean

    form = format_ or (output.suffix[1:] if output and output.suffix[1:] in FORMATS else "mermaid")
    if form not in FORMATS:
        raise UsageError(f"--format {form}: expected mermaid or svg")
    if file is None and not run:
        raise UsageError("diagram: give a FILE, or --run RUN")
    options = pairs(option, "--option")
    definition, path = _what(file, run, agents, options, journal)
    text = _drawn(form, definition, path)
    screen = Screen(json=as_json)
    if output is not None:
        write(output, text)
    if as_json:
        kept = {"file": str(output)} if output else {"text": text}
        screen.emit({"workflow": definition.name, "format": form, **kept})
    elif output is not None:
        screen.out.print(f"wrote {clean(output)}", style="green", soft_wrap=True)
    else:
        typer.echo(text, nl=not text.endswith("\n"))
    return Exit.DONE


def _what(
    file: Path | None, run: str, agents: Path | None, options: dict[str, str], journal: Place
) -> tuple[Definition, RunPath | None]:
    """The definition, and the path to mark on it. Raises WrongDefinition where the run is of another workflow."""
    from stepladder.cli.loading import looked_at

    if not run:
        assert file is not None, "one of them is given"
        return looked_at(file, agents, options).definition, None
    from stepladder.app.reading import read_run
    from stepladder.cli.journals import named, opened, signals_of
    from stepladder.diagram import path_of
    from stepladder.errors import WrongDefinition

    with opened(journal) as found:
        stored = read_run(found, named(found, run), signals_of(agents, options))
        pinned = stored.machine.definition
        path = path_of(pinned, stored.retold)
    if file is None:
        return pinned, path
    given = looked_at(file, agents, options).definition
    if given.hash != pinned.hash:
        raise WrongDefinition(stored.id, f"{given.name} {given.hash}", f"{pinned.name} {pinned.hash}")
    return given, path


def _drawn(form: str, definition: Definition, path: RunPath | None) -> str:
    from stepladder.diagram import mermaid, svg
    from stepladder.errors import StepladderError

    if form == "mermaid":
        return mermaid(definition, path)
    try:
        return svg(definition, path)
    except ModuleNotFoundError as error:
        raise StepladderError(f"svg: {error.name} is not installed; pip install 'stepladder[diagram]'") from None
