"""Commands over whole runs in the journal: replay, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import (
    DEFAULT_JOURNAL,
    AgentsFile,
    JournalFile,
    Json,
    MaybeRunName,
    Options,
    Output,
    RunName,
)
from stepladder.cli.show import PANEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from stepladder.app.definitions import Definitions
    from stepladder.app.loading import Workflow
    from stepladder.cli.screen import Screen
    from stepladder.drivers import Replayed
    from stepladder.drivers.replay import Divergence
    from stepladder.errors import StepladderError
    from stepladder.journal import Journal


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder replay last\n  stepladder replay --all\n"
    "  stepladder replay ticket-17 --workflow changed.yaml",
)
def replay(
    name: MaybeRunName = "",
    every: Annotated[bool, typer.Option("--all", metavar="", help="Every run of the journal.")] = False,
    workflow: Annotated[
        Path | None,
        typer.Option("--workflow", metavar="FILE", help="Decide under this file's policy instead of the one it had."),
    ] = None,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Decide a run again from its journal, and show the first decision that would be made otherwise.

    No agent is called and no model asked. Leaves with 1 at a divergence, and with --all where a run cannot be replayed;
    of those that were pruned it only says how many they are.
    """
    from stepladder.app.definitions import Definitions
    from stepladder.app.reading import replay_run
    from stepladder.cli.failures import UsageError
    from stepladder.cli.journals import named, opened, signals_of
    from stepladder.cli.loading import looked_at
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen

    if bool(name) == every:
        raise UsageError("replay: give either a RUN or --all")
    options = pairs(option, "--option")
    under = looked_at(workflow, agents, options) if workflow else None
    with opened(journal) as kept:
        definitions = Definitions(kept, signals_of(agents, options))
        if every:
            replays = _every(kept, under, definitions)
        else:
            replays = Replays([replay_run(kept, named(kept, name), under=under, definitions=definitions)], {}, [])
    _tell(*replays, Screen(json=as_json))
    return Exit.NEGATIVE if replays.left_out or any(each.divergence for each in replays.found) else Exit.DONE


class Replays(NamedTuple):
    """What was decided again, what could not be, by run, and which runs were pruned."""

    found: list[Replayed]
    left_out: dict[str, StepladderError]
    pruned: list[str]


def _every(kept: Journal, under: Workflow | None, definitions: Definitions) -> Replays:
    """Every run of the journal, oldest first, up to the first that diverges; decisions that stand alone are none."""
    from stepladder.app.reading import is_lone, replay_run
    from stepladder.cli.journals import EVERYTHING
    from stepladder.errors import RunPruned, StepladderError

    replays = Replays([], {}, [])
    for run_id in [row.run_id for row in reversed(kept.rows(EVERYTHING))]:
        try:
            if is_lone(kept.turns(run_id)[0].entries):
                continue
            replays.found.append(replay_run(kept, run_id, under=under, definitions=definitions))
        except RunPruned:
            replays.pruned.append(run_id)
        except StepladderError as error:
            replays.left_out[run_id] = error
        else:
            if replays.found[-1].divergence is not None:
                break
    return replays


def _tell(found: list[Replayed], left_out: dict[str, StepladderError], pruned: list[str], screen: Screen) -> None:
    from stepladder.cli.screen import clean
    from stepladder.cli.tell import many

    decisions = sum(each.decisions for each in found)
    diverged = [each for each in found if each.divergence is not None]
    if screen.json:
        runs = [_replayed_json(each) for each in found]
        errors = [{"run": run, "error": str(error)} for run, error in left_out.items()]
        told = {"decisions": decisions, "divergences": len(diverged), "runs": runs}
        screen.emit({**told, "not_replayable": errors, "pruned": pruned})
        return
    for run, error in left_out.items():
        screen.out.print(f"run {clean(run)} cannot be replayed: {clean(error)}", style="red", soft_wrap=True)
    about = clean(found[0].run_id) if len(found) == 1 else f"{len(found)} runs"
    counts = f"{many(decisions, 'decision')}, {many(len(diverged), 'divergence')}"
    counts += f", {many(len(left_out), 'run')} not replayable" if left_out else ""
    counts += f", {many(len(pruned), 'run')} pruned" if pruned else ""
    screen.out.print(f"{about}: {counts}", style="red" if diverged or left_out else "green", soft_wrap=True)
    for each in diverged:
        assert each.divergence is not None, "these have one"
        where = f"run {clean(each.run_id)}, decision {each.divergence.decision}, entry {each.divergence.seq}"
        screen.out.print(f"{where}: {clean(_cause(each.divergence))}", soft_wrap=False)
        screen.out.print(_both(each.divergence))


def _cause(divergence: Divergence) -> str:
    """In words; the fields are told of beside each other."""
    from stepladder.record import Opened

    was, now = divergence.recorded, divergence.decided
    if isinstance(was, Opened) and isinstance(now, Opened) and was.verdict.action != now.verdict.action:
        rules = [f"{each.verdict.action} by {f'rule {each.rule}' if each.rule else 'STOP'}" for each in (was, now)]
        return f"the rules said {rules[0]}, and say {rules[1]} now"
    return divergence.cause.partition(": ")[0] if divergence.recorded and divergence.decided else divergence.cause


def _plain(entry: Any) -> dict[str, Any]:
    import msgspec

    return {} if entry is None else dict(msgspec.to_builtins(entry))


def _defaults(entry: Any, names: Iterable[str]) -> dict[str, Any]:
    """Those of the fields that the entry has but does not write, since they hold their default."""
    import msgspec

    return {name: msgspec.to_builtins(getattr(entry, name)) for name in names if hasattr(entry, name)}


def _replayed_json(each: Replayed) -> dict[str, Any]:
    divergence = each.divergence
    said = divergence and {
        "seq": divergence.seq,
        "decision": divergence.decision,
        "cause": divergence.cause,
        "recorded": _plain(divergence.recorded) or None,
        "decided": _plain(divergence.decided) or None,
    }
    return {
        "run": each.run_id,
        "decisions": each.decisions,
        "entries": each.entries,
        "end": each.end,
        "divergence": said,
    }


def _both(divergence: Divergence) -> Table:
    """The recorded entry and the one decided now, side by side; what differs stands out."""
    from rich.text import Text

    from stepladder.cli.screen import clean
    from stepladder.cli.tables import plain_table

    was, now = _plain(divergence.recorded), _plain(divergence.decided)
    was, now = {**_defaults(divergence.recorded, now), **was}, {**_defaults(divergence.decided, was), **now}
    table = plain_table(
        ("", {}), ("recorded", {"ratio": 1, "overflow": "fold"}), ("decided now", {"ratio": 1, "overflow": "fold"})
    )
    table.expand = True
    for name in dict.fromkeys((*was, *now)):
        differs = was.get(name) != now.get(name)
        mark = "bold red" if differs else "dim"
        cells = [Text(clean(_cell(each, name)), "red" if differs else "") for each in (was, now)]
        table.add_row(Text(f"{'*' if differs else ' '} {name}", mark), *cells)
    return table


def _cell(entry: dict[str, Any], name: str) -> str:
    """A field for a narrow column: one part a line."""
    from stepladder.cli.screen import spelt

    if name not in entry:
        return "-"
    value = entry[name]
    if isinstance(value, dict):
        return "\n".join(f"{key}: {spelt(item, 200)}" for key, item in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return "\n".join(spelt(item, 200) for item in value) or "-"
    return spelt(value, 400)


@app.command(rich_help_panel=PANEL, epilog="Example:\n  stepladder export ticket-17 -o ticket-17.json")
def export(
    name: RunName,
    output: Output = None,
    format_: Annotated[str, typer.Option("--format", metavar="json", help="The form; json is the only one.")] = "json",
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Write a run out: its definition and hashes, every entry, every decision record."""
    from stepladder.app.reading import read_run
    from stepladder.cli.exporting import exported
    from stepladder.cli.failures import UsageError
    from stepladder.cli.files import write
    from stepladder.cli.journals import named, opened, signals_of
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen, clean, document

    if format_ != "json":
        raise UsageError(f"--format {format_}: expected json")
    screen = Screen(json=as_json)
    signals = signals_of(agents, pairs(option, "--option"))
    with opened(journal) as found:
        run = read_run(found, named(found, name), signals)
        value = exported(found, run)
    if output is None:
        screen.emit(value)
    else:
        write(output, document(value) + "\n")
        said = {
            "run": run.id,
            "file": str(output),
            "entries": len(value["entries"]),
            "decisions": len(value["decisions"]),
        }
        if as_json:
            screen.emit(said)
        else:
            screen.out.print(
                f"wrote {clean(run.id)} to {clean(output)}: {said['entries']} entries", style="green", soft_wrap=True
            )
    return Exit.DONE
