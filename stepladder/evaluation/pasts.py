"""Recordings and journals, made ready for what-if."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.classifier import Classifier
from stepladder.errors import InputError
from stepladder.evaluation.agent_policy import RISK, AgentPolicy
from stepladder.evaluation.columns import Column, Columns
from stepladder.evaluation.journal_choices import ended_runs
from stepladder.evaluation.recorded import decided_on
from stepladder.evaluation.steps import read_steps
from stepladder.evaluation.verdicts import ROUTES, names_read
from stepladder.evaluation.whatif import Past, past_of
from stepladder.journal import Journal
from stepladder.record import Opened
from stepladder.scenarios.recording_files import OnBytes, OnProblem
from stepladder.signals import Signal


def past_of_recordings(
    paths: Iterable[str | Path],
    settings: Iterable[Classifier],
    policy: AgentPolicy | None = None,
    *,
    on_problem: OnProblem | None = None,
    on_bytes: OnBytes | None = None,
) -> Past:
    """Recorded runs with the signals that these settings read, judged by the policy (None: nothing is complex).

    The last step of a run does not count: nothing could be done any more.

    Raises:
        InputError: a path cannot be read, there is no run, or a clause reads what is no signal.
    """
    wanted = list(dict.fromkeys(names_read(settings)))
    names = [*(name for name in wanted if name != RISK), *(policy.names() if policy else ())]
    read = read_steps(paths, tuple(dict.fromkeys(names)), on_problem=on_problem, on_bytes=on_bytes)
    steps = read.steps
    codes, risk = np.zeros(steps.rows, np.uint8), None
    if policy is not None:
        codes, risk = policy.routes(steps)
    columns = {name: Column.of_array(steps.column(name)) for name in wanted if name != RISK}
    if risk is not None:
        columns[RISK] = Column.of_array(risk)
    failed = [None if each != each else each for each in read.truth.failed.tolist()]  # noqa: PLR0124 - NaN
    return past_of(
        Columns(steps.rows, columns),
        steps.length.tolist(),
        codes == ROUTES.index("complex"),
        codes == ROUTES.index("hybrid"),
        runs=read.truth.run,
        counts=steps.counts,
        failed=failed,
    )


def past_of_journal(
    journal: Journal, settings: Sequence[Classifier], signals: Iterable[Signal] = (), workflow: str = ""
) -> Past:
    """The decisions about the next action in the ended runs of a journal, as their routes were recorded.

    Raises:
        InputError: a clause reads what no decision was made on.
    """
    rows = list[list[tuple[Opened, Any]]]()
    runs, failed = list[str](), list[bool | None]()
    for run in ended_runs(journal, signals, workflow):
        decided = list(decided_on(run.machine, run.entries))
        if not decided:
            continue
        rows.append(decided)
        runs.append(run.id)
        said = [each.success for each in run.outcomes if each.success is not None]
        success = said[-1] if said else run.success
        failed.append(None if success is None else not success)
    every = list(chain.from_iterable(rows))
    known = set(chain.from_iterable(facts for _, facts in every))
    for name in names_read(settings) if every else ():
        if name.partition(".")[0] not in known:
            raise InputError("--set", name, "nothing that these runs know", f"one of: {', '.join(sorted(known))}")
    columns = Columns.of((facts for _, facts in every), names_read(settings))
    route = np.array([opened.route for opened, _ in every], dtype=str)
    columns = Columns(len(every), columns.columns)
    return past_of(columns, map(len, rows), route == "complex", route == "hybrid", runs=runs, failed=failed)
