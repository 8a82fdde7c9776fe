"""A Postgres journal as it is stored, without judging it, and what in it nobody refers to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from stepladder.journal.codec import name_of
from stepladder.journal.references import References
from stepladder.journal.store import Checkpoint, Kept, RawRun, RawTurn, RunRow, Swept, TakenItem, sound

if TYPE_CHECKING:
    from psycopg import Connection

    from stepladder.journal.postgres_server import Transaction

COLUMNS: Final = (
    "run_id, workflow, workflow_hash, started_at, updated_at, status, step, waiting, ended, success, decisions, usd,"
    " pruned"
)
AT_ONCE: Final = 500
"""Rows that are fetched at a time."""


def raw_runs(db: Connection, run_id: str | None) -> Iterator[RawRun]:
    """The runs, or this one; behind them turns that belong to none."""
    taken, orphans = _taken(db, run_id), list[RawRun]()
    turns = groupby(
        _rows(
            db,
            "SELECT run, seq, body, digest FROM turns"
            " WHERE %(id)s::text IS NULL OR run = (SELECT number FROM runs WHERE run_id = %(id)s) ORDER BY run, seq",
            run_id,
        ),
        itemgetter(0),
    )
    run, found = _next(turns)
    for number, *line, entries, digest, state in _rows(
        db,
        f"SELECT number, {COLUMNS}, entries, digest, state FROM runs LEFT JOIN checkpoints ON run = number"
        " WHERE %(id)s::text IS NULL OR run_id = %(id)s ORDER BY number",
        run_id,
    ):
        while run is not None and run < number:
            orphans.append(RawRun(name_of(run, found[0].body), None, found))
            run, found = _next(turns)
        row = RunRow(*line)
        kept = None if entries is None else Checkpoint(entries, sound(digest), state.encode())
        if run == number:
            yield RawRun(row.run_id, row, found, taken.get(number, ()), kept)
            run, found = _next(turns)
        else:
            yield RawRun(row.run_id, row, [], taken.get(number, ()), kept)
    yield from orphans
    while run is not None:
        yield RawRun(name_of(run, found[0].body), None, found)
        run, found = _next(turns)


def raw_kept(db: Connection) -> Iterator[Kept]:
    """Artifacts and definitions."""
    for digest, body in _rows(db, "SELECT digest, body FROM artifacts"):
        yield Kept("artifact", digest, body)
    for hash_, body in _rows(db, "SELECT hash, body FROM definitions"):
        yield Kept("definition", hash_, body.encode())


def _rows(db: Connection, statement: str, run_id: str | None = None) -> Iterator[tuple[Any, ...]]:
    """The rows, a few at a time."""
    with db.cursor(f"rows {id(statement)}") as rows:
        rows.itersize = AT_ONCE
        yield from rows.execute(statement.encode(), {"id": run_id})


def _next(turns: Iterator[tuple[int, Iterator[tuple[Any, ...]]]]) -> tuple[int | None, list[RawTurn]]:
    """The next number of a run with its turns."""
    for run, rows in turns:
        return run, [RawTurn(seq, body.encode(), sound(digest)) for _, seq, body, digest in rows]
    return None, []


def _taken(db: Connection, run_id: str | None) -> dict[int, list[TakenItem]]:
    found = defaultdict[int, list[TakenItem]](list)
    for run, number, kind, seq in _rows(
        db,
        "SELECT run, number, kind, taken FROM inbox WHERE taken > 0"
        " AND (%(id)s::text IS NULL OR run = (SELECT number FROM runs WHERE run_id = %(id)s))",
        run_id,
    ):
        found[run].append(TakenItem(number, kind, seq))
    return found


class Loose:
    """Artifacts and definitions that nobody refers to, as of a moment.

    Finding them takes a look at every turn, during which others go on writing; what they have written since is looked
    at before anything is removed, while nobody writes.
    """

    def __init__(self, db: Connection, before: float) -> None:
        self._seen, self._before = References(), before
        self._last: dict[int, int] = {}
        for run, seq, body in _rows(db, "SELECT run, seq, body FROM turns ORDER BY run, seq"):
            self._last[run] = seq
            self._seen.see(body.encode())
        self._items = []
        for number, body in _rows(db, "SELECT number, body FROM inbox"):
            self._items.append(number)
            self._seen.see(body.encode())
        artifacts = [name for (name,) in db.execute("SELECT digest FROM artifacts")]
        definitions = [name for (name,) in db.execute("SELECT hash FROM definitions WHERE kept_at < %s", (before,))]
        self._artifacts = [name for name in artifacts if not self._seen.artifact(name)]
        self._definitions = [name for name in definitions if not self._seen.definition(name)]

    def removed(self, on: Transaction) -> Swept:
        """Remove them, all but those that were referred to meanwhile."""
        on.ask("LOCK TABLE turns, inbox, artifacts, definitions IN SHARE ROW EXCLUSIVE MODE")  # the order of writers
        since = on.ask(
            "SELECT body FROM turns LEFT JOIN unnest(%s::bigint[], %s::bigint[]) AS seen (of_run, last)"
            " ON run = of_run WHERE seq > coalesce(last, 0)",
            (list(self._last), list(self._last.values())),
        )
        put = on.ask("SELECT body FROM inbox WHERE NOT number = ANY(%s::bigint[])", (self._items,))
        for rows in on.answers(since, put):
            for (body,) in rows:
                self._seen.see(body.encode())
        artifacts = [name for name in self._artifacts if not self._seen.artifact(name)]
        definitions = [name for name in self._definitions if not self._seen.definition(name)]
        gone = on.answers(
            on.ask("DELETE FROM artifacts WHERE digest = ANY(%s) RETURNING 1", (artifacts,)),
            on.ask(
                "DELETE FROM definitions WHERE hash = ANY(%s) AND kept_at < %s RETURNING 1",
                (definitions, self._before),
            ),
        )
        return Swept(*map(len, gone))
