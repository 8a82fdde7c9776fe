"""Appending to a journal without a run: what the tests of journals share."""

from __future__ import annotations

from typing import Any

from stepladder.events import AgentReturned, RunStarted
from stepladder.journal import NO_DIGEST, Journal, RunRow, Turn, chain, encode_turn
from stepladder.journal import append as append_turn
from stepladder.record import Opened, Verdict

Pair = tuple[Journal, Journal]

STARTED = RunStarted(1.0, "a", "w", "h", "p", {"x": 1})
RETURNED = AgentReturned(2.0, 1, {"a": [1, {"b": None}]})
OPENED = Opened(1, "step", ("GO",), Verdict("GO"))


def row(run_id: str = "a", **more: Any) -> RunRow:
    return RunRow(
        **{"run_id": run_id, "workflow": "w", "workflow_hash": "h", "started_at": 1.0, "updated_at": 1.0, **more}
    )


def body(*entries: Any) -> bytes:
    return encode_turn(entries)


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
