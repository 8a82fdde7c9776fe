"""Questions on six databases, each with rows from SQL written by hand (`questions/*.txt`).

A question stands with the replies to it, then SQL, or `asks` or `cannot`. The planner's rows must be as many as the
expected ones, each with at least the expected values (it may show a number that it sorted by).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from examples.text_to_sql.planner import plan
from examples.text_to_sql.schema import Schema

QUESTIONS = Path(__file__).with_name("questions")
REFUSED = {"asks": "needs_clarification", "cannot": "unanswerable"}

Rows = list[tuple[str, ...]]


class Asked(NamedTuple):
    database: str
    question: str
    replies: tuple[str, ...]
    expected: str


def asked() -> list[Asked]:
    found = []
    for path in sorted(QUESTIONS.glob("*.txt")):
        for entry in path.read_text().strip().split("\n\n"):
            question, expected = entry.split("\n    ")
            first, *replies = question.split(" || ")
            found.append(Asked(path.stem, first, tuple(replies), expected.strip()))
    return found


def rows(database: Path, sql: str) -> Rows:
    with closing(sqlite3.connect(database)) as connection:
        return [tuple(shown(value) for value in row) for row in connection.execute(sql)]


def shown(value: object) -> str:
    return str(round(value, 4)) if isinstance(value, float) else str(value)


def same(found: Rows, expected: Rows) -> bool:
    left = list(found)
    for row in expected:
        match = next((other for other in left if holds(other, row)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def holds(row: tuple[str, ...], values: tuple[str, ...]) -> bool:
    left = list(row)
    for value in values:
        if value not in left:
            return False
        left.remove(value)
    return True


@pytest.mark.parametrize("case", asked(), ids=lambda case: f"{case.database}: {case.question}")
def test_question(case: Asked, databases: dict[str, Path], schemas: dict[str, Schema]) -> None:
    answer = plan(case.question, case.replies, schema=schemas[case.database])
    if case.expected in REFUSED:
        assert answer["status"] == REFUSED[case.expected], answer
        return
    assert answer["status"] == "answerable", answer
    database = databases[case.database]
    assert same(rows(database, answer["sql"]), rows(database, case.expected)), answer["sql"]
