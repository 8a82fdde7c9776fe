"""What is known about a data set, as plain facts: kinds, gaps, spreads, and the form of the target."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .datasets import Cell, Table, load

if TYPE_CHECKING:
    from collections.abc import Sequence

IMBALANCE = 0.3
"""Classes count as imbalanced if the smallest has less than this share of the largest."""

ID_NAME = re.compile(r"(?i:(?:^|[_\s-])(?:id|uuid|guid|key))$|[a-z](?:Id|ID)$")
FEW_CLASSES = 20


@dataclass(frozen=True)
class ColumnFacts:
    """One column; `kind` is numeric, categorical, date, id or empty, `spread` the deviation of a numeric one."""

    name: str
    kind: str
    missing_share: float
    distinct: int
    spread: float | None
    mirrors_target: bool


@dataclass(frozen=True)
class TargetFacts:
    """The target; `kind` is classification or regression, `rows` counts those that have a target."""

    name: str
    kind: str
    rows: int
    missing_share: float
    classes: dict[str, int]
    balance: float | None

    @property
    def imbalanced(self) -> bool:
        """Tell whether a majority could hide a minority."""
        return self.balance is not None and self.balance < IMBALANCE

    @property
    def can_stratify(self) -> bool:
        """Tell whether every class can be in both parts of a split."""
        return len(self.classes) > 1 and min(self.classes.values()) > 1


@dataclass(frozen=True)
class Facts:
    """A data set in facts; `columns` holds all of them, the target included."""

    dataset: str
    source: str
    rows: int
    columns: dict[str, ColumnFacts]
    target: TargetFacts | None


def profile(dataset: str, target: str | None = None, rows: int | None = None) -> dict[str, Any]:
    """Say what is known about a data set (its first `rows` rows, if given) as plain JSON; raises DatasetError."""
    facts = facts_of(dataset, target, rows)
    shares = [column.missing_share for column in facts.columns.values()]
    columns = [asdict(column) for column in facts.columns.values()]
    return {**asdict(facts), "columns": columns, "missing_share": round(statistics.fmean(shares), 4)}


def facts_of(dataset: str, target: str | None = None, rows: int | None = None) -> Facts:
    """`profile` as values with names; raises DatasetError."""
    table = load(dataset, target, rows=rows)
    columns = {name: _column_facts(name, cells, table) for name, cells in table.columns.items()}
    return Facts(dataset, table.source, table.rows, columns, _target_facts(table))


def _column_facts(name: str, cells: Sequence[Cell], table: Table) -> ColumnFacts:
    present = [cell for cell in cells if cell is not None]
    kind = column_kind(name, present)
    spread = statistics.pstdev(present) if kind == "numeric" else None  # type: ignore[type-var]
    return ColumnFacts(
        name=name,
        kind=kind,
        missing_share=_share(len(cells) - len(present), len(cells)),
        distinct=len(set(present)),
        spread=None if spread is None else round(float(spread), 6),
        mirrors_target=_mirrors(name, cells, table),
    )


def column_kind(name: str, present: Sequence[str | float]) -> str:
    """Name the kind of a column from its present values."""
    if not present:
        return "empty"
    if looks_like_id(name, present):
        return "id"
    if all(isinstance(value, float) for value in present):
        return "numeric"
    return "date" if all(_is_date(value) for value in present) else "categorical"


def looks_like_id(name: str, present: Sequence[str | float]) -> bool:
    """Tell whether values name rows: text that hardly repeats, whole numbers in a row, or a name that says so."""
    distinct = len(set(present)) / len(present)
    if _is_date(present[0]) or not _whole(present):
        return False
    if ID_NAME.search(name) and distinct >= 0.5:
        return True
    if len(present) < 10:
        return False
    return distinct >= 0.95 if isinstance(present[0], str) else _consecutive(present)


def _whole(present: Sequence[str | float]) -> bool:
    return all(isinstance(value, str) or value.is_integer() for value in present)


def _consecutive(present: Sequence[Any]) -> bool:
    return bool(len(set(present)) == len(present) == max(present) - min(present) + 1)


def _is_date(value: str | float) -> bool:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return isinstance(value, str)


def _mirrors(name: str, cells: Sequence[Cell], table: Table) -> bool:
    """Tell whether a column says the target in other words: value for value, or by a straight line."""
    if table.target is None or name == table.target:
        return False
    target = table.columns[table.target]
    pairs = [(a, b) for a, b in zip(cells, target, strict=True) if a is not None and b is not None]
    if len(pairs) < 10:
        return False
    ours, theirs = zip(*pairs, strict=True)
    return _one_to_one(ours, theirs) or _straight_line(ours, theirs)


def _one_to_one(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    kinds = len(set(theirs))
    return 1 < kinds <= len(theirs) / 2 and len(set(ours)) == kinds == len(set(zip(ours, theirs, strict=True)))


def _straight_line(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    if isinstance(ours[0], str) or isinstance(theirs[0], str) or min(len(set(ours)), len(set(theirs))) < 3:
        return False
    try:
        return abs(statistics.correlation(ours, theirs)) > 0.99999
    except (statistics.StatisticsError, OverflowError):
        return False


def _target_facts(table: Table) -> TargetFacts | None:
    if table.target is None:
        return None
    cells = table.columns[table.target]
    present = [cell for cell in cells if cell is not None]
    kind = target_kind(present)
    classes = dict(sorted(Counter(map(_label, present)).items())) if kind == "classification" else {}
    balance = round(min(classes.values()) / max(classes.values()), 4) if classes else None
    missing = _share(len(cells) - len(present), len(cells))
    return TargetFacts(table.target, kind, len(present), missing, classes, balance)


def target_kind(present: Sequence[str | float]) -> str:
    """Classification for text and for few whole numbers that repeat, else regression."""
    if any(isinstance(value, str) for value in present):
        return "classification"
    distinct = len(set(present))
    few = distinct <= min(FEW_CLASSES, max(2, math.isqrt(len(present))))
    return "classification" if few and _whole(present) else "regression"


def _label(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
