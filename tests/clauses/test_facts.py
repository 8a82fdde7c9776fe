"""Reading a path from facts."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.clauses import MISSING, reader

FACTS: dict[str, Any] = {
    "n": 1,
    "none": None,
    "a": {"b": {"c": 5}, "none": None},
    "rows": [{"id": 1, "tags": [{"name": "x"}]}, {"other": 2}, {"id": 3, "tags": []}],
    "pair": ({"id": 1}, {"id": 2}),
}

PATHS = [
    ("n", 1),
    ("none", None),
    ("gone", MISSING),
    ("a", {"b": {"c": 5}, "none": None}),
    ("a.b", {"c": 5}),
    ("a.b.c", 5),
    ("a.none", None),
    ("a.none.c", MISSING),
    ("a.x", MISSING),
    ("a.b.x", MISSING),
    ("a.b.c.d", MISSING),
    ("n.x", MISSING),
    ("gone.x.y", MISSING),
    ("rows.id", [1, 3]),
    ("rows.tags.name", [["x"], []]),
    ("rows.nothing", []),
    ("pair.id", [1, 2]),
]


@pytest.mark.parametrize(("path", "value"), PATHS, ids=[path for path, _ in PATHS])
def test_reads(path: str, value: object) -> None:
    assert reader(path)(FACTS) == value


def test_missing_is_false_and_says_so() -> None:
    assert not MISSING
    assert repr(MISSING) == "missing"
