"""Errors as the command line tells them: one clear error on stderr, and the exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Any, Final

from stepladder.cli.exits import Exit
from stepladder.cli.screen import SETTINGS, clean, console, document
from stepladder.errors import DefinitionError, Diverged, Problem, RunNotFound, RunPruned, StepladderError


class UsageError(StepladderError):
    """Options that do not go together, or a value of one that cannot be used."""


class NothingThere(StepladderError):
    """Nothing to work on: no journal, no run."""


CODES: Final[tuple[tuple[type[Exception], Exit], ...]] = (
    (RunNotFound, Exit.NOTHING_THERE),
    (NothingThere, Exit.NOTHING_THERE),
    (RunPruned, Exit.NOTHING_THERE),
    (Diverged, Exit.NEGATIVE),
    (StepladderError, Exit.BAD_INPUT),
)


def refuse(error: BaseException, *, json: bool) -> Exit:
    """Tell of an error that stepladder raised on purpose."""
    code = next((code for kind, code in CODES if isinstance(error, kind)), Exit.BAD_INPUT)
    problems = error.problems if isinstance(error, DefinitionError) else ()
    _tell(type(error).__name__, str(error), code, json=json, problems=problems)
    if SETTINGS["debug"]:
        traceback.print_exception(error)
    return code


def misused(message: str, hint: str = "", *, json: bool) -> Exit:
    """Tell of a command line that cannot be read."""
    _tell("UsageError", message, Exit.BAD_INPUT, json=json, hint=hint)
    return Exit.BAD_INPUT


def interrupted(message: str, *, json: bool, code: Exit = Exit.INTERRUPTED) -> None:
    """Tell how to go on."""
    _tell(code.name.capitalize(), message, code, json=json)


def note(message: str, *, json: bool) -> None:
    """Tell of something that is no error."""
    if json:
        sys.stderr.write(document({"note": message}) + "\n")
    else:
        console(stderr=True).print(f"note: {clean(message)}", style="yellow", soft_wrap=True)


def bug(error: BaseException, *, json: bool) -> Exit:
    """Tell of what nobody thought of."""
    again = "" if SETTINGS["debug"] else "; `stepladder --debug ...` shows where"
    found = " ".join(f"{type(error).__name__}: {error}".split())
    _tell("Bug", f"this is a bug in stepladder: {found}{again}", Exit.BUG, json=json)
    if SETTINGS["debug"]:
        traceback.print_exception(error)
    return Exit.BUG


def _tell(
    kind: str, message: str, code: Exit, *, json: bool, problems: tuple[Problem, ...] = (), hint: str = ""
) -> None:
    if json:
        said: dict[str, Any] = {"kind": kind, "message": message, "exit": int(code)}
        if problems:
            said["problems"] = [problem_json(problem) for problem in problems]
        sys.stderr.write(document({"error": said}) + "\n")
        return
    lines = [clean(each) for each in (message.splitlines() or [kind])]
    if len(problems) > 1:
        lines = [f"{len(problems)} problems", *(f"  {each}" for each in lines)]
    from rich.text import Text

    err = console(stderr=True)
    label = "" if code == Exit.INTERRUPTED else "error: "
    text = Text.assemble((label, "bold red"), "\n".join(lines))
    err.print(text, soft_wrap=True)
    if hint:
        err.print(Text(hint, "dim"), soft_wrap=True)


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem with a file as JSON."""
    return {
        "level": problem.level,
        "code": problem.code,
        "file": problem.file,
        "line": problem.line,
        "where": problem.where,
        "found": problem.found,
        "expected": problem.expected,
    }
