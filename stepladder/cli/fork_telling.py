"""Forks for people, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from rich.text import Text

from stepladder.cli.screen import Screen, clean
from stepladder.cli.tables import plain_table
from stepladder.cli.tell import cost

if TYPE_CHECKING:
    from stepladder.evaluation.fork import Fork
    from stepladder.evaluation.fork_summary import ForkSummary

STYLES: Final = {"recorded": "dim", "recomputed": "", "live": "cyan", "unknown": "yellow"}


def tell_fork(found: Fork, screen: Screen) -> None:
    """Each decision of a fork, what it rests on, and where it ends."""
    if screen.json:
        screen.emit(msgspec.to_builtins(found))
        return
    heads = ("step", "decision", "by", "rests on", "was")
    table = plain_table(("#", {"justify": "right"}), *((head, {}) for head in heads))
    for each in found.steps:
        chosen = clean(f"{each.action} -> {each.to}") if each.action else ""
        style = "bold" if each.n == found.differs else STYLES[each.label]
        was = "" if chosen == each.was or each.label == "recorded" else clean(each.was)
        rests = Text(each.label, STYLES[each.label])
        table.add_row(str(each.n), clean(each.step), Text(chosen, style), each.source, rests, was)
    screen.out.print(table)
    end = f"ends in {clean(found.end)}" if found.end else f"is not known further: {clean(found.missing)}"
    same = "goes the same way so far" if found.missing else "goes the same way"
    differs = f"differs from decision {found.differs} on" if found.differs else same
    asked = f"{found.asked} questions to models, {found.was_asked} on record" + _spent(found.usd)
    style = "green" if found.end else "yellow"
    screen.out.print(f"{clean(found.run_id)} {differs}, {end}; {asked}", style=style, soft_wrap=True)


def _spent(usd: float) -> str:
    return f", {cost(usd)} now" if usd else ""


def tell_forks(found: ForkSummary | None, screen: Screen) -> None:
    """What the forks of many runs come to."""
    if screen.json:
        screen.emit(msgspec.to_builtins(found))
        return
    if found is None:
        screen.out.print("no run has that decision", style="yellow")
        return
    low, high = found.changed_interval
    changed = f"{found.changed} go another way" + (f", {found.unclear} may" if found.unclear else "")
    lines = [
        f"{found.runs} runs: {changed} ({low:.1%} to {high:.1%}), {found.known} get to an end",
        f"success    {found.was_success:.1%} on record; from {found.success.low:.1%} to {found.success.high:.1%} now",
    ]
    for each in (found.ends, found.asked):
        if each is not None:
            apart = f"{each.difference:+.3g} ({each.low:+.3g} to {each.high:+.3g}, p {each.p:.2g})"
            lines.append(f"{each.metric:<10} {apart} over {each.n_a} runs of which both are known")
    lines.append(
        "decisions  " + ", ".join(f"{count} {label}" for label, count in found.labels.items()) + _spent(found.usd)
    )
    lines += [f"changes    {count} x {clean(where)}" for where, count in found.first.items()]
    for line in lines:
        screen.out.print(line, soft_wrap=True)
