"""A small shop in SQLite: the same file contents for the same seed, a few hundred rows, real foreign keys."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

TABLES = """
CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE suppliers (
    id INTEGER PRIMARY KEY, company TEXT NOT NULL UNIQUE, country TEXT NOT NULL);
CREATE TABLE products (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    category_id INTEGER NOT NULL REFERENCES categories (id),
    supplier_id INTEGER NOT NULL REFERENCES suppliers (id),
    price REAL NOT NULL, stock INTEGER NOT NULL, is_discontinued BOOLEAN NOT NULL);
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT,
    city TEXT NOT NULL, country TEXT NOT NULL, signed_up_on DATE NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id),
    ordered_on DATE NOT NULL, status TEXT NOT NULL);
CREATE TABLE order_items (
    id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL, unit_price REAL NOT NULL);
"""

PLACES = {
    "Germany": ("Berlin", "Hamburg", "Munich"),
    "France": ("Paris", "Lyon"),
    "Spain": ("Madrid", "Valencia"),
    "Italy": ("Rome", "Milan"),
    "Poland": ("Warsaw", "Krakow"),
    "Japan": ("Tokyo", "Osaka"),
}
FIRST_NAMES = ("Anna", "Bruno", "Carla", "David", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Klara", "Luis")
LAST_NAMES = ("Adler", "Bianchi", "Costa", "Dubois", "Engel", "Ferrari", "Garcia", "Hoffmann", "Ito", "Kowalski")
COMPANIES = (("Nordlicht", "Germany"), ("Atelier Sud", "France"), ("Hikari", "Japan"), ("Baltica", "Poland"))
GOODS = {
    "Electronics": ("Laptop", "Phone", "Headphones", "Camera", "Tablet"),
    "Toys": ("Wooden Train", "Puzzle", "Kite", "Teddy Bear"),
    "Garden": ("Rake", "Watering Can", "Lawn Mower", "Flower Pot"),
    "Kitchen": ("Teapot", "Frying Pan", "Chef Knife", "Mixing Bowl"),
    "Sports": ("Football", "Tennis Racket", "Yoga Mat"),
}
STATUSES = ("delivered", "delivered", "delivered", "shipped", "pending", "cancelled")
OPENED = date(2021, 1, 4)
DAYS_OPEN = 3 * 365


def build_shop(path: str | Path, seed: int = 7) -> Path:
    """Write the shop to `path`, replacing what was there, and return the path."""
    target = Path(path)
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target)) as database, database:
        database.executescript(TABLES)
        _fill(database, random.Random(seed))
    return target


def _fill(database: sqlite3.Connection, chance: random.Random) -> None:
    _insert(database, "categories", list(enumerate(GOODS, 1)))
    _insert(database, "suppliers", [(n, *company) for n, company in enumerate(COMPANIES, 1)])
    products = _products(chance)
    customers = _customers(chance)
    orders = _orders(chance, customers)
    _insert(database, "products", products)
    _insert(database, "customers", customers)
    _insert(database, "orders", orders)
    _insert(database, "order_items", _order_items(chance, orders, products))


def _insert(database: sqlite3.Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * len(rows[0]))
    database.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _products(chance: random.Random) -> list[tuple[object, ...]]:
    named = [(category, good) for category, goods in enumerate(GOODS.values(), 1) for good in goods]
    return [
        (n, good, category, chance.randint(1, len(COMPANIES)), _price(chance), chance.randint(0, 120), int(n % 7 == 0))
        for n, (category, good) in enumerate(named, 1)
    ]


def _price(chance: random.Random) -> float:
    return round(chance.uniform(4, 900), 2)


def _customers(chance: random.Random) -> list[tuple[object, ...]]:
    people = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES]
    chance.shuffle(people)
    return [_customer(chance, n, person) for n, person in enumerate(people[:80], 1)]


def _customer(chance: random.Random, number: int, person: str) -> tuple[object, ...]:
    country = chance.choice(list(PLACES))
    email = None if number % 9 == 0 else f"{person.lower().replace(' ', '.')}@example.org"
    return number, person, email, chance.choice(PLACES[country]), country, _day(chance)


def _day(chance: random.Random) -> str:
    return (OPENED + timedelta(days=chance.randrange(DAYS_OPEN))).isoformat()


def _orders(chance: random.Random, customers: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Every tenth customer never orders."""
    buyers = [customer[0] for customer in customers if int(str(customer[0])) % 10]
    return [(n, chance.choice(buyers), _day(chance), chance.choice(STATUSES)) for n in range(1, 251)]


def _order_items(
    chance: random.Random, orders: list[tuple[object, ...]], products: list[tuple[object, ...]]
) -> list[tuple[object, ...]]:
    chosen = [(order[0], product) for order in orders for product in chance.sample(products, chance.randint(1, 4))]
    return [(n, order, product[0], chance.randint(1, 5), product[4]) for n, (order, product) in enumerate(chosen, 1)]
