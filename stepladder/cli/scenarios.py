"""The command that plays scenarios: play."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import Json, Options, placed

if TYPE_CHECKING:
    from rich.text import Text

    from stepladder.app.run import Run
    from stepladder.cli.log import RunLog
    from stepladder.cli.screen import Screen
    from stepladder.scenarios import Played
    from stepladder.scenarios.expect import Check

PANEL = "Projects and scenarios"


@app.command(rich_help_panel=PANEL, epilog="Example:\n  stepladder play scenarios/*.yaml")
def play(
    files: Annotated[list[Path], typer.Argument(metavar="SCENARIO...", help="Scenario files.")],
    workflow: Annotated[
        Path | None,
        typer.Option("--workflow", metavar="FILE", help="Play under this workflow file instead of the one named."),
    ] = None,
    keep: Annotated[
        Any,
        typer.Option(
            "--journal",
            "-j",
            metavar="FILE|URL",
            help="Keep the runs in this journal. Default: nowhere.",
            parser=placed,
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log", metavar="", help="Print the run log as well.")] = False,
    checks: Annotated[
        bool, typer.Option("--checks", metavar="", help="Print the expectations that held as well.")
    ] = False,
    option: Options = None,
    as_json: Json = False,
) -> Exit:
    """Play scenarios: say what was decided, by whom and at what cost, and check what they expect.

    Leaves with 1 where an expectation failed.
    """
    from stepladder.cli.pairs import pairs
    from stepladder.cli.screen import Screen
    from stepladder.scenarios import load_scenario
    from stepladder.scenarios import play as played_of

    screen = Screen(json=as_json)
    options = pairs(option, "--option")
    scenarios = [load_scenario(file) for file in files]  # all are read before any is played
    told: list[dict[str, Any]] = []
    for file, scenario in zip(files, scenarios, strict=True):
        listener = _Listener(screen) if log and not as_json else None
        with screen.only_json():
            played = played_of(scenario, workflow=workflow, journal=keep, options=options, listen=listener)
        told.append(_played_json(file, played))
        if not as_json:
            _tell(file, played, screen, checks=checks)
    failed = sum(not each["passed"] for each in told)
    if as_json:
        screen.emit({"passed": len(told) - failed, "failed": failed, "scenarios": told})
    elif len(files) > 1:
        screen.out.print(f"{len(told) - failed} passed, {failed} failed", style="red" if failed else "green")
    return Exit.NEGATIVE if failed else Exit.DONE


class _Listener:
    """The run log of one play."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.log: RunLog | None = None

    def __call__(self, run: Run, entries: Any) -> None:
        from stepladder.cli.log import RunLog

        self.log = self.log or RunLog(run.machine, self.screen.out)
        self.log.write(entries)


def _played_json(file: Path, played: Played) -> dict[str, Any]:
    import msgspec

    return {
        "file": str(file),
        "scenario": played.scenario.scenario,
        "passed": played.passed,
        "run": played.run.id,
        "checks": [msgspec.to_builtins(check) for check in played.checks],
    }


def _tell(file: Path, played: Played, screen: Screen, *, checks: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from stepladder.cli.screen import clean, line
    from stepladder.cli.tables import decisions_table

    word, style = ("passed", "green") if played.passed else ("failed", "red")
    screen.out.print(
        Text.assemble(
            (f"{word}  ", f"bold {style}"), (line(played.scenario.scenario), "bold"), (f"  {clean(file)}", "dim")
        )
    )
    screen.out.print(Padding(decisions_table(played.run.decisions), (0, 0, 0, 8)))
    screen.out.print(Padding(Text(_came_to(played)), (0, 0, 0, 8), expand=False))
    for check in played.checks if checks else played.failures:
        screen.out.print(Padding(_checked(check), (0, 0, 0, 8), expand=False))
    screen.out.print()


def _came_to(played: Played) -> str:
    """Where it ended, how many decisions by whom, and what that cost."""
    from stepladder.cli.screen import line
    from stepladder.cli.tell import cost, counted, many, scripted

    run = played.run
    asked = sum(record.asked_models for record in run.decisions)
    labelled = ", scripted" if asked and all(scripted(record) for record in run.decisions if record.calls) else ""
    models = f"{many(asked, 'model call')}{labelled}"
    where = f"ended in {run.end}" if run.end else f"{run.status} in {run.step}"
    return f"{line(where)}: {counted(run)}, {models}, {cost(run.usd)}"


def _checked(check: Check) -> Text:
    from rich.text import Text

    from stepladder.cli.screen import line, spelt

    mark, tone = ("ok", "green") if check.held else ("no", "bold red")
    parts: list[Any] = [(f"{mark}  ", tone), line(check.what), f": {spelt(check.expected)}"]
    if not check.held:
        parts.append((f"\nfound {spelt(check.found)}", "red"))
    return Text.assemble(*parts)
