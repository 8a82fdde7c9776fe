"""A SQLite journal as it is stored, without judging it, and what in it nobody refers to."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from stepladder.journal.codec import name_of
from stepladder.journal.references import References
from stepladder.journal.store import Checkpoint, Kept, RawRun, RawTurn, RunRow, Swept, TakenItem, sound

COLUMNS: Final = (
    "run_id, workflow, workflow_hash, started_at, updated_at, status, step, waiting, ended, success, decisions, usd,"
    " pruned"
)


def row_from(values: tuple[Any, ...]) -> RunRow:
    """A run's line from its columns."""
    row = RunRow(*values)
    success = None if row.success is None else bool(row.success)
    return msgspec.structs.replace(row, success=success, pruned=bool(row.pruned))


def raw_runs(db: sqlite3.Connection, run_id: str | None) -> Iterator[RawRun]:
    """The runs, or this one."""
    taken = _taken(db, run_id)
    for number, *values in db.execute(
        f"SELECT number, {COLUMNS} FROM runs WHERE ?1 IS NULL OR run_id = ?1 ORDER BY number", (run_id,)
    ):
        row = row_from(tuple(values))
        yield RawRun(row.run_id, row, _turns(db, number), taken.get(number, ()), _checkpoint(db, number))
    if run_id is None:
        for (number,) in db.execute("SELECT DISTINCT run FROM turns EXCEPT SELECT number FROM runs ORDER BY 1"):
            turns = _turns(db, number)
            yield RawRun(name_of(number, turns[0].body), None, turns)


def raw_kept(db: sqlite3.Connection) -> Iterator[Kept]:
    """Artifacts and definitions."""
    for digest, body in db.execute("SELECT digest, CAST(body AS BLOB) FROM artifacts"):
        yield Kept("artifact", str(digest), body or b"")
    for hash_, body in db.execute("SELECT hash, CAST(body AS BLOB) FROM definitions"):
        yield Kept("definition", str(hash_), body or b"")


def _turns(db: sqlite3.Connection, number: int) -> list[RawTurn]:
    rows = db.execute("SELECT seq, CAST(body AS BLOB), digest FROM turns WHERE run = ? ORDER BY seq", (number,))
    return [RawTurn(seq, body or b"", sound(digest)) for seq, body, digest in rows]


def _taken(db: sqlite3.Connection, run_id: str | None) -> dict[int, list[TakenItem]]:
    of_run = "" if run_id is None else " AND run = (SELECT number FROM runs WHERE run_id = ?)"
    found = defaultdict[int, list[TakenItem]](list)
    for run, number, kind, seq in db.execute(
        f"SELECT run, number, kind, taken FROM inbox WHERE taken > 0{of_run}", () if run_id is None else (run_id,)
    ):
        found[run].append(TakenItem(number, kind, seq))
    return found


def _checkpoint(db: sqlite3.Connection, number: int) -> Checkpoint | None:
    found = db.execute(
        "SELECT entries, digest, CAST(state AS BLOB) FROM checkpoints WHERE run = ?", (number,)
    ).fetchone()
    return Checkpoint(found[0], sound(found[1]), found[2] or b"") if found else None


class Loose:
    """Artifacts and definitions that nobody refers to, as of a moment.

    Finding them takes a look at every turn, during which others go on writing; what they have written since is looked
    at before anything is removed.
    """

    def __init__(self, db: sqlite3.Connection, before: float) -> None:
        self._seen = References()
        self._pruned = self._count(db)
        self._turn = self._item = 0
        self._look(db)
        artifacts = [name for (name,) in db.execute("SELECT digest FROM artifacts")]
        definitions = [name for (name,) in db.execute("SELECT hash FROM definitions WHERE kept_at < ?", (before,))]
        self._artifacts = [name for name in artifacts if not self._seen.artifact(name)]
        self._definitions = [name for name in definitions if not self._seen.definition(name)]
        self._before = before

    def removed(self, db: sqlite3.Connection) -> Swept | None:
        """Remove them, all but those that were referred to meanwhile; None where it is not known which these are."""
        if self._count(db) != self._pruned:  # of removed runs, the places of their turns may have been given anew
            return None
        self._look(db)
        artifacts = [(name,) for name in self._artifacts if not self._seen.artifact(name)]
        definitions = [(name, self._before) for name in self._definitions if not self._seen.definition(name)]
        db.executemany("DELETE FROM artifacts WHERE digest = ?", artifacts)
        db.executemany("DELETE FROM definitions WHERE hash = ? AND kept_at < ?", definitions)
        return Swept(len(artifacts), len(definitions))

    def _look(self, db: sqlite3.Connection) -> None:
        """See what was written since the last look."""
        self._turn = self._see(db, "turns", self._turn)
        self._item = self._see(db, "inbox", self._item)

    def _see(self, db: sqlite3.Connection, table: str, after: int) -> int:
        """See the bodies behind this row; the last of them."""
        for after, body in db.execute(  # noqa: B007, B020, PLR1704 - the next look goes on from there
            f"SELECT rowid, CAST(body AS BLOB) FROM {table} WHERE rowid > ? ORDER BY rowid", (after,)
        ):
            self._seen.see(body or b"")
        return after

    @staticmethod
    def _count(db: sqlite3.Connection) -> int:
        (count,) = db.execute("SELECT count(*) FROM pruned").fetchone()
        return int(count)
