"""Turns as a journal reads them, and what a run consists of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stepladder.errors import JournalError
from stepladder.events import Event
from stepladder.journal.codec import decode_turn
from stepladder.journal.refusals import not_there
from stepladder.journal.store import NO_DIGEST, Journal, StoredTurn, chain, sound
from stepladder.record import Entry


def stored(journal: str, run_id: str, rows: Iterable[tuple[int, bytes, object]], after: int = 0) -> list[StoredTurn]:
    """The turns behind entry `after`, from number, body and digest of each, and of the one before the first of them.

    Raises:
        JournalError: a body is no turn.
    """
    found, before = [], NO_DIGEST
    for seq, body, digest in rows:
        if seq > after:
            try:
                entries = decode_turn(body)
            except ValueError as error:
                where = f"run {run_id!r}, entry {seq}: {error}"
                raise JournalError(journal, where, "a turn as stepladder writes it") from None
            found.append(StoredTurn(seq, entries, chain(before, body) == digest, sound(digest)))
        before = sound(digest)
    return found


def turns_of(journal: Journal, run_id: str) -> Sequence[StoredTurn]:
    """The turns of a run, at least one. Raises RunNotFound, RunPruned (it was pruned whole), JournalError."""
    turns = journal.turns(run_id)
    if not turns:
        raise not_there(journal, run_id)
    return turns


def entries_in(turns: Iterable[StoredTurn]) -> list[Event | Entry]:
    """Everything in these turns, in order."""
    return [entry for turn in turns for entry in turn.entries]
