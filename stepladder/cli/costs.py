"""The command that says what models have cost, and will: costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepladder.cli.commands import app
from stepladder.cli.exits import Exit
from stepladder.cli.options import DEFAULT_JOURNAL, JournalFile, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepladder.cli.screen import Screen
    from stepladder.journal import Journal
    from stepladder.money import Forecast, Ledger, Line
    from stepladder.money.spending import Spending
    from stepladder.verdicts import HitRate

PANEL = "Read the journal"
BY = "day|model|rung|point|run"


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n  stepladder costs\n  stepladder costs --by model --days 7\n"
    "  stepladder costs --by run --json\n  stepladder costs --reconcile 3f2a...=0.0021",
)
def costs(
    by: Annotated[str, typer.Option("--by", metavar=BY, help="Add calls up by this.")] = "day",
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How many UTC days back, today included.")] = 30,
    ahead: Annotated[int, typer.Option("--ahead", min=1, max=366, help="How many days the forecast is for.")] = 30,
    unknown: Annotated[
        bool,
        typer.Option("--unknown", metavar="", help="List the calls of which nobody knows whether they were billed."),
    ] = False,
    reconcile: Annotated[
        list[str] | None,
        typer.Option("--reconcile", metavar="ID=USD", help="What such a call really cost, by its bill; repeatable."),
    ] = None,
    journal: JournalFile = DEFAULT_JOURNAL,
    as_json: Json = False,
) -> Exit:
    """Say what models have cost by the ledger beside the journal, how often the cache had the answer, and a forecast.

    What may have been billed counts as spent until it is reconciled.
    """
    import time

    from stepladder.app.definitions import day_cap_usd
    from stepladder.cli.journals import opened
    from stepladder.cli.pairs import numbers
    from stepladder.cli.screen import Screen
    from stepladder.money import forecast
    from stepladder.money.amounts import day_of
    from stepladder.money.spending import in_all, spending

    now, aspect, amounts = time.time(), _aspect(by), numbers(reconcile, "--reconcile", "US dollars, such as 0.0021")
    since = now - days * 86_400
    with opened(journal) as found:
        settled, lines = _booked(found, amounts)
        rate, cap = _rate(found, since), day_cap_usd(found)
    ahead_of = forecast(lines, now, days=ahead, day_cap_usd=cap)
    shown = [line for line in lines if line.day > day_of(since)]
    listed, whole = spending(shown, aspect), in_all(shown)
    unsure = [_line(each) for each in shown if each.state in ("open", "unknown")]
    screen = Screen(json=as_json)
    if screen.json:
        told = {
            "by": aspect,
            "days": days,
            "spent": [_plain(each) for each in listed],
            "in_all": _plain(whole),
            "forecast": {**_plain(ahead_of), "day_cap_usd": cap},
            "cache": {"hits": rate.hits, "look_ups": rate.look_ups, "share": rate.share},
            "unknown": unsure,
            "reconciled": settled,
        }
        screen.emit(told)
        return Exit.DONE
    _tell(listed, whole, aspect, screen)
    _tell_forecast(ahead_of, cap, rate, screen)
    if unknown:
        _tell_unknown(unsure, screen)
    return Exit.DONE


def _aspect(by: str) -> Any:
    from stepladder.errors import InputError
    from stepladder.money.spending import ASPECTS

    if by not in ASPECTS:
        raise InputError("--by", "", repr(by), f"one of {', '.join(ASPECTS)}")
    return by


def _booked(journal: Journal, amounts: dict[str, float]) -> tuple[list[str], list[Line]]:
    """The calls that are reconciled now, and then every line of the ledger beside the journal."""
    from stepladder.errors import NoJournal
    from stepladder.money import open_ledger

    try:
        ledger = open_ledger(journal, create=False)
    except NoJournal:  # no call was ever booked
        return _reconciled(None, amounts), []
    try:
        return _reconciled(ledger, amounts), list(ledger.lines())
    finally:
        ledger.close()


def _reconciled(ledger: Ledger | None, amounts: dict[str, float]) -> list[str]:
    """Settle these calls, by their whole id or the beginning of one."""
    from stepladder.errors import InputError
    from stepladder.money import Settlement

    settled = []
    for name, amount in amounts.items():
        lines = [line for line in ledger.lines() if line.id.startswith(name)] if ledger and name else []
        if len(lines) != 1 or lines[0].state not in ("open", "unknown"):
            found = "no such call" if not lines else "several" if len(lines) > 1 else f"a call that is {lines[0].state}"
            raise InputError("--reconcile", name, found, "a call that `stepladder costs --unknown` lists")
        assert ledger is not None, "a line was found in it"
        line = lines[0]
        told = (line.input_tokens, line.output_tokens)
        ledger.write([Settlement(line.id, "paid", amount, False, *told, note="reconciled")])
        settled.append(line.id)
    return settled


def _rate(journal: Journal, since: float) -> HitRate:
    """How often the cache had the answer, and how often it was looked for, in the runs since then."""
    from stepladder.cli.journals import EVERYTHING
    from stepladder.journal import entries_in
    from stepladder.verdicts import HitRate, hit_rate

    rate = HitRate()
    for row in journal.rows(EVERYTHING):
        if row.started_at >= since:
            rate += hit_rate(entries_in(journal.turns(row.run_id)))
    return rate


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def _line(line: Line) -> dict[str, Any]:
    from stepladder.money import usd

    return {
        "id": line.id,
        "at": line.at,
        "run": line.run,
        "decision": line.decision,
        "model": line.model,
        "usd": usd(line.booked),
        "state": line.state,
    }


def _tell(listed: Sequence[Spending], whole: Spending, by: str, screen: Screen) -> None:
    from stepladder.cli.screen import clean
    from stepladder.cli.tables import plain_table
    from stepladder.cli.tell import cost, many

    right: dict[str, object] = {"justify": "right", "no_wrap": True}
    named: dict[str, object] = {"overflow": "fold"}
    table = plain_table((by, named), ("calls", right), ("tokens", right), ("cost", right), ("of it not sure", right))
    for each in (*listed, whole):
        unsure = each.unknown_usd + each.estimated_usd
        tokens = f"{each.input_tokens} + {each.output_tokens}"
        unpriced = f" + {each.unpriced} unpriced" if each.unpriced else ""
        table.add_row(
            clean(each.name), str(each.calls), tokens, cost(each.usd) + unpriced, cost(unsure) if unsure else ""
        )
    screen.out.print(table)
    if whole.overruns:
        text = f"{many(whole.overruns, 'call')} cost {cost(whole.over_usd)} more than their models were allowed"
        screen.out.print(f"{text}; a cap may be passed by so much", style="yellow", soft_wrap=True)


def _tell_forecast(found: Forecast, cap: float | None, rate: HitRate, screen: Screen) -> None:
    from stepladder.cli.tell import cost, many, moment

    between = f" ({cost(found.low_usd)} to {cost(found.high_usd)})" if found.from_days > 1 else ""
    screen.out.print(f"today      {cost(found.today_usd)} in all, as it goes", soft_wrap=True)
    screen.out.print(f"forecast   {cost(found.total_usd)} in {many(found.days, 'day')}{between}", soft_wrap=True)
    screen.out.print(f"           {found.method}", style="dim", soft_wrap=True)
    if found.cap_at is not None:
        said = f"the {cost(cap)} a day are reached at {moment(found.cap_at)} UTC if today goes on like this"
        screen.out.print(f"cap        {said}", style="yellow", soft_wrap=True)
    if rate.look_ups:
        said = f"{rate.hits} of {many(rate.look_ups, 'look-up')} found a verdict ({rate.share:.0%})"
        screen.out.print(f"cache      {said}", soft_wrap=True)


def _tell_unknown(lines: Sequence[dict[str, Any]], screen: Screen) -> None:
    from stepladder.cli.screen import clean
    from stepladder.cli.tell import cost, moment

    for each in lines:
        what = f"{each['run']}/{each['decision']}  {each['model']}  {cost(each['usd'])}"
        said = f"{each['id']}  {moment(each['at'])}  {what}"
        screen.out.print(clean(f"unknown    {said}"), soft_wrap=True)
