"""Proposed and accepted rules, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from stepladder.cli.screen import Screen, clean
from stepladder.cli.tell import cost, many, moment, seconds

if TYPE_CHECKING:
    from stepladder.evaluation.accepted import Watched
    from stepladder.evaluation.minds import Change
    from stepladder.evaluation.mining import Proposal

STYLES: Final = {"promote": "green", "keep": "green", "wait": "yellow", "retire": "red"}


def tell_proposals(found: Sequence[Proposal], choices: int, measured: dict[str, Any] | None, screen: Screen) -> None:
    """Each rule with its evidence, and what all take over."""
    if not found:
        screen.out.print(f"no rule: {many(choices, 'choice')} of models say too little", style="yellow")
        return
    for each in found:
        screen.out.print(_rule(each), soft_wrap=True)
        for line in _evidence(each):
            screen.out.print(Text(f"    {line}", "dim"), soft_wrap=True)
    taken = sum(each.support for each in found)
    told = f"{many(len(found), 'rule')} take over {taken} of {choices} choices ({taken / choices:.1%})"
    screen.out.print(f"{told}, on the runs they were mined from", style="green", soft_wrap=True)
    if measured is not None:
        over, right = measured["taken_over"], measured["agreement"]
        line = f"out of fold, {measured['partitions']} partitions: {over['mean']:.1%} ({over['low']:.1%} to "
        line += (
            f"{over['high']:.1%}) taken over, agreement {right['mean']:.1%} ({right['low']:.1%} to {right['high']:.1%})"
        )
        screen.out.print(line, style="green", soft_wrap=True)


def tell_changes(changes: Sequence[Change], screen: Screen) -> None:
    """Where the model changed its mind, and what of before does not count."""
    for each in changes:
        clauses, where = ", ".join(map(clean, each.when)), f" in {clean(each.step)}" if each.step else ""
        told = f"when [{clauses}]{where} the model changed its mind on {moment(each.at)}: {clean(each.action)} in "
        told += (
            f"{each.before:.0%} of the runs before, {each.after:.0%} since; {many(each.choices, 'choice')} from before"
        )
        screen.out.print(Text(f"{told} {'does' if each.choices == 1 else 'do'} not count", "yellow"), soft_wrap=True)


def _rule(each: Proposal) -> Text:
    where = f" in {clean(each.step)}" if each.step else ""
    clauses = ", ".join(map(clean, each.when))
    behind = f"  (behind {', '.join(map(str, each.behind))})" if each.behind else ""
    number = (f"{each.number:>3} ", "bold")
    return Text.assemble(number, f"when [{clauses}] do ", (clean(each.action), "bold"), where, (behind, "dim"))


def _evidence(each: Proposal) -> list[str]:
    support = f"{many(each.support, 'choice')} of {many(each.runs, 'run')}"
    agrees = f"agrees in {each.agreement:.1%} of {each.held} held out, surely {each.lower:.1%} (p {each.p:.1g})"
    told = [f"{support}; {agrees}"]
    if each.drift is not None:
        newest, before, p = each.drift.newest, each.drift.before, each.drift.p
        told.append(f"agrees in {newest:.1%} of the newest quarter of runs, {before:.1%} of those before (p {p:.1g})")
    if each.success is not None and each.otherwise is not None:
        told.append(f"{each.success:.0%} of the runs it fired in ended well, {each.otherwise:.0%} of the others")
    if each.saves_usd or each.saves_s:
        told.append(f"the answers it replaces took {cost(each.saves_usd)}, {seconds(each.saves_s or 0.0)}")
    return told


def tell_python(found: Sequence[Proposal], routes: Mapping[int, Sequence[str]], screen: Screen) -> None:
    """The rules of a decision point that stands alone, as its source has them: in shadow at first."""
    from stepladder.evaluation.accepted import name_of

    screen.out.print("for the point's rules, first; without shadow=True they settle the routes:", style="dim")
    for each in found:
        said = {"when": list(each.when), "name": name_of(each), "settles": list(routes.get(each.number, ()))}
        because = f"a model chose so in {each.agreement:.0%} of {each.held} held-out decisions"
        told = ", ".join(f"{key}={value!r}" for key, value in {**said, "because": because, "shadow": True}.items())
        screen.out.print(Text(f"    rule({each.action!r}, {told}),"), soft_wrap=True)


def tell_watched(rules: Sequence[Watched], file: Path, written: bool, screen: Screen) -> None:
    """Accepted rules, and what becomes of them."""
    if not rules:
        screen.out.print(f"{clean(file)}: no mined rule", style="dim")
    for each in rules:
        state = "in shadow" if each.shadow else "settles"
        line = Text.assemble((f"{each.fate:<8}", STYLES[each.fate]), f"{clean(each.step)}.{each.name} {state}: ")
        screen.out.print(line.append(each.because), soft_wrap=True)
    if written:
        screen.out.print(f"wrote {clean(file)}", style="green", soft_wrap=True)
