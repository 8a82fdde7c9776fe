"""What models chose in the runs of a journal: answers that counted, and those given in shadow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from stepladder.app.left import is_pruned
from stepladder.app.reading import entries_of, is_lone, read_run
from stepladder.app.run import Run
from stepladder.errors import RunPruned
from stepladder.evaluation.choices import Chosen, flat
from stepladder.evaluation.past_runs import EVERY
from stepladder.evaluation.recorded import decided_on
from stepladder.events import OutcomeAttached, QuestionPut
from stepladder.journal import Journal
from stepladder.orchestrator import DecisionRecord, decision_records
from stepladder.record import Verdict
from stepladder.signals import Signal
from stepladder.values import digest

LEFT_OUT: Final = frozenset({"all", "result", "decision", "decisions", "step", "phase", "budget_used", "time_used"})
"""Facts that no mined rule reads: what rules should not (stale results), and what only counts on."""


def ended_runs(journal: Journal, signals: Iterable[Signal] = (), workflow: str = "") -> Iterator[Run]:
    """The runs of this workflow ("": of every one) that have ended and can be read, oldest first."""
    signals = tuple(signals)
    for row in reversed(journal.rows(EVERY)):
        if row.status != "ended" or row.pruned or (workflow and row.workflow != workflow):
            continue
        if is_lone(entries_of(journal, row.run_id)):
            continue
        try:
            run = read_run(journal, row.run_id, signals)
        except RunPruned:
            continue
        yield run


def chosen_in_journal(
    journal: Journal, signals: Iterable[Signal] = (), workflow: str = "", point: str = "next_action"
) -> Iterator[Chosen]:
    """Every decision at the point in which a model gave a legal answer, on the facts that it opened on.

    At next_action these are decisions of runs, runs of one input being one group. At every point they are decisions
    that stand alone, on the signals that they were given, equal signals being one group; their step is "".
    """
    if point == "next_action":
        for run in ended_runs(journal, signals, workflow):
            yield from _in_run(run)
    if not workflow:
        yield from _alone(journal, point)


def _in_run(run: Run) -> Iterator[Chosen]:
    group, success = digest(dict(run.state.input)), _success(run)
    facts_of = facts_by_decision(run)
    for record in run.decisions:
        verdict = said_by_model(record)
        if verdict is not None and record.number in facts_of:
            facts, where = facts_of[record.number], (record.opened.step, run.machine.definition.name)
            yield _chosen(run.id, group, facts, record, verdict, success, where)


def _alone(journal: Journal, point: str) -> Iterator[Chosen]:
    for row in reversed(journal.rows(EVERY)):
        if row.status != "ended" or row.pruned:
            continue
        entries = entries_of(journal, row.run_id)
        put = entries[0]
        if not isinstance(put, QuestionPut) or put.point != point or is_pruned(entries):
            continue
        record = decision_records(entries)[0]
        verdict = said_by_model(record)
        said = [each.success for each in entries if isinstance(each, OutcomeAttached) and each.success is not None]
        if verdict is not None:
            facts, success = flat(put.facts), said[-1] if said else None
            yield _chosen(row.run_id, digest(put.facts), facts, record, verdict, success, ("", ""))


def _chosen(
    run_id: str,
    group: str,
    facts: Mapping[str, Any],
    record: DecisionRecord,
    verdict: Verdict,
    success: bool | None,
    where: tuple[str, str],
) -> Chosen:
    seconds = sum(call.elapsed_s for call in record.calls)
    opened, (step, workflow) = record.opened, where
    told = opened.verdict.action, step, opened.route, workflow
    return Chosen(run_id, group, facts, verdict.action, success, record.cost_usd, seconds, *told, at=record.at)


def points_in(journal: Journal) -> dict[str, int]:
    """How many decisions of each point a model has answered."""
    found = Counter[str]()
    for run in ended_runs(journal):
        found.update(each.opened.point for each in run.decisions if said_by_model(each) is not None)
    for row in journal.rows(EVERY):
        entries = entries_of(journal, row.run_id) if row.status == "ended" and not row.pruned else ()
        if entries and is_lone(entries) and not is_pruned(entries):
            found.update(each.opened.point for each in decision_records(entries) if said_by_model(each) is not None)
    return dict(found)


def facts_by_decision(run: Run) -> dict[int, Mapping[str, Any]]:
    """The facts each decision about the next action opened on, by its number."""
    return {
        opened.n: flat({name: value for name, value in facts.items() if name not in LEFT_OUT})
        for opened, facts in decided_on(run.machine, run.entries)
    }


def said_by_model(record: DecisionRecord) -> Verdict | None:
    """The last legal verdict of a model or panel about the decision, in shadow or not."""
    models = {each.rung for each in record.asked if each.models}
    said = [each.verdict for each in record.answered if each.rung in models and each.outcome in _LEGAL]
    said += [each.verdict for each in record.shadows if each.outcome in ("agrees", "differs")]
    return next((each for each in reversed(said) if each is not None), None)


_LEGAL: Final = ("agrees", "accepted", "unsure")


def _success(run: Run) -> bool | None:
    said = [each.success for each in run.outcomes if each.success is not None]
    return said[-1] if said else run.success
