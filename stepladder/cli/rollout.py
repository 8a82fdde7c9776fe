"""How far a rollout may go, and back: `rollout`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.learning import PANEL, Alpha, AtMost, Gain, Point, Runs, criteria_of, past_of
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, JournalFile, Json, Options

if TYPE_CHECKING:
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.rollout import Advice


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder rollout workflow.yaml\n  stepladder rollout policy.yaml --apply --guard quality",
)
def rollout(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The workflow or policy file that has the rollout.")],
    workflow: Annotated[
        Path | None, typer.Option("--workflow", metavar="FILE", help="The workflow file, where FILE is a policy file.")
    ] = None,
    route: Annotated[str, typer.Option("--route", metavar="NAME", help="Only this route.")] = "",
    guard: Annotated[
        str, typer.Option("--guard", metavar="METRIC", help="What must not get worse: success, quality, time_s or usd.")
    ] = "success",
    apply: Annotated[
        bool, typer.Option("--apply", metavar="", help="Write the share that the evidence allows into the file.")
    ] = False,
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
    """Say what share of the runs the evidence allows: 10%, 50%, 100%, or none where the guard is worse.

    Only runs decided at the share that the file has now count. Leaves with 1 where something is rolled back.
    """
    from stepladder.cli.failures import UsageError
    from stepladder.cli.files import read_text, write
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.rollout import WORSE, Guard, advise
    from stepladder.evaluation.rollout_file import rollouts_in, trial_at, with_share

    if guard not in WORSE:
        raise UsageError(f"--guard {guard}: expected {', '.join(WORSE)}")
    text = read_text(file)
    there = {each.route: each for each in rollouts_in(text, str(file)) if route in ("", each.route)}
    if not there:
        raise UsageError(f"{file}: no rollout{f' of route {route}' if route else ''} under policy.routes")
    now = policy_of(file, workflow, agents, option)
    past, screen = past_of(journal, agents, option, point), Screen(json=as_json)
    criteria = criteria_of(gain, at_most, runs, alpha)
    watched = Guard(guard, alpha)
    advices = {
        name: advise(each.share, *trial_at(past, each, point, now), watched, criteria) for name, each in there.items()
    }
    changed = {name: found.to for name, found in advices.items() if found.to != found.share}
    if apply and changed:
        write(file, with_share(text, changed, str(file)))
    _tell(advices, file, bool(apply and changed), screen)
    return Exit.NEGATIVE if any(each.move == "roll back" for each in advices.values()) else Exit.DONE


def policy_of(file: Path, workflow: Path | None, agents: Path | None, option: list[str] | None) -> str:
    """The hash of the policy in the file: its own workflow's, or (a policy file) over `workflow`."""
    from stepladder.cli.loading import looked_at
    from stepladder.cli.pairs import pairs

    loaded = looked_at(workflow or file, agents, pairs(option, "--option"))
    return (loaded.under(file) if workflow else loaded).machine.policy.hash


def _tell(advices: dict[str, Advice], file: Path, written: bool, screen: Screen) -> None:
    from stepladder.cli.ab_telling import tell_advice
    from stepladder.cli.screen import clean

    if screen.json:
        import msgspec

        routes: dict[str, Any] = {name: msgspec.to_builtins(each) for name, each in advices.items()}
        screen.emit({"file": str(file), "written": written, "routes": routes})
        return
    for name, each in advices.items():
        screen.out.print(f"route {clean(name)}", style="bold")
        tell_advice(each, screen)
        for look in each.looks:
            told = f"  guard at {look.runs} runs: p {look.p:.3g}, trips below {look.threshold:.3g}"
            screen.out.print(told, style="red" if look.trips else "dim")
    if written:
        screen.out.print(f"wrote {clean(file)}", style="green", soft_wrap=True)
