"""Write the CSV files beside this one, with fixed seeds: invented rows, free for any use.

    python examples/ml_pipeline/data/make.py

customers.csv   who leaves: gaps in two spellings from row 21 on, text columns, towns seen once, rows without a target
machines.csv    what breaks: dates with gaps, and two columns that tell nothing but together
coins.csv       what falls: nothing tells anything
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TOWNS = ("Bonn", "Graz", "Lund", "Turin")
RARE_TOWNS = ("Bari", "Brno", "Cork", "Gent", "Metz", "Nice", "Oslo", "Riga")

Row = list[Any]


def customers() -> Iterable[Row]:
    """240 customers; the older ones, and those of two towns, leave."""
    chance = random.Random(1)
    rows = [_customer(chance, place) for place in range(240)]
    for row, town in zip(rows[-9:-1], RARE_TOWNS, strict=True):
        row[2] = town
    return rows


def _customer(chance: random.Random, place: int) -> Row:
    age, town = chance.randint(18, 70), chance.choice(TOWNS)
    leaves = age / 10 + 2 * (town in TOWNS[:2]) + chance.gauss(0, 0.7) > 5.3
    unknown = place > 20 and chance.random() < 0.1
    shown = chance.choice(["", "NA"]) if unknown else age
    left = "" if place % 40 == 39 else "yes" if leaves else "no"
    return [shown, round(chance.gauss(30_000, 5_000), 1), town, left]


def machines() -> Iterable[Row]:
    """360 machines; one breaks that runs hot and fast, or cold and slow."""
    chance = random.Random(4)
    for place in range(360):
        heat, speed = chance.randint(20, 90), chance.randint(100, 900)
        odd = chance.random() < 0.03
        breaks = ((heat > 55) == (speed > 500)) != odd
        serviced = date(2023, 1, 2) + timedelta(days=chance.randint(0, 700))
        shown = "" if place % 23 == 22 else serviced.isoformat()
        yield [shown, heat, speed, chance.choice(["north", "south"]), int(breaks)]


def coins() -> Iterable[Row]:
    """200 throws."""
    chance = random.Random(5)
    for _ in range(200):
        yield [chance.randint(1, 50), round(chance.uniform(0.5, 2.5), 2), chance.choice(["heads", "tails"])]


FILES = {
    "customers.csv": (["age", "income", "town", "left"], customers),
    "machines.csv": (["serviced", "heat", "speed", "hall", "broken"], machines),
    "coins.csv": (["hand", "height", "side"], coins),
}


def write(folder: Path = HERE) -> None:
    """Write every file."""
    for name, (header, rows) in FILES.items():
        _write(folder / name, [header, *rows()])


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    write()
