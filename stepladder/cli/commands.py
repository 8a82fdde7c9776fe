"""The Typer application, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stepladder.cli.exits import MEANING, Exit, Terminated
from stepladder.cli.screen import SETTINGS

_FIRST = (
    "First steps:",
    "  stepladder init my-project && cd my-project",
    "  stepladder run workflow.yaml --input question='How many customers?'",
    "  stepladder show last",
)
EPILOG = "\n".join([*_FIRST, "", "Exit codes:", *(f"  {int(code):>3}  {meaning}" for code, meaning in MEANING.items())])


GLOBAL = ("--no-color", "--debug")


class Commands(TyperGroup):
    """The commands. A command returns its exit code, or raises."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and leave with its exit code."""
        given = _global_first(list(sys.argv[1:] if args is None else args))
        with _told_to_stop():
            code = self._code(given, prog_name or "stepladder", complete_var, **extra)
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read it has left; nothing may be written any more, not even at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(int(code))

    def _code(self, given: list[str], prog_name: str, complete_var: str | None, **extra: Any) -> int:
        from stepladder.cli import failures
        from stepladder.errors import StepladderError

        json = "--json" in given
        try:
            found = super().main(given, prog_name, complete_var, standalone_mode=False, **extra)
        except StepladderError as error:
            return failures.refuse(error, json=json)
        except Terminated:
            return Exit.TERMINATED
        except (KeyboardInterrupt, typer.Abort):
            return Exit.INTERRUPTED
        except Exception as error:
            said = getattr(error, "format_message", None)
            if said is not None:  # click's own, which typer brings along
                return failures.misused(said(), _hint(error), json=json)
            return failures.bug(error, json=json)
        return int(found or Exit.DONE)


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """While SIGTERM is an exception like Ctrl-C; only in the main thread, elsewhere signals are nobody's business."""

    def stop(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _global_first(given: list[str]) -> list[str]:
    """The options before the command may also stand after it."""
    end = given.index("--") if "--" in given else len(given)
    early = [each for each in given[:end] if each in GLOBAL]
    return [*early, *(each for each in given[:end] if each not in GLOBAL), *given[end:]]


def _hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path} --help` shows how it is used" if context is not None else ""


app = typer.Typer(
    name="stepladder",
    cls=Commands,
    help="Rules decide, a model is asked when it matters, every disagreement is on the record.",
    epilog=EPILOG,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        import stepladder

        typer.echo(f"stepladder {stepladder.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    no_color: Annotated[
        bool, typer.Option("--no-color", metavar="", help="No colours; NO_COLOR in the environment does the same.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", metavar="", envvar="STEPLADDER_DEBUG", help="Show tracebacks.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_version, is_eager=True, help="Show the version and leave."),
    ] = False,
) -> None:
    """Rules decide, a model is asked when it matters, every disagreement is on the record."""
    SETTINGS["no_color"], SETTINGS["debug"] = no_color, debug
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
