"""Which of two ways is better: `ab`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.learning import PANEL, Alpha, AtMost, Gain, Point, Runs, criteria_of, past_of
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, JournalFile, Json, Options

if TYPE_CHECKING:
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.shadow import ShadowReport
    from stepladder.evaluation.trial import Criteria, Report

DESIGNS: Final = ("paired", "split", "shadow")

Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILES]...", help="A file of runs or pairs (.jsonl, .json, .csv), or recordings. Default: the journal."
    ),
]
By = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="WHAT",
        help="What the arms differ in. In a journal: policy (default), mode, prompt, model; in recordings: model "
        "(default), agent_system, family, source, domain, user_model, trial, provenance.KEY.",
    ),
]
Design = Annotated[
    str,
    typer.Option(
        "--design",
        metavar="paired|split|shadow",
        help="How to compare. Default: split in a journal; else paired where both arms had the same inputs.",
    ),
]
PairBy = Annotated[
    str,
    typer.Option(
        "--pair-by",
        metavar="FIELD",
        help="Paired: what has to be the same; a field of the input. In recordings the task, or another field.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="KEY=PATTERN", help="Only recordings like this, as domain=retail; repeatable."),
]


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder ab pairs.jsonl\n  stepladder ab runs.jsonl.gz --by model --a gpt-4o --b gpt-4.1\n"
    "  stepladder ab --by policy --a 3f2c --b 91ab\n  stepladder ab --design shadow --point next_action",
)
def ab(
    files: Files = None,
    by: By = "",
    a: Annotated[str, typer.Option("--a", metavar="ARM", help="The arm that is there; a hash may be cut.")] = "",
    b: Annotated[str, typer.Option("--b", metavar="ARM", help="The arm that is to be better.")] = "",
    design: Design = "",
    pair_by: PairBy = "",
    only: Only = None,
    point: Point = "next_action",
    gain: Gain = None,
    at_most: AtMost = None,
    runs: Runs = 50,
    alpha: Alpha = 0.05,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Compare two arms on success, quality, time and cost, and say GO or NO-GO.

    Arms come from a file, from recordings (two models on the same tasks ...), or from the journal: runs under two
    policies, modes of a rollout, prompts or models. A shadow has one arm, and can say GO to no more than a first share.
    Leaves with 1 at NO-GO.
    """
    from stepladder.cli.failures import UsageError
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.trial_recordings import are_recordings

    if design not in ("", *DESIGNS):
        raise UsageError(f"--design {design}: expected {', '.join(DESIGNS)}")
    screen, criteria, meant = Screen(json=as_json), criteria_of(gain, at_most, runs, alpha), Meant(by, a, b, pair_by)
    if files and (len(files) > 1 or are_recordings(files[0])):
        return _of_recordings(files, only, design, meant, point, criteria, screen)
    if only:
        raise UsageError("--only: it says which recordings, and there are none here")
    if files:
        return _of_file(files[0], design, meant, criteria, screen)
    return _of_journal(past_of(journal, agents, option, point), design, meant, point, criteria, screen)


class Meant(NamedTuple):
    """Which arms, and what makes a pair."""

    by: str
    a: str
    b: str
    pair_by: str


def _held(design: str) -> Literal["", "paired", "split"]:
    return "paired" if design == "paired" else "split" if design == "split" else ""


def _of_file(file: Path, design: str, meant: Meant, criteria: Criteria, screen: Screen) -> Exit:
    from stepladder.cli.failures import UsageError
    from stepladder.evaluation.trial import judge
    from stepladder.evaluation.trial_file import read_trial

    if design == "shadow":
        raise UsageError("--design shadow: a shadow is in a journal or in recordings of ours, not in a file of runs")
    if meant.by or meant.pair_by:
        said, field = ("by", "arm") if meant.by else ("pair-by", "pair")
        raise UsageError(f"--{said}: a file of runs says it in `{field}`")
    return _tell(judge(read_trial(file, meant.a, meant.b, _held(design)), criteria), screen)


def _of_recordings(
    files: list[Path], only: list[str] | None, design: str, meant: Meant, point: str, criteria: Criteria, screen: Screen
) -> Exit:
    from stepladder.cli.failures import UsageError
    from stepladder.cli.only import OnlyThese
    from stepladder.cli.recordings import Progress
    from stepladder.evaluation.trial import judge
    from stepladder.evaluation.trial_recordings import (
        FIELDS,
        can_differ_in,
        shadow_of_recordings,
        trial_of_recordings,
    )
    from stepladder.scenarios.recording_files import read_recordings, recording_files

    by = meant.by or "model"
    if not can_differ_in(by):
        raise UsageError(f"--by {by}: expected {', '.join(FIELDS)} or provenance.KEY")
    these, listed = OnlyThese(only, FIELDS), recording_files(files)
    with Progress(listed, "reading", json=screen.json) as progress:
        found = these.of(read_recordings(listed, progress.on_problem, progress.on_bytes))
        if design == "shadow":
            return _tell_shadow(shadow_of_recordings(found, point, criteria.level, meant.b), criteria, screen)
        trial = trial_of_recordings(found, by, a=meant.a, b=meant.b, design=_held(design), pair_by=meant.pair_by)
    return _tell(judge(trial, criteria), screen)


def _of_journal(past: list[Any], design: str, meant: Meant, point: str, criteria: Criteria, screen: Screen) -> Exit:
    from stepladder.cli.failures import UsageError
    from stepladder.evaluation.shadow import shadow_report
    from stepladder.evaluation.trial import judge
    from stepladder.evaluation.trial_runs import ARM_OF, BYS, trial_of

    by = meant.by or "policy"
    if by not in BYS:
        raise UsageError(f"--by {by}: expected {', '.join(BYS)}")
    if design == "shadow":
        wanted = (lambda record: any(arm.startswith(meant.b) for arm in ARM_OF[by](record))) if meant.b else None
        return _tell_shadow(shadow_report(past, point, criteria.level, wanted), criteria, screen)
    paired = _held(design) or "split"
    trial = trial_of(past, by, a=meant.a, b=meant.b, design=paired, point=point, pair_by=meant.pair_by)  # type: ignore[arg-type]
    return _tell(judge(trial, criteria), screen)


def _tell_shadow(found: ShadowReport | None, criteria: Criteria, screen: Screen) -> Exit:
    from stepladder.cli.ab_telling import tell_shadow
    from stepladder.evaluation.rollout import advise

    return tell_shadow(found, advise(0.0, None, found, criteria=criteria), screen)


def _tell(report: Report, screen: Screen) -> Exit:
    from stepladder.cli.ab_telling import tell_report

    tell_report(report, screen)
    return Exit.DONE if report.go else Exit.NEGATIVE
