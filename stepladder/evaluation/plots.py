"""The Pareto plot of a tuning, caught against escalated: PNG, and one HTML file that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stepladder.errors import InputError
from stepladder.evaluation.asked import Point
from stepladder.evaluation.extras import needed


def pareto(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in both: fewer escalated and more caught; in order of their share."""
    best, front = -1.0, []
    for point in sorted(points, key=lambda each: (each.share, -each.recall)):
        if point.recall > best:
            best = point.recall
            front.append(point)
    return front


def write_plots(points: Sequence[Point], budget: float, failure_rate: float, stem: Path) -> tuple[Path, Path]:
    """Write STEM.png and STEM.html. The same points give the same pictures.

    Raises:
        InputError: a file cannot be written.
        StepladderError: matplotlib is not installed.
    """
    figure = _drawn(points, budget, failure_rate)
    png, html = stem.with_suffix(".png"), stem.with_suffix(".html")
    svg = io.StringIO()
    try:
        figure.savefig(png, dpi=120, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        html.write_text(_page(svg.getvalue(), points, budget), encoding="utf-8")
    except OSError as error:
        raise InputError("plot", str(stem), str(error.strerror or error).lower(), "a place to write to") from None
    return png, html


def _drawn(points: Sequence[Point], budget: float, failure_rate: float) -> Any:
    matplotlib = needed("matplotlib", "a plot")
    shape = needed("matplotlib.figure", "a plot")
    matplotlib.rcParams["svg.hashsalt"] = "stepladder"
    figure = shape.Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.add_subplot()
    front = pareto(points)
    axes.plot([0, max(failure_rate, 1e-9), 1], [0, 1, 1], color="#999999", linestyle=":", label="ceiling")
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linestyle="--", label="at random")
    axes.scatter([p.share for p in points], [p.recall for p in points], s=8, color="#9bb8d3", label="looked at")
    axes.plot(
        [p.share for p in front], [p.recall for p in front], color="#1f4e79", marker=".", label="best for its share"
    )
    axes.axvline(budget, color="#b03a2e", linewidth=1, label=f"budget {budget:.0%}")
    axes.set(xlabel="share of runs escalated", ylabel="share of failing runs caught", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="lower right")
    return figure


def _page(svg: str, points: Sequence[Point], budget: float) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(p.kind)}</td><td>{p.share:.1%}</td><td>{p.recall:.1%}</td><td>{p.precision:.1%}</td></tr>"
        for p in pareto(points)
    )
    drawing = svg[svg.index("<svg") :]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>stepladder tune</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
svg {{ max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd; }}
</style></head>
<body>
<h1>Caught against escalated</h1>
<p>Budget: {budget:.0%} of the runs. The table lists the settings that no other beats.</p>
{drawing}
<table><thead><tr><th>kind</th><th>escalated</th><th>caught</th><th>precision</th></tr></thead><tbody>
{rows}
</tbody></table>
</body></html>
"""
