"""Runs one SELECT read-only in a process of its own, which is killed when its time is over.

`mode=ro` alone is not enough: it lets `ATTACH` and `VACUUM INTO` write other files, and SQLite looks at no time limit
while it is inside one long function. So the query is parsed first, and then runs in a child behind several walls
(see `sandbox`). One process per query costs some fifty milliseconds and shares nothing between two questions.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from .guard import one_query

SANDBOX = Path(__file__).with_name("sandbox.py")

Executor = Callable[..., Awaitable[dict[str, Any]]]


class Limits(msgspec.Struct, frozen=True):
    """What one query may use."""

    seconds: float = 10.0
    rows: int = 1_000
    result_bytes: int = 1_000_000
    memory_bytes: int = 512 * 1024 * 1024


def executor(database: str | Path, limits: Limits | None = None, immutable: bool = False) -> Executor:
    """The agent that runs queries on `database`; `immutable` only for a file that nobody changes meanwhile."""

    async def execute_on_database(sql: str = "") -> dict[str, Any]:
        return await execute(sql, database, limits, immutable)

    return execute_on_database


async def execute(
    sql: str, database: str | Path, limits: Limits | None = None, immutable: bool = False
) -> dict[str, Any]:
    """Run `sql`: `{success, rows, truncated, elapsed_ms}`, or `{success: false, error, elapsed_ms}`."""
    began = time.perf_counter()
    result = await _executed(sql, Path(database), limits or Limits(), immutable)
    return result | {"elapsed_ms": round((time.perf_counter() - began) * 1000, 1)}


async def _executed(sql: str, database: Path, limits: Limits, immutable: bool) -> dict[str, Any]:
    query = one_query(sql) if isinstance(sql, str) else "the SQL is not text"
    if isinstance(query, str):
        return _failed(query)
    if not database.is_file():
        return _failed(f"there is no database file {database.name}")
    return await _in_child(_job(sql, database, limits, immutable), limits.seconds)


def _job(sql: str, database: Path, limits: Limits, immutable: bool) -> bytes:
    return json.dumps(
        {
            "sql": sql,
            "database": str(database.resolve()),
            "immutable": immutable,
            "seconds": limits.seconds,
            "max_rows": limits.rows,
            "max_bytes": limits.result_bytes,
            "memory_bytes": limits.memory_bytes,
        }
    ).encode()


async def _in_child(job: bytes, seconds: float) -> dict[str, Any]:
    """The child's answer; the child is dead when this returns or is cancelled."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(SANDBOX), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        output, complaint = await asyncio.wait_for(child.communicate(job), seconds)
    except TimeoutError:
        return _failed(f"the query took longer than {seconds:g} seconds")
    finally:
        await _end(child)
    return _answer(output, complaint, child.returncode)


async def _end(child: Process) -> None:
    if child.returncode is None:
        child.kill()
        await child.wait()


def _answer(output: bytes, complaint: bytes, code: int | None) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        return _failed(f"the query's process ended with code {code}" + "".join(f": {line}" for line in last))
    return answer


def _failed(error: str) -> dict[str, Any]:
    return {"success": False, "error": error}
