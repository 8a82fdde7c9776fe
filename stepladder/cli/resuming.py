"""Taking up every run that has not ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepladder.cli.exits import Exit
from stepladder.cli.failures import refuse
from stepladder.cli.journals import EVERYTHING, opened
from stepladder.cli.options import Place
from stepladder.cli.screen import Screen
from stepladder.cli.setups import setup_for
from stepladder.cli.tell import exit_of, run_json
from stepladder.cli.work import Work, tell_end
from stepladder.errors import StepladderError

WORST = (Exit.BAD_INPUT, Exit.NEGATIVE, Exit.WAITS, Exit.DONE)


def resume_all(
    journal: Place,
    workflow: Path | None,
    agents: Path | None,
    option: list[str] | None,
    base_url: str | None,
    on_changed: str,
    as_json: bool,
    policy: Path | None = None,
) -> Exit:
    """Resume them one after the other, oldest first. Gives the worst exit code: an error, a failure, a wait."""
    screen = Screen(json=as_json)
    with opened(journal) as found:
        names = [row.run_id for row in reversed(found.rows(EVERYTHING)) if row.status != "ended"]
    codes, told = {Exit.DONE}, []
    for run_id in names:
        try:
            setup = setup_for(journal, run_id, workflow, agents, option, base_url, on_changed, policy)
            work = Work(setup, journal, screen, interactive=False)
            run = work.through(lambda orchestrator, name=run_id: orchestrator.resume(name), run_id)  # type: ignore[misc]
        except StepladderError as error:
            told.append(_failed(run_id, error, screen))
            codes.add(Exit.BAD_INPUT)
            continue
        codes.add(exit_of(run))
        if as_json:
            told.append(run_json(run))
        else:
            tell_end(run, run.machine.definition, journal, screen)
    if as_json:
        screen.emit({"runs": told})
    elif not names:
        screen.out.print("every run has ended", style="dim")
    return next(code for code in WORST if code in codes)


def _failed(run_id: str, error: StepladderError, screen: Screen) -> dict[str, Any]:
    if not screen.json:
        refuse(error, json=False)
    return {"run": run_id, "error": {"kind": type(error).__name__, "message": str(error)}}
