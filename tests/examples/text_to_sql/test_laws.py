"""What holds for every question, every SQL and every row."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.text_to_sql.executor import Limits, execute
from examples.text_to_sql.guard import one_query
from examples.text_to_sql.planner import plan
from examples.text_to_sql.responder import respond
from examples.text_to_sql.schema import Schema

FIELDS = {"answerable": "sql", "needs_clarification": "question", "unanswerable": "reason"}
WORDS = (
    "how", "many", "number", "of", "average", "total", "highest", "lowest", "most", "least", "top", "5", "3",
    "first", "last", "best", "per", "by", "each", "with", "without", "not", "no", "never", "or", "and", "more",
    "than", "less", "over", "under", "between", "2022", "100", "in", "from", "to", "of", "the", "which", "who",
    "what", "customers", "customer", "orders", "order", "products", "product", "categories", "price", "quantity",
    "revenue", "country", "city", "name", "status", "email", "Germany", "Toys", "Laptop", "delivered", "Anna",
    "shipped", "ordered", "bought", "sold", "signed", "expensive", "cheapest", "newest", "oldest", "descending",
    "sorted", "distinct", "2022-03-01", "March", "year", "month", "named", "starting", '"x"', ",", "?", "weather",
)  # fmt: skip
NAMES = ("shop", "music", "school", "flights", "hospital", "library")

questions = st.lists(st.sampled_from(WORDS), min_size=1, max_size=10).map(" ".join)
replies = st.lists(
    st.sampled_from(["yes", "no", "by revenue", "the second", "Anna Adler", "over 5", "x", "2022", ""]), max_size=3
)
lax = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def is_sound(answer: dict[str, Any]) -> bool:
    field = FIELDS[answer["status"]]
    return set(answer) == {"status", field} and isinstance(answer[field], str) and bool(answer[field])


def runs(database: Path, sql: str) -> bool:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.execute(f"EXPLAIN {sql}").fetchall()
    return not isinstance(one_query(sql), str)


@pytest.mark.parametrize("name", NAMES)
@settings(lax, max_examples=60)
@given(question=questions, said=replies)
def test_a_question_of_known_words_has_a_sound_plan_that_runs(
    databases: dict[str, Path], schemas: dict[str, Schema], name: str, question: str, said: list[str]
) -> None:
    answer = plan(question, said, schema=schemas[name])
    assert is_sound(answer)
    assert "sql" not in answer or runs(databases[name], answer["sql"])


@settings(lax, max_examples=150)
@given(
    question=st.text(max_size=60),
    said=st.lists(st.text(max_size=20), max_size=3),
    error=st.none() | st.text(max_size=20),
)
def test_any_text_has_a_sound_plan(
    databases: dict[str, Path], schemas: dict[str, Schema], question: str, said: list[str], error: str | None
) -> None:
    answer = plan(question, said, error, schema=schemas["shop"])
    assert is_sound(answer)
    assert "sql" not in answer or runs(databases["shop"], answer["sql"])


@settings(lax, max_examples=40)
@given(question=questions)
def test_planning_is_deterministic(schemas: dict[str, Schema], question: str) -> None:
    assert plan(question, schema=schemas["shop"]) == plan(question, schema=schemas["shop"])


SQL_WORDS = (
    "SELECT", "DELETE", "UPDATE", "INSERT", "INTO", "FROM", "WHERE", "ATTACH", "VACUUM", "PRAGMA", "WITH", "a",
    "AS", "(", ")", "*", ",", ";", "1", "'x'", "orders", "customers", "id", "=", "OR", "UNION", "DROP", "TABLE",
    "CREATE", "SET", "VALUES", "price", "--", "/*", "*/", "user_version", "journal_mode", "WAL", "randomblob(9)",
    "RETURNING", "BEGIN", "COMMIT",
)  # fmt: skip
sql_like = st.lists(st.sampled_from(SQL_WORDS), max_size=9).map(" ".join)


@settings(lax, max_examples=60)
@given(sql=sql_like | st.text(max_size=30) | sql_like.map(lambda tail: f"SELECT id FROM orders {tail}"))
def test_no_sql_changes_the_database(shop: Path, sql: str) -> None:
    before = hashlib.sha256(shop.read_bytes()).digest()
    files = sorted(path.name for path in shop.parent.iterdir())
    answer = asyncio.run(execute(sql, shop, Limits(seconds=2, rows=5)))
    assert isinstance(answer["success"], bool)
    assert ("rows" in answer) == answer["success"]
    assert ("error" in answer) != answer["success"]
    json.dumps(answer)
    assert hashlib.sha256(shop.read_bytes()).digest() == before
    assert sorted(path.name for path in shop.parent.iterdir()) == files


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60)


@settings(lax, max_examples=80)
@given(
    rows=st.integers(1, 3).flatmap(
        lambda n: st.lists(st.fixed_dictionaries({f"c{i}": values for i in range(n)}), max_size=30)
    )
)
def test_any_rows_can_be_said(rows: list[dict[str, Any]]) -> None:
    text = respond("?", rows)["text"]
    assert text
    assert len(text.splitlines()) <= 25
