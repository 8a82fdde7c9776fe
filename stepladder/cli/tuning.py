"""The command that tunes a policy on recordings: tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import Json
from stepladder.cli.recordings import PANEL, Only, Recordings

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepladder.cli.screen import Screen
    from stepladder.evaluation.asked import Tuned


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder tune runs.jsonl.gz --budget 0.2 -o policy.yaml\n"
    "  stepladder tune runs/ --learn --trials 40 --study search.log -o policy.yaml",
)
def tune(
    recordings: Recordings,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.yaml", help="The policy file to write.")],
    budget: Annotated[
        float,
        typer.Option("--budget", metavar="SHARE", min=0.01, max=1.0, help="The share of runs that may be escalated."),
    ] = 0.2,
    learn: Annotated[
        bool, typer.Option("--learn", metavar="", help="Learn a scorecard of risk, instead of choosing clauses.")
    ] = False,
    one_for_all: Annotated[
        bool, typer.Option("--one-for-all", metavar="", help="One set of thresholds, instead of one for each domain.")
    ] = False,
    catch_value: Annotated[
        float, typer.Option("--catch-value", metavar="N", min=0.001, help="What a catch is worth.")
    ] = 1.0,
    escalation_cost: Annotated[
        float,
        typer.Option("--escalation-cost", metavar="N", min=0.0, help="What an escalation costs, in the same unit."),
    ] = 0.0,
    trials: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--trials",
            metavar="N",
            min=0,
            help="Settings to try. Default: 150 clause sets, or one recipe with --learn.",
        ),
    ] = None,
    partitions: Annotated[
        int, typer.Option("--partitions", metavar="N", min=1, max=200, help="Held-out partitions to measure on.")
    ] = 20,
    study: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--study", metavar="FILE", help="Keep the search here; a search that was broken off goes on."),
    ] = None,
    plot: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--plot", metavar="STEM", help="Write the Pareto plot as STEM.png and STEM.html."),
    ] = None,
    only: Only = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same seed gives the same file.")] = 0,
    as_json: Json = False,
) -> Exit:
    """Find the policy that catches most failing runs within a budget, and measure it on runs it was not tuned on."""
    from stepladder.cli.recordings import Progress, wanted_of
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.agent_policy import parse_policy
    from stepladder.evaluation.asked import Asked
    from stepladder.evaluation.policy_text import policy_text
    from stepladder.evaluation.steps import read_steps
    from stepladder.evaluation.tuning import tune as tuned_of
    from stepladder.scenarios.recording_files import recording_files

    asked = Asked(budget, learn, not one_for_all, catch_value, escalation_cost, trials or 0, partitions, seed)
    files = recording_files(recordings)
    with Progress(files, "reading", json=as_json) as progress:
        read = read_steps(files, wanted=wanted_of(only), on_problem=progress.on_problem, on_bytes=progress.on_bytes)
    screen = Screen(json=as_json)
    with _Telling(json=as_json) as tell:
        tuned = tuned_of(read, asked, study, tell)
    text = policy_text(tuned.policy)
    parse_policy(text, str(output))  # what was written must be readable
    _write(output, text)
    drawn: tuple[Path, ...] = ()
    if plot is not None and tuned.points:
        from stepladder.evaluation.plots import write_plots

        failed = read.truth.failed
        drawn = write_plots(tuned.points, budget, float((failed == 1).sum() / max(1, (failed >= 0).sum())), plot)
    _tell(tuned, output, drawn, screen)
    return Exit.DONE


def _write(file: Path, text: str) -> None:
    from stepladder.errors import InputError

    part = file.with_name(file.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise InputError(
            "policy", str(file), str(error.strerror or error).lower(), "a file that can be written"
        ) from None


class _Telling:
    """A line of progress on stderr."""

    def __init__(self, *, json: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        from stepladder.cli.screen import console

        err = console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Bar(*columns, console=err, transient=True, disable=json or not err.is_terminal)
        self.task = self.bar.add_task("tuning", total=None)

    def __enter__(self) -> Callable[[str, int, int], None]:
        self.bar.start()
        return lambda what, done, total: self.bar.update(self.task, description=what, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.bar.stop()


def _tell(tuned: Tuned, output: Path, drawn: tuple[Path, ...], screen: Screen) -> None:
    import msgspec

    from stepladder.cli.evaluation_tables import held_table
    from stepladder.cli.screen import clean

    if screen.json:
        held, near = msgspec.to_builtins(tuned.held), msgspec.to_builtins(tuned.near_label)
        files = [str(each) for each in drawn]
        screen.emit({"file": str(output), "held_out": held, "near_label": near, "plots": files})
        return
    if tuned.held.groups:
        screen.out.print(held_table(tuned.held))
    if tuned.near_label is not None:
        near = tuned.near_label
        screen.out.print(
            f"first escalation near the labelled step, held out: {near.mean:.2f} ({near.low:.2f}-{near.high:.2f})"
        )
    screen.out.print(f"written: {', '.join(clean(each) for each in (output, *drawn))}", soft_wrap=True)
