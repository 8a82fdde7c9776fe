"""One measurement in a process of its own: `python benchmarks/probe.py REQUEST`, both ends JSON; see `Request`.

`durable.py` starts it, once for every figure and repetition.
"""

import asyncio
import importlib
import json
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

from disk import Asked, size
from load import Load, Place, Run, lap
from workload import EXPECTED, STEPS

Measure = Literal["steps", "memory", "again", "columns"]
Figures = dict[str, Any]
WARM_UP_RUNS = 3
AGAIN_RUNS = 1000
COLUMN_ROWS = 1_000_000


@dataclass(frozen=True)
class Request:
    """What to measure of which store. `path` is a file in a folder of its own, `url` a database for this alone."""

    measure: Measure
    store: str
    path: str
    url: str = ""
    synchronous: Literal["full", "normal"] = "full"
    flight: int = 1
    seconds: float = 2.0
    """How long new runs are begun."""

    @property
    def place(self) -> Place:
        """Where the store keeps its runs."""
        return Place(Path(self.path), self.url, self.synchronous, self.flight)


def main() -> None:
    print(json.dumps(measured(Request(**json.loads(sys.argv[1])))))


def measured(request: Request) -> Figures:
    """The figures, or {"absent": why}."""
    try:
        store = importlib.import_module(f"stores.{request.store}")
        if bool(request.url) > ("postgres" in store.BACKENDS):
            return {"absent": "keeps nothing in Postgres"}
        figures = MEASURES[request.measure](store, request)
    except ModuleNotFoundError as error:
        return {"absent": f"no module {error.name}"}
    return {**figures, "name": store.NAME, "version": version(store.DISTRIBUTION), "detail": store.DETAIL}


def steps(store: ModuleType, request: Request) -> Figures:
    """Steps a second, what a step takes (microseconds), what it asks of the disk, and the bytes that are kept of it."""
    empty = kept(request)
    figures, made = asyncio.run(_steps(store, request))
    return {**figures, "kept": (kept(request) - empty) / made}


async def _steps(store: ModuleType, request: Request) -> tuple[Figures, int]:
    async with store.opened(request.place, Load()) as run:
        for _ in range(WARM_UP_RUNS):
            await lap(run)
        before = Asked.so_far(request.url)
        began = perf_counter()
        each = [work(run, began + request.seconds) for _ in range(request.flight)]
        laps = [taken for worker in await asyncio.gather(*each) for taken in worker]
        wall_s = perf_counter() - began
        asked = Asked.so_far(request.url).since(before, len(laps))
    cuts = statistics.quantiles(laps, n=100)
    took = {"steps": len(laps), "rate": len(laps) / wall_s, "p50": cuts[49] * 1e6, "p99": cuts[98] * 1e6}
    return {**took, **asked}, len(laps) + WARM_UP_RUNS * STEPS


async def work(run: Run, until: float) -> list[float]:
    """One run after the other, at least one: the seconds of every step."""
    laps = await lap(run)
    while perf_counter() < until:
        laps += await lap(run)
    return laps


def kept(request: Request) -> int:
    """Bytes that the store keeps."""
    if not request.url:
        return size(Path(request.path))
    import psycopg

    with psycopg.connect(request.url) as db:
        row = db.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None, "a query of one row"
    return int(row[0])


def memory(store: ModuleType, request: Request) -> Figures:
    """Megabytes of the process (resident): before the runs, while all wait in an agent, and at most."""
    return asyncio.run(_memory(store, request))


async def _memory(store: ModuleType, request: Request) -> Figures:
    load = Load(gate="code")
    async with store.opened(request.place, load) as run:
        before = resident_mb()
        runs = [asyncio.create_task(run()) for _ in range(request.flight)]
        while load.waiting < request.flight:
            await asyncio.sleep(0.05)
            for task in runs:
                if task.done():
                    task.result()  # raises what went wrong
        waiting = resident_mb()
        load.let_go()
        for visited in await asyncio.gather(*runs):
            if visited != EXPECTED:
                raise AssertionError(f"visited {visited}, expected {EXPECTED}")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return {"before": before, "waiting": waiting, "most": most}


def resident_mb() -> float:
    import psutil

    return float(psutil.Process(os.getpid()).memory_info().rss) / 1e6


def again(store: ModuleType, request: Request) -> Figures:
    """Decisions a second, made again from the journal of 1,000 runs just written, reading it included."""
    from stepladder.app.definitions import Definitions
    from stepladder.app.reading import replay_run

    async def write() -> None:
        async with store.opened(Place(Path(request.path), synchronous="normal"), Load()) as run:
            await asyncio.gather(*(asyncio.create_task(lap(run)) for _ in range(AGAIN_RUNS)))

    asyncio.run(write())
    journal = store.journal_at(request.place)
    definitions = Definitions(journal)
    names = [row.run_id for row in journal.rows(AGAIN_RUNS)]
    began = perf_counter()
    found = [replay_run(journal, name, definitions=definitions) for name in names]
    took_s = perf_counter() - began
    journal.close()
    decisions = sum(each.decisions for each in found)
    if decisions != AGAIN_RUNS * STEPS or any(each.divergence for each in found):
        raise AssertionError(f"{decisions} decisions of {AGAIN_RUNS * STEPS}, or a divergence")
    return {"rate": decisions / took_s}


def columns(_store: ModuleType, _request: Request) -> Figures:
    """Decisions a second over recorded states as columns: signals and clauses; more of it in `columns.py`."""
    from columns import WITH_A_FLOOR, load, measured

    runs, _ = load(None)
    figures = measured(runs, SimpleNamespace(rows=COLUMN_ROWS, rounds=3))
    return {"rate": next(each.decisions_s for each in figures if each.what == WITH_A_FLOOR)}


MEASURES: dict[Measure, Callable[[ModuleType, Request], Figures]] = {
    "steps": steps,
    "memory": memory,
    "again": again,
    "columns": columns,
}

if __name__ == "__main__":
    main()
