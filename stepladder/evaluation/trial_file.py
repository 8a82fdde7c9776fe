"""Recorded trials in a file: JSON lines, one JSON list, or CSV.

    long    {"arm": "rules", "pair": "t-1", "success": true, "quality": 0.8, "time_s": 3.2, "usd": 0.01}
    wide    {"pair": "t-1", "a": {"success": true, ...}, "b": {"success": false, ...}}
    flat    {"pair": "t-1", "success_a": true, "success_b": false, ...}       (the columns of a CSV)

A row names at least one metric; a run of which nothing is known (null, or empty cells) is left out and counted. `pair`
names the input and makes the trial paired, `at` orders the runs, and `group` says which of them are no witnesses of
their own (the same user, or several trials of one task).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any, Final, Literal

from stepladder.errors import InputError
from stepladder.evaluation.trial import METRICS, Measured, Trial, paired, split, without

SIDES: Final = ("a", "b")
ALIASES: Final = {"time_s": ("time_s", "elapsed_s"), "usd": ("usd", "cost_usd")}
KEYS: Final = ("pair", "key", "id")
_FLAGS: Final[Mapping[Any, bool]] = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_EXPECTED: Final = "an `arm`, or both `a` and `b`, or columns such as success_a and success_b"


def read_trial(path: Path, a: str = "", b: str = "", design: Literal["", "paired", "split"] = "") -> Trial:
    """The trial that the file holds; of more than two arms those named `a` and `b`. It is paired where every row names
    its input, if `design` does not say.

    Raises:
        InputError: the file, the row and what is wrong with it.
    """
    arms: dict[str, list[Measured]] = {}
    for line, row in _rows(path):
        for arm, measured in _of_row(row, f"row {line}", str(path)):
            arms.setdefault(arm, []).append(measured)
    a, b = named_arms(list(arms), meant(a, arms), meant(b, arms), str(path))
    known = {arm: [each for each in arms[arm] if _says(each)] for arm in (a, b)}
    silent = {f"runs of {arm} that say nothing": len(arms[arm]) - len(known[arm]) for arm in (a, b)}
    arms = known
    named = [bool(each.key) for arm in (a, b) for each in arms[arm]]
    is_paired = all(named) if not design else design == "paired"
    if is_paired and not all(named):
        raise InputError(str(path), "", f"{named.count(False)} rows without a `pair`", "the input that each row is of")
    trial = (paired if is_paired else split)(a, b, arms[a], arms[b])
    for reason, count in silent.items():
        trial = without(trial, reason, count)
    return trial


def _says(run: Measured) -> bool:
    return any(getattr(run, metric) is not None for metric in METRICS)


def named_arms(there: list[str], a: str, b: str, what: str) -> tuple[str, str]:
    """The two arms that are meant: those named, else the only two there are. Raises InputError."""
    for name in (a, b):
        if name and name not in there:
            raise InputError(what, "", f"no arm {name!r}", f"one of: {', '.join(there) or 'none'}")
    left = [each for each in there if each not in (a, b)]
    if not (a and b) and len(there) != 2:
        listed = ", ".join(there) or "none"
        raise InputError(what, "", f"{len(there)} arms ({listed})", "two, or --a NAME and --b NAME")
    first = a or left.pop(0)
    return first, b or left.pop(0)


def meant(name: str, arms: Iterable[str]) -> str:
    """The arm whose name begins so, where only one does."""
    found = [each for each in arms if name and each.startswith(name)]
    return found[0] if len(found) == 1 and name not in arms else name


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    text = _read(path)
    if path.suffix == ".csv":
        yield from enumerate(csv.DictReader(StringIO(text)), 2)
        return
    try:
        listed = json.loads(text) if text.lstrip().startswith("[") else None
    except ValueError as error:
        raise InputError(str(path), "", str(error), "a JSON list of rows") from None
    lines = enumerate(listed if listed is not None else text.splitlines(), 1)
    for number, each in lines:
        if listed is None and not each.strip():
            continue
        row = each if listed is not None else _parsed(each, number, path)
        if not isinstance(row, dict):
            raise InputError(str(path), f"row {number}", f"a {type(row).__name__}", "a mapping")
        yield number, row


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(str(path), "", f"bytes that are not UTF-8 at {error.start}", "a text file in UTF-8") from None
    except OSError as error:
        raise InputError(str(path), "", (error.strerror or str(error)).lower(), "a file that can be read") from None


def _parsed(line: str, number: int, path: Path) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputError(str(path), f"row {number}", str(error), "one JSON mapping a line") from None


def _of_row(row: Mapping[str, Any], where: str, what: str) -> list[tuple[str, Measured]]:
    key = str(next((row[name] for name in KEYS if row.get(name) not in (None, "")), ""))
    if row.get("arm") not in (None, ""):
        return [(str(row["arm"]), _measured(row, key, where, what))]
    if all(isinstance(row.get(side), dict) for side in SIDES):
        sides = {side: row[side] for side in SIDES}
    else:
        names = [name for metric in METRICS for name in ALIASES.get(metric, (metric,))]
        sides = {side: {name: row[f"{name}_{side}"] for name in names if f"{name}_{side}" in row} for side in SIDES}
        if not all(sides.values()):
            raise InputError(what, where, ", ".join(map(str, row)) or "nothing", _EXPECTED)
    key = key or where
    group = {"group": _group(row)}
    return [(side, _measured({**group, **values}, key, where, what)) for side, values in sides.items()]


def _measured(row: Mapping[str, Any], key: str, where: str, what: str) -> Measured:
    said = {metric: _first(row, metric) for metric in METRICS}
    if not any(name in row for metric in METRICS for name in ALIASES.get(metric, (metric,))):
        raise InputError(what, where, "no metric", f"at least one of: {', '.join(METRICS)}")
    numbers = {metric: _number(said[metric], f"{where}, {metric}", what) for metric in METRICS[1:]}
    success = _flag(said["success"], f"{where}, success", what)
    at = _number(row.get("at"), f"{where}, at", what) or 0.0
    return Measured(key, success, at=at, group=_group(row), **numbers)


def _group(row: Mapping[str, Any]) -> str:
    return "" if row.get("group") in (None, "") else str(row["group"])


def _first(row: Mapping[str, Any], metric: str) -> Any:
    names = ALIASES.get(metric, (metric,))
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _flag(value: Any, where: str, what: str) -> bool | None:
    if value in (None, "") or isinstance(value, bool):
        return value if isinstance(value, bool) else None
    found = _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise InputError(what, where, repr(value), "true or false")
    return found


def _number(value: Any, where: str, what: str) -> float | None:
    if value in (None, ""):
        return None
    try:
        number = float(value) if not isinstance(value, bool) else float("nan")
    except (TypeError, ValueError):
        number = float("nan")
    if not isfinite(number):
        raise InputError(what, where, repr(value), "a number")
    return number
