"""What one step costs: `python benchmarks/decide.py [--runs N] [--rounds N] [--json FILE]`.

Microseconds a step for the run in `workload.py`, ours and our peers': one agent step that does nothing, about 1 KB of
state carried through it, and the decision which step comes next, in memory. See `peers/__init__.py` for what a peer is,
`timing.py` for how it is measured, and `README.md` for how to read it.
"""

import argparse
import importlib
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from timing import Batch, Spread, measure
from workload import EXPECTED, STEPS, finish, start


@dataclass(frozen=True)
class Peer:
    """A module in `peers/` and the distribution that it needs."""

    module: str
    distribution: str | None = None


OURS = Peer("ours", "stepladder")
PEERS = (
    OURS,
    Peer("ours_core", "stepladder"),
    Peer("plain"),
    Peer("transitions_peer", "transitions"),
    Peer("burr_peer", "burr"),
    Peer("pydantic_graph_peer", "pydantic-graph"),
    Peer("langgraph_peer", "langgraph"),
)


@dataclass(frozen=True)
class Contestant:
    """A peer that is ready to run."""

    peer: Peer
    name: str
    detail: str
    version: str
    run: Callable[[], list[str]]
    setup: Callable[[], object] | None


@dataclass(frozen=True)
class Absent:
    """A peer that cannot be measured, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Row:
    """What was measured of one contestant."""

    name: str
    detail: str
    version: str
    step_us: Spread
    setup_us: float | None
    """Microseconds a run that are no step: building an application, adding a model, entering the event loop."""
    step_without_setup_us: float
    times_ours: float | None
    """How many times our median; None as long as there is none of ours."""


class PathError(AssertionError):
    """A peer did not visit exactly the expected steps, so its time means nothing."""

    def __init__(self, name: str, visited: list[str]) -> None:
        self.name, self.visited = name, visited
        super().__init__(f"{name} visited {visited}, expected {EXPECTED}")


def main() -> None:
    options = read_options()
    loaded = [load(peer) for peer in PEERS]
    contestants = [one for one in loaded if isinstance(one, Contestant)]
    absent = [one for one in loaded if isinstance(one, Absent)]
    rows = compare(contestants, runs=options.runs, rounds=options.rounds)
    show(rows, absent, options)
    if options.json:
        options.json.write_text(json.dumps(report(rows, absent, options), indent=2) + "\n", encoding="utf-8")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Microseconds a step, ours and our peers'.")
    parser.add_argument("--runs", type=at_least(1), default=20, help="runs per peer and round (default: %(default)s)")
    parser.add_argument("--rounds", type=at_least(2), default=100, help="rounds, peers in turn (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    return parser.parse_args()


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return int(text)

    return number


def load(peer: Peer) -> Contestant | Absent:
    """The peer, ready to run; or its name and why not, so that a missing one is seen."""
    try:
        module = importlib.import_module(f"peers.{peer.module}")
    except ModuleNotFoundError as error:
        if peer.distribution is None or error.name != peer.distribution.replace("-", "_"):
            raise
        return Absent(peer.distribution, "not installed")
    try:
        run = module.make()
    except NotImplementedError as error:
        return Absent(module.NAME, str(error))
    make_setup = getattr(module, "make_setup", None)
    return Contestant(
        peer=peer,
        name=module.NAME,
        detail=module.DETAIL,
        version=version(peer.distribution) if peer.distribution else platform.python_version(),
        run=run,
        setup=make_setup() if make_setup else None,
    )


def compare(contestants: list[Contestant], *, runs: int, rounds: int) -> list[Row]:
    """One row per contestant, fastest first.

    Raises:
        PathError: if any run, timed or not, went another way than the workload says.
    """
    paths = {one.name: one.run for one in contestants}
    setups = {setup_key(one): one.setup for one in contestants if one.setup}

    def inspect(name: str, batch: Batch) -> None:
        if name in paths:
            for visited in batch:
                check_path(name, visited)

    for one in contestants:
        check_path(one.name, one.run())
    taken = measure({**paths, **setups}, runs=runs, rounds=rounds, inspect=inspect)
    medians = {one.peer: Spread.of(taken[one.name]).median / STEPS for one in contestants}
    rows = [summarise(one, taken, medians.get(OURS)) for one in contestants]
    return sorted(rows, key=lambda row: row.step_us.median)


def check_path(name: str, visited: list[str]) -> None:
    if visited != EXPECTED:
        raise PathError(name, visited)


def setup_key(one: Contestant) -> str:
    return f"{one.name}: set-up"


def summarise(one: Contestant, taken: dict[str, list[float]], ours_us: float | None) -> Row:
    step_us = Spread.of([run_us / STEPS for run_us in taken[one.name]])
    setup_us = Spread.of(taken[setup_key(one)]).median if one.setup else None
    return Row(
        name=one.name,
        detail=one.detail,
        version=one.version,
        step_us=step_us,
        setup_us=setup_us,
        step_without_setup_us=step_us.median - (setup_us or 0) / STEPS,
        times_ours=step_us.median / ours_us if ours_us else None,
    )


def show(rows: list[Row], absent: list[Absent], options: argparse.Namespace) -> None:
    table = Table(title="Microseconds a step, in memory", title_justify="left")
    table.add_column("peer")
    for column in ("a step", "middle\nhalf", "without\nset-up", "set-up\na run", "x ours"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(f"{row.name} [dim]{row.version}[/dim]", *figures(row))
    for one in absent:
        table.add_row(f"{one.name} [yellow]{one.why}[/yellow]", *["-"] * 5)
    console = Console(highlight=False)
    console.print(table)
    for row in rows:
        console.print(f"[dim]{row.name}: {row.detail}[/dim]")
    smallest, largest = state_bytes()
    console.print(
        f"{STEPS} steps a run, {options.runs} runs a round, {options.rounds} rounds in turn; {smallest} to {largest} "
        f"bytes of state; every run visited exactly the expected steps."
    )


def figures(row: Row) -> list[str]:
    return [
        f"{row.step_us.median:.1f}",
        f"{row.step_us.low:.1f}-{row.step_us.high:.1f}",
        f"{row.step_without_setup_us:.1f}",
        "-" if row.setup_us is None else f"{row.setup_us:.1f}",
        "-" if row.times_ours is None else f"{row.times_ours:.2f}",
    ]


def report(rows: list[Row], absent: list[Absent], options: argparse.Namespace) -> dict[str, Any]:
    return {
        "unit": "microseconds",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "steps_a_run": STEPS,
        "state_bytes": state_bytes(),
        "runs_a_round": options.runs,
        "rounds": options.rounds,
        "path": EXPECTED,
        "peers": [asdict(row) for row in rows],
        "absent": [asdict(one) for one in absent],
    }


def state_bytes() -> tuple[int, int]:
    """The state's size as JSON when a run starts, and when it ends."""
    return len(json.dumps(start()).encode()), len(json.dumps(finish()).encode())


if __name__ == "__main__":
    main()
