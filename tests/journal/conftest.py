"""The journals that every test of what all of them do runs against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from stepladder.journal import Journal, MemoryJournal
from stepladder.journal.postgres import PostgresJournal
from stepladder.journal.sqlite import SqliteJournal
from tests.postgres import Postgres

KINDS = ("memory", "sqlite", "sqlite twice", "postgres", "postgres twice")


def opening(kind: str, request: pytest.FixtureRequest) -> Callable[[], Journal]:
    """What opens a journal of this kind, the same one each time."""
    if kind == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        return partial(SqliteJournal, folder / "runs.db")
    server: Postgres = request.getfixturevalue("postgres")
    return partial(PostgresJournal, server.address(), schema=server.new_schema())


@pytest.fixture(params=KINDS)
def journals(request: pytest.FixtureRequest) -> Iterator[tuple[Journal, Journal]]:
    kind, _, twice = request.param.partition(" ")
    make = MemoryJournal if kind == "memory" else opening(kind, request)
    first = make()
    pair = first, make() if twice else first
    yield pair
    for journal in pair:
        journal.close()


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest) -> Callable[[], Journal]:
    """Opens a journal that processes share."""
    return opening(request.param, request)
