"""Commands that read the journal: runs, show, outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, By, JournalFile, Json, Options, RunName

if TYPE_CHECKING:
    from stepladder.app.run import Run
    from stepladder.cli.screen import Screen

PANEL = "Read the journal"


@app.command("runs", rich_help_panel=PANEL, epilog="Example:\n  stepladder runs --status waiting")
def list_runs(
    status: Annotated[str | None, typer.Option("--status", metavar="working|waiting|ended", help="Only these.")] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", metavar="NAME", help="Only of this workflow.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 20,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """List the runs, newest first."""
    from stepladder.cli.failures import UsageError
    from stepladder.cli.journals import opened, row_json
    from stepladder.cli.screen import Screen
    from stepladder.cli.tables import runs_table

    if status not in (None, "working", "waiting", "ended"):
        raise UsageError(f"--status {status}: expected working, waiting or ended")
    screen = Screen(json=as_json)
    with opened(journal) as found:
        rows = found.rows(limit, status=status, workflow=workflow)  # type: ignore[arg-type]
    if as_json:
        screen.emit({"runs": [row_json(row) for row in rows]})
    elif rows:
        screen.out.print(runs_table(rows))
    else:
        screen.out.print("no such runs", style="dim")
    return Exit.DONE


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder show last\n  stepladder show ticket-17 --decision 3\n  stepladder show last --log",
)
def show(
    name: RunName,
    decision: Annotated[int | None, typer.Option("--decision", "-d", min=1, help="Why this decision was made.")] = None,
    entries: Annotated[bool, typer.Option("--entries", metavar="", help="Every entry of the journal.")] = False,
    log: Annotated[bool, typer.Option("--log", metavar="", help="The run log, as `run` printed it.")] = False,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Show a run: its decisions, output or what it waits for; or why one decision was made.

    Needs neither the workflow file nor its agents (--agents only for a workflow with signals of its own).
    """
    from stepladder.app.reading import entries_of, is_lone, read_run
    from stepladder.cli.failures import UsageError
    from stepladder.cli.journals import named, opened, signals_of
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen
    from stepladder.cli.showing import show_decision, show_entries, show_log, show_lone, show_overview

    if sum((decision is not None, entries, log)) > 1:
        raise UsageError("show: give only one of --decision, --entries and --log")
    screen = Screen(json=as_json)
    signals = signals_of(agents, pairs(option, "--option"))
    with opened(journal) as found:
        run_id = named(found, name)
        if is_lone(kept := entries_of(found, run_id)):
            show_lone(run_id, kept, screen)
            return Exit.DONE
        run = read_run(found, run_id, signals)
        if decision is not None:
            show_decision(run, decision, screen)
        elif entries:
            show_entries(run, screen)
        elif log and not as_json:
            show_log(run, screen)
        else:
            show_overview(run, journal, screen)
    return Exit.DONE


@app.command(
    rich_help_panel=PANEL,
    epilog="Example:\n  stepladder outcome ticket-17 --success --quality 0.9 --note 'the customer was glad'",
)
def outcome(
    name: RunName,
    decision: Annotated[
        int, typer.Option("--decision", "-d", min=0, help="About this decision; 0: about the run.")
    ] = 0,
    success: Annotated[
        bool | None, typer.Option("--success/--failure", metavar="", help="Whether it turned out well.")
    ] = None,
    quality: Annotated[float | None, typer.Option("--quality", help="How well, from 0 to 1.")] = None,
    elapsed: Annotated[float | None, typer.Option("--elapsed", metavar="SECONDS", help="How long it took.")] = None,
    note: Annotated[str, typer.Option("--note", help="In words.")] = "",
    by: By = "",
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Note later how a run, or one of its decisions, turned out."""
    import os
    import time

    from stepladder.app.reading import attach_outcome
    from stepladder.app.secrets import secrets_of
    from stepladder.cli.failures import UsageError
    from stepladder.cli.journals import named, opened, signals_of
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen
    from stepladder.events import OutcomeAttached
    from stepladder.journal import Redactor

    if success is None and quality is None and elapsed is None and not note:
        raise UsageError("outcome: nothing was said; use --success, --failure, --quality, --elapsed or --note")
    screen = Screen(json=as_json)
    signals = signals_of(agents, pairs(option, "--option"))
    with opened(journal) as found:
        event = OutcomeAttached(time.time(), decision, success, quality, elapsed, note, by)
        clean_event = Redactor(secrets_of({}, os.environ)[1]).event(event)
        assert isinstance(clean_event, OutcomeAttached), "an event stays what it is"
        run = attach_outcome(found, named(found, name, acting=True), clean_event, signals)
        _tell_outcome(run, decision, screen)
    return Exit.DONE


def _tell_outcome(run: Run, decision: int, screen: Screen) -> None:
    from stepladder.cli.screen import clean
    from stepladder.events import OutcomeAttached

    noted = [entry for entry in run.entries if isinstance(entry, OutcomeAttached)]
    if screen.json:
        import msgspec

        screen.emit({"run": run.id, "outcomes": [msgspec.to_builtins(entry) for entry in noted]})
        return
    about = f"decision {decision} of " if decision else ""
    screen.out.print(f"noted for {about}{clean(run.id)}", style="green")
