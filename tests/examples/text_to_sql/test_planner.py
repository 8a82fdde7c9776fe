from __future__ import annotations

import ast
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from examples.text_to_sql.planner import plan, planner
from examples.text_to_sql.schema import Schema

MODULES = Path(__file__).parents[3] / "examples" / "text_to_sql"
NO_PLANNER = {"shop.py"}
GENERIC = {"id", "name", "price", "quantity"}


def ask(schema: Schema, question: str, *replies: str, error: str = "") -> dict[str, str]:
    return plan(question, replies, error, schema=schema)


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def test_a_vague_question_is_asked_back_with_what_this_database_can_measure(schemas: dict[str, Schema]) -> None:
    answer = ask(schemas["shop"], "best customers")
    assert answer["status"] == "needs_clarification"
    assert "revenue" in answer["question"]
    assert "number of orders" in answer["question"]


@pytest.mark.parametrize(
    ("reply", "measure"),
    [
        ("by revenue", "revenue"),
        ("yes", "revenue"),
        ("the first", "revenue"),
        ("by number of orders", "count"),
        ("number of orders please", "count"),
        ("orders", "count"),
        ("3", "count"),
    ],
)
def test_a_reply_settles_a_doubt(schemas: dict[str, Schema], reply: str, measure: str) -> None:
    answer = ask(schemas["shop"], "best customers", reply)
    assert answer["status"] == "answerable", answer
    assert f'AS "{measure}"' in answer["sql"]


def test_a_reply_may_say_more_than_was_asked(schemas: dict[str, Schema], shop: Path) -> None:
    answer = ask(schemas["shop"], "best 3 customers", "by revenue in 2022")
    assert answer["status"] == "answerable", answer
    assert "2022-01-01" in answer["sql"]
    assert len(rows(shop, answer["sql"])) == 3


def test_a_reply_that_settles_nothing_is_asked_again(schemas: dict[str, Schema]) -> None:
    answer = ask(schemas["shop"], "best customers", "whatever you like")
    assert answer["status"] == "needs_clarification"
    assert "whatever you like" in answer["question"]


def test_two_doubts_take_two_replies(schemas: dict[str, Schema]) -> None:
    first = ask(schemas["shop"], "revenue per country of Anna")
    second = ask(schemas["shop"], "revenue per country of Anna", "country of customers")
    third = ask(schemas["shop"], "revenue per country of Anna", "country of customers", "all of them")
    assert [first["status"], second["status"], third["status"]] == ["needs_clarification"] * 2 + ["answerable"]


def test_a_slip_of_the_pen_is_asked_about(schemas: dict[str, Schema]) -> None:
    answer = ask(schemas["shop"], "how many custmers are there")
    assert answer == {
        "status": "needs_clarification",
        "question": "I do not know 'custmers'. Do you mean 'customer'?",
    }
    assert ask(schemas["shop"], "how many custmers are there", "yes")["status"] == "answerable"


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("How is the weather in Berlin?", "weather"),
        ("How many customers like pizza?", "pizza"),
        ("Which products have the best margin?", "margin"),
        ("customers who unsubscribed", "unsubscribed"),
        ("forecast of revenue", "forecast"),
    ],
)
def test_what_it_does_not_know_is_named(schemas: dict[str, Schema], question: str, unknown: str) -> None:
    answer = ask(schemas["shop"], question)
    assert answer["status"] == "unanswerable", answer
    assert unknown in answer["reason"]


def test_rows_come_in_the_order_asked_for(schemas: dict[str, Schema], shop: Path) -> None:
    answer = ask(schemas["shop"], "products ordered by price descending")
    assert rows(shop, answer["sql"]) == rows(shop, "SELECT name, price FROM products ORDER BY price DESC")


def test_a_failed_plan_is_not_made_again(schemas: dict[str, Schema]) -> None:
    answer = ask(schemas["shop"], "How many customers?", error="the query took longer than 10 seconds")
    assert answer["status"] == "unanswerable"
    assert "10 seconds" in answer["reason"]


def test_a_missing_column_is_avoided(schemas: dict[str, Schema], shop: Path) -> None:
    failed = ask(schemas["shop"], "suppliers in Germany")
    assert '"company"' in failed["sql"]
    other = ask(schemas["shop"], "suppliers in Germany", error="no such column: suppliers.company")
    assert other["status"] == "answerable"
    assert "company" not in other["sql"]
    assert len(rows(shop, other["sql"])) == len(rows(shop, failed["sql"]))


def test_a_missing_table_makes_it_unanswerable(schemas: dict[str, Schema]) -> None:
    answer = ask(schemas["shop"], "How many customers?", error="no such table: customers")
    assert answer["status"] == "unanswerable"


def test_the_agent_reads_the_schema_itself_and_takes_missing_arguments(shop: Path) -> None:
    agent = planner(shop)
    assert agent(question="How many customers?")["status"] == "answerable"
    assert agent(question="How many customers?", clarifications=None, error=None)["status"] == "answerable"
    assert agent(question="best customers", clarifications="by revenue")["status"] == "answerable"


@pytest.mark.parametrize("question", ["", "   ", "?", "x" * 5_000, "\x00", "'", '"', "how many", "per", "top 5"])
def test_hardly_a_question(schemas: dict[str, Schema], question: str) -> None:
    assert ask(schemas["shop"], question)["status"] in ("unanswerable", "needs_clarification")


def test_text_of_a_question_is_only_ever_a_literal(schemas: dict[str, Schema], shop: Path) -> None:
    answer = ask(schemas["shop"], 'customers named "x\'); DROP TABLE customers; --"')
    assert answer["status"] == "answerable"
    assert rows(shop, answer["sql"]) == []
    assert len(rows(shop, "SELECT id FROM customers")) == 80


def test_no_name_of_the_shop_stands_in_the_planner(schemas: dict[str, Schema]) -> None:
    tables = schemas["shop"].tables
    names = {t.name for t in tables} | {c.name for t in tables for c in t.columns if "_" in c.name}
    for module in MODULES.rglob("*.py"):
        if module.name in NO_PLANNER:
            continue
        texts = {n.value for n in ast.walk(ast.parse(module.read_text())) if isinstance(n, ast.Constant)}
        assert not (names - GENERIC) & texts, module.name
