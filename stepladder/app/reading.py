"""Runs as a journal has them, without their agents and without their workflow file.

The journal keeps the definition of every run under `workflow hash/policy hash`; a workflow with signals of its own
needs these handed in, because they are Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stepladder.app.answers import checked_outcome
from stepladder.app.loading import Workflow, restored
from stepladder.app.run import Run
from stepladder.drivers import Divergence, Replayed, replay
from stepladder.drivers.rows import row_of
from stepladder.errors import (
    DefinitionError,
    InputError,
    JournalError,
    RunConflict,
    RunError,
    RunNotFound,
    WrongDefinition,
)
from stepladder.events import Event, OutcomeAttached, PolicyChanged, QuestionPut, RunStarted
from stepladder.journal import Journal, StoredTurn, encode_turn
from stepladder.orchestrator import Machine, advance, fold
from stepladder.record import Entry
from stepladder.signals import Signal


def read_run(journal: Journal, run_id: str, signals: Iterable[Signal] = ()) -> Run:
    """The run, folded under the policy it has now.

    Raises:
        RunNotFound: there is none of this id.
        RunError: it is a lone decision.
        JournalError: the journal does not keep its definition.
        InputError: its definition cannot be built, for want of its own signals.
    """
    entries = entries_of(journal, run_id)
    machine = machine_now(journal, run_id, entries, signals)
    return Run(machine, fold(machine, entries), journal)


def entries_of(journal: Journal, run_id: str) -> tuple[Event | Entry, ...]:
    """Everything in the run's journal, in order. Raises RunNotFound."""
    return tuple(entry for turn in _turns(journal, run_id) for entry in turn.entries)


def is_lone(entries: Sequence[Event | Entry]) -> bool:
    """Whether these are the entries of a decision point that stands alone."""
    return bool(entries) and isinstance(entries[0], QuestionPut)


def workflow_at(
    journal: Journal, workflow_hash: str, policy_hash: str, signals: Iterable[Signal] = ()
) -> Workflow | None:
    """The workflow under this policy as the journal keeps it, or None. Raises DefinitionError."""
    kept = journal.definition(f"{workflow_hash}/{policy_hash}")
    return restored(kept, signals) if kept else None


def machine_now(
    journal: Journal, run_id: str, entries: Sequence[Event | Entry], signals: Iterable[Signal] = ()
) -> Machine:
    """The machine of the run under the policy it has now. Raises as `read_run`."""
    policies = [entry.policy_hash for entry in entries if isinstance(entry, (RunStarted, PolicyChanged))]
    return _machine(journal, _started(run_id, entries), policies[-1] if policies else "", signals)


def replay_run(journal: Journal, run_id: str, signals: Iterable[Signal] = (), under: Machine | None = None) -> Replayed:
    """Decide the run again: under the policies it had, or all of it `under` this machine's.

    A run whose beginning is missing diverges there.

    Raises:
        WrongDefinition: `under` is of another workflow than the run.
        And as `read_run`.
    """
    turns = _turns(journal, run_id)
    first = next(iter(turns[0].entries), None)
    if not isinstance(first, (RunStarted, QuestionPut)):
        return Replayed(run_id, 0, 0, Divergence(1, 1, first, None, "entry 1 is missing"))
    started = _started(run_id, turns[0].entries)
    if under is not None:
        if under.definition.hash != started.workflow_hash:
            here = f"{under.definition.name} {under.definition.hash}"
            raise WrongDefinition(run_id, here, f"{started.workflow} {started.workflow_hash}")
        return replay(under, run_id, turns)
    own = tuple(signals)

    def machine_of(policy_hash: str) -> Machine:
        return _machine(journal, started, policy_hash, own)

    return replay(machine_of(started.policy_hash), run_id, turns, machine_of)


def attach_outcome(journal: Journal, run_id: str, outcome: OutcomeAttached, signals: Iterable[Signal] = ()) -> Run:
    """Write down how a resting run, or one decision of it, turned out.

    Raises:
        InputError: there is no such decision, or quality is not from 0 to 1, or time runs backwards.
        RunConflict: somebody is at work on the run.
        And as `read_run`.
    """
    run = read_run(journal, run_id, signals)
    said = checked_outcome(outcome, run.state.opened)
    if run.status == "working":
        raise RunConflict(
            run_id, "is at work; say how it turned out once it rests (`stepladder resume` takes up a run left alone)"
        )
    machine = run.machine
    moved = advance(machine, run.state, said)
    journal.append(run_id, len(run.entries) + 1, encode_turn(moved.entries), row_of(machine, moved.state))
    return Run(machine, moved.state, journal)


def _turns(journal: Journal, run_id: str) -> list[StoredTurn]:
    turns = journal.turns(run_id)
    if not turns:
        raise RunNotFound(run_id, journal.name)
    return turns


def _started(run_id: str, entries: Sequence[Event | Entry]) -> RunStarted:
    if not entries or not isinstance(entries[0], RunStarted):
        raise RunError(run_id, "is a lone decision, not the run of a workflow")
    return entries[0]


def _machine(journal: Journal, started: RunStarted, policy_hash: str, signals: Iterable[Signal]) -> Machine:
    what = f"{started.workflow} {started.workflow_hash}"
    try:
        found = workflow_at(journal, started.workflow_hash, policy_hash, signals)
    except DefinitionError as error:
        unknown = sorted({problem.found for problem in error.problems})
        raise InputError(what, "", ", ".join(unknown), "its own signals, from its agents file (--agents)") from error
    if found is None:
        missing = f"no definition of {what} under policy {policy_hash}"
        raise JournalError(journal.name, missing, "the definition that its runs were decided by")
    return found.machine
