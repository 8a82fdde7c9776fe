"""What history says: `recommend`, and `forecast` of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.learning import PANEL, past_of
from stepladder.cli.options import DEFAULT_JOURNAL, AgentsFile, JournalFile, Json, Options, RunName

if TYPE_CHECKING:
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.forecast import Forecast
    from stepladder.evaluation.recommend import Recommendation

File = Annotated[Path, typer.Argument(metavar="[FILE]", help="The workflow file.", show_default=True)]


@app.command(rich_help_panel=PANEL, epilog="Example:\n  stepladder recommend workflow.yaml")
def recommend(
    file: File = Path("workflow.yaml"),
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Say what the runs of a workflow speak for: rules, thresholds, prompts, limits, cost; each with evidence."""
    from stepladder.cli.files import read_text
    from stepladder.cli.journals import opened, signals_of
    from stepladder.cli.loading import looked_at
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.accepted import mined_in, reviewed
    from stepladder.evaluation.journal_choices import ended_runs
    from stepladder.evaluation.recommend import recommend as recommended
    from stepladder.workflow.yaml_text import read_yaml

    options = pairs(option, "--option")
    name = looked_at(file, agents, options).name
    past, text = past_of(journal, agents, option, "next_action", name), read_text(file)
    mined, policy = mined_in(text, str(file)), read_yaml(text, str(file))[0].get("policy")
    if mined:
        with opened(journal) as kept:
            mined = reviewed(mined, ended_runs(kept, signals_of(agents, options), name))
    found = recommended(past, str(file), _where(journal, agents, option), mined, policy)
    _tell(found, len(past), Screen(json=as_json))
    return Exit.DONE


def _where(journal: Any, agents: Path | None, option: list[str] | None) -> list[str]:
    """The options that other commands need to see the same runs; no password or other secret is among them."""
    from stepladder.cli.journals import shown_place
    from stepladder.cli.memory import without_secrets
    from stepladder.cli.pairs import pairs

    place = [] if journal == DEFAULT_JOURNAL else ["--journal", shown_place(journal)]
    named = ["--agents", str(agents)] if agents else []
    said = without_secrets(pairs(option, "--option")).items()
    return [*place, *named, *(word for name, value in said for word in ("--option", f"{name}={value}"))]


@app.command(rich_help_panel=PANEL, epilog="Example:\n  stepladder forecast ticket-17")
def forecast(
    name: RunName,
    agents: AgentsFile = None,
    option: Options = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Say what an open run is still to need: decisions, money for models and time, as others needed from there."""
    from stepladder.app.reading import read_run
    from stepladder.cli.failures import UsageError
    from stepladder.cli.journals import named, opened, signals_of
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen
    from stepladder.evaluation.forecast import course_of
    from stepladder.evaluation.forecast import forecast as foretold
    from stepladder.evaluation.journal_choices import ended_runs

    signals = signals_of(agents, pairs(option, "--option"))
    with opened(journal) as kept:
        run = read_run(kept, named(kept, name), signals)
        if run.status == "ended":
            raise UsageError(f"forecast: run {run.id} has ended; `stepladder show {run.id}` says how")
        mine = [each for each in run.decisions if each.opened.point == "next_action"]
        past = [
            course_of(each.id, each.decisions, each.state.started_at, each.state.ended_at, each.success)
            for each in ended_runs(kept, signals, run.machine.definition.name)
        ]
        step = mine[-1].opened.step if mine else run.step
        found = foretold(step, len(mine), past)
    _tell_forecast(run.id, found, Screen(json=as_json))
    return Exit.DONE


def _tell(found: list[Recommendation], runs: int, screen: Screen) -> None:
    from rich.text import Text

    from stepladder.cli.screen import clean
    from stepladder.cli.tell import cost, many

    if screen.json:
        import msgspec

        screen.emit({"runs": runs, "recommendations": msgspec.to_builtins(found)})
        return
    if not found:
        screen.out.print(f"nothing: {many(runs, 'run')} speak for no change, or say too little", style="green")
    for each in found:
        saves = f" ({cost(each.saves_usd)} in these runs)" if each.saves_usd else ""
        head = Text.assemble((f"{each.about:<10} ", "bold"), clean(each.says), (saves, "green"))
        screen.out.print(head, soft_wrap=True)
        screen.out.print(Text(f"           {clean(each.evidence)}", "dim"), soft_wrap=True)
        screen.out.print(Text(f"           $ {clean(each.command)}", "cyan"), soft_wrap=True)


def _tell_forecast(run: str, found: Forecast | None, screen: Screen) -> None:
    from stepladder.cli.screen import clean
    from stepladder.cli.tell import cost, many, seconds
    from stepladder.evaluation.forecast import RANGE

    if screen.json:
        import msgspec

        screen.emit({"run": run, "forecast": msgspec.to_builtins(found)})
        return
    if found is None:
        screen.out.print("no run of this workflow has ended yet", style="yellow")
        return
    well = "" if found.success is None else f", {found.success:.0%} of which ended well"
    screen.out.print(f"run {clean(run)}, by {many(found.runs, 'run')} {clean(found.alike)}{well}:", soft_wrap=True)
    ranges = {"decisions": found.decisions, "models": found.usd, "time": found.seconds}
    for name, each in ranges.items():
        said = {"decisions": "{:g}".format, "models": cost, "time": seconds}[name]
        more, often = (" more", " in four of five runs") if name == "decisions" else ("", "")
        held = "" if each.low is None or each.high is None else f" ({said(each.low)} to {said(each.high)}{often})"
        screen.out.print(f"  {name:<9}  {said(each.middle)}{more}{held}", soft_wrap=True)
    if found.runs < RANGE:
        says = f"{many(found.runs, 'run')} {'says' if found.runs == 1 else 'say'} too little for a range"
        screen.out.print(f"  {says}: that takes {RANGE}", style="yellow")
