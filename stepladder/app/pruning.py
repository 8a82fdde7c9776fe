"""Retention: what has ended long ago loses its payloads, or goes altogether.

Each run is pruned in one transaction, so whatever is cut off in the middle leaves a good journal, and the next pruning
goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from stepladder.app.verifying import Chained, Look
from stepladder.errors import InputError, JournalError, RunConflict, StepladderError
from stepladder.events import PayloadsPruned
from stepladder.journal import (
    Journal,
    Pruned,
    RawRun,
    RunRow,
    Swept,
    Turn,
    chain,
    encode_turn,
    seal,
    without_payload,
)
from stepladder.state import CANCELLED

Degree = Literal["payloads", "runs"]
EVERYTHING: Final = 2**31
UNUSED_S: Final = 86_400.0
"""Seconds after which a definition that no run refers to can be told from one whose first run is about to begin."""

STATES: Final[dict[str, Callable[[RunRow], bool]]] = {
    "ended": lambda row: True,
    "succeeded": lambda row: row.success is True,
    "failed": lambda row: row.success is False and row.end != CANCELLED,
    "cancelled": lambda row: row.end == CANCELLED,
}
"""How the runs have ended that are meant."""


class PrunedNow(msgspec.Struct, frozen=True):
    """What was pruned: the runs, how many entries they have, and what nobody referred to any more.

    `left` are the runs that were left as they are, with why.
    """

    runs: tuple[str, ...] = ()
    entries: int = 0
    swept: Swept = Swept()
    left: dict[str, str] = {}


def prune(
    journal: Journal,
    degree: Degree,
    *,
    older_than_s: float,
    state: str = "ended",
    dry_run: bool = False,
    before: Callable[[str], object] = lambda _: None,
    now: float | None = None,
) -> PrunedNow:
    """Prune the runs that ended more than `older_than_s` seconds ago and have not been touched since.

    Args:
        journal: where they are.
        degree: take out their `payloads`, or remove the `runs`.
        older_than_s: how long ago.
        state: which of them: ended (all), succeeded, failed or cancelled.
        dry_run: only say which they are.
        before: called with each run's id before it is pruned; a run is left where it raises.
        now: the time to count from, seconds since 1970.

    Raises:
        InputError: an unknown degree or state.
        JournalError: it cannot be written.
    """
    pruner = {"payloads": _payloads, "runs": _run}.get(degree)
    if pruner is None or state not in STATES:
        raise InputError("prune", "", f"{degree} of {state}", f"payloads or runs, of {', '.join(STATES)}")
    at = time.time() if now is None else now
    rows = [row for row in reversed(journal.rows(EVERYTHING, status="ended")) if row.updated_at < at - older_than_s]
    look, names, entries, left = Look(journal), list[str](), 0, dict[str, str]()
    for row in rows:
        if not STATES[state](row) or (degree == "payloads" and row.pruned):
            continue
        try:
            if not dry_run:
                before(row.run_id)
            entries += pruner(look, row, at, dry_run)
        except JournalError:
            raise
        except StepladderError as error:
            left[row.run_id] = str(error)
        else:
            names.append(row.run_id)
    swept = Swept() if dry_run else journal.sweep(at - max(older_than_s, UNUSED_S))
    return PrunedNow(tuple(names), entries, swept, left)


def _payloads(look: Look, row: RunRow, at: float, dry_run: bool) -> int:
    """Take the payloads out of a run; how many entries it has."""
    run = _whole(look, row)
    if not dry_run:
        last = run.turns[-1][0]
        bodies = {turn.seq: without_payload(turn.body) for turn, _ in run.turns}
        event = encode_turn([PayloadsPruned(at, seal(bodies.values()).hex())])
        turn = Turn(row.run_id, run.entries + 1, event, chain(last.digest, event), replace(row, pruned=True))
        look.journal.empty(turn, bodies)
    return run.entries


def _run(look: Look, row: RunRow, at: float, dry_run: bool) -> int:
    """Remove a run; how many entries it had."""
    run = _whole(look, row)
    if not dry_run:
        look.journal.remove(Pruned(row.run_id, run.entries, run.turns[-1][0].digest, at))
    return run.entries


def _whole(look: Look, row: RunRow) -> Chained:
    """The run's turns. Raises RunConflict where it is not as it was written: it is evidence, and stays."""
    for run in look.journal.raw(row.run_id):
        if isinstance(run, RawRun):
            found = look.run(run)
            if found.findings:
                raise RunConflict(row.run_id, f"is not as it was written, and is left as it is: {found.findings[0]}")
            return found
    raise RunConflict(row.run_id, "is not there any more")
