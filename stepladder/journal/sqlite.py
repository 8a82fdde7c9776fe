"""A journal in one SQLite file, shared by processes.

One row is one turn: a JSON array, so SQL can look into it with json_each. The turns of many runs are appended in one
transaction, with few statements: between statements other threads may take the interpreter, and each would cost a wait.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from stepladder.errors import RunError, RunOwned, StepladderError
from stepladder.journal.owner import Owner
from stepladder.journal.reading import stored
from stepladder.journal.refusals import item_taken, moved_on, not_ended, not_mine, not_there, taken_id
from stepladder.journal.sqlite_file import SqliteFile, Synchronous
from stepladder.journal.sqlite_raw import COLUMNS, Loose, raw_kept, raw_runs, row_from
from stepladder.journal.store import (
    NONE,
    Checkpoint,
    InboxItem,
    InboxKind,
    Kept,
    Pruned,
    RawRun,
    RunRow,
    Status,
    StoredTurn,
    Swept,
    Turn,
    sound,
)

MOST_ROWS: Final = 128
"""Rows that one statement inserts at most."""
_BEGIN: Final = (
    f"INSERT INTO runs ({COLUMNS}, owner) SELECT {', '.join('?' * 14)}"
    " WHERE NOT EXISTS (SELECT 1 FROM pruned WHERE run_id = ?1)"
)
_SETS: Final = ", ".join(f"{name} = ?" for name in COLUMNS.split(", "))


class SqliteJournal:
    """A journal in the file `path`, which is made where it is missing (unless `create` is false).

    `synchronous` is "full" (what was written survives a crash of the machine) or "normal" (it survives one of the
    process; a crash of the machine may lose the last turns). `now` gives the time by which leases run, in seconds since
    1970.
    """

    grouped = True

    def __init__(
        self,
        path: str | Path,
        *,
        create: bool = True,
        busy_s: float = 10.0,
        synchronous: Synchronous = "full",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path, self.name = Path(path), str(path)
        self._file = SqliteFile(self.path, create=create, busy_s=busy_s, synchronous=synchronous)
        self._now = now
        self._numbers: dict[str, int] = {}
        self._takeovers = 0
        self._held: set[tuple[int, str]] = set()
        """Runs and owners of which it is known that they belong together, as long as no takeover is seen."""
        self._seen: tuple[int, int] | None = None
        self._puts = 0

    # --- turns

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        """Append turns."""
        try:
            with self._file.transaction() as db:
                self._write(db, turns)
        except RunError as error:  # one of them was refused: each for itself, then
            return [error] if len(turns) == 1 else [refused for turn in turns for refused in self.write([turn])]
        return [None] * len(turns)

    def _write(self, db: sqlite3.Connection, turns: Sequence[Turn]) -> None:
        self._see_takeovers(db)
        rows = []
        for turn in turns:
            number = self._begin(db, turn) if turn.seq == 1 else self._mine(db, turn)
            rows += [number, turn.seq, turn.body.decode(), turn.digest]
            if turn.taken:
                self._take(db, turn.run_id, turn.taken, turn.seq)
            if turn.artifacts:
                _keep(db, turn.artifacts)
            if turn.checkpoint is not None:
                db.execute(
                    "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)",
                    (number, turn.checkpoint.entries, turn.checkpoint.digest, turn.checkpoint.state.decode()),
                )
            if turn.row is not None and turn.seq > 1:
                self._update(db, number, turn.row, turn.owner)
        try:
            _insert(db, rows)
        except sqlite3.IntegrityError:
            raise moved_on(turns[0].run_id, turns[0].seq) from None

    def _begin(self, db: sqlite3.Connection, turn: Turn) -> int:
        assert turn.row is not None, "the first turn brings the run's line"
        owner = turn.owner if turn.row.status == "working" and turn.owner else None
        try:
            made = db.execute(_BEGIN, (*_values(turn.row), owner))
        except sqlite3.IntegrityError:
            raise taken_id(turn.run_id) from None
        if made.rowcount != 1:
            raise taken_id(turn.run_id)
        assert made.lastrowid is not None, "an insert gives a row id"
        self._numbers[turn.run_id] = made.lastrowid
        return made.lastrowid

    def _mine(self, db: sqlite3.Connection, turn: Turn) -> int:
        """The number of the turn's run, which belongs to whoever writes the turn."""
        number = self._number(turn.run_id)
        if (number, turn.owner) not in self._held:
            (owner,) = db.execute("SELECT owner FROM runs WHERE number = ?", (number,)).fetchone()
            if (owner or "") != turn.owner:
                raise not_mine(turn.run_id)
            if owner:
                self._held.add((number, owner))
        return number

    def _update(self, db: sqlite3.Connection, number: int, row: RunRow, owner: str) -> None:
        kept = owner if row.status == "working" and owner else None
        done = db.execute(
            f"UPDATE runs SET {_SETS}, owner = ? WHERE number = ? AND ifnull(owner, '') = ?",
            (*_values(row), kept, number, owner),
        )
        if done.rowcount != 1:
            raise not_mine(row.run_id)
        if kept is None:
            self._held.discard((number, owner))
        if row.status == "ended":
            self._numbers.pop(row.run_id, None)

    def turns(self, run_id: str, after: int = 0) -> list[StoredTurn]:
        """The run's turns."""
        rows = self._file.read(
            "SELECT seq, body, digest FROM turns JOIN runs ON run = number WHERE run_id = ? AND seq >= ("
            "SELECT ifnull(max(seq), 0) FROM turns WHERE run = number AND seq <= ?) ORDER BY seq",
            (run_id, after),
        )
        bodies = ((seq, text.encode() if isinstance(text, str) else bytes(text), digest) for seq, text, digest in rows)
        return stored(self.name, run_id, bodies, after)

    def checkpoint(self, run_id: str) -> Checkpoint | None:
        """The newest kept state."""
        found = self._file.read(
            "SELECT entries, digest, state FROM checkpoints JOIN runs ON run = number WHERE run_id = ?", (run_id,)
        )
        return Checkpoint(found[0][0], sound(found[0][1]), str(found[0][2]).encode()) if found else None

    # --- runs

    def row(self, run_id: str) -> RunRow | None:
        """The run's line."""
        found = self._file.read(f"SELECT {COLUMNS} FROM runs WHERE run_id = ?", (run_id,))
        return row_from(found[0]) if found else None

    def rows(self, limit: int = 100, status: Status | None = None, workflow: str | None = None) -> list[RunRow]:
        """The newest runs first."""
        found = self._file.read(
            f"SELECT {COLUMNS} FROM runs WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR workflow = ?2)"
            " ORDER BY started_at DESC, number DESC LIMIT ?3",
            (status, workflow, limit),
        )
        return [row_from(each) for each in found]

    # --- who works on what

    def enroll(self, owner: Owner) -> None:
        """Make an owner known."""
        with self._file.transaction() as db:
            db.execute("INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?, ?)", msgspec.structs.astuple(owner))

    def leave(self, owner_id: str) -> None:
        """Forget an owner."""
        self._held = {(run, owner) for run, owner in self._held if owner != owner_id}
        with self._file.transaction() as db:
            db.execute("DELETE FROM owners WHERE id = ?", (owner_id,))
            db.execute("UPDATE runs SET owner = NULL WHERE owner = ?", (owner_id,))

    def claim(self, run_id: str, owner_id: str) -> None:
        """Make the run this owner's."""
        number = self._number(run_id)
        with self._file.transaction() as db:
            self._see_takeovers(db)
            (before,) = db.execute("SELECT owner FROM runs WHERE number = ?", (number,)).fetchone()
            if before not in (None, owner_id):
                found = db.execute(
                    "SELECT id, host, pid, started, until FROM owners WHERE id = ?", (before,)
                ).fetchone()
                if found is not None and (owner := Owner(*found)).alive(self._now()):
                    raise RunOwned(run_id, owner.told())
                db.execute("INSERT INTO takeovers (run, owner, at) VALUES (?, ?, ?)", (number, before, self._now()))
            db.execute("UPDATE runs SET owner = ? WHERE number = ?", (owner_id, number))

    def release(self, run_id: str, owner_id: str) -> None:
        """Let go of a run."""
        self._held.discard((self._numbers.get(run_id, 0), owner_id))
        with self._file.transaction() as db:
            db.execute("UPDATE runs SET owner = NULL WHERE run_id = ? AND owner = ?", (run_id, owner_id))

    def _see_takeovers(self, db: sqlite3.Connection) -> None:
        """Learn which runs were taken from whom since this was last looked at."""
        for number, run, owner in db.execute(
            "SELECT number, run, owner FROM takeovers WHERE number > ?", (self._takeovers,)
        ).fetchall():
            self._takeovers = number
            self._held.discard((run, owner))

    # --- inbox

    def put(
        self, run_id: str, kind: InboxKind, body: dict[str, Any], at: float, artifacts: Mapping[str, bytes] = NONE
    ) -> InboxItem:
        """Keep an item for the run."""
        number = self._number(run_id)
        text = msgspec.json.encode(body).decode()
        with self._file.transaction() as db:
            _keep(db, artifacts)
            made = db.execute(
                "INSERT INTO inbox (run, kind, body, put_at) VALUES (?, ?, ?, ?)", (number, kind, text, at)
            )
        self._puts += 1
        return InboxItem(made.lastrowid or 0, kind, body, at)

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        """What the run has not taken yet."""
        rows = self._file.read(
            "SELECT inbox.number, kind, body, put_at FROM inbox JOIN runs ON run = runs.number"
            " WHERE run_id = ? AND taken = 0 ORDER BY inbox.number",
            (run_id,),
        )
        return [InboxItem(number, kind, msgspec.json.decode(body), put_at) for number, kind, body, put_at in rows]

    def posted(self) -> Sequence[str]:
        """The runs with something in their inbox."""
        seen = (self._file.version_of_data(), self._puts)
        if seen == self._seen:
            return ()
        self._seen = seen
        rows = self._file.read(
            "SELECT DISTINCT run_id FROM inbox JOIN runs ON run = runs.number WHERE taken = 0 ORDER BY inbox.number"
        )
        return [run_id for (run_id,) in rows]

    def drop(self, run_id: str, number: int) -> None:
        """Take an item out."""
        with self._file.transaction() as db:
            self._take(db, run_id, number, -1)

    def _take(self, db: sqlite3.Connection, run_id: str, number: int, seq: int) -> None:
        done = db.execute("UPDATE inbox SET taken = ? WHERE number = ? AND taken = 0", (seq, number))
        if done.rowcount != 1:
            raise item_taken(run_id, number)

    # --- what is kept beside the runs

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        """Keep a definition."""
        with self._file.transaction() as db:
            db.execute(
                "INSERT INTO definitions VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET kept_at = excluded.kept_at",
                (hash_, kind, body.decode(), self._now()),
            )

    def definition(self, hash_: str) -> bytes | None:
        """A kept definition."""
        found = self._file.read("SELECT body FROM definitions WHERE hash = ?", (hash_,))
        return found[0][0].encode() if found else None

    def artifact(self, digest: str) -> bytes | None:
        """Kept bytes."""
        found = self._file.read("SELECT body FROM artifacts WHERE digest = ?", (digest,))
        return found[0][0] if found else None

    # --- as it is stored

    def raw(self, run_id: str | None = None) -> Iterator[RawRun | Kept]:
        """Everything as it is stored."""
        with self._file.snapshot() as db:
            yield from raw_runs(db, run_id)
            if run_id is None:
                yield from raw_kept(db)

    def empty(self, turn: Turn, bodies: Mapping[int, bytes]) -> None:
        """Put these bodies in the place of those that are there."""
        with self._file.erasing() as db:
            number = self._ended(db, turn.run_id)
            db.executemany(
                "UPDATE turns SET body = ? WHERE run = ? AND seq = ?",
                ((body.decode(), number, seq) for seq, body in bodies.items()),
            )
            db.execute("DELETE FROM checkpoints WHERE run = ?", (number,))
            db.execute("DELETE FROM inbox WHERE run = ? AND taken <= 0", (number,))
            db.execute("UPDATE inbox SET body = '{}' WHERE run = ?", (number,))
            self._write(db, [turn])

    def remove(self, left: Pruned) -> None:
        """Remove a run."""
        with self._file.erasing() as db:
            number = self._ended(db, left.run_id)
            last = db.execute("SELECT digest FROM turns WHERE run = ? ORDER BY seq DESC LIMIT 1", (number,)).fetchone()
            if last is None or sound(last[0]) != left.digest:
                raise moved_on(left.run_id, left.entries + 1)
            for table in ("turns", "inbox", "checkpoints", "takeovers"):
                db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
            db.execute("DELETE FROM runs WHERE number = ?", (number,))
            db.execute("INSERT INTO pruned VALUES (?, ?, ?, ?)", msgspec.structs.astuple(left))
        self._numbers.pop(left.run_id, None)

    def pruned(self, run_id: str | None = None) -> Sequence[Pruned]:
        """The runs that were removed."""
        rows = self._file.read("SELECT * FROM pruned WHERE ?1 IS NULL OR run_id = ?1", (run_id,))
        return [Pruned(run_id, entries, sound(digest), at) for run_id, entries, digest, at in rows]

    def sweep(self, before: float) -> Swept:
        """Remove what nobody refers to."""
        while True:
            with self._file.snapshot() as db:
                loose = Loose(db, before)
            with self._file.erasing() as db:
                found = loose.removed(db)
            if found is not None:
                self._file.shrink()
                return found

    def _ended(self, db: sqlite3.Connection, run_id: str) -> int:
        """The number of a run that has ended and that nobody works on."""
        found = db.execute("SELECT number, status, owner FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if found is None:
            raise not_there(self, run_id)
        if found[1:] != ("ended", None):
            raise not_ended(run_id)
        return int(found[0])

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _number(self, run_id: str) -> int:
        if run_id not in self._numbers:
            found = self._file.read("SELECT number FROM runs WHERE run_id = ?", (run_id,))
            if not found:
                raise not_there(self, run_id)
            self._numbers[run_id] = found[0][0]
        return self._numbers[run_id]


def _keep(db: sqlite3.Connection, artifacts: Mapping[str, bytes]) -> None:
    db.executemany("INSERT OR IGNORE INTO artifacts VALUES (?, ?)", artifacts.items())


def _insert(db: sqlite3.Connection, values: list[Any]) -> None:
    """Insert rows of four values, with as few different statements as can be, so that SQLite knows them already."""
    at, left = 0, len(values) // 4
    while left:
        rows = min(MOST_ROWS, 1 << (left.bit_length() - 1))
        marks = ", ".join(["(?, ?, ?, ?)"] * rows)
        db.execute(f"INSERT INTO turns VALUES {marks}", values[at : at + 4 * rows])
        at, left = at + 4 * rows, left - rows


def _values(row: RunRow) -> tuple[Any, ...]:
    return msgspec.structs.astuple(row)
