"""The data of the pipeline: scikit-learn's bundled sets by name, or a CSV file by path; this example's own by name.

Both become a `Table`: text cells and numbers by column, None where a value is missing.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Cell = str | float | None

BUNDLED = ("iris", "wine", "breast_cancer", "digits", "diabetes")
BUNDLED_TARGET = "target"
MISSING_MARKERS = ("", "na", "n/a", "nan", "none", "null", "?")
DELIMITERS = (",", ";", "\t", "|")
OWN = Path(__file__).parent / "data"


def csv_path(dataset: str) -> Path:
    """Where a CSV file is: where its name says, else in `data` beside this module."""
    own = OWN / dataset
    return own if not Path(dataset).exists() and own.is_file() else Path(dataset)


class DatasetError(ValueError):
    """The data cannot be used; asking again will not help until the data or the request changes.

    Fields: `dataset` (name or path), `column` or None, `found`, `expected`.
    """

    def __init__(self, dataset: str, *, found: str, expected: str, column: str | None = None) -> None:
        where = f"{dataset}, column {column!r}" if column is not None else dataset
        super().__init__(f"{where}: found {found}, expected {expected}")
        self.dataset, self.column, self.found, self.expected = dataset, column, found, expected


@dataclass(frozen=True)
class Table:
    """Columns of equal length, in their order; `target` names one of them, or is not chosen yet."""

    dataset: str
    source: str
    columns: Mapping[str, tuple[Cell, ...]]
    target: str | None

    @property
    def rows(self) -> int:
        """How many rows the columns have."""
        return len(next(iter(self.columns.values()), ()))


def load(dataset: str, target: str | None = None, *, rows: int | None = None) -> Table:
    """Read a bundled set or a CSV file, at most the first `rows` rows; raises DatasetError."""
    table = _bundled(dataset) if dataset in BUNDLED else _read_csv(dataset, target, rows)
    target = target or table.target
    if target is not None and target not in table.columns:
        raise DatasetError(dataset, column=target, found="no such column", expected=_one_of(table.columns))
    if dataset in BUNDLED and target != BUNDLED_TARGET:
        raise DatasetError(dataset, column=target, found="a feature", expected=f"the target, {BUNDLED_TARGET!r}")
    head = {name: cells[:rows] for name, cells in table.columns.items()}
    return Table(table.dataset, table.source, head, target)


def number(text: str) -> float | None:
    """Read a finite number written the ordinary way, else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def is_missing(text: str) -> bool:
    """Tell whether a CSV cell stands for no value."""
    return text.strip().lower() in MISSING_MARKERS


def delimiter_of(path: str) -> str:
    """Say which delimiter the header line uses most, a comma if it uses none; raises DatasetError."""
    try:
        with csv_path(path).open(encoding="utf-8-sig", newline="") as file:
            return _delimiter(file.readline())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def _one_of(names: Any) -> str:
    return "one of " + ", ".join(repr(name) for name in names)


@cache
def _bundled(name: str) -> Table:
    bunch = getattr(import_module("sklearn.datasets"), f"load_{name}")()
    columns: dict[str, tuple[Cell, ...]] = {
        str(label): tuple(map(float, cells)) for label, cells in zip(bunch.feature_names, bunch.data.T, strict=True)
    }
    columns[BUNDLED_TARGET] = tuple(_labels(bunch))
    return Table(name, "bundled", columns, BUNDLED_TARGET)


def _labels(bunch: Any) -> Iterator[Cell]:
    if "target_names" not in bunch:
        return (float(value) for value in bunch.target)
    return (str(bunch.target_names[value]) for value in bunch.target)


def _read_csv(path: str, target: str | None, rows: int | None) -> Table:
    try:
        with csv_path(path).open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            lines = (line for line in csv.reader(file, delimiter=delimiter) if line)
            header = _header(path, next(lines, []))
            records = list(_records(path, header, islice(lines, rows)))
    except (OSError, TypeError, ValueError, csv.Error) as error:
        if isinstance(error, DatasetError):
            raise
        raise _unreadable(path, error) from error
    if not records:
        raise DatasetError(path, found="no rows below the header", expected="at least one row")
    columns = {name: _typed(cells) for name, cells in zip(header, zip(*records, strict=True), strict=True)}
    return Table(path, "csv", columns, target)


def _unreadable(path: str, error: Exception) -> DatasetError:
    found = (isinstance(error, OSError) and error.strerror) or str(error)
    return DatasetError(path, found=found, expected=f"a readable CSV file in UTF-8, or {_one_of(BUNDLED)}")


def _header(path: str, names: Sequence[str]) -> Sequence[str]:
    if not names:
        raise DatasetError(path, found="an empty file", expected="a header line with the column names")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DatasetError(path, column=name, found=f"the name {times} times", expected="each column name once")
    if any(not name.strip() for name in names):
        raise DatasetError(path, column="", found="a column without a name", expected="a name for every column")
    return names


def _records(path: str, header: Sequence[str], lines: Iterator[list[str]]) -> Iterator[list[str]]:
    for place, cells in enumerate(lines, start=1):
        if len(cells) != len(header):
            raise DatasetError(path, found=f"{len(cells)} cells in row {place}", expected=f"{len(header)}")
        yield cells


def _typed(cells: Sequence[str]) -> tuple[Cell, ...]:
    """Numbers if every present cell is one, else text."""
    present = [None if is_missing(cell) else cell.strip() for cell in cells]
    numbers = [None if cell is None else number(cell) for cell in present]
    read = all(value is not None for value, cell in zip(numbers, present, strict=True) if cell is not None)
    return tuple(numbers) if read else tuple(present)
