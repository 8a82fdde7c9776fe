"""The checkpoints in a file of LangGraph's SqliteSaver: the state of each thread after each step, oldest first.

A checkpoint is packed (msgpack, or JSON in older files). Objects are kept in it as module, class and fields; of these
the fields are taken. Nothing is imported, and no class is made, whatever the file says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from stepladder.errors import InputError, Problem
from stepladder.scenarios.importers.writer import mapping, word
from stepladder.scenarios.recording_files import OnBytes, OnProblem

MAGIC: Final = b"SQLite format 3\0"
_SELECT: Final = (
    "SELECT thread_id, type, checkpoint FROM checkpoints WHERE checkpoint_ns = '' ORDER BY thread_id, checkpoint_id"
)


def is_sqlite(file: Path) -> bool:
    """Whether it is a SQLite file. Raises InputError: it cannot be opened."""
    try:
        with file.open("rb") as raw:
            return raw.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise InputError("import", str(file), str(error.strerror or error).lower(), "a readable file") from None


def kept_checkpoints(file: Path, told: OnProblem, on_bytes: OnBytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each checkpoint's thread and state; what cannot be read is told of."""

    def problem(found: str, expected: str, row: int = 0) -> None:
        told(Problem("", found, expected, str(file), row, "warning", "import"))

    try:
        database = sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)
        try:
            for number, (thread_id, kind, blob) in enumerate(database.execute(_SELECT), 1):
                state = _state(kind, blob)
                if state is None:
                    problem("a checkpoint that cannot be unpacked", "msgpack or JSON, as SqliteSaver writes it", number)
                else:
                    yield word(thread_id), state
        finally:
            database.close()
    except sqlite3.Error as error:
        problem(f"no checkpoints ({error})", "a file of LangGraph's SqliteSaver")
    on_bytes(file.stat().st_size)


def _state(kind: Any, blob: Any) -> Mapping[str, Any] | None:
    data = blob.encode() if isinstance(blob, str) else blob
    try:
        if kind == "json":
            return mapping(msgspec.json.decode(data))
        return mapping(msgspec.msgpack.decode(data, ext_hook=_fields))
    except (msgspec.DecodeError, TypeError, ValueError, RecursionError):
        return None


def _fields(code: int, data: memoryview) -> Any:
    """The fields of a kept object; of any other, what it was made of."""
    try:
        made = msgspec.msgpack.decode(data, ext_hook=_fields)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return made[2] if isinstance(made, list) and len(made) > 2 else made
