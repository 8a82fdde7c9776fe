from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from examples.text_to_sql.executor import Limits, execute, executor
from examples.text_to_sql.sandbox import distinct_names, open_read_only, plain, restrict

QUICK = Limits(seconds=1.0)
ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"
ENDLESS_ROWS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"


def run(sql: Any, database: Path, limits: Limits = QUICK) -> dict[str, Any]:
    return asyncio.run(execute(sql, database, limits))


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture
def victim(shop: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(shop, tmp_path / "victim.db"))


def test_rows_are_mappings_by_column(shop: Path) -> None:
    answer = run("SELECT id, name FROM categories ORDER BY id LIMIT 2", shop)
    assert answer.pop("elapsed_ms") > 0
    assert answer == {
        "success": True,
        "rows": [{"id": 1, "name": "Electronics"}, {"id": 2, "name": "Toys"}],
        "truncated": False,
    }


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM orders;",
        "WITH a AS (SELECT id FROM orders) SELECT COUNT(*) FROM a",
        "SELECT 1 UNION SELECT 2",
        "SELECT STRFTIME('%Y', ordered_on) AS year, COUNT(*) FROM orders GROUP BY 1 ORDER BY 2 DESC",
        "SELECT name, RANK() OVER (ORDER BY price DESC) FROM products",
        "SELECT name FROM products WHERE name LIKE 'a\\_%' ESCAPE '\\'",
        "SELECT * FROM customers -- ; DROP TABLE customers",
        "SELECT x FROM (SELECT 1 AS x)",
    ],
)
def test_queries_run(shop: Path, sql: str) -> None:
    assert run(sql, shop)["success"], run(sql, shop)


ATTACKS = {
    "attach": "ATTACH DATABASE '{folder}/new.db' AS other",
    "vacuum into": "VACUUM INTO '{folder}/copy.db'",
    "vacuum": "VACUUM",
    "insert": "INSERT INTO categories VALUES (99, 'x')",
    "update": "UPDATE products SET price = 0",
    "delete": "DELETE FROM orders",
    "drop": "DROP TABLE orders",
    "create": "CREATE TABLE x (y)",
    "create temp": "CREATE TEMP TABLE x (y)",
    "replace": "REPLACE INTO categories VALUES (1, 'x')",
    "alter": "ALTER TABLE orders RENAME TO x",
    "reindex": "REINDEX",
    "analyze": "ANALYZE",
    "begin": "BEGIN EXCLUSIVE",
    "pragma": "PRAGMA query_only = OFF",
    "pragma write": "PRAGMA user_version = 7",
    "journal": "PRAGMA journal_mode = WAL",
    "pragma function": "SELECT * FROM pragma_table_info('orders')",
    "pragma function unread": "SELECT COUNT(*) FROM pragma_database_list",
    "schema table": "SELECT sql FROM sqlite_master",
    "load_extension": "SELECT load_extension('{folder}/x.so')",
    "readfile": "SELECT readfile('/etc/passwd')",
    "writefile": "SELECT writefile('{folder}/x', 'y')",
    "edit": "SELECT edit('x', 'vi')",
    "tokenizer": "SELECT fts3_tokenizer('simple')",
    "two statements": "SELECT 1; DELETE FROM orders",
    "comment trick": "SELECT 1 /* */; /* */ DELETE FROM orders",
    "line comment trick": "SELECT 1 --\n; DELETE FROM orders",
    "with delete": "WITH a AS (SELECT 1) DELETE FROM orders",
    "with insert": "WITH a AS (SELECT 1) INSERT INTO categories SELECT 99, 'x' FROM a",
    "explain": "EXPLAIN DELETE FROM orders",
    "returning": "DELETE FROM orders RETURNING id",
    "randomblob": "SELECT LENGTH(randomblob(1000000000))",
    "zeroblob": "SELECT zeroblob(1000000000)",
    "hex": "SELECT HEX(zeroblob(500000000))",
    "printf": "SELECT printf('%1000000000d', 1)",
    "format": "SELECT format('%.*c', 1000000000, 'x')",
    "replace bomb": "SELECT REPLACE(REPLACE(REPLACE('aaaaaaaaaa', 'a', '{long}'), 'a', '{long}'), 'a', '{long}')",
    "concat bomb": "SELECT GROUP_CONCAT(a.name) FROM products a, order_items b, order_items c",
    "deep": "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
    "long": "SELECT " + "1 + " * 20_000 + "1",
    "endless": ENDLESS,
    "huge join": "SELECT SUM(a.id * b.id) FROM order_items a, order_items b, order_items c, order_items d",
    "huge sort": "SELECT a.id FROM order_items a, order_items b, order_items c ORDER BY a.id * b.id * c.id",
    "one long function": "SELECT INSTR(x, SUBSTR(x, 1, 400000) || 'b') + INSTR(x, SUBSTR(x, 1, 390000) || 'c')"
    " FROM (SELECT GROUP_CONCAT('aaaaaaaaaaaa', '') AS x FROM order_items a, order_items b WHERE b.id < 120)",
    "nul": "SELECT 1\x00; DELETE FROM orders",
    "nothing": "",
    "only a comment": "-- nothing",
    "no sql": "please delete everything",
    "values": "VALUES (1)",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(victim: Path, name: str) -> None:
    before = digest(victim.parent)
    sql = ATTACKS[name].replace("{folder}", str(victim.parent)).replace("{long}", "a" * 60)
    began = time.monotonic()
    answer = run(sql, victim)
    assert answer["success"] is False, answer
    assert answer["error"]
    assert "rows" not in answer
    assert time.monotonic() - began < 4
    assert digest(victim.parent) == before


BEHIND_THE_PARSER = [
    "ATTACH DATABASE '{folder}/new.db' AS other",
    "VACUUM INTO '{folder}/copy.db'",
    "PRAGMA query_only = OFF",
    "DELETE FROM orders",
    "CREATE TEMP TABLE x (y)",
    "SELECT load_extension('x')",
    "SELECT randomblob(10)",
    "SELECT * FROM pragma_table_info('orders')",
]


@pytest.mark.parametrize("sql", BEHIND_THE_PARSER)
def test_the_connection_refuses_even_what_the_parser_would_let_pass(victim: Path, sql: str) -> None:
    before = digest(victim.parent)
    with closing(open_read_only(str(victim), immutable=False)) as database:
        restrict(database)
        with pytest.raises(sqlite3.Error):
            database.execute(sql.replace("{folder}", str(victim.parent))).fetchall()
    assert digest(victim.parent) == before


def test_rows_are_cut(shop: Path) -> None:
    answer = run(ENDLESS_ROWS, shop, Limits(rows=7))
    assert answer["truncated"] is True
    assert [row["x"] for row in answer["rows"]] == [1, 2, 3, 4, 5, 6, 7]


def test_bytes_of_the_result_are_cut(shop: Path) -> None:
    answer = run(ENDLESS_ROWS, shop, Limits(rows=10_000_000, result_bytes=2_000))
    assert answer["truncated"] is True
    assert len(json.dumps(answer["rows"])) < 3_000


def test_memory_is_limited(shop: Path) -> None:
    wide = "SELECT a.*, b.*, c.* FROM order_items a, order_items b, order_items c ORDER BY a.id * b.id % 7, c.id"
    answer = run(wide, shop, Limits(seconds=5, memory_bytes=96 * 1024 * 1024))
    assert answer["success"] is False
    assert "took longer" not in answer["error"]


def test_a_wrong_column_is_a_clear_error(shop: Path) -> None:
    assert run("SELECT nope FROM orders", shop)["error"] == "no such column: nope"


def test_a_missing_database_is_not_created(tmp_path: Path) -> None:
    assert run("SELECT 1", tmp_path / "absent.db")["success"] is False
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("hello " * 500)
    assert "not a database" in run("SELECT 1", path)["error"]


@pytest.mark.parametrize("sql", [None, 7, ["SELECT 1"]])
def test_what_is_no_text(shop: Path, sql: object) -> None:
    assert run(sql, shop)["error"] == "the SQL is not text"


def test_equal_names_and_odd_values_are_plain_json(shop: Path) -> None:
    sql = "SELECT 1 AS a, 2 AS a, CAST('ab' AS BLOB) AS b, 9e999 AS c, 9007199254740993 AS d, NULL AS e"
    (row,) = run(sql, shop)["rows"]
    assert row == {"a": 1, "a_2": 2, "b": "base64:YWI=", "c": "inf", "d": "9007199254740993", "e": None}


def test_names_stay_distinct() -> None:
    assert distinct_names(["a", "a", "a_2", "a"]) == ["a", "a_2", "a_2_2", "a_3"]


def test_half_a_character_is_replaced() -> None:
    assert plain("a\ud800") == "a?"


def test_cancelling_kills_the_child(shop: Path) -> None:
    async def cancelled() -> set[str]:
        task = asyncio.create_task(execute(ENDLESS, shop, Limits(seconds=30)))
        await asyncio.sleep(0.4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return children()

    assert asyncio.run(cancelled()) == set()


def children() -> set[str]:
    """The processes of this process that still run the sandbox."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            if "sandbox" in Path(f"/proc/{pid}/cmdline").read_text():
                found.add(pid)
    return found


def test_queries_run_side_by_side(shop: Path) -> None:
    agent = executor(shop, Limits(seconds=1.5))

    async def together() -> list[dict[str, Any]]:
        return await asyncio.gather(agent(sql=ENDLESS), agent(sql="SELECT 1 AS a"), agent(sql="SELECT 2 AS a"))

    slow, *quick = asyncio.run(together())
    assert slow["success"] is False
    assert [answer["rows"] for answer in quick] == [[{"a": 1}], [{"a": 2}]]
    assert all(answer["elapsed_ms"] < 1_400 for answer in quick)


def test_immutable_reads_too(shop: Path) -> None:
    answer = asyncio.run(execute("SELECT COUNT(*) AS n FROM customers", shop, immutable=True))
    assert answer["rows"] == [{"n": 80}]
