"""The figures that stepladder has to reach: each with its floor and its goal, and where it is measured."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from probe import Figures


@dataclass(frozen=True)
class Measured:
    """The repetitions of one measurement."""

    repetitions: list[Figures]

    @property
    def present(self) -> bool:
        """Whether there is anything to see."""
        return bool(self.repetitions) and all("absent" not in each for each in self.repetitions)

    @property
    def why(self) -> str:
        """Why not."""
        return next((str(each["absent"]) for each in self.repetitions if "absent" in each), "")

    def all(self, name: str) -> list[float]:
        """This figure of every repetition that has it."""
        return [each[name] for each in self.repetitions if each.get(name) is not None]

    def median(self, name: str) -> float:
        """The median of a figure that is there."""
        return statistics.median(self.all(name))

    def middle(self, name: str) -> float | None:
        """The median, or None."""
        return self.median(name) if self.all(name) else None

    def said(self, name: str) -> str:
        """A word that all repetitions have in common."""
        return str(self.repetitions[0].get(name, ""))


class Reached(StrEnum):
    """How far a figure has come."""

    GOAL = "goal reached"
    FLOOR = "floor reached"
    NEITHER = "not reached"
    ABSENT = "absent"


@dataclass(frozen=True)
class Row:
    """What was measured of a figure, against its bounds."""

    what: str
    reached: Reached
    values: list[float]
    floor: float | None = None
    goal: float | None = None
    """None as long as what a sync takes is not known."""


@dataclass(frozen=True)
class Figure:
    """A figure with its bounds. `key` and `name` say where it is measured; see `durable.Case.key` and `probe`.

    A bound may depend on what a sync of this disk takes, in microseconds.
    """

    what: str
    key: str
    name: str
    floor: float | Callable[[float], float]
    goal: float | Callable[[float], float]
    less: bool = False
    """Whether less is better."""

    def row(self, measured: dict[str, Measured]) -> Row:
        """What was measured of it, against its bounds."""
        found = measured.get(self.key, Measured([]))
        values = found.all(self.name)
        if not values:
            bounds = (None if callable(bound) else bound for bound in (self.floor, self.goal))
            return Row(self.what, Reached.ABSENT, [], *bounds)
        sync = found.median("sync")
        floor, goal = (bound(sync) if callable(bound) else bound for bound in (self.floor, self.goal))
        return Row(self.what, self._reached(statistics.median(values), floor, goal), values, floor, goal)

    def _reached(self, value: float, floor: float, goal: float) -> Reached:
        sign = -1 if self.less else 1
        if sign * value >= sign * goal:
            return Reached.GOAL
        return Reached.FLOOR if sign * value >= sign * floor else Reached.NEITHER


FIGURES = (
    Figure(
        "one run, FULL: us a step (sync + 250; 1.5 x sync)",
        "ours steps full 1",
        "p50",
        lambda sync: sync + 250,
        lambda sync: 1.5 * sync,
        less=True,
    ),
    Figure("one run, FULL: syncs a step (10 steps, 11 turns)", "ours steps full 1", "syncs", 1.12, 1.1, less=True),
    Figure("64 runs in flight, FULL: steps/s", "ours steps full 64", "rate", 15_000, 50_000),
    Figure("256 runs in flight, FULL: steps/s", "ours steps full 256", "rate", 15_000, 50_000),
    Figure("1,000 runs in flight, FULL: steps/s", "ours steps full 1000", "rate", 15_000, 50_000),
    Figure("one run, NORMAL, a commit a step: steps/s", "ours steps normal 1", "rate", 10_000, 25_000),
    Figure("bytes kept a step, decision record included", "ours steps full 64", "kept", 600, 300, less=True),
    Figure("1,000 runs at once: MB at most", "ours memory full 1000", "most", 80, 45, less=True),
    Figure("10,000 runs at once: MB at most", "ours memory full 10000", "most", 250, 150, less=True),
    Figure("Postgres, 64 runs in flight: steps/s", "ours steps postgres 64", "rate", 3_000, 20_000),
    Figure("decided again from the journal: decisions/s", "ours again full 1", "rate", 25_000, 100_000),
    Figure("signals and clauses over columns: decisions/s", "ours columns full 1", "rate", 250_000, 5_000_000),
)
