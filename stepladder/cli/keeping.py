"""Commands that keep the journal: verify, head, prune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, JournalFile, Json, MaybeRunName, Options, Output

if TYPE_CHECKING:
    from stepladder.app.pruning import PrunedNow
    from stepladder.app.verifying import Verified
    from stepladder.cli.screen import Screen

PANEL = "Keep the journal"


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder verify\n  stepladder verify ticket-17\n  stepladder verify --head kept.json",
)
def verify(
    name: MaybeRunName = "",
    head: Annotated[
        Path | None, typer.Option("--head", metavar="FILE", help="What `stepladder head` wrote earlier.")
    ] = None,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Find what was changed in the journal after it was written: one line each; leaves with 1 where there is any.

    Every turn is checked against the chain of its run, and against it what is kept beside: lines, checkpoints,
    artifacts, definitions. A head that was kept elsewhere shows besides what was cut off, written anew or removed.
    """
    from stepladder.app.heads import read_head
    from stepladder.app.verifying import verify as verify_journal
    from stepladder.cli.journals import named, opened, signals_of
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen

    kept = None if head is None else read_head(head)
    signals = signals_of(agents, pairs(option, "--option"))
    with opened(journal) as found:
        known = kept is not None and name in kept.runs
        run_id = name if known else named(found, name) if name else None
        verified = verify_journal(found, run_id, kept, signals)
    _tell_verified(verified, Screen(json=as_json))
    return Exit.NEGATIVE if verified.findings else Exit.DONE


def _tell_verified(found: Verified, screen: Screen) -> None:
    from stepladder.cli.screen import clean
    from stepladder.cli.tell import many

    if screen.json:
        import msgspec

        screen.emit(msgspec.to_builtins(found))
        return
    for each in found.findings:
        screen.out.print(clean(each), style="red", soft_wrap=True)
    for name, why in found.unchecked.items():
        screen.out.print(f"definition {clean(name)} was not looked at: {clean(why)}", style="yellow", soft_wrap=True)
    parts = [many(found.runs, "run"), "1 entry" if found.entries == 1 else f"{found.entries} entries"]
    parts += [f"{found.pruned} without payloads"] if found.pruned else []
    parts += [f"{found.gone} pruned since the head"] if found.gone else []
    said = many(len(found.findings), "finding") if found.findings else "as it was written"
    screen.out.print(f"{', '.join(parts)}: {said}", style="red" if found.findings else "green", soft_wrap=True)


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder head -o kept.json\n  stepladder head | mail audit@example.com",
)
def head(output: Output = None, journal: JournalFile = DEFAULT_JOURNAL, as_json: Json = False) -> Exit:
    """Say how far every run has come, by which digest: a small document to keep elsewhere, for `verify --head`.

    Its own digest covers all of it. It is JSON in any case.
    """
    import msgspec

    from stepladder.app.heads import head_of
    from stepladder.cli.files import write
    from stepladder.cli.journals import opened
    from stepladder.cli.screen import Screen, clean, document

    screen = Screen(json=as_json)
    with opened(journal) as found:
        taken = head_of(found)
    value = msgspec.to_builtins(taken)
    if output is None:
        screen.emit(value)
        return Exit.DONE
    write(output, document(value) + "\n")
    if as_json:
        screen.emit({"file": str(output), "runs": len(taken.runs), "digest": taken.digest})
    else:
        screen.out.print(f"wrote the head of {len(taken.runs)} runs to {clean(output)}", style="green", soft_wrap=True)
        screen.out.print(f"digest {taken.digest}", soft_wrap=True)
    return Exit.DONE


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder prune --older-than 30d --payloads --dry-run\n"
    "  stepladder prune --older-than 365d --runs --export archive",
)
def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Ended so long ago: 12h, 30d, 8w.", show_default=False)
    ],
    payloads: Annotated[
        bool, typer.Option("--payloads", metavar="", help="Take out what came in and went out; records stay.")
    ] = False,
    runs: Annotated[bool, typer.Option("--runs", metavar="", help="Remove the runs; only their ids stay.")] = False,
    state: Annotated[
        str, typer.Option("--state", metavar="ended|succeeded|failed|cancelled", help="Only runs that ended so.")
    ] = "ended",
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FOLDER", help="Export each run there before it is pruned.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Only say which runs it would be.")] = False,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Prune runs that ended long ago: their payloads, or all of them. A file shrinks.

    Without its payloads a run can still be shown, exported and verified, and not be replayed. Runs that work or wait
    are never pruned. Leaves with 1 where a run was left that could not be pruned.
    """
    from stepladder.app.pruning import prune as prune_journal
    from stepladder.cli.archive import Archive
    from stepladder.cli.failures import UsageError
    from stepladder.cli.journals import opened, signals_of
    from stepladder.cli.pairs import pairs, seconds_of
    from stepladder.cli.screen import Screen

    if payloads == runs:
        raise UsageError("prune: give either --payloads or --runs")
    age = seconds_of(older_than, "--older-than")
    signals = signals_of(agents, pairs(option, "--option"))
    size = _size(journal)
    with opened(journal) as found:
        keep = Archive(found, export, signals).keep if export else lambda _: None
        pruned = prune_journal(
            found,
            "runs" if runs else "payloads",
            older_than_s=age,
            state=state,
            dry_run=dry_run,
            before=keep,
        )
    _tell_pruned(pruned, size, _size(journal), Screen(json=as_json), dry_run=dry_run)
    return Exit.NEGATIVE if pruned.left else Exit.DONE


def _size(journal: Path | str) -> int:
    """Bytes of a file; 0 of a database."""
    file = Path(journal)
    return file.stat().st_size if file.is_file() else 0


def _tell_pruned(found: PrunedNow, before: int, after: int, screen: Screen, *, dry_run: bool) -> None:
    from stepladder.cli.screen import clean
    from stepladder.cli.tell import many

    if screen.json:
        told = {"runs": list(found.runs), "entries": found.entries, "left": found.left, "dry_run": dry_run}
        screen.emit({**told, **found.swept._asdict(), "bytes_before": before, "bytes_after": after})
        return
    for why in found.left.values():
        screen.out.print(clean(why), style="red", soft_wrap=True)
    if dry_run:
        for name in found.runs:
            screen.out.print(clean(name))
        screen.out.print(f"{many(len(found.runs), 'run')} would be pruned", style="dim")
        return
    swept = [many(found.swept.artifacts, "artifact"), many(found.swept.definitions, "definition")]
    gone = f", and {' and '.join(swept)} that nobody refers to" if any(found.swept) else ""
    screen.out.print(f"pruned {many(len(found.runs), 'run')}{gone}", style="green", soft_wrap=True)
    if before:  # a file
        screen.out.print(f"{before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now", style="dim")
