"""The ended runs of a journal, and the decisions that stand alone in it, as trials see them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import TypeVar

from stepladder.app.reading import entries_of, is_lone, read_run
from stepladder.app.run import Run
from stepladder.errors import RunPruned
from stepladder.evaluation.trial_runs import PastRun
from stepladder.events import Event, OutcomeAttached, QuestionPut
from stepladder.journal import Journal
from stepladder.orchestrator import DecisionRecord, decision_records, evolve, retold
from stepladder.record import Entry
from stepladder.signals import Signal
from stepladder.state import RunState

T = TypeVar("T")
EVERY = 2**31


def past_runs(
    journal: Journal, signals: Iterable[Signal] = (), workflow: str = "", point: str = "next_action"
) -> Iterator[PastRun]:
    """Those of this workflow ("": of every one), oldest first, one at a time. What was pruned is left out.

    A run's success is what somebody said of it last, else how it ended; its quality what was said of it, else the mean
    of what was said of its decisions at the point; its time what was said, else the seconds that it worked.
    """
    signals = tuple(signals)
    for row in reversed(journal.rows(EVERY)):
        if row.status != "ended" or row.pruned or (workflow and row.workflow != workflow):
            continue
        if (found := past_run(journal, row.run_id, signals, point)) is not None:
            yield found


def past_run(
    journal: Journal, run_id: str, signals: Iterable[Signal] = (), point: str = "next_action"
) -> PastRun | None:
    """One of them; None where its payloads are gone. Raises RunNotFound."""
    entries = entries_of(journal, run_id)
    try:
        return _lone(run_id, entries) if is_lone(entries) else _of_run(journal, run_id, tuple(signals), point)
    except RunPruned:
        return None


def _of_run(journal: Journal, run_id: str, signals: tuple[Signal, ...], point: str) -> PastRun:
    run = read_run(journal, run_id, signals)
    records, said = run.decisions, run.outcomes
    success = _last([each.success for each in said])
    quality = _last([each.quality for each in said])
    time_s = _last([each.elapsed_s for each in said])
    return PastRun(
        run_id,
        run.state.started_at,
        run.state.input,
        records,
        run.success if success is None else success,
        _of_decisions(records, point) if quality is None else quality,
        run.state.working_s if time_s is None else time_s,
        run.usd,
        max(_counted(run)),
        run.state.working_s,
    )


def _counted(run: Run) -> Iterator[int]:
    """What it counted against its limit of decisions, which begins anew when a person answers, and at a retry."""
    told, first_known = retold(run.entries)
    state = RunState(first_known=first_known)
    for entry in told:
        state = evolve(run.machine, state, entry)
        yield state.decisions


def _lone(run_id: str, entries: Sequence[Event | Entry]) -> PastRun:
    put, records = entries[0], decision_records(entries)
    assert isinstance(put, QuestionPut), "it is a lone decision"
    said = [each for each in entries if isinstance(each, OutcomeAttached)]
    time_s = _last([each.elapsed_s for each in said])
    return PastRun(
        run_id,
        put.at,
        put.facts,
        records,
        _last([each.success for each in said]),
        _last([each.quality for each in said]),
        sum(each.latency_s for each in records) if time_s is None else time_s,
        sum(each.cost_usd for each in records),
    )


def _of_decisions(records: Iterable[DecisionRecord], point: str) -> float | None:
    said = [_last([each.quality for each in record.outcomes]) for record in records if record.opened.point == point]
    known = [each for each in said if each is not None]
    return fmean(known) if known else None


def _last(values: Sequence[T | None]) -> T | None:
    return next((each for each in reversed(values) if each is not None), None)
