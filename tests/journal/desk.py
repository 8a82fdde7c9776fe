"""Appending to a journal without a run: what the tests of journals share."""

from __future__ import annotations

from stepladder.journal import NO_DIGEST, Journal, RunRow, Turn, chain
from stepladder.journal import append as append_turn


def create(journal: Journal, row: RunRow, body: bytes, owner: str = "") -> None:
    append_turn(journal, Turn(row.run_id, 1, body, chain(NO_DIGEST, body), row, owner))


def turn_of(
    journal: Journal, run_id: str, seq: int, body: bytes, row: RunRow | None = None, taken: int = 0, owner: str = ""
) -> Turn:
    """The turn as whoever saw the run as it is now would write it."""
    turns = journal.turns(run_id)
    return Turn(run_id, seq, body, chain(turns[-1].digest if turns else NO_DIGEST, body), row, owner, taken)


def append(
    journal: Journal, run_id: str, seq: int, body: bytes, row: RunRow | None = None, taken: int = 0, owner: str = ""
) -> None:
    append_turn(journal, turn_of(journal, run_id, seq, body, row, taken, owner))
