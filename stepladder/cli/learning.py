"""What the commands that learn from runs share: their options, the runs of a journal, what a comparison asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from stepladder.evaluation.trial import Criteria

PANEL: Final = "Learn from runs"

MaybeRecordings = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[RECORDINGS]...", help="Recorded runs, files or folders. Default: the journal."),
]
Point = Annotated[str, typer.Option("--point", metavar="NAME", help="The decision point that is looked at.")]
Gain = Annotated[
    list[str] | None,
    typer.Option(
        "--gain", metavar="METRIC=PART", help="What b must gain: success=0.15 means 15% of a's. Replaces the defaults."
    ),
]
AtMost = Annotated[
    list[str] | None, typer.Option("--at-most", metavar="METRIC=PART", help="How far b may be above a: time_s=0.2.")
]
Runs = Annotated[int, typer.Option("--runs", min=2, help="The fewest runs an arm that a GO takes.")]
Alpha = Annotated[float, typer.Option("--alpha", min=0.0001, max=0.5, help="The chance of a false finding.")]


def past_of(journal: Any, agents: Path | None, option: list[str] | None, point: str, workflow: str = "") -> list[Any]:
    """The journal's runs, as trials see them. Raises NothingThere, JournalError."""
    from stepladder.cli.journals import opened, signals_of
    from stepladder.cli.pairs import pairs
    from stepladder.evaluation.past_runs import past_runs

    signals = signals_of(agents, pairs(option, "--option"))
    with opened(journal) as kept:
        return list(past_runs(kept, signals, workflow, point))


def criteria_of(gain: list[str] | None, at_most: list[str] | None, runs: int, alpha: float) -> Criteria:
    """What the options ask for; the defaults where they ask for nothing. Raises UsageError."""
    from stepladder.evaluation.trial import Criteria, Criterion

    asked = [Criterion(metric, gain=part) for metric, part in _parts(gain, "--gain")]
    asked += [Criterion(metric, at_most=part) for metric, part in _parts(at_most, "--at-most")]
    return Criteria(tuple(asked) or Criteria().asked, runs, alpha)


def _parts(given: list[str] | None, option: str) -> list[tuple[Any, float]]:
    from stepladder.cli.failures import UsageError
    from stepladder.cli.pairs import pairs
    from stepladder.evaluation.trial import METRICS

    found = []
    for metric, text in pairs(given, option).items():
        try:
            part = float(text)
        except ValueError:
            part = -1.0
        if metric not in METRICS or not 0 <= part <= 100:
            raise UsageError(f"{option} {metric}={text}: expected one of {', '.join(METRICS)}, and a part such as 0.15")
        found.append((metric, part))
    return found
