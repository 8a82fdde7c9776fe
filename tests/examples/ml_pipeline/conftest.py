"""CSV files as people have them, made with fixed seeds."""

import csv
import random
from datetime import date, timedelta

import pytest

CITIES = ("Bonn", "Graz", "Lund", "Turin")


@pytest.fixture(scope="session")
def write_csv(tmp_path_factory):
    """Write rows to a CSV file of this name and return its path."""
    folder = tmp_path_factory.mktemp("data")

    def write(name, header, rows, encoding="utf-8", delimiter=","):
        path = folder / name
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=delimiter).writerows([header, *rows])
        return str(path)

    return write


@pytest.fixture(scope="session")
def shop_csv(write_csv):
    """Missing values in two spellings, from row 21 on; text columns; towns seen once; rows without a target."""
    chance, rows = random.Random(1), []
    for place in range(240):
        town, age = chance.choice(CITIES), chance.randint(18, 70)
        buys = age / 10 + 2 * (town in CITIES[:2]) + chance.gauss(0, 0.7) > 5.3
        gap = chance.choice(["", "NA"]) if chance.random() < 0.1 and place > 20 else None
        bought = "" if place % 40 == 39 else "yes" if buys else "no"
        rows.append([age if gap is None else gap, round(chance.gauss(30_000, 5_000), 1), town, bought])
    for row, town in zip(rows[-9:-1], ["Oslo", "Riga", "Brno", "Nice", "Metz", "Bari", "Cork", "Gent"], strict=True):
        row[2] = town
    return write_csv("shop.csv", ["age", "income", "town", "bought"], rows)


@pytest.fixture(scope="session")
def fraud_csv(write_csv):
    """Few of one class, two columns that name rows, one that repeats the target."""
    chance, rows = random.Random(2), []
    for place in range(400):
        amount, hour = chance.gauss(50, 20), chance.randint(0, 23)
        fraud = int(amount + 30 * (hour < 5) + chance.gauss(0, 8) > 98)
        customer = f"c{chance.randint(0, 10**9):09d}"
        rows.append([place + 1, customer, round(amount, 2), hour, "open" if fraud else "closed", fraud])
    return write_csv("fraud.csv", ["order_id", "customer", "amount", "hour", "case_state", "fraud"], rows)


@pytest.fixture(scope="session")
def rent_csv(write_csv):
    """A regression with dates, some of them missing, and a column that is empty."""
    chance, rows = random.Random(3), []
    for place in range(200):
        signed, size = date(2022, 1, 1) + timedelta(days=3 * place), chance.gauss(60, 20)
        rent = 300 + 9 * size + 1.2 * place + chance.gauss(0, 40)
        shown = "" if place % 23 == 22 else signed.isoformat()
        rows.append([shown, round(size, 1), chance.choice(["old", "new"]), "", round(rent, 2)])
    return write_csv("rent.csv", ["signed", "size", "building", "remarks", "rent"], rows)
