"""The command that tunes a policy on recordings: tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import Json
from stepladder.cli.recordings import PANEL, Only, Recordings

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepladder.cli.screen import Screen
    from stepladder.evaluation.asked import Tuned
    from stepladder.evaluation.steps import Read


Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE.yaml", help="The policy file to write.")]
Budget = Annotated[
    float, typer.Option("--budget", metavar="SHARE", min=0.01, max=1.0, help="The share of runs that may be escalated.")
]
Learn = Annotated[
    bool, typer.Option("--learn", metavar="", help="Learn a scorecard of risk, instead of choosing clauses.")
]
OneForAll = Annotated[
    bool, typer.Option("--one-for-all", metavar="", help="One set of thresholds, instead of one for each domain.")
]
CatchValue = Annotated[float, typer.Option("--catch-value", metavar="N", min=0.001, help="What a catch is worth.")]
EscalationCost = Annotated[
    float, typer.Option("--escalation-cost", metavar="N", min=0.0, help="What an escalation costs, in the same unit.")
]
LateValue = Annotated[
    float,
    typer.Option(
        "--late-value",
        metavar="N",
        min=0.01,
        max=1.0,
        help="With --learn: what a catch after 75% of its run is worth, against one before.",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        "--trials", metavar="N", min=0, help="Settings to try. Default: 150 clause sets, or one recipe with --learn."
    ),
]
Partitions = Annotated[
    int, typer.Option("--partitions", metavar="N", min=1, max=200, help="Held-out partitions to measure on.")
]
Study = Annotated[
    Path | None,
    typer.Option("--study", metavar="FILE", help="Keep the search here; a search that was broken off goes on."),
]
Plot = Annotated[
    Path | None, typer.Option("--plot", metavar="STEM", help="Write the Pareto plot as STEM.png and STEM.html.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same seed gives the same file.")]


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder tune runs.jsonl.gz --budget 0.2 -o policy.yaml\n"
    "  stepladder tune runs/ --learn --trials 40 --study search.log -o policy.yaml",
)
def tune(
    recordings: Recordings,
    output: Output,
    budget: Budget = 0.2,
    learn: Learn = False,
    one_for_all: OneForAll = False,
    catch_value: CatchValue = 1.0,
    escalation_cost: EscalationCost = 0.0,
    late_value: LateValue = 0.3,
    trials: Trials = None,
    partitions: Partitions = 20,
    study: Study = None,
    plot: Plot = None,
    only: Only = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> Exit:
    """Find the policy that catches most failing runs within a budget, and measure it on runs it was not tuned on."""
    from stepladder.cli.files import write
    from stepladder.cli.recordings import steps_of
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.agent_policy import parse_policy
    from stepladder.evaluation.asked import Asked
    from stepladder.evaluation.policy_text import policy_text
    from stepladder.evaluation.tuning import tune as tuned_of

    per_domain = not one_for_all
    asked = Asked(budget, learn, per_domain, catch_value, escalation_cost, trials or 0, partitions, seed, late_value)
    read, screen = steps_of(recordings, only, json=as_json), Screen(json=as_json)
    with _Telling(json=as_json) as tell:
        tuned = tuned_of(read, asked, study, tell)
    text = policy_text(tuned.policy)
    parse_policy(text, str(output))  # what was written must be readable
    write(output, text)
    drawn = _drawn(tuned, read, budget, plot) if plot is not None and tuned.points else ()
    _tell(tuned, output, drawn, screen)
    return Exit.DONE


def _drawn(tuned: Tuned, read: Read, budget: float, stem: Path) -> tuple[Path, ...]:
    from stepladder.evaluation.plots import write_plots

    failed = read.truth.failed
    return write_plots(tuned.points, budget, float((failed == 1).sum() / max(1, (failed >= 0).sum())), stem)


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
        screen.whole(held_table(tuned.held))
    if tuned.near_label is not None:
        near = tuned.near_label
        screen.out.print(
            f"first escalation near the labelled step, held out: {near.mean:.2f} ({near.low:.2f}-{near.high:.2f})"
        )
    screen.out.print(f"written: {', '.join(clean(each) for each in (output, *drawn))}", soft_wrap=True)
