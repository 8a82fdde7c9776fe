"""The run log for programs that embed stepladder: one loguru line per decision, failure and end.

    Orchestrator(..., listen=log_run)

Messages are finished texts (loguru formats none of them, so braces in a run's data are only braces); `run_id`, `step`,
`decision`, `action`, `source` and `usd` are bound to each line as well, for structured sinks.
"""

from __future__ import annotations

from collections.abc import Sequence

from loguru import logger

from stepladder.app.run import Run
from stepladder.events import AgentFailed, Event, ModelFailed, RunCancelled, RunResumed, RunRetried, RunStarted
from stepladder.record import Entry, Opened, Settled


def log_run(run: Run, entries: Sequence[Event | Entry]) -> None:
    """Log what a turn brought."""
    opened: Opened | None = None
    for entry in entries:
        if isinstance(entry, Opened):
            opened = entry
        elif isinstance(entry, Settled):
            _settled(run, opened, entry)
        elif isinstance(entry, (AgentFailed, ModelFailed)):
            _bound(run).warning(f"[{run.id}] {_failure(entry)}: {entry.error}")
        elif isinstance(entry, (RunStarted, RunResumed, RunRetried, RunCancelled)):
            _bound(run).info(f"[{run.id}] {str(type(entry).__struct_config__.tag).replace('_', ' ')}")
    if run.end:
        said = f": {run.reason}" if run.reason else ""
        _bound(run, end=run.end).info(f"[{run.id}] ended in {run.end} after {run.state.working_s:.2f} s{said}")


def _settled(run: Run, opened: Opened | None, entry: Settled) -> None:
    step = opened.step if opened else run.step
    route = opened.route if opened else ""
    line = f"[{run.id}] decision {entry.n} in {step} ({route}): {entry.action} -> {entry.to}, by {entry.source}"
    fallback = f" (fallback: {entry.fallback})" if entry.fallback else ""
    bound = _bound(run, step=step, decision=entry.n, action=entry.action, source=entry.source)
    bound.info(f"{line}{fallback}: {entry.reason}" if entry.reason else line + fallback)


def _failure(entry: AgentFailed | ModelFailed) -> str:
    return f"agent {entry.reason}" if isinstance(entry, AgentFailed) else f"model {entry.model} {entry.code}"


def _bound(run: Run, **more: object):  # type: ignore[no-untyped-def]  # loguru names its type in stubs only
    return logger.bind(run_id=run.id, usd=run.usd, **more)
