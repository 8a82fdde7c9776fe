"""Runs as a journal has them, without their agents and without their workflow file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from msgspec.structs import replace

from stepladder.app.answers import checked_outcome
from stepladder.app.definitions import Definitions, Pin, pin_of
from stepladder.app.left import is_pruned, state_left
from stepladder.app.loading import Workflow
from stepladder.app.run import Run
from stepladder.app.upgrading import wrong_definition
from stepladder.drivers import Divergence, Replayed, replay
from stepladder.drivers.rows import row_of
from stepladder.errors import RunConflict, RunError, RunPruned
from stepladder.events import Event, OutcomeAttached, QuestionPut, RunStarted
from stepladder.journal import Journal, StoredTurn, Turn, append, chain, encode_turn, entries_in, turns_of
from stepladder.orchestrator import Machine, advance, fold, retold
from stepladder.record import Entry
from stepladder.signals import Signal


def read_run(journal: Journal, run_id: str, signals: Iterable[Signal] = ()) -> Run:
    """The run, folded under the policy it has now; where its payloads were pruned, what is left of it.

    Raises:
        RunNotFound, RunPruned: there is none of this id (any more).
        RunError: it is a lone decision.
        JournalError: the journal does not keep its definition.
        InputError: its definition cannot be built, for want of its own signals.
    """
    entries = entries_of(journal, run_id)
    machine = machine_now(journal, run_id, entries, signals)
    pruned = is_pruned(entries)
    state = state_left(journal, run_id, entries) if pruned else fold(machine, entries)
    return Run(machine, state, journal, pruned=pruned)


def entries_of(journal: Journal, run_id: str) -> tuple[Event | Entry, ...]:
    """Everything in the run's journal, in order. Raises RunNotFound."""
    return tuple(entries_in(turns_of(journal, run_id)))


def is_lone(entries: Sequence[Event | Entry]) -> bool:
    """Whether these are the entries of a decision point that stands alone."""
    return bool(entries) and isinstance(entries[0], QuestionPut)


def machine_now(
    journal: Journal, run_id: str, entries: Sequence[Event | Entry], signals: Iterable[Signal] = ()
) -> Machine:
    """The machine of the run under the workflow and the policy it has now. Raises as `read_run`."""
    return Definitions(journal, signals).workflow(pin_of(_started(run_id, entries), entries)).machine


def replay_run(
    journal: Journal,
    run_id: str,
    signals: Iterable[Signal] = (),
    under: Workflow | None = None,
    definitions: Definitions | None = None,
) -> Replayed:
    """Decide the run again: under the workflows and policies it had, or all of it `under` this one.

    A run whose beginning is missing diverges there. Whoever replays many runs hands in the journal's `definitions` (in
    place of `signals`), so that each is built once.

    Raises:
        RunPruned: what it was decided on is not there any more.
        WrongDefinition: `under` is of another workflow than the run.
        And as `read_run`.
    """
    turns = turns_of(journal, run_id)
    if any(is_pruned(turn.entries) for turn in turns):
        raise RunPruned(run_id)
    first = next(iter(turns[0].entries), None)
    if not isinstance(first, (RunStarted, QuestionPut)):
        return Replayed(run_id, 0, 0, Divergence(1, 1, first, None, "entry 1 is missing"))
    started = _started(run_id, turns[0].entries)
    definitions, pin = definitions or Definitions(journal, signals), pin_of(started, ())
    if under is not None:
        now = pin_of(started, entries_in(turns))
        if under.hash != now.workflow_hash:
            raise wrong_definition(definitions, under, run_id, now, "load that version")
        return replay(under.machine, run_id, _retold(turns))

    def machine_of(workflow_hash: str, policy_hash: str) -> Machine:
        return definitions.workflow(Pin(pin.name, workflow_hash, policy_hash)).machine

    return replay(definitions.workflow(pin).machine, run_id, turns, machine_of)


def attach_outcome(journal: Journal, run_id: str, outcome: OutcomeAttached, signals: Iterable[Signal] = ()) -> Run:
    """Write down how a resting run, or one decision of it, turned out.

    Raises:
        InputError: there is no such decision, or quality is not from 0 to 1, or time runs backwards.
        RunConflict: somebody is at work on the run.
        And as `read_run`.
    """
    run = read_run(journal, run_id, signals)
    if run.pruned:
        raise RunPruned(run_id)
    said = checked_outcome(outcome, run.state.opened)
    if run.status == "working":
        raise RunConflict(
            run_id, "is at work; say how it turned out once it rests (`stepladder resume` takes up a run left alone)"
        )
    machine = run.machine
    moved = advance(machine, run.state, said)
    body = encode_turn(moved.entries)
    digest = chain(journal.turns(run_id)[-1].digest, body)
    append(journal, Turn(run_id, len(run.entries) + 1, body, digest, row_of(machine, moved.state)))
    return Run(machine, moved.state, journal)


def _retold(turns: Sequence[StoredTurn]) -> list[StoredTurn]:
    """The turns in the names that their workflow has now."""
    told = iter(retold(entries_in(turns))[0])
    return [replace(turn, entries=tuple(islice(told, len(turn.entries)))) for turn in turns]


def _started(run_id: str, entries: Sequence[Event | Entry]) -> RunStarted:
    if not entries or not isinstance(entries[0], RunStarted):
        raise RunError(run_id, "is a lone decision, not the run of a workflow")
    return entries[0]
