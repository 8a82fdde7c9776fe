"""The child process of the executor: reads one job from standard input, runs its query, writes one JSON answer.

It is run as a file by `python -I` and imports the standard library only, so that it starts fast and has nothing of
the parent in its memory. Five walls stand behind each other: the operating system's limits, the
read-only connection, SQLite's own limits, the authorizer with its list of allowed functions, and the parent's kill.
"""

from __future__ import annotations

import base64
import json
import math
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any
from urllib.parse import quote

Job = dict[str, Any]
Answer = dict[str, Any]

# fmt: off
ALLOWED_FUNCTIONS = frozenset(
    (
        "abs", "avg", "ceil", "ceiling", "coalesce", "count", "cume_dist", "date", "datetime", "dense_rank",
        "exp", "first_value", "floor", "glob", "group_concat", "ifnull", "iif", "instr", "json_extract",
        "julianday", "lag", "last_value", "lead", "length", "like", "ln", "log", "log10", "log2", "lower",
        "ltrim", "max", "min", "mod", "nth_value", "ntile", "nullif", "percent_rank", "pow", "power", "rank",
        "replace", "round", "row_number", "rtrim", "sign", "sqrt", "strftime", "string_agg", "substr",
        "substring", "sum", "time", "timediff", "total", "trim", "trunc", "typeof", "unicode", "unixepoch",
        "upper",
    )
)
# fmt: on
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 20,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
SETTINGS = ("query_only = ON", "temp_store = MEMORY", "trusted_schema = OFF", "cache_size = -8000")
SAFE_INTEGER = 2**53


def main() -> None:
    """Answer the job on standard input."""
    job = json.load(sys.stdin)
    limit_process(job["memory_bytes"], math.ceil(job["seconds"]) + 1)
    json.dump(answer(job), sys.stdout)


def limit_process(memory_bytes: int, cpu_s: int) -> None:
    """Let the operating system stop what SQLite does not; it writes no file, so the largest file is empty."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(job: Job) -> Answer:
    """The rows of the job's query, or the error as text."""
    try:
        with closing(open_read_only(job["database"], job["immutable"])) as database:
            restrict(database)
            return fetch(database.execute(job["sql"]), job["max_rows"], job["max_bytes"])
    except (sqlite3.Error, sqlite3.Warning) as error:
        return _failed(str(error) or type(error).__name__)
    except MemoryError:
        return _failed("the query needs more memory than it may use")


def open_read_only(path: str, immutable: bool) -> sqlite3.Connection:
    """A connection that cannot write; `immutable` only for a file that nobody changes meanwhile."""
    options = "mode=ro&immutable=1" if immutable else "mode=ro"
    return sqlite3.connect(f"file:{quote(path)}?{options}", uri=True, isolation_level=None)


def restrict(database: sqlite3.Connection) -> None:
    """Set the limits, then the authorizer, which refuses every PRAGMA from there on."""
    for setting in SETTINGS:
        database.execute(f"PRAGMA {setting}")
    for limit, value in LIMITS.items():
        database.setlimit(limit, value)
    found = database.execute("SELECT lower(name) FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    database.set_authorizer(authorizer(frozenset(name for (name,) in found)))


def authorizer(tables: frozenset[str]) -> Callable[..., int]:
    """Allow reading `tables` and the listed functions; refuse the rest."""

    def allows(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        match action:
            case sqlite3.SQLITE_SELECT | sqlite3.SQLITE_RECURSIVE:
                allowed = True
            case sqlite3.SQLITE_READ:
                allowed = _readable(first or "", second or "", tables)
            case sqlite3.SQLITE_FUNCTION:
                allowed = (second or "").lower() in ALLOWED_FUNCTIONS
            case _:
                allowed = False
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    return allows


def _readable(table: str, column: str, tables: frozenset[str]) -> bool:
    """A table of this database, or a name that reads no column, as SQLite reports for `COUNT(*)` over a WITH."""
    name = table.lower()
    return name in tables or (not column and not name.startswith(("sqlite_", "pragma_")))


def fetch(cursor: sqlite3.Cursor, max_rows: int, max_bytes: int) -> Answer:
    """Rows as plain JSON until one of the limits; `truncated` says that there were more."""
    names = distinct_names([column[0] for column in cursor.description or ()])
    rows: list[dict[str, Any]] = []
    size = 0
    for row in _plain_rows(cursor, names):
        size += len(json.dumps(row))
        if len(rows) == max_rows or size > max_bytes:
            return {"success": True, "rows": rows, "truncated": True}
        rows.append(row)
    return {"success": True, "rows": rows, "truncated": False}


def _plain_rows(cursor: sqlite3.Cursor, names: list[str]) -> Iterator[dict[str, Any]]:
    for row in cursor:
        yield {name: plain(value) for name, value in zip(names, row, strict=True)}


def distinct_names(names: list[str]) -> list[str]:
    """Column names that can be keys: a repeated one is numbered."""
    taken: list[str] = []
    for name in names:
        free = (name if n == 1 else f"{name}_{n}" for n in range(1, len(names) + 2))
        taken.append(next(candidate for candidate in free if candidate not in taken))
    return taken


def plain(value: object) -> object:
    """A value that JSON and its readers carry without loss: bytes as base64, infinite and huge numbers as text."""
    match value:
        case bytes():
            return "base64:" + base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            return str(value)
        case int() if abs(value) > SAFE_INTEGER:
            return str(value)
        case str():
            return value.encode("utf-8", "replace").decode()
        case _:
            return value


def _failed(error: str) -> Answer:
    return {"success": False, "error": error}


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main()
