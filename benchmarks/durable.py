"""What a durable step costs: `python benchmarks/durable.py [--quick] [--postgres URL] [--json FILE]`.

The run of `workload.py`, kept: ours in its journal, our peers by their own persistence, beside what a sync of this disk
takes. See `stores/__init__.py` for what a store is, `probe.py` for what is measured, `disk.py` for how syncs and bytes
are counted, and `README.md` for how to read it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from disk import counting, sync_us
from floors import FIGURES, Measured, Reached
from probe import Figures, Request
from rich.console import Console
from rich.table import Table
from server import Database, NoServer, server

STORES = ("ours", "burr_store", "langgraph_store", "dbos_store")
MANY, VERY_MANY = 1_000, 10_000
WIDTH = 120
"""Columns that the tables need."""
MOST_S = 60.0
"""Seconds that a measurement may take."""


@dataclass(frozen=True)
class Case:
    """What is measured of a store, some times over."""

    request: Request
    postgres: bool = False

    @property
    def key(self) -> str:
        """Its name in the figures."""
        what, of = self.request, "postgres" if self.postgres else self.request.synchronous
        return f"{what.store} {what.measure} {of} {what.flight}"


def main() -> None:
    options = read_options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder, prefix=".bench-")))
        folder.chmod(0o755)  # Postgres runs as another user
        database, missing = None, ""
        try:
            database = stack.enter_context(server(folder, options.postgres))
        except NoServer as why:
            missing = str(why)
        measured = measure(cases(quick=options.quick, postgres=database is not None), options, folder, database)
    show(measured, options, missing)
    if options.json:
        options.json.write_text(json.dumps(report(measured, options, missing), indent=2) + "\n", encoding="utf-8")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a durable step costs, ours and our peers'.")
    parser.add_argument("--rounds", type=int, default=0, help="repetitions, all in turn (default: 3, quick: 2)")
    parser.add_argument("--quick", action="store_true", help="two short rounds, and less memory")
    parser.add_argument("--postgres", default="", metavar="URL", help="a server to use (default: one is started)")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="on the disk to measure (default: here)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 3)
    return options


def cases(*, quick: bool, postgres: bool) -> list[list[Case]]:
    """What each round measures; the first round has everything, memory takes no more than two."""
    seconds = 1.0 if quick else 3.0
    steps = [Case(Request("steps", store, "", seconds=seconds, flight=n)) for store in STORES for n in (1, 64)]
    steps += [Case(Request("steps", "ours", "", seconds=seconds, flight=n)) for n in (256, MANY)]
    steps += [Case(Request("steps", "ours", "", "", "normal", n, seconds)) for n in (1, 64)]
    if postgres:
        steps += [Case(Request("steps", store, "", seconds=seconds, flight=64), postgres=True) for store in STORES]
    steps += [Case(Request("again", "ours", "")), Case(Request("columns", "ours", ""))]
    memory = [Case(Request("memory", store, "", flight=MANY)) for store in STORES]
    memory += [Case(Request("memory", "ours", "", flight=VERY_MANY))]
    peers = [Case(Request("memory", store, "", flight=VERY_MANY)) for store in STORES[1:] if not quick]
    return [steps + memory + peers, steps + memory, steps]


def measure(
    rounds: list[list[Case]], options: argparse.Namespace, folder: Path, database: Database | None
) -> dict[str, Measured]:
    """The figures of every case, by its key. What is absent is tried once."""
    counted = counting(folder)
    found: dict[str, list[Figures]] = {}
    status = Console(stderr=True).status("")
    with status:
        for number in range(options.rounds):
            for case in rounds[min(number, len(rounds) - 1)]:
                if any("absent" in figures for figures in found.get(case.key, ())):
                    continue
                status.update(f"round {number + 1} of {options.rounds}: {case.key}")
                figures = once(case, folder, counted, database)
                found.setdefault(case.key, []).append(figures)
    return {key: Measured(figures) for key, figures in found.items()}


def once(case: Case, folder: Path, counted: dict[str, str], database: Database | None) -> Figures:
    """The figures of one repetition, in a process of its own, on an empty store; with the disk's sync just before."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        url = database() if case.postgres and database is not None else ""
        request = replace(case.request, path=str(Path(place) / "runs.db"), url=url)
        sync, load = sync_us(folder), os.getloadavg()[0]
        try:
            done = subprocess.run(
                [sys.executable, Path(__file__).parent / "probe.py", json.dumps(asdict(request))],
                env={**os.environ, **(counted if request.measure == "steps" else {})},
                timeout=MOST_S + request.seconds,
                capture_output=True,
                text=True,
                check=True,
            )
        except subprocess.TimeoutExpired:
            return {"absent": f"more than {MOST_S:.0f} s"}
        except subprocess.CalledProcessError as error:
            return {"absent": (error.stderr.strip().splitlines() or ["it failed"])[-1]}
    return {**json.loads(done.stdout.splitlines()[-1]), "sync": sync, "load": load}


# --- showing


def show(measured: dict[str, Measured], options: argparse.Namespace, missing: str) -> None:
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(ours_table(measured))
    console.print(steps_table(measured))
    console.print(memory_table(measured))
    named = {figures.said("name"): figures.said("detail") for figures in measured.values() if figures.present}
    for name, detail in named.items():
        console.print(f"[dim]{name}: {detail}[/dim]")
    for key, figures in measured.items():
        if not figures.present:
            console.print(f"[yellow]absent: {key}: {figures.why}[/yellow]")
    if missing:
        console.print(f"[yellow]Postgres: {missing}[/yellow]")
    syncs, loads = every(measured, "sync"), every(measured, "load")
    console.print(
        f"A sync of this disk takes {statistics.median(syncs):.0f} us (middle of {len(syncs)}, {min(syncs):.0f} to "
        f"{max(syncs):.0f}); load {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} processors; "
        f"{options.rounds} rounds in turn, each figure the median."
    )


def ours_table(measured: dict[str, Measured]) -> Table:
    table = Table(title="stepladder's floors and goals", title_justify="left")
    table.add_column("figure", no_wrap=True)
    for column in ("measured", "from", "to", "floor", "goal", ""):
        table.add_column(column, justify="right", no_wrap=True)
    colours = {Reached.GOAL: "green", Reached.FLOOR: "green", Reached.NEITHER: "red", Reached.ABSENT: "yellow"}
    for figure in FIGURES:
        row = figure.row(measured)
        values = row.values or [None]
        shown = (statistics.median(row.values) if row.values else None, min(values), max(values), row.floor, row.goal)
        table.add_row(row.what, *map(cell, shown), f"[{colours[row.reached]}]{row.reached}[/]")
    return table


def steps_table(measured: dict[str, Measured]) -> Table:
    table = Table(title="A durable step, side by side", title_justify="left")
    table.add_column("store", no_wrap=True)
    columns = (
        "in\nflight",
        "steps/s",
        "p50\nus",
        "p99\nus",
        "syncs\na step",
        "written\na step",
        "kept\na step",
        "ours x",
    )
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for key, figures in measured.items():
        store, what, of, flight = key.split()
        if what != "steps":
            continue
        name = f"{figures.said('name') or store} {'Postgres' if of == 'postgres' else f'SQLite {of.upper()}'}"
        if not figures.present:
            table.add_row(f"{name} [yellow]absent[/yellow]", flight, *["-"] * 7)
            continue
        ours = measured.get(f"ours {what} {of} {flight}")
        ratio = ours.median("rate") / figures.median("rate") if ours is not None and ours.present else None
        values = (*(figures.middle(each) for each in ("rate", "p50", "p99", "syncs", "written", "kept")), ratio)
        table.add_row(f"{name} [dim]{figures.said('version')}[/dim]", flight, *map(cell, values))
    return table


def memory_table(measured: dict[str, Measured]) -> Table:
    table = Table(title="Memory (MB resident), all runs waiting in an agent at once", title_justify="left")
    table.add_column("store", no_wrap=True)
    for column in ("runs", "before", "waiting", "at most"):
        table.add_column(column, justify="right", no_wrap=True)
    for key, figures in measured.items():
        store, what, _, runs = key.split()
        if what == "memory":
            name = figures.said("name") or f"{store} [yellow]absent[/yellow]"
            table.add_row(name, runs, *(cell(figures.middle(each)) for each in ("before", "waiting", "most")))
    return table


def cell(value: float | None) -> str:
    """Three digits, or whole numbers from 100 on; a dash for what is not known."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def every(measured: dict[str, Measured], name: str) -> list[float]:
    return [each for figures in measured.values() for each in figures.all(name)] or [0.0]


def report(measured: dict[str, Measured], options: argparse.Namespace, missing: str) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "rounds": options.rounds,
        "sync_us": every(measured, "sync"),
        "load": every(measured, "load"),
        "figures": [asdict(figure.row(measured)) for figure in FIGURES],
        "measured": {key: figures.repetitions for key, figures in measured.items()},
        "postgres": missing or "measured",
    }


if __name__ == "__main__":
    main()
