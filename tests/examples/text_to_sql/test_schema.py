from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from examples.text_to_sql.parser.words import name_words, root, singular, tokens
from examples.text_to_sql.schema import Schema, read_schema
from examples.text_to_sql.shop import build_shop


def keys(schema: Schema) -> set[str]:
    return {f"{key.table}.{key.column} -> {key.to_table}.{key.to_column}" for key in schema.keys}


def test_the_shop_is_the_same_every_time(tmp_path: Path) -> None:
    one, other = build_shop(tmp_path / "one.db"), build_shop(tmp_path / "other.db")
    with closing(sqlite3.connect(one)) as first, closing(sqlite3.connect(other)) as second:
        assert list(first.iterdump()) == list(second.iterdump())


def test_the_shop_keeps_its_foreign_keys(shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("SELECT COUNT(*) FROM order_items").fetchone()[0] > 400


def test_columns_have_kinds_and_values(schemas: dict[str, Schema]) -> None:
    customers = schemas["shop"].table("customers")
    kinds = {column.name: column.kind for column in customers.columns}
    assert kinds == {
        "id": "key",
        "name": "text",
        "email": "text",
        "city": "text",
        "country": "text",
        "signed_up_on": "date",
    }
    country = customers.column("country")
    assert country is not None
    assert "Germany" in country.values


def test_keys_are_implied_by_names_and_values(schemas: dict[str, Schema]) -> None:
    assert keys(schemas["school"]) == {
        "teachers.department_id -> departments.id",
        "courses.teacher_id -> teachers.id",
        "enrollments.student_id -> students.id",
        "enrollments.course_id -> courses.id",
    }


def test_a_name_alone_implies_no_key_when_values_disagree(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            "CREATE TABLE boats (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE trips (id INTEGER PRIMARY KEY, boat_id INTEGER);"
            "INSERT INTO boats VALUES (1, 'Sea'); INSERT INTO trips VALUES (1, 77);"
        )
    assert read_schema(path).keys == ()


def test_two_keys_to_one_table_are_both_there(schemas: dict[str, Schema]) -> None:
    found = keys(schemas["flights"])
    assert "flights.origin_airport_id -> airports.id" in found
    assert "flights.destination_airport_id -> airports.id" in found
    assert "flights.airline_code -> airlines.code" in found


def test_reading_changes_nothing(shop: Path) -> None:
    before = shop.read_bytes()
    read_schema(shop)
    assert shop.read_bytes() == before


def test_odd_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute('CREATE TABLE "select ""x""" ("group by" TEXT, "ünï" INTEGER, "" TEXT)')
    (table,) = read_schema(path).tables
    assert [column.name for column in table.columns] == ["group by", "ünï", ""]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("OrderItems", ("order", "item")),
        ("order_items", ("order", "item")),
        ("customerId", ("customer", "id")),
        ("HTTPStatus", ("http", "status")),
        ("people", ("person",)),
    ],
)
def test_name_words(name: str, words: tuple[str, ...]) -> None:
    assert name_words(name) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("enrolled", "enrollment"),
        ("hired", "hire"),
        ("departing", "departure"),
        ("shipped", "shipment"),
        ("sold", "sale"),
    ],
)
def test_relatives_share_a_root(one: str, other: str) -> None:
    assert root(singular(one)) == root(singular(other))


@pytest.mark.parametrize(("one", "other"), [("departure", "department"), ("state", "station"), ("country", "county")])
def test_strangers_do_not(one: str, other: str) -> None:
    assert root(one) != root(other)


def test_tokens() -> None:
    kinds = [
        (token.word, token.kind) for token in tokens("Show O'Brien's 1,200 \"Big Sky\" flights since 2023-05-01, A+!")
    ]
    assert kinds == [
        ("show", "word"),
        ("o'brien", "word"),
        ("1200", "number"),
        ("big sky", "quoted"),
        ("flight", "word"),
        ("since", "word"),
        ("2023-05-01", "date"),
        (",", "mark"),
        ("a+", "word"),
        ("!", "mark"),
    ]
