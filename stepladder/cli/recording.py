"""The command that keeps runs for later: record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, JournalFile, Json, MaybeRunName, Options
from stepladder.cli.recordings import PANEL

if TYPE_CHECKING:
    from stepladder.app.run import Run
    from stepladder.journal import Journal
    from stepladder.signals import Signal


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder record ticket-17 -o scenarios/ticket_17.yaml\n"
    "  stepladder record --all -o runs.jsonl.gz",
)
def record(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="A scenario (.yaml) or recordings (.jsonl, .jsonl.gz)."),
    ],
    name: MaybeRunName = "",
    every: Annotated[bool, typer.Option("--all", metavar="", help="Every run of the journal, as recordings.")] = False,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Write a run as a scenario that plays it again, or runs as recordings to tune on.

    The scenario has what agents, models and people said, each result with the arguments it was given for, and expects
    the same way and the same end.
    """
    from stepladder.cli.failures import UsageError
    from stepladder.cli.journals import EVERYTHING, named, opened, signals_of
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen, clean
    from stepladder.cli.tell import many
    from stepladder.scenarios.recording_files import SUFFIXES

    if bool(name) == every:
        raise UsageError("record: give either a RUN or --all")
    scenario = output.suffix in (".yaml", ".yml")
    if scenario and every:
        raise UsageError("record --all: expected an output for recordings: .jsonl or .jsonl.gz")
    if not scenario and not output.name.endswith(SUFFIXES):
        raise UsageError(f"--output {output}: expected .yaml for a scenario, .jsonl or .jsonl.gz for recordings")
    signals = signals_of(agents, pairs(option, "--option"))
    with opened(journal) as kept:
        if scenario:
            count, skipped = _write_scenario(kept, named(kept, name), signals, output), 0
        else:
            names = [row.run_id for row in reversed(kept.rows(EVERYTHING))] if every else [named(kept, name)]
            count, skipped = _write_recordings(kept, names, signals, output, every=every)
    screen = Screen(json=as_json)
    if screen.json:
        screen.emit({"runs": count, "skipped": skipped, "file": str(output)})
    else:
        left = f", {skipped} skipped" if skipped else ""
        screen.out.print(f"{many(count, 'run')} in {clean(output)}{left}", style="green", soft_wrap=True)
    return Exit.DONE if count else Exit.NEGATIVE


def _write_scenario(kept: Journal, run_id: str, signals: tuple[Signal, ...], output: Path) -> int:
    from stepladder.cli.files import write
    from stepladder.scenarios.cassette import cassette
    from stepladder.scenarios.cassette_text import cassette_text

    run = _readable(kept, run_id, signals)
    if output.parent.parent.is_dir():  # a first scenario makes the folder of scenarios
        output.parent.mkdir(exist_ok=True)
    write(output, cassette_text(cassette(run, run.machine.definition.name, output.stem.replace("_", " "))))
    return 1


def _readable(kept: Journal, run_id: str, signals: tuple[Signal, ...]) -> Run:
    from stepladder.app.left import is_pruned
    from stepladder.app.reading import entries_of, read_run
    from stepladder.errors import RunPruned

    if is_pruned(entries_of(kept, run_id)):
        raise RunPruned(run_id)
    return read_run(kept, run_id, signals)


def _write_recordings(
    kept: Journal, names: list[str], signals: tuple[Signal, ...], output: Path, *, every: bool
) -> tuple[int, int]:
    from stepladder.errors import StepladderError
    from stepladder.scenarios.our_runs import recording_of
    from stepladder.scenarios.recording_files import write_recordings

    skipped = 0

    def recordings() -> Any:
        nonlocal skipped
        for run_id in names:
            try:
                yield recording_of(_readable(kept, run_id, signals))
            except StepladderError:
                if not every:
                    raise
                skipped += 1

    return write_recordings(recordings(), output), skipped
