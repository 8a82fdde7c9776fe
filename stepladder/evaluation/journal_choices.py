"""What models chose in the runs of a journal: answers that counted, and those given in shadow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from stepladder.app.reading import entries_of, is_lone, read_run
from stepladder.app.run import Run
from stepladder.errors import RunPruned, StepladderError
from stepladder.evaluation.choices import Chosen, flat
from stepladder.evaluation.past_runs import EVERY
from stepladder.evaluation.recorded import decided_on
from stepladder.journal import Journal
from stepladder.orchestrator import DecisionRecord
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

    Runs of one input are one group.

    Raises:
        StepladderError: the point is another than next_action, whose facts are not kept.
    """
    if point != "next_action":
        raise StepladderError(f"--point {point}: rules are mined for next_action only")
    for run in ended_runs(journal, signals, workflow):
        group, success = digest(dict(run.state.input)), _success(run)
        facts_of = facts_by_decision(run)
        for record in run.decisions:
            verdict = said_by_model(record)
            if verdict is None or record.number not in facts_of:
                continue
            opened = record.opened
            yield Chosen(
                run.id,
                group,
                facts_of[record.number],
                verdict.action,
                success,
                record.cost_usd,
                sum(call.elapsed_s for call in record.calls),
                opened.verdict.action,
                opened.step,
                opened.route,
            )


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
