"""Tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.cli.screen import clean, line
from stepladder.cli.tell import because, cost, moment, scripted, seconds, who

if TYPE_CHECKING:
    from stepladder.errors import Problem
    from stepladder.journal import RunRow
    from stepladder.orchestrator import DecisionRecord

STATUS = {"waiting": "yellow", "working": "cyan", "ended": ""}
WHOLE = 24
"""Names of actions up to this length are not folded."""
ROUTE = {"hybrid": "yellow", "complex": "red"}


def plain_table(*columns: tuple[str, dict[str, object]]) -> Table:
    """A table with a line under its head."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", show_edge=False)
    for title, how in columns:
        table.add_column(title, **how)  # type: ignore[arg-type]
    return table


def runs_table(rows: Sequence[RunRow]) -> Table:
    """The list of runs."""
    right: dict[str, object] = {"justify": "right", "no_wrap": True}
    whole: dict[str, object] = {"no_wrap": True}
    table = plain_table(
        ("run", {"overflow": "fold", "min_width": 8}),
        ("workflow", {"overflow": "fold"}),
        ("status", {}),
        ("decisions", right),
        ("cost", right),
        ("started (UTC)", whole),
    )
    for row in rows:
        table.add_row(
            Text(clean(row.run_id), "bold"),
            clean(row.workflow),
            _status(row),
            str(row.decisions),
            cost(row.usd),
            moment(row.started_at)[:-3],
        )
    return table


def _status(row: RunRow) -> Text:
    if row.status == "ended":
        end = Text(clean(row.end), "green" if row.success else "red")
        return end.append(" (pruned)", "dim") if row.pruned else end
    detail = f"{row.step}: {row.waiting}" if row.waiting else row.step
    return Text(f"{row.status} ({clean(detail)})", STATUS[row.status])


def decisions_table(records: Iterable[DecisionRecord]) -> Table:
    """The decisions of a run."""
    right: dict[str, object] = {"justify": "right", "no_wrap": True}
    fold: dict[str, object] = {"overflow": "fold"}
    records = tuple(records)
    longest = max((len(record.action) for record in records), default=0)
    whole: dict[str, object] = {"no_wrap": True} if longest <= WHOLE else fold
    table = plain_table(
        ("#", right),
        ("step", fold),
        ("decision", whole),
        ("by", fold),
        ("because", {"overflow": "fold", "ratio": 1}),
        ("took", right),
    )
    for record in records:
        settled, opened = record.settled, record.opened
        step = Text(opened.step)
        if opened.route != "standard":
            step.append(f" {opened.route}", ROUTE[opened.route])
        if settled is None:
            table.add_row(str(record.number), step, Text("open", "yellow"), "", "", "")
            continue
        by = Text(clean(who(settled, opened, scripted=scripted(record))), "magenta")
        if settled.fallback:
            by.append(" (fallback)", "yellow")
        took = seconds(record.latency_s) if record.latency_s >= 0.005 else ""
        price = f" {cost(record.cost_usd)}" if record.cost_usd else ""
        table.add_row(str(record.number), step, Text(settled.action, "bold"), by, because(settled), took + price)
    return table


def problems_lines(problems: Iterable[Problem]) -> Iterable[Text]:
    """Problems with files, one line each."""
    for problem in problems:
        bad = problem.level == "error"
        place = ":".join(str(part) for part in (problem.file, problem.line) if part)
        yield Text.assemble(
            (clean(place), "bold"),
            ": " if place else "",
            ("error" if bad else "warning", "bold red" if bad else "bold yellow"),
            f" {clean(problem.where) or 'top level'}: found {line(problem.found)}; expected {line(problem.expected)} ",
            (f"({problem.code})", "dim"),
        )
