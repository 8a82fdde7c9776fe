"""The command line: `stepladder COMMAND ...`.

    run, answer, send, resume, retry, cancel    work on runs            (runs)
    runs, show, outcome, replay, export,        read the journal        (show, replay, costs,
    costs, models                                                        models)
    verify, head, prune                         keep the journal        (keeping)
    check, explain, schema, diagram, set        workflow files          (check, diagrams, setting)
    init, play, rehearse                        projects and scenarios  (project, scenarios, rehearsing)
    ab, rollout, mine, whatif, fork,            learn from runs         (ab, rollout, mining, whatif, fork,
    recommend, forecast                                                  recommend)
    record, import, evaluate, tune              recordings of agents    (recording, recordings, tuning)

Every command has `--json`: one document on stdout and nothing else; errors are JSON on stderr then.

    exit code
      0   done; nothing wrong was found
      1   the answer is negative: the run failed, a replay diverged, a check found errors, an expectation failed
      2   bad input: usage, file, journal or answer; one error on stderr, nothing half-written
      3   the run rests and waits: for a person, a message or a time, or in doubt
      4   there is no such run, or no journal
     70   a bug in stepladder; `--debug` shows where
    130   interrupted; the run can be resumed
    143   ended from outside (SIGTERM) after what was in flight was written; the run can be resumed

What works on a run needs its workflow file and agents. `run` notes them beside the journal (see `memory`), so that
`stepladder answer RUN --text yes` is enough later. What only reads needs neither: the journal keeps the definition.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from importlib import import_module

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit

__all__ = ["app", "main"]


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.argv[1:] = [_text(each) for each in sys.argv[1:]]
    try:
        app()
    except SystemExit as left:
        code = left.code
        if isinstance(code, int) and code in (Exit.INTERRUPTED, Exit.TERMINATED):
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)  # an agent's thread cannot be interrupted, and leaving would wait for it
        raise


def _text(argument: str) -> str:
    """The argument as UTF-8 even where the locale is another."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeDecodeError:
        return argument


# in the order of the help
for _module in (
    *("runs", "show", "replay", "costs", "models", "keeping", "check", "diagrams", "project", "scenarios"),
    *("rehearsing", "ab", "rollout", "mining", "whatif", "fork", "recommend", "setting", "recording", "recordings"),
    "tuning",
):
    import_module(f"stepladder.cli.{_module}")
