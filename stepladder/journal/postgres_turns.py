"""Appending turns to a Postgres journal: those of many runs in one transaction and two trips.

The first trip locks their runs and sees how they stand, the second writes what is not refused, and commits. Under the
lock of its run a turn meets nobody: a takeover waits for the turn or comes before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from stepladder.errors import StepladderError
from stepladder.journal.postgres_raw import COLUMNS
from stepladder.journal.refusals import item_taken, moved_on, not_mine, not_there, taken_id
from stepladder.journal.store import Journal, Turn

if TYPE_CHECKING:
    from stepladder.journal.postgres_server import PostgresServer, Transaction

_ROWS: Final = (
    "unnest(%b::text[], %b::text[], %b::text[], %b::float8[], %b::float8[], %b::text[], %b::text[], %b::text[],"
    " %b::text[], %b::boolean[], %b::bigint[], %b::float8[], %b::boolean[], %b::text[]"
)
"""Lines of the list of runs and their owners, a column an array; the bracket is left open for one column more."""
_BEGIN: Final = (
    f"INSERT INTO runs ({COLUMNS}, owner) SELECT * FROM {_ROWS}) AS new ({COLUMNS}, owner)"
    " WHERE NOT EXISTS (SELECT FROM pruned WHERE pruned.run_id = new.run_id)"
    " ON CONFLICT DO NOTHING RETURNING run_id, number"
)
_LOCK: Final = "SELECT number, owner FROM runs WHERE number = ANY(%b::bigint[]) ORDER BY number FOR NO KEY UPDATE"
_PASSED: Final = """SELECT run FROM unnest(%b::bigint[], %b::bigint[]) AS turn (run, place)
    WHERE EXISTS (SELECT FROM turns WHERE turns.run = turn.run AND seq >= place)"""
_THERE: Final = """SELECT run_id FROM unnest(%b::text[], %b::bigint[], %b::bytea[]) AS turn (id, place, mark)
    JOIN runs ON run_id = id JOIN turns ON run = number AND seq = place AND digest = mark"""
_OPEN: Final = """SELECT number, run FROM inbox WHERE number = ANY(%b::bigint[]) AND taken = 0
    ORDER BY number FOR UPDATE"""
_APPEND: Final = "INSERT INTO turns SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::bytea[])"
_UPDATE: Final = (
    "UPDATE runs SET step = new.step, status = new.status, waiting = new.waiting, ended = new.ended,"
    " workflow = new.workflow, workflow_hash = new.workflow_hash, started_at = new.started_at,"
    " updated_at = new.updated_at, success = new.success, decisions = new.decisions, usd = new.usd,"
    " pruned = new.pruned, owner = new.owner"
    f" FROM {_ROWS}, %b::bigint[]) AS new ({COLUMNS}, owner, number) WHERE runs.number = new.number"
)
_TAKE: Final = """UPDATE inbox SET taken = seq FROM unnest(%b::bigint[], %b::bigint[]) AS turn (item, seq)
    WHERE number = item"""
_CHECKPOINT: Final = """INSERT INTO checkpoints
    SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::bytea[], %b::text[]) ON CONFLICT (run)
    DO UPDATE SET entries = excluded.entries, digest = excluded.digest, state = excluded.state"""
_KEEP: Final = "INSERT INTO artifacts SELECT * FROM unnest(%b::text[], %b::bytea[]) ON CONFLICT DO NOTHING"


class _Place(NamedTuple):
    """How a run stands whose turn is to be written: whom it belongs to, and whether the turn's place is taken."""

    number: int
    owner: str | None = None
    passed: bool = False


class Appending:
    """Appends turns for a journal; it knows the numbers of the runs that it has met and that have not ended."""

    def __init__(self, journal: Journal, server: PostgresServer) -> None:
        self._journal, self._server = journal, server
        self._numbers: dict[str, int] = {}

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        """Append turns; of each why it was refused, if it was."""
        self.learn(turn.run_id for turn in turns if turn.seq > 1 and turn.run_id not in self._numbers)
        refused = self._server.write(lambda on: self.append(on, turns))
        for turn in turns:
            if turn.row is not None and turn.row.status == "ended":
                self.forget(turn.run_id)
        return refused

    def append(self, on: Transaction, turns: Sequence[Turn]) -> list[StepladderError | None]:
        """The same, in a transaction that is open."""
        places, items, there = self._seen(on, turns)
        refused = [None if turn.run_id in there else self._refused(turn, places, items) for turn in turns]
        _append(
            on,
            [
                (places[turn.run_id].number, turn)
                for turn, error in zip(turns, refused, strict=True)
                if error is None and turn.run_id not in there
            ],
        )
        return refused

    def _seen(self, on: Transaction, turns: Sequence[Turn]) -> tuple[dict[str, _Place], set[tuple[int, int]], set[str]]:
        """How the runs stand, what lies in their inboxes, and which turns were written already; all of it is locked."""
        first = sorted((turn for turn in turns if turn.seq == 1), key=lambda turn: turn.run_id)
        later = {self._numbers[turn.run_id]: turn for turn in turns if turn.seq > 1 and turn.run_id in self._numbers}
        taken = [turn.taken for turn in turns if turn.taken]
        begun, locked, passed, items, there = on.answers(
            on.ask(_BEGIN, _columns(first)) if first else None,
            on.ask(_LOCK, [list(later)]) if later else None,
            on.ask(_PASSED, [list(later), [turn.seq for turn in later.values()]]) if later else None,
            on.ask(_OPEN, [taken]) if taken else None,
            on.ask(_THERE, transposed((turn.run_id, turn.seq, turn.digest) for turn in turns)) if on.again else None,
        )
        self._numbers |= dict(begun)
        places = {run_id: _Place(number) for run_id, number in begun}
        for number, owner in locked:
            places[later[number].run_id] = _Place(number, owner, (number,) in passed)
        return places, set(items), {run_id for (run_id,) in there}

    def _refused(self, turn: Turn, places: Mapping[str, _Place], items: set[tuple[int, int]]) -> StepladderError | None:
        place = places.get(turn.run_id)
        if turn.seq == 1:
            return taken_id(turn.run_id) if place is None else None
        if place is None:
            return not_there(self._journal, turn.run_id)
        if (place.owner or "") != turn.owner:
            return not_mine(turn.run_id)
        if place.passed:
            return moved_on(turn.run_id, turn.seq)
        if turn.taken and (turn.taken, place.number) not in items:
            return item_taken(turn.run_id, turn.taken)
        return None

    def learn(self, run_ids: Iterable[str]) -> None:
        """Find out the numbers of runs that were not met yet."""
        unknown = list(run_ids)
        if unknown:
            self._numbers |= dict(
                self._server.read("SELECT run_id, number FROM runs WHERE run_id = ANY(%s)", (unknown,))
            )

    def forget(self, run_id: str) -> None:
        """Forget a run's number."""
        self._numbers.pop(run_id, None)


def _append(on: Transaction, turns: Sequence[tuple[int, Turn]]) -> None:
    """Write turns, each with the number of its run, and everything that goes with them."""
    if not turns:
        return
    on.ask(_APPEND, transposed((run, turn.seq, turn.body.decode(), turn.digest) for run, turn in turns))
    changed = [(run, turn) for run, turn in turns if turn.row is not None and turn.seq > 1]
    if changed:
        on.ask(_UPDATE, [*_columns([turn for _, turn in changed]), [run for run, _ in changed]])
    taken = [(turn.taken, turn.seq) for _, turn in turns if turn.taken]
    if taken:
        on.ask(_TAKE, transposed(taken))
    kept = [
        (run, turn.checkpoint.entries, turn.checkpoint.digest, turn.checkpoint.state.decode())
        for run, turn in turns
        if turn.checkpoint is not None
    ]
    if kept:
        on.ask(_CHECKPOINT, transposed(kept))
    keep(on, {digest: data for _, turn in turns for digest, data in turn.artifacts.items()})


def keep(on: Transaction, artifacts: Mapping[str, bytes]) -> None:
    """Keep artifacts, in an order that is the same for everybody: whoever waits for another one is not waited for."""
    if artifacts:
        on.ask(_KEEP, transposed(sorted(artifacts.items())))


def transposed(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """An array a column."""
    return [list(column) for column in zip(*rows, strict=True)]


def _columns(turns: Sequence[Turn]) -> list[list[Any]]:
    """The columns of the turns' lines in the list of runs, and their owners."""
    rows = []
    for turn in turns:
        assert turn.row is not None, "the first turn brings the run's line"
        rows.append(
            (*msgspec.structs.astuple(turn.row), (turn.owner or None) if turn.row.status == "working" else None)
        )
    return transposed(rows)
