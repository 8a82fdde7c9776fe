"""Trials, shadows and rollouts for people, and as JSON."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.text import Text

from stepladder.cli.exits import Exit
from stepladder.cli.screen import Screen, clean
from stepladder.cli.tables import plain_table
from stepladder.cli.tell import cost, many, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from stepladder.evaluation.contrasts import Contrast
    from stepladder.evaluation.rollout import Advice
    from stepladder.evaluation.shadow import ShadowReport
    from stepladder.evaluation.trial import Judged, Report

STANDING = {"met": "green", "not met": "red", "too few runs": "yellow", "not measured": "yellow"}
NOTHING = Text("-", "dim")


def tell_report(report: Report, screen: Screen) -> None:
    """The whole of a trial."""
    if screen.json:
        screen.emit(report_json(report))
        return
    arms = f"a {clean(report.a)} ({many(report.n_a, 'run')}), b {clean(report.b)} ({many(report.n_b, 'run')})"
    screen.out.print(f"{report.design} trial: {arms}", soft_wrap=True)
    for reason, count in report.left_out.items():
        screen.out.print(f"left out: {count} {clean(reason)}", style="dim", soft_wrap=True)
    screen.whole(_contrasts(report))
    for found in (*(each.contrast for each in report.judged if each.contrast), *report.beside):
        if "groups" in found.more:
            screen.out.print(_by_group(found), style="dim", soft_wrap=True)
    for each in report.judged:
        line = Text.assemble((each.standing, STANDING[each.standing]), f"  {each.criterion}: {each.because}")
        screen.out.print(line.append(_planned(each), "dim"), soft_wrap=True)
    screen.out.print(Text(report.verdict, "bold green" if report.go else "bold red"))


def _by_group(found: Contrast) -> str:
    more = found.more
    apart = f"{more['low_by_group']:+.2g} to {more['high_by_group']:+.2g}"
    groups = f"runs of {more['groups']:.0f} groups, with each as one witness"
    return f"{found.metric}: {groups} p {more['p_by_group']:.2g} ({apart})"


def _planned(each: Judged) -> str:
    if each.criterion.gain is None or each.contrast is None:
        return ""
    effects = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in each.contrast.effects.items())
    if each.needed is None and each.power is None:
        return f"  [{effects}]"
    needed = f"needs {each.needed:,} runs an arm" if each.needed else "no number of runs shows it"
    power = "" if each.power is None else f", these show it with {each.power:.0%}"
    return f"  [{effects}; {needed}{power}]"


def _contrasts(report: Report) -> Table:
    right: dict[str, object] = {"justify": "right", "no_wrap": True}
    whole: dict[str, object] = {"no_wrap": True}
    apart = f"b - a ({1 - report.alpha:.0%} interval)"
    table = plain_table(
        ("metric", whole), ("a", right), ("b", right), (apart, whole), ("test", whole), ("p", right), ("Holm", right)
    )  # fmt: skip
    rows = [(each.contrast, each.p_adjusted) for each in report.judged if each.contrast]
    rows += [(each, None) for each in report.beside]
    for found, adjusted in rows:
        table.add_row(
            found.metric,
            *(f"{value:.1%}" if found.metric == "success" else f"{value:.3g}" for value in (found.a, found.b)),
            f"{found.difference:+.3g} ({found.low:+.2g} to {found.high:+.2g})",
            found.test,
            f"{found.p:.2g}",
            NOTHING if adjusted is None else f"{adjusted:.2g}",
        )
    return table


def tell_shadow(report: ShadowReport | None, advice: Advice, screen: Screen) -> Exit:
    """What the shadow says, and how far a rollout may go; NEGATIVE where nowhere."""
    code = Exit.DONE if advice.move == "advance" else Exit.NEGATIVE
    if screen.json:
        import msgspec

        screen.emit({"design": "shadow", "shadow": msgspec.to_builtins(report), "advice": msgspec.to_builtins(advice)})
        return code
    if report is not None:
        for line in _shadow_lines(report):
            screen.out.print(line, soft_wrap=True)
    tell_advice(advice, screen)
    return code


def _shadow_lines(report: ShadowReport) -> Iterable[str]:
    agreement, failing = report.agreement_interval, report.failing_interval
    yield f"shadow: {many(report.decisions, 'decision')} of {many(report.runs, 'run')} answered"
    yield f"agreement  {report.agreement:.1%} ({agreement.low:.1%} to {agreement.high:.1%})"
    yield f"failing    {report.failing:.1%} ({failing.low:.1%} to {failing.high:.1%})"
    if report.rule_success is not None and report.model_success is not None:
        low, high = report.model_success
        yield f"success    {report.rule_success:.1%} by the rules; by the model from {low:.1%} to {high:.1%}"
    yield f"an answer  {cost(report.usd)}, {seconds(report.latency_s)}"
    for way, count in list(report.differing.items())[:8]:
        yield f"differs    {count} x {clean(way)}"


def tell_advice(advice: Advice, screen: Screen) -> None:
    """How far a rollout may go."""
    style = {"advance": "green", "roll back": "bold red", "hold": "yellow", "done": "green"}[advice.move]
    way = f"{advice.share:.0%} -> {advice.to:.0%}" if advice.to != advice.share else f"{advice.share:.0%}"
    screen.out.print(Text.assemble((f"{advice.move} {way}", style), f"  {clean(advice.because)}"), soft_wrap=True)


def report_json(report: Report) -> dict[str, Any]:
    """A trial as plain JSON; what is infinite is text, since JSON has no number for it."""
    import msgspec

    judged = [
        {
            "criterion": str(each.criterion),
            "metric": each.criterion.metric,
            "standing": each.standing,
            "because": each.because,
            "p_adjusted": each.p_adjusted,
            "power": each.power,
            "needed": each.needed,
            "contrast": contrast_json(each.contrast) if each.contrast else None,
        }
        for each in report.judged
    ]
    told = {"verdict": report.verdict, "design": report.design, "a": report.a, "b": report.b}
    counts = {"n_a": report.n_a, "n_b": report.n_b, "alpha": report.alpha, "runs": report.runs}
    beside = [contrast_json(each) for each in report.beside]
    return {
        **told,
        **counts,
        "because": report.because,
        "criteria": judged,
        "beside": beside,
        "left_out": msgspec.to_builtins(report.left_out),
    }


def contrast_json(found: Contrast) -> dict[str, Any]:
    """A contrast as plain JSON."""
    import msgspec

    return {**_plain(msgspec.to_builtins(found)), "relative": _plain(found.relative)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return str(value) if isinstance(value, float) and not isfinite(value) else value
