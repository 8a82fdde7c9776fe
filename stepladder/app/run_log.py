"""The run log for programs that embed stepladder: one loguru line per decision, failure and end.

    Orchestrator(..., listen=log_run)

Messages are finished texts (loguru formats none of them, so braces in a run's data are only braces); `run_id`, `step`,
`decision`, `action`, `source` and `usd` are bound to each line as well, for structured sinks.
"""

from __future__ import annotations

from collections.abc import Sequence

from loguru import logger

from stepladder.app.run import Run
from stepladder.events import (
    AgentFailed,
    Event,
    ModelFailed,
    PersonAnswered,
    RunCancelled,
    RunResumed,
    RunRetried,
    RunStarted,
)
from stepladder.record import Entry, Opened, Settled

ENDING = (Settled, PersonAnswered, RunCancelled)
"""What can end a run; whatever else comes after its end (an outcome, an answer in shadow) does not end it again."""


def log_run(run: Run, entries: Sequence[Event | Entry]) -> None:
    """Log what a turn brought."""
    opened: dict[int, Opened] = {}
    for entry in entries:
        if isinstance(entry, Opened):
            opened[entry.n] = entry
        elif isinstance(entry, Settled):
            _settled(run, opened.get(entry.n) or _opened(run, entry.n), entry)
        elif isinstance(entry, (AgentFailed, ModelFailed)):
            _bound(run).warning(_line(f"[{run.id}] {_failure(entry)}: {entry.error}"))
        elif isinstance(entry, (RunStarted, RunResumed, RunRetried, RunCancelled)):
            _bound(run).info(f"[{run.id}] {str(type(entry).__struct_config__.tag).replace('_', ' ')}")
    if run.end and any(isinstance(entry, ENDING) for entry in entries):
        said = f": {run.reason}" if run.reason else ""
        _bound(run, end=run.end).info(_line(f"[{run.id}] ended in {run.end} after {run.state.working_s:.2f} s{said}"))


def _opened(run: Run, number: int) -> Opened:
    """The opening of a decision that was opened in an earlier turn: a model or a person was asked in between."""
    return next(record.opened for record in run.decisions if record.number == number)


def _settled(run: Run, opened: Opened, entry: Settled) -> None:
    where = f"decision {entry.n} in {opened.step} ({opened.route})"
    line = f"[{run.id}] {where}: {entry.action} -> {entry.to}, by {entry.source}"
    fallback = f" (fallback: {entry.fallback})" if entry.fallback else ""
    bound = _bound(run, step=opened.step, decision=entry.n, action=entry.action, source=entry.source)
    bound.info(_line(f"{line}{fallback}: {entry.reason}" if entry.reason else line + fallback))


def _failure(entry: AgentFailed | ModelFailed) -> str:
    return f"agent {entry.reason}" if isinstance(entry, AgentFailed) else f"model {entry.model} {entry.code}"


def _line(text: str) -> str:
    """The text on one line: what agents and models say has lines of its own, and may forge one of ours."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _bound(run: Run, **more: object):  # type: ignore[no-untyped-def]  # loguru names its type in stubs only
    return logger.bind(run_id=run.id, usd=run.usd, **more)
