"""Why a journal refuses: the errors that every kind of journal gives in the same words."""

from __future__ import annotations

from stepladder.errors import RunConflict, RunError, RunNotFound, RunPruned
from stepladder.journal.store import Journal


def not_there(journal: Journal, run_id: str) -> RunError:
    """Why a run cannot be had: it was pruned, or there is none of this id."""
    if journal.pruned(run_id):
        return RunPruned(run_id, "nothing is left but its id, which stays taken")
    return RunNotFound(run_id, journal.name)


def not_ended(run_id: str) -> RunConflict:
    """The refusal to prune what still goes on."""
    return RunConflict(run_id, "has not ended, or is worked on; it is not pruned")


def taken_id(run_id: str) -> RunConflict:
    """The refusal of a second run of the same id."""
    return RunConflict(run_id, "there is already a run of this id")


def moved_on(run_id: str, seq: int) -> RunConflict:
    """The refusal of a turn whose place is taken."""
    return RunConflict(run_id, f"entry {seq} was written by another process, which has moved the run on")


def item_taken(run_id: str, number: int) -> RunConflict:
    """The refusal of a turn whose inbox item is gone."""
    return RunConflict(run_id, f"inbox item {number} was taken by another process")


def not_mine(run_id: str) -> RunConflict:
    """The refusal of a turn by somebody who does not own the run (any more)."""
    return RunConflict(run_id, "another process has taken it over; what this one still had to say was not written")
