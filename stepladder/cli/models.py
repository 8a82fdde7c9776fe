"""The command that says how well models have served: models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import DEFAULT_JOURNAL, JournalFile, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stepladder.cli.screen import Screen
    from stepladder.journal import Journal
    from stepladder.orchestrator import DecisionRecord, Served, Service

PANEL = "Read the journal"
OF_MODELS: Final[dict[str, Callable[[Served], float]]] = {
    "failed": lambda each: each.failed,
    "late": lambda each: each.late,
    "p50_s": lambda each: each.p50_s,
    "p95_s": lambda each: each.p95_s,
    "p99_s": lambda each: each.p99_s,
}
OF_ALL: Final[dict[str, Callable[[Service], float]]] = {
    "fallbacks": lambda whole: whole.fallback_share,
    "usd": lambda whole: whole.usd_a_decision,
}


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder models --days 7\n  stepladder models --alert late=0.01 --alert p95_s=5",
)
def models(
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="Runs that began in so many days.")] = 30,
    workflow: Annotated[str | None, typer.Option("--workflow", metavar="NAME", help="Only its runs.")] = None,
    alert: Annotated[
        list[str] | None,
        typer.Option(
            "--alert",
            metavar="NAME=MOST",
            help=f"Leave with 1 where this is more: {', '.join((*OF_MODELS, *OF_ALL))}; repeatable.",
        ),
    ] = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Say how well each model has served: answers, time, failures, cost, and how often the rule stood in for all.

    Shares are of the requests that were sent, `fallbacks` of the decisions that asked, `usd` is for one decision.
    """
    import time

    import msgspec

    from stepladder.cli.journals import opened
    from stepladder.cli.screen import Screen
    from stepladder.orchestrator import service

    screen, bounds = Screen(json=as_json), _bounds(alert)
    with opened(journal) as found:
        whole = service(_records(found, time.time() - days * 86_400, workflow))
    alerts = list(_alerts(whole, bounds))
    if as_json:
        listed = [{**msgspec.to_builtins(each), "failed": each.failed, "late": each.late} for each in whole.models]
        of_all = {"fallback_share": whole.fallback_share, "usd_a_decision": whole.usd_a_decision}
        screen.emit({"days": days, **msgspec.to_builtins(whole), **of_all, "models": listed, "alerts": alerts})
    else:
        _tell(whole, alerts, screen)
    return Exit.NEGATIVE if alerts else Exit.DONE


def _bounds(given: Sequence[str] | None) -> dict[str, float]:
    from stepladder.cli.pairs import numbers, pairs
    from stepladder.errors import InputError

    known = (*OF_MODELS, *OF_ALL)
    if unknown := [name for name in pairs(given, "--alert") if name not in known]:
        raise InputError("--alert", unknown[0], repr(unknown[0]), f"one of {', '.join(known)}")
    return numbers(given, "--alert", "a number from 0, such as 0.05")


def _records(journal: Journal, since: float, workflow: str | None) -> Iterator[DecisionRecord]:
    from stepladder.cli.journals import EVERYTHING
    from stepladder.journal import entries_in
    from stepladder.orchestrator import decision_records

    for row in journal.rows(EVERYTHING, workflow=workflow):
        if row.started_at >= since:
            yield from decision_records(entries_in(journal.turns(row.run_id)))


def _alerts(whole: Service, bounds: dict[str, float]) -> Iterator[dict[str, Any]]:
    """What is above its bound: of each model, and of all together."""
    for name, most in bounds.items():
        seen = [("", OF_ALL[name](whole))] if name in OF_ALL else [(e.model, OF_MODELS[name](e)) for e in whole.models]
        yield from ({"model": model, "name": name, "found": n, "most": most} for model, n in seen if n > most)


def _tell(whole: Service, alerts: Sequence[dict[str, Any]], screen: Screen) -> None:
    from stepladder.cli.screen import clean, line
    from stepladder.cli.tables import plain_table
    from stepladder.cli.tell import cost, many

    right: dict[str, object] = {"justify": "right", "no_wrap": True}
    titles = ("sent", "answered", "50%", "95%", "99%", "again", "stood in", "cost")
    table = plain_table(("model", {"overflow": "fold"}), *((title, right) for title in titles))
    for each in whole.models:
        answered = f"{each.answered / each.sent:.1%}" if each.sent else ""
        took = [f"{value:.2f} s" if each.answered else "" for value in (each.p50_s, each.p95_s, each.p99_s)]
        counts = (str(each.retried or ""), str(each.stood_in or ""), cost(each.usd))
        table.add_row(clean(each.model), str(each.sent), answered, *took, *counts)
    if whole.models:
        screen.out.print(table)
    for each in whole.models:
        wrong = [f"{count} {code}" for code, count in each.failures.items()]
        wrong += [f"{each.passed_over} passed over"] if each.passed_over else []
        if wrong:
            screen.out.print(clean(f"failed     {each.model}: {', '.join(wrong)}"), soft_wrap=True)
        for cause in each.look_at:
            screen.out.print(clean(f"look at    {each.model}: {line(cause, 200)}"), style="yellow", soft_wrap=True)
    share = f" ({whole.fallback_share:.1%})" if whole.asked else ""
    why = "".join(f", {count} {cause}" for cause, count in whole.causes.items())
    asked = f"{whole.asked} asked a model, {whole.fallbacks} fell back on the rule{share}{why}"
    screen.out.print(f"decisions  {whole.decisions}: {asked}", soft_wrap=True)
    screen.out.print(f"cost       {cost(whole.usd_a_decision)} a decision, {cost(whole.usd)} in all", soft_wrap=True)
    for found in alerts:
        of = f"{found['model']}: " if found["model"] else ""
        said = f"alert      {of}{found['name']} is {found['found']:.3g}, more than {found['most']:g}"
        screen.out.print(clean(said), style="red", soft_wrap=True)
    if not whole.models:
        screen.out.print(f"no model was asked in {many(whole.decisions, 'decision')}", soft_wrap=True)
