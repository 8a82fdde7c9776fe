"""What would have changed under other thresholds: `whatif`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.learning import PANEL, MaybeRecordings
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, JournalFile, Json, Options

if TYPE_CHECKING:
    from stepladder.classifier import Classifier
    from stepladder.clauses import Clause
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.whatif import Answer, Past


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder whatif runs.jsonl.gz --set 'repeated_calls >= 3' --set 'error_count > 2'\n"
    "  stepladder whatif --workflow workflow.yaml --set 'consecutive_errors >= 2'",
)
def whatif(
    recordings: MaybeRecordings = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="CLAUSES", help="One setting: a clause, or several with commas; repeatable."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="Recordings: the policy that settings change. Default: none."),
    ] = None,
    workflow: Annotated[
        Path | None,
        typer.Option("--workflow", metavar="FILE", help="A journal: the workflow whose classifier settings change."),
    ] = None,
    runs: Annotated[bool, typer.Option("--runs", metavar="", help="With --json: each run's first change.")] = False,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Say what other thresholds would have changed in recorded runs.

    A setting puts each clause in place of those about the same signal; a new one is a further reason for complex. The
    first decision of a run that would go another way is exact, what follows it is unknown.
    """
    from stepladder.cli.failures import UsageError
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.whatif import WhatIf

    if not set_:
        raise UsageError("whatif: give at least one --set, such as --set 'repeated_calls >= 3'")
    if recordings and workflow:
        raise UsageError("whatif: --workflow goes with a journal, --policy with recordings")
    settings = {" ".join(text.split()): _clauses(text) for text in set_}
    if recordings:
        past, classifiers = _recorded(recordings, policy, settings, json=as_json)
    else:
        past, classifiers = _journal(journal, workflow, settings, agents, option)
    _tell(WhatIf(past).ask_all(classifiers), past, Screen(json=as_json), runs=runs)
    return Exit.DONE


def _clauses(text: str) -> list[Clause]:
    from stepladder.clauses import ClauseError, parse_clause
    from stepladder.cli.failures import UsageError

    try:
        return [parse_clause(part.strip()) for part in text.split(",")]
    except ClauseError as error:
        raise UsageError(f"--set {error}") from None


def _recorded(
    files: list[Path], policy: Path | None, settings: dict[str, list[Clause]], *, json: bool
) -> tuple[Past, dict[str, Classifier]]:
    from stepladder.cli.recordings import Progress
    from stepladder.evaluation.agent_policy import load_policy
    from stepladder.evaluation.pasts import past_of_recordings
    from stepladder.evaluation.whatif import NOTHING, changed
    from stepladder.scenarios.recording_files import recording_files

    base = load_policy(policy) if policy else None
    classifiers = {name: changed(base.classifier if base else NOTHING, each) for name, each in settings.items()}
    with Progress(recording_files(files), "reading", json=json) as progress:
        past = past_of_recordings(
            files, classifiers.values(), base, on_problem=progress.on_problem, on_bytes=progress.on_bytes
        )
    return past, classifiers


def _journal(
    journal: Any,
    workflow: Path | None,
    settings: dict[str, list[Clause]],
    agents: Path | None,
    option: list[str] | None,
) -> tuple[Past, dict[str, Classifier]]:
    from stepladder.cli.failures import UsageError
    from stepladder.cli.journals import opened, signals_of
    from stepladder.cli.loading import looked_at
    from stepladder.cli.pairs import pairs
    from stepladder.evaluation.pasts import past_of_journal
    from stepladder.evaluation.whatif import changed

    if workflow is None:
        raise UsageError("whatif: of a journal --workflow FILE says whose classifier the settings change")
    options = pairs(option, "--option")
    loaded = looked_at(workflow, agents, options)
    base = loaded.machine.policy.ladder.classifier
    classifiers = {name: changed(base, each) for name, each in settings.items()}
    with opened(journal) as kept:
        signals = loaded.signals or signals_of(agents, options)
        return past_of_journal(kept, list(classifiers.values()), signals, loaded.name), classifiers


def _tell(answers: list[Answer], past: Past, screen: Screen, *, runs: bool) -> None:
    if screen.json:
        told = [{**_json(each), **({"at": each.at} if runs else {})} for each in answers]
        screen.emit({"runs": len(past.runs), "decisions": past.rows, "settings": told})
        return
    from stepladder.cli.tables import plain_table

    right: dict[str, object] = {"justify": "right", "no_wrap": True}
    heads = ("runs changed", "up", "same", "unknown", "escalated", "precision", "recall")
    table = plain_table(("setting", {"overflow": "fold"}), *((head, right) for head in heads))
    for each in answers:
        shares = (_percent(each.precision), _percent(each.recall))
        counts = (each.changed, each.up, each.same, each.unknown, each.escalated)
        table.add_row(each.name, *map(str, counts), *shares)
    screen.out.print(f"{len(past.runs)} runs, {past.rows} decisions", style="dim")
    screen.whole(table)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _json(each: Answer) -> dict[str, Any]:
    counted = ("changed", "up", "same", "unknown", "escalates", "escalated", "failing", "known", "failures")
    shares = {"precision": each.precision, "recall": each.recall}
    return {"setting": each.name, **{name: getattr(each, name) for name in counted}, **shares}
