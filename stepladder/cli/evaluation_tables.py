"""Evaluations as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stepladder.cli.screen import clean, line
from stepladder.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from stepladder.evaluation.evaluate import Group, Report
    from stepladder.evaluation.outcomes import Figure
    from stepladder.evaluation.ranking import Held

COLUMNS = (
    ("escalated", "escalated"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("recall_by_75", "by 75%"),
    ("false_escalations", "false"),
    ("complex_steps", "steps"),
    ("lift", "lift"),
    ("ceiling", "ceiling"),
)
NUMBER: dict[str, object] = {"justify": "right", "no_wrap": True}
NAME: dict[str, object] = {"overflow": "fold", "min_width": 14}


def told_json(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    import msgspec

    said: dict[str, Any] = msgspec.to_builtins(report)
    return said


def told_tables(report: Report, *, models: bool = False) -> Iterator[Table]:
    """The policy by group, the references, and the landmarks."""
    shown = ("all", "source", "domain") + (("family", "model") if models else ())
    first = report.evaluations[0]
    groups = [group for group in first.groups if group.by in shown and not _is_again(group, first.groups)]
    yield figures_table(f"{first.policy}, escalating what is {report.escalates}", [(g.name, g) for g in groups])
    whole = [(each.policy, each.groups[0]) for each in report.evaluations]
    yield figures_table("beside the policies that anybody would try first, over all runs", whole)
    marks = [group for group in groups if group.landmarks]
    if marks:
        yield landmarks_table(marks)
    if any(group.figures["near_label"].value is not None for group in groups):
        yield labels_table(report)


def _is_again(group: Group, groups: tuple[Group, ...]) -> bool:
    """A source that is all there is, or a domain that is all of its source."""
    same = [each for each in groups if each.figures["runs"] == group.figures["runs"] and each.by != group.by]
    order = ("all", "source", "domain", "family", "model")
    return any(
        order.index(each.by) < order.index(group.by) and (each.by == "all" or group.name.startswith(each.name))
        for each in same
    )


def figures_table(title: str, rows: list[tuple[str, Group]]) -> Table:
    """Figures with their intervals, a row for each group."""
    table = plain_table(
        ("runs of", NAME),
        ("runs", NUMBER),
        ("failed", NUMBER),
        *((name, NUMBER) for _, name in COLUMNS),
    )
    table.title, table.title_justify = line(title), "left"
    for name, group in rows:
        figures = group.figures
        counts = (str(figures["runs"].value), str(figures["failures"].value))
        table.add_row(clean(name), *counts, *(_cell(figures[key]) for key, _ in COLUMNS))
    return table


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return short(figure.value)
    return f"{short(figure.value)}\n{short(figure.low)}-{short(figure.high)}"


def short(value: float, digits: int = 2) -> str:
    """A share without the nought before its point."""
    told = f"{value:.{digits}f}"
    return told[1:] if told.startswith("0.") else told


def landmarks_table(groups: list[Group]) -> Table:
    """The area under the curve within model and family, after so many steps."""
    steps = sorted({mark.step for group in groups for mark in group.landmarks})
    table = plain_table(("AUROC after", NAME), *((f"{step} steps", NUMBER) for step in steps))
    table.title, table.title_justify = "telling failing runs from others of the same model and family", "left"
    for group in groups:
        by_step = {mark.step: mark.auroc for mark in group.landmarks}
        table.add_row(clean(group.name), *(_cell(by_step[step]) if step in by_step else "-" for step in steps))
    return table


def labels_table(report: Report) -> Table:
    """How often the first escalation is near the decisive error."""
    table = plain_table(("first escalation near the labelled step", {"overflow": "fold"}), ("share", NUMBER))
    for each in report.evaluations:
        for group in each.groups:
            if group.by == "source" and group.figures["near_label"].value is not None:
                table.add_row(f"{clean(each.policy)}, {clean(group.name)}", _cell(group.figures["near_label"]))
    for source, (share, step) in report.best_constant_step.items():
        table.add_row(f"always step {step}, the best one step with hindsight, {clean(source)}", f"{share:.2f}")
    return table


def held_table(held: Held) -> Table:
    """What was reached on held-out runs: mean and interval over the partitions."""
    keys = ("escalated", "precision", "recall", "recall_by_75", "lift")
    names = ("escalated", "precision", "recall", "by 75%", "lift")
    table = plain_table(("runs of", NAME), *((name, NUMBER) for name in names))
    table.title = f"held out: mean and interval of {held.partitions} partitions into {held.folds} folds by split key"
    table.title_justify = "left"
    for group, shares in held.groups.items():
        for figures in shares.values():
            cells = (_spread(figures[key].mean, figures[key].low, figures[key].high) for key in keys)
            table.add_row(clean(group), *cells)
    return table


def _spread(mean: float, low: float, high: float) -> str:
    return short(mean, 3) if low == high else f"{short(mean, 3)} {short(low)}-{short(high)}"
