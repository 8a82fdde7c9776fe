"""Runs taken up again under another policy, or with another action: `fork`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.learning import PANEL
from stepladder.cli.options import (
    DEFAULT_JOURNAL,
    AgentsFile,
    BaseUrl,
    JournalFile,
    Json,
    MaybeRunName,
    Options,
)

if TYPE_CHECKING:
    from stepladder.app.loading import Workflow
    from stepladder.evaluation.fork import Fork, Live
    from stepladder.journal import Journal
    from stepladder.signals import Signal


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder fork ticket-17 --at 3 --action GIVE_UP\n"
    "  stepladder fork last --at 1 --policy strict.yaml\n  stepladder fork --all --policy strict.yaml --ask --usd 0.50",
)
def fork(
    name: MaybeRunName = "",
    at: Annotated[int, typer.Option("--at", min=1, metavar="K", help="The decision to go on from.")] = 1,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="Decide by this policy file from there on.")
    ] = None,
    action: Annotated[str, typer.Option("--action", metavar="ACTION", help="Take this action there.")] = "",
    every: Annotated[bool, typer.Option("--all", metavar="", help="Every ended run, and what it comes to.")] = False,
    workflow: Annotated[
        str, typer.Option("--workflow", metavar="NAME", help="With --all: only runs of this workflow.")
    ] = "",
    live: Annotated[
        bool, typer.Option("--live", metavar="", help="Call agents for what is not on record; only idempotent ones.")
    ] = False,
    ask: Annotated[
        bool, typer.Option("--ask", metavar="", help="Ask models for what is not on record. This costs money.")
    ] = False,
    usd: Annotated[
        float | None, typer.Option("--usd", metavar="N", min=0, help="What --ask may cost in all; no more is asked.")
    ] = None,
    base_url: BaseUrl = None,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Take a recorded run up at a decision, and see where it would have gone.

    The journal is not changed. What is on record counts again where exactly the same is asked; what is not ends the
    fork, or is done now: agents are called with --live, models asked with --ask.
    """
    from stepladder.cli.failures import UsageError
    from stepladder.cli.fork_telling import tell_fork, tell_forks
    from stepladder.cli.journals import named, opened, signals_of
    from stepladder.cli.live_calls import LiveCalls, Wanted
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen

    for wrong, said in (
        (bool(name) == every, "give either a RUN or --all"),
        (not policy and not action, "give --policy FILE or --action ACTION"),
        (workflow and not every, "--workflow says which runs --all means"),
        (live and agents is None, "--live calls agents; --agents FILE.py says where they are"),
        (usd is not None and not ask, "--usd is what --ask may cost"),
    ):
        if wrong:
            raise UsageError(f"fork: {said}")
    options, screen = pairs(option, "--option"), Screen(json=as_json)
    signals = signals_of(agents, options)
    with opened(journal) as kept, ExitStack() as stack:
        wanted = Wanted(agents, options, live, ask, usd, base_url)
        calling = stack.enter_context(LiveCalls(kept, wanted, _note(screen.json))) if live or ask else None
        if not every:
            tell_fork(_fork(kept, named(kept, name), at, policy, action, signals, calling), screen)
            return Exit.DONE
        from stepladder.evaluation.fork_summary import summary

        forks = _forks(kept, at, policy, action, signals, calling, workflow, _left_out(screen.json))
        tell_forks(summary(forks), screen)
    return Exit.DONE


def _note(json: bool) -> Callable[[str], None]:
    from stepladder.cli.failures import note

    return lambda said: note(f"not asked: {said}", json=json)


def _fork(
    kept: Journal,
    run_id: str,
    at: int,
    policy: Path | None,
    action: str,
    signals: tuple[Signal, ...],
    live: Live | None,
) -> Fork:
    from stepladder.app.definitions import Definitions, pin_of
    from stepladder.app.left import is_pruned
    from stepladder.app.reading import entries_of
    from stepladder.errors import RunError, RunPruned
    from stepladder.evaluation.fork import fork as forked
    from stepladder.events import RunStarted
    from stepladder.orchestrator import retold

    entries = entries_of(kept, run_id)
    if is_pruned(entries):
        raise RunPruned(run_id)
    if not isinstance(entries[0], RunStarted):
        raise RunError(run_id, "is a lone decision, not the run of a workflow")
    workflow = Definitions(kept, signals).workflow(pin_of(entries[0], entries))
    under: Workflow = workflow.under(policy) if policy else workflow
    told = retold(entries)[0]
    return forked(under.machine, told, at, old=workflow.machine, action=action, live=live)


def _left_out(json: bool) -> Callable[[int, str], None]:
    from stepladder.cli.failures import note
    from stepladder.cli.tell import many

    return lambda runs, why: note(f"left out: {many(runs, 'run')}: {why}", json=json)


def _forks(
    kept: Journal,
    at: int,
    policy: Path | None,
    action: str,
    signals: tuple[Signal, ...],
    live: Live | None,
    workflow: str,
    left_out: Callable[[int, str], None],
) -> list[Fork]:
    """Every ended run (of this workflow) that has the decision, oldest first; hears how many are left out, and why."""
    from stepladder.errors import InputError
    from stepladder.evaluation.journal_choices import ended_runs

    runs = {run.id: run.machine.definition.name for run in ended_runs(kept, signals)}
    names = sorted(set(runs.values()))
    if (workflow and workflow not in names) or (policy and not workflow and len(names) > 1):
        several = "runs of several workflows"
        raise InputError("fork", "--workflow", workflow or several, f"one of: {', '.join(names)}")
    found: list[Fork] = []
    without, illegal = 0, list[InputError]()
    for run_id in (each for each, name in runs.items() if workflow in ("", name)):
        try:
            found.append(_fork(kept, run_id, at, policy, action, signals, live))
        except InputError as error:
            if error.what != "fork":
                raise
            without += error.where == "--at"
            illegal += [error] * (error.where == "--action")
    if illegal and not found:
        raise illegal[-1]
    if without:
        left_out(without, f"no decision {at} about the next action")
    if illegal:
        left_out(len(illegal), f"{action} is not legal there")
    return found
