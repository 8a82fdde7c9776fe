"""A journal in a Postgres database, shared by processes on many machines.

The tables are those of SQLite, one row a turn; how turns are appended is in `postgres_turns`.

Leases run by the server's clock, for those of machines differ: what counts of an owner's `until` is how long it is from
now, as its own machine sees it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stepladder.errors import JournalError, RunOwned, StepladderError
from stepladder.journal.address import shown
from stepladder.journal.owner import Owner
from stepladder.journal.postgres_raw import COLUMNS, Loose, raw_kept, raw_runs
from stepladder.journal.postgres_turns import Appending, keep, transposed
from stepladder.journal.reading import stored
from stepladder.journal.refusals import item_taken, moved_on, not_ended, not_there
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
)

if TYPE_CHECKING:
    from stepladder.journal.postgres_server import Transaction

SCHEMA: Final = "stepladder"
_ENROLL: Final = """INSERT INTO owners VALUES (%s, %s, %s, %s, extract(epoch FROM clock_timestamp()) + %s)
    ON CONFLICT (id) DO UPDATE SET until = excluded.until"""
_KEEP_DEFINITION: Final = """INSERT INTO definitions
    VALUES (%s, %s, %s, extract(epoch FROM clock_timestamp()))
    ON CONFLICT (hash) DO UPDATE SET kept_at = excluded.kept_at"""
_EMPTY: Final = """UPDATE turns SET body = left_of FROM unnest(%s::bigint[], %s::text[]) AS new (place, left_of)
    WHERE run = %s AND seq = place"""
_PUT: Final = "INSERT INTO inbox (run, kind, body, put_at) VALUES (%s, %s, %s, %s) RETURNING number"
_PUT_BEFORE: Final = "SELECT number FROM inbox WHERE run = %s AND kind = %s AND body = %s AND put_at = %s"
_OWNER: Final = """SELECT id, host, pid, started, until, extract(epoch FROM clock_timestamp())::float8
    FROM owners WHERE id = %s"""


class PostgresJournal:
    """A journal in a schema of the database at `address`, made where it is missing (unless `create` is false).

    `patience_s` is how long a lock, or a server that is away, is waited for.

    Raises:
        JournalError: psycopg is not installed, the server cannot be reached, or what is there is no journal of ours.
    """

    grouped = True

    def __init__(self, address: str, *, schema: str = SCHEMA, create: bool = True, patience_s: float = 10.0) -> None:
        try:
            from stepladder.journal.postgres_server import PostgresServer
        except ModuleNotFoundError as missing:
            if (missing.name or "").startswith("stepladder"):
                raise
            needed = "psycopg: pip install 'stepladder[postgres]'"
            raise JournalError(shown(address), f"no module {missing.name!r}", needed) from missing
        self._server = PostgresServer(address, schema=schema, create=create, patience_s=patience_s)
        self.name, self.schema = self._server.name, schema
        self.address = address  # with its password: for whoever keeps something beside it, never to be shown
        self._appending = Appending(self, self._server)

    # --- turns

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        """Append turns."""
        return self._appending.write(turns)

    def turns(self, run_id: str, after: int = 0) -> list[StoredTurn]:
        """The run's turns."""
        rows = self._server.read(
            "SELECT seq, body, digest FROM turns JOIN runs ON run = number WHERE run_id = %s AND seq >= ("
            "SELECT coalesce(max(seq), 0) FROM turns WHERE run = number AND seq <= %s) ORDER BY seq",
            (run_id, after),
        )
        return stored(self.name, run_id, ((seq, text.encode(), digest) for seq, text, digest in rows), after)

    def checkpoint(self, run_id: str) -> Checkpoint | None:
        """The newest kept state."""
        found = self._server.read(
            "SELECT entries, digest, state FROM checkpoints JOIN runs ON run = number WHERE run_id = %s", (run_id,)
        )
        return Checkpoint(found[0][0], found[0][1], found[0][2].encode()) if found else None

    # --- runs

    def row(self, run_id: str) -> RunRow | None:
        """The run's line."""
        found = self._server.read(f"SELECT {COLUMNS} FROM runs WHERE run_id = %s", (run_id,))
        return RunRow(*found[0]) if found else None

    def rows(self, limit: int = 100, status: Status | None = None, workflow: str | None = None) -> list[RunRow]:
        """The newest runs first."""
        found = self._server.read(
            f"SELECT {COLUMNS} FROM runs WHERE (%s::text IS NULL OR status = %s)"
            " AND (%s::text IS NULL OR workflow = %s) ORDER BY started_at DESC, number DESC LIMIT %s",
            (status, status, workflow, workflow, limit),
        )
        return [RunRow(*each) for each in found]

    # --- who works on what

    def enroll(self, owner: Owner) -> None:
        """Make an owner known."""
        lease_s = owner.until - time.time()
        known = (owner.id, owner.host, owner.pid, owner.started, lease_s)
        self._server.write(lambda on: on.ask(_ENROLL, known))

    def leave(self, owner_id: str) -> None:
        """Forget an owner."""

        def left(on: Transaction) -> None:
            on.ask("DELETE FROM owners WHERE id = %s", (owner_id,))
            on.ask(
                "UPDATE runs SET owner = NULL WHERE number IN ("
                "SELECT number FROM runs WHERE owner = %s ORDER BY number FOR NO KEY UPDATE)",
                (owner_id,),
            )

        self._server.write(left)

    def claim(self, run_id: str, owner_id: str) -> None:
        """Make the run this owner's."""

        def claimed(on: Transaction) -> None:
            number, before = self._locked(on, run_id)
            if before == owner_id:
                return
            if before is not None:
                self._relieve(on, run_id, number, before)
            on.ask("UPDATE runs SET owner = %s WHERE number = %s", (owner_id, number))

        self._server.write(claimed)

    def _locked(self, on: Transaction, run_id: str) -> tuple[int, str | None]:
        """The run's number and its owner, once nobody else is at it. Raises RunNotFound, RunPruned."""
        asked = on.ask("SELECT number, owner FROM runs WHERE run_id = %s FOR NO KEY UPDATE", (run_id,))
        (found,) = on.answers(asked)
        if not found:
            raise not_there(self, run_id)
        number, owner = found[0]
        return number, owner

    def _relieve(self, on: Transaction, run_id: str, number: int, before: str) -> None:
        """Take the run from an owner that is not alive. Raises RunOwned."""
        (found,) = on.answers(on.ask(_OWNER, (before,)))
        for *known, now in found:
            if (owner := Owner(*known)).alive(now):
                raise RunOwned(run_id, owner.told())
        on.ask(
            "INSERT INTO takeovers (run, owner, at) VALUES (%s, %s, extract(epoch FROM clock_timestamp()))",
            (number, before),
        )

    def release(self, run_id: str, owner_id: str) -> None:
        """Let go of a run."""
        values = (run_id, owner_id)
        self._server.write(lambda on: on.ask("UPDATE runs SET owner = NULL WHERE run_id = %s AND owner = %s", values))

    # --- inbox

    def put(
        self, run_id: str, kind: InboxKind, body: dict[str, Any], at: float, artifacts: Mapping[str, bytes] = NONE
    ) -> InboxItem:
        """Keep an item for the run."""
        item = (kind, msgspec.json.encode(body).decode(), at)

        def kept(on: Transaction) -> int:
            values = (self._locked(on, run_id)[0], *item)
            (made,) = on.answers(on.ask(_PUT_BEFORE, values)) if on.again else [[]]
            if not made:
                asked = on.ask(_PUT, values)
                keep(on, artifacts)
                on.ask("SELECT pg_notify(%s, %s)", (self._server.schema, run_id))
                (made,) = on.answers(asked)
            ((number,),) = made
            return int(number)

        return InboxItem(self._server.write(kept), kind, body, at)

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        """What the run has not taken yet."""
        rows = self._server.read(
            "SELECT inbox.number, kind, body, put_at FROM inbox JOIN runs ON run = runs.number"
            " WHERE run_id = %s AND taken = 0 ORDER BY inbox.number",
            (run_id,),
        )
        return [InboxItem(number, kind, msgspec.json.decode(body), put_at) for number, kind, body, put_at in rows]

    def posted(self) -> Sequence[str]:
        """The runs with something new in their inbox; at first, and after a lost connection, with anything in it."""
        heard = self._server.heard()
        if heard is not None:
            return list(dict.fromkeys(heard))
        rows = self._server.read(
            "SELECT run_id FROM runs WHERE EXISTS (SELECT FROM inbox WHERE run = runs.number AND taken = 0)"
        )
        return [run_id for (run_id,) in rows]

    def drop(self, run_id: str, number: int) -> None:
        """Take an item out."""

        def dropped(on: Transaction) -> None:
            done = on.ask("UPDATE inbox SET taken = -1 WHERE number = %s AND taken = 0 RETURNING 1", (number,))
            if not on.answers(done)[0]:
                raise item_taken(run_id, number)

        self._server.write(dropped)

    # --- what is kept beside the runs

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        """Keep a definition."""
        values = (hash_, kind, body.decode())
        self._server.write(lambda on: on.ask(_KEEP_DEFINITION, values))

    def definition(self, hash_: str) -> bytes | None:
        """A kept definition."""
        found = self._server.read("SELECT body FROM definitions WHERE hash = %s", (hash_,))
        return found[0][0].encode() if found else None

    def artifact(self, digest: str) -> bytes | None:
        """Kept bytes."""
        found = self._server.read("SELECT body FROM artifacts WHERE digest = %s", (digest,))
        return found[0][0] if found else None

    # --- as it is stored

    def raw(self, run_id: str | None = None) -> Iterator[RawRun | Kept]:
        """Everything as it is stored."""
        with self._server.snapshot() as db:
            yield from raw_runs(db, run_id)
            if run_id is None:
                yield from raw_kept(db)

    def empty(self, turn: Turn, bodies: Mapping[int, bytes]) -> None:
        """Put these bodies in the place of those that are there."""

        def emptied(on: Transaction) -> None:
            number = self._ended(on, turn.run_id)
            (refused,) = self._appending.append(on, [turn])
            if refused is not None:
                raise refused
            new = [(seq, body.decode()) for seq, body in bodies.items()]
            on.ask(_EMPTY, [*transposed(new), number])
            on.ask("DELETE FROM checkpoints WHERE run = %s", (number,))
            on.ask("DELETE FROM inbox WHERE run = %s AND taken <= 0", (number,))
            on.ask("UPDATE inbox SET body = '{}' WHERE run = %s", (number,))

        self._appending.learn([turn.run_id])
        self._server.write(emptied)

    def remove(self, left: Pruned) -> None:
        """Remove a run."""

        def removed(on: Transaction) -> None:
            on.ask("LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE")  # nobody begins one of this id meanwhile
            number = self._ended(on, left.run_id)
            (last,) = on.answers(on.ask("SELECT digest FROM turns WHERE run = %s ORDER BY seq DESC LIMIT 1", (number,)))
            if last != [(left.digest,)]:
                raise moved_on(left.run_id, left.entries + 1)
            for table in ("turns", "inbox", "checkpoints", "takeovers"):
                on.ask(f"DELETE FROM {table} WHERE run = %s", (number,))
            on.ask("DELETE FROM runs WHERE number = %s", (number,))
            on.ask("INSERT INTO pruned VALUES (%s, %s, %s, %s)", msgspec.structs.astuple(left))

        self._server.write(removed)
        self._appending.forget(left.run_id)

    def pruned(self, run_id: str | None = None) -> Sequence[Pruned]:
        """The runs that were removed."""
        rows = self._server.read("SELECT * FROM pruned WHERE %s::text IS NULL OR run_id = %s", (run_id, run_id))
        return [Pruned(*each) for each in rows]

    def sweep(self, before: float) -> Swept:
        """Remove what nobody refers to. The server itself gives the space back (its autovacuum)."""
        with self._server.snapshot() as db:
            loose = Loose(db, before)
        return self._server.write(loose.removed)

    def _ended(self, on: Transaction, run_id: str) -> int:
        """The number of a run that has ended and that nobody works on; nobody begins to."""
        asked = on.ask("SELECT number, status, owner FROM runs WHERE run_id = %s FOR UPDATE", (run_id,))
        (found,) = on.answers(asked)
        if not found:
            raise not_there(self, run_id)
        number, *how = found[0]
        if how != ["ended", None]:
            raise not_ended(run_id)
        return int(number)

    def close(self) -> None:
        """Let go of the server."""
        self._server.close()
