"""Decisions a second over columns: `python benchmarks/columns.py [--recordings DIR] [--rows N] [--json FILE]`.

Signals and classifiers over many recorded decisions at once, beside one decision at a time by the functions of a live
run. The decisions are drawn from recorded agent runs (`*.jsonl.gz` in DIR, one run a line), run by run with
replacement; without them from runs that are made up. Every figure is the median of the rounds; what both ways say is
compared first.
"""

import argparse
import gzip
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from stepladder.classifier import Classifier, classify
from stepladder.clauses import AnyOf, Facts
from stepladder.evaluation import (
    COUNTED,
    ROUTES,
    Column,
    Columns,
    Mask,
    Masks,
    Observed,
    classify_columns,
    count_columns,
)
from stepladder.signals import BUILTIN, Fold, Observation
from stepladder.values import digest

Run = list[Observation]

SAMPLE_ROWS = 20_000
"""How many decisions are made one at a time, and compared."""
SETTINGS = 200
FLOOR, GOAL = 250_000, 5_000_000
WITH_A_FLOOR = "columns: signals and clauses"
"""The figure that has a floor."""


@dataclass(frozen=True)
class Figure:
    """What was measured, in decisions a second, and how many times one at a time that is."""

    what: str
    decisions_s: float
    times_one: float | None = None


def main() -> None:
    options = read_options()
    console = Console(highlight=False)
    runs, source = load(options.recordings)
    console.print(f"{source}: {len(runs)} runs, {sum(map(len, runs))} observations; {options.rows} decisions drawn")
    figures = measured(runs, options)
    show(console, figures)
    if options.json:
        report = {"python": platform.python_version(), "numpy": np.__version__, "source": source, "rows": options.rows}
        told = {**report, "settings": SETTINGS, "figures": [asdict(each) for each in figures]}
        options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Decisions a second over columns, and one at a time.")
    parser.add_argument("--recordings", type=Path, metavar="DIR", help="recorded runs, *.jsonl.gz")
    parser.add_argument("--rows", type=int, default=1_000_000, help="decisions to draw (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each figure (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    return parser.parse_args()


# --- the decisions


def load(folder: Path | None) -> tuple[list[Run], str]:
    """The runs, and where they are from."""
    files = sorted(folder.glob("*.jsonl.gz")) if folder else []
    if not files:
        where = f"no recordings in {folder}" if folder else "no --recordings"
        random = Random(0)
        return [made_up(random) for _ in range(2_000)], f"{where}: skipped; made-up runs"
    runs = [
        recorded(json.loads(line)["steps"])
        for file in files
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    return [run for run in runs if run], f"recordings ({', '.join(file.name.partition('.')[0] for file in files)})"


def recorded(steps: list[dict[str, Any]]) -> Run:
    """What the tools of a recorded run returned, and what its user said."""
    return list(_recorded({step["i"]: step for step in steps}))


def _recorded(steps: dict[int, dict[str, Any]]) -> Iterator[Observation]:
    for step in steps.values():
        output = {"text": step["text_sha"], "length": step["text_len"]}
        if step["kind"] == "user_message":
            yield Observation("answer", step["agent"], "person", output=output)
        elif step["kind"] == "tool_result":
            asked = steps.get(step["ref"], step)
            call = digest(asked["agent"], asked["tool"], asked["args_sha"])
            returned = "failed" if step["is_error"] else "ok"
            yield Observation("result", asked["agent"], asked["tool"] or "", call, returned, output)


def made_up(random: Random) -> Run:
    """A run in which one call in five fails, and calls and results come again."""
    return [
        Observation(
            "answer" if random.random() < 0.1 else "result",
            f"step {random.randrange(3)}",
            "agent",
            f"call {random.randrange(9)}",
            "failed" if random.random() < 0.2 else "ok",
            {"text": f"result {random.randrange(12)}", "length": 8},
        )
        for _ in range(random.randrange(5, 40))
    ]


def drawn(seen: Observed, lengths: list[int], rows: int) -> Observed:
    """So many observations: whole runs, drawn with replacement."""
    begins, sizes = np.cumsum([0, *lengths[:-1]]), np.array(lengths)
    picked = np.random.default_rng(0).integers(0, len(lengths), size=2 * rows // int(sizes.mean()) + 1)
    first = np.repeat(np.cumsum(sizes[picked]) - sizes[picked], sizes[picked])[:rows]
    row = np.repeat(begins[picked], sizes[picked])[:rows] + np.arange(rows) - first
    taken = {name: getattr(seen, name)[row] for name in seen.__struct_fields__}
    return Observed(**{**taken, "first": first.astype(np.int32)})


# --- the settings


def setting(errors: int, streak: int, calls: int, results: int, cost: float) -> Classifier:
    """A classifier with these thresholds."""
    return Classifier(
        AnyOf({"failing": [f"error_count > {errors}"], "costly": [f"cost > {cost}", "consecutive_errors > 0"]}),
        AnyOf(
            {
                "row": [f"consecutive_errors > {streak}"],
                "calls": [f"repeated_calls >= {calls}"],
                "results": [f"repeated_results >= {results}"],
                "odd": ["unusual_patterns > 0"],
            }
        ),
    )


def settings() -> list[Classifier]:
    """Different ones; the threshold of `cost`, a number with as many values as rows, is another one in each."""
    random = Random(1)
    draw = random.randrange
    return [setting(draw(1, 9), draw(4), draw(2, 9), draw(2, 8), round(random.random(), 6)) for _ in range(SETTINGS)]


# --- measuring


def measured(runs: list[Run], options: Any) -> list[Figure]:
    """Every figure, one at a time first; `options` has the rows to draw and the rounds."""
    sample = sample_of(runs)
    kept, tried = Observed.of(runs), settings()
    seen = drawn(kept, list(map(len, runs)), options.rows)
    cost = np.random.default_rng(2).random(len(seen.first))
    failed = Mask.of(seen.is_result & ~seen.ok)

    def signals() -> Columns:
        fresh = Observed(**{name: getattr(seen, name) for name in seen.__struct_fields__})
        counted = count_columns(fresh, COUNTED)
        return Columns(counted.rows, {**counted.columns, "cost": cost_column})

    def swept(classifiers: list[Classifier]) -> list[int]:
        masks = Masks(columns)
        routes = [classify_columns(each, masks) for each in classifiers]
        return [((each.complex | each.hybrid) & failed).count() for each in routes]

    def per_s(rows: int, call: Callable[[], object]) -> float:
        return rows / median_s(call, options.rounds)

    cost_column = Column.of_array(cost)
    columns = signals()
    facts, cost_of = one_at_a_time(sample, cost), list(cost)
    agree(facts, sample, cost, tried)
    rows, size = options.rows, len(facts)
    folding = per_s(size, lambda: one_at_a_time(sample, cost_of))
    asking = per_s(size, lambda: [classify(tried[0], each) for each in facts])
    both = 1 / (1 / folding + 1 / asking)
    encoding = per_s(sum(map(len, runs)), lambda: Observed.of(runs))
    figures = [
        ("one at a time: 8 signals folded", folding, folding),
        ("one at a time: one setting", asking, asking),
        ("one at a time: signals and clauses", both, both),
        ("columns of observations, made from observations", encoding, None),
        ("columns: 8 signals over columns of observations", per_s(rows, signals), folding),
        ("columns: one setting, routes as codes", per_s(rows, lambda: routes_of(tried[0], columns)), asking),
        (WITH_A_FLOOR, per_s(rows, lambda: routes_of(tried[0], signals())), both),
        (f"columns: {SETTINGS} settings, with what they catch", per_s(rows * SETTINGS, lambda: swept(tried)), asking),
        ("columns: made from rows of facts", per_s(size, lambda: Columns.of(facts, columns.columns)), None),
    ]
    return [Figure(what, speed, speed / one if one else None) for what, speed, one in figures]


def routes_of(classifier: Classifier, columns: Columns) -> Any:
    return classify_columns(classifier, Masks(columns)).codes()


def sample_of(runs: list[Run]) -> list[Run]:
    """Enough runs for `SAMPLE_ROWS`, or all."""
    found, rows = list[Run](), 0
    for run in Random(3).sample(runs, len(runs)):
        if rows >= SAMPLE_ROWS:
            break
        found.append(run)
        rows += len(run)
    return found


def one_at_a_time(runs: list[Run], cost: Any) -> list[Facts]:
    """The signals after each observation, as a live run folds them."""
    fold, rows = Fold(BUILTIN[name] for name in COUNTED), list[Facts]()
    for run in runs:
        memory, broken = fold.start(), dict[str, str]()
        for each in run:
            memory, broken = fold.update(memory, broken, each)
            values, _ = fold.values(memory, broken)
            values["cost"] = cost[len(rows)]
            rows.append(values)
    return rows


def agree(facts: list[Facts], sample: list[Run], cost: Any, tried: list[Classifier]) -> None:
    """Raises AssertionError where columns say something else than one at a time, for the first and the last setting."""
    counted = count_columns(Observed.of(sample), COUNTED)
    columns = Columns(counted.rows, {**counted.columns, "cost": Column.of_array(cost[: counted.rows])})
    for each in (tried[0], tried[-1]):
        told = [ROUTES[code] for code in routes_of(each, columns)]
        assert told == [classify(each, {**row, "cost": float(row["cost"])})[0] for row in facts]


def median_s(call: Callable[[], object], rounds: int) -> float:
    """Seconds that a call takes."""
    call()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def show(console: Console, figures: list[Figure]) -> None:
    table = Table(title="Decisions a second", title_justify="left")
    table.add_column("what")
    table.add_column("decisions/s", justify="right", no_wrap=True)
    table.add_column("x one at a time", justify="right", no_wrap=True)
    for each in figures:
        times = "-" if each.times_one is None else f"{each.times_one:,.1f}"
        table.add_row(each.what, f"{each.decisions_s:,.0f}", times)
    console.print(table)
    speed = next(each.decisions_s for each in figures if each.what == WITH_A_FLOOR)
    met = "goal met" if speed >= GOAL else "floor met" if speed >= FLOOR else "floor missed"
    console.print(f"signals and clauses over columns: {met} (floor {FLOOR:,}, goal {GOAL:,})")


if __name__ == "__main__":
    main()
