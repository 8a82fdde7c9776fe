"""Rules out of what models chose: `mine`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.learning import PANEL, MaybeRecordings, Point
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, JournalFile, Json, Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepladder.cli.screen import Screen
    from stepladder.evaluation.choices import Chosen
    from stepladder.evaluation.minds import Change
    from stepladder.evaluation.mining import Proposal


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder mine recordings/tau.jsonl.gz\n  stepladder mine --accept 1,2 --into workflow.yaml\n"
    "  stepladder mine --review workflow.yaml --apply",
)
def mine(
    recordings: MaybeRecordings = None,
    point: Point = "next_action",
    min_agreement: Annotated[
        float, typer.Option("--min-agreement", min=0.5, max=1, help="With the model, on runs held out: all together.")
    ] = 0.95,
    partitions: Annotated[
        int, typer.Option("--partitions", min=0, metavar="N", help="Measure out of fold what the rules take over.")
    ] = 0,
    accept: Annotated[
        str, typer.Option("--accept", metavar="N,N", help="Write these proposals into --into, in shadow.")
    ] = "",
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="FILE", help="The workflow or policy file that accepted rules go into."),
    ] = None,
    step: Annotated[
        str, typer.Option("--step", metavar="NAME", help="The step that rules out of recordings are for.")
    ] = "",
    review: Annotated[
        Path | None, typer.Option("--review", metavar="FILE", help="Say how the mined rules of this file did since.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", metavar="", help="With --review: promote and retire.")] = False,
    workflow: Annotated[
        Path | None,
        typer.Option("--workflow", metavar="FILE", help="A journal: only runs of this workflow."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of how runs are held out.")] = 0,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Propose rules that do what models chose, each held against runs that it was not found on.

    Nothing is asked of a model. Accepted rules are written in shadow; --review promotes or retires them by later runs.
    """
    from stepladder.cli.failures import UsageError
    from stepladder.cli.screen import Screen

    screen = Screen(json=as_json)
    if bool(accept) != bool(into):
        raise UsageError("mine: --accept N,N and --into FILE go together")
    if review is not None:
        if recordings or accept:
            raise UsageError("mine: --review looks at a journal and a file, nothing else")
        return _review(review, apply, min_agreement, (journal, agents, option), screen)
    chosen = _from_files(recordings, step) if recordings else _from_journal((journal, agents, option), workflow, point)
    found = _mined(chosen, min_agreement, partitions, seed, screen)
    if into is not None:
        names = {each.workflow for each in chosen} - {""}
        _accept(found, accept, into, screen, lambda draft: _fits(draft, into, names, agents, option))
    else:
        _tell(found, len(chosen), screen, python=not recordings)
    return Exit.DONE


class Mined(NamedTuple):
    """The proposals of every step, the routes that each (by its number) was seen on, the changes of mind, and what the
    rules take over out of fold."""

    proposals: list[Proposal]
    routes: dict[int, list[str]]
    changes: list[Change]
    measured: dict[str, Any] | None


def _from_files(files: list[Path], step: str) -> list[Chosen]:
    from msgspec.structs import replace

    from stepladder.cli.failures import note
    from stepladder.errors import InputError
    from stepladder.evaluation.choices import chosen_in
    from stepladder.scenarios.recording_files import read_recordings

    recordings = read_recordings(files, lambda problem: note(str(problem), json=False))
    chosen = [replace(each, step=step) if step else each for each in chosen_in(recordings)]
    if not chosen:
        raise InputError(
            "mine", ", ".join(map(str, files)), "no choice of an agent", "recordings with calls or messages"
        )
    return chosen


def _from_journal(where: tuple[Any, Any, Any], workflow: Path | None, point: str) -> list[Chosen]:
    from stepladder.cli.journals import opened, signals_of
    from stepladder.cli.loading import looked_at
    from stepladder.cli.pairs import pairs
    from stepladder.errors import InputError
    from stepladder.evaluation.journal_choices import chosen_in_journal, points_in

    journal, agents, option = where
    options = pairs(option, "--option")
    loaded = looked_at(workflow, agents, options) if workflow else None
    signals = (loaded.signals if loaded else ()) or signals_of(agents, options)
    with opened(journal) as kept:
        chosen = list(chosen_in_journal(kept, signals, loaded.name if loaded else "", point))
        there = {} if chosen or loaded else points_in(kept)
    if there:
        listed = ", ".join(f"{name} ({count})" for name, count in there.items())
        raise InputError("mine", "--point", f"no decision that a model answered at {point!r}", f"one of: {listed}")
    if len(names := sorted({each.workflow for each in chosen} - {""})) > 1:
        raise InputError("mine", "--workflow", "runs of several workflows", f"the file of one of: {', '.join(names)}")
    return chosen


def _mined(chosen: list[Chosen], agreement: float, partitions: int, seed: int, screen: Screen) -> Mined:
    from stepladder.evaluation.minds import current
    from stepladder.evaluation.mined_rules import Terms
    from stepladder.evaluation.mining import coverage, proposals

    found: list[Proposal] = []
    routes, changes, measured = dict[int, list[str]](), list["Change"](), None
    for step in dict.fromkeys(each.step for each in chosen):
        now = current([each for each in chosen if each.step == step], Terms(agreement=agreement), seed)
        mining, rules = now.mine, now.rules
        changes += now.changes
        for rule, proposal in zip(rules, proposals(mining, rules, len(found) + 1, step), strict=True):
            found.append(proposal)
            routes[proposal.number] = sorted({each.route for each in mining.rows_of(rule)} & {"hybrid", "complex"})
        if partitions and len(set(mining.groups)) >= 5:
            measured = _coverage(coverage(mining, partitions, on_partition=_progress(screen)))
    return Mined(found, routes, changes, measured)


def _tell(found: Mined, choices: int, screen: Screen, *, python: bool) -> None:
    """What was found; `python`: rules of a decision that stands alone as code."""
    if screen.json:
        import msgspec

        told, minds = msgspec.to_builtins(found.proposals), msgspec.to_builtins(found.changes)
        screen.emit({"choices": choices, "proposals": told, "changes": minds, "coverage": found.measured})
        return
    from stepladder.cli.mining_telling import tell_changes, tell_proposals, tell_python

    tell_changes(found.changes, screen)
    tell_proposals(found.proposals, choices, found.measured, screen)
    if python and found.proposals and not found.proposals[0].step:
        tell_python(found.proposals, found.routes, screen)


def _coverage(found: Any) -> dict[str, Any]:
    """Mean, least and most of each figure over the partitions."""
    from statistics import fmean

    figures = {"taken_over": found.taken_over, "agreement": found.agreement, "rules": found.rules}
    told = {name: {"mean": fmean(all_), "low": min(all_), "high": max(all_)} for name, all_ in figures.items()}
    return {"partitions": len(found.rules), **told}


def _progress(screen: Screen) -> Any:
    def told(done: int, of: int) -> None:
        if screen.err.is_terminal:
            screen.err.print(f"partition {done} of {of}", style="dim")

    return told


def _fits(draft: Path, file: Path, names: set[str], agents: Path | None, option: list[str] | None) -> None:
    """Raises InputError, DefinitionError where a workflow file with the rules is of another workflow, or none any more.

    A policy file says nothing of steps and actions: it is checked where it is used.
    """
    from dataclasses import replace

    from stepladder.cli.files import read_text
    from stepladder.cli.loading import looked_at
    from stepladder.cli.pairs import pairs
    from stepladder.errors import DefinitionError, InputError
    from stepladder.workflow.yaml_text import read_yaml

    data, _ = read_yaml(read_text(draft), str(file))
    if "workflow" not in data:
        return
    if names and data["workflow"] not in names:
        raise InputError("mine", "--into", f"{file} of {data['workflow']!r}", f"the file of {', '.join(sorted(names))}")
    try:
        looked_at(draft, agents, pairs(option, "--option"))
    except DefinitionError as error:
        raise DefinitionError([replace(each, file=str(file)) for each in error.problems]) from None


def _accept(found: Mined, numbers: str, file: Path, screen: Screen, fits: Callable[[Path], None]) -> None:
    from stepladder.cli.failures import UsageError
    from stepladder.cli.files import read_text, write
    from stepladder.cli.screen import clean
    from stepladder.evaluation.accepted import name_of, with_rules

    wanted = [part.strip() for part in numbers.split(",")]
    there = {str(each.number): each for each in found.proposals}
    if unknown := [part for part in wanted if part not in there]:
        raise UsageError(f"--accept {unknown[0]}: expected numbers of proposals, 1 to {len(there)}")
    accepted = [there[part] for part in sorted(set(wanted), key=int)]
    if nowhere := [each for each in accepted if not each.step]:
        raise UsageError(
            f"--accept {nowhere[0].number}: it is of no step. Out of recordings, --step NAME says which it is for; the "
            "rules of a decision that stands alone are Python, as `mine` prints them"
        )
    write(file, with_rules(read_text(file), accepted, found.routes, str(file), found.proposals), fits)
    names = [name_of(each) for each in accepted]
    if screen.json:
        screen.emit({"file": str(file), "rules": names})
    else:
        screen.out.print(f"wrote {', '.join(names)} to {clean(file)}, in shadow", style="green", soft_wrap=True)


def _review(file: Path, apply: bool, agreement: float, where: tuple[Any, Any, Any], screen: Screen) -> Exit:
    from stepladder.cli.files import read_text, write
    from stepladder.cli.journals import opened, signals_of
    from stepladder.cli.pairs import pairs
    from stepladder.evaluation.accepted import applied, mined_in, reviewed
    from stepladder.evaluation.journal_choices import ended_runs

    journal, agents, option = where
    text = read_text(file)
    with opened(journal) as kept:
        signals = signals_of(agents, pairs(option, "--option"))
        rules = reviewed(mined_in(text, str(file)), ended_runs(kept, signals), agreement)
    changed = applied(text, rules, str(file))
    written = apply and changed != text
    if written:
        write(file, changed)
    if screen.json:
        import msgspec

        screen.emit({"file": str(file), "written": written, "rules": msgspec.to_builtins(rules)})
    else:
        from stepladder.cli.mining_telling import tell_watched

        tell_watched(rules, file, written, screen)
    return Exit.DONE
