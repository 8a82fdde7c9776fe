"""Runs of another workflow than the one at hand: refused with the difference, pinned to their own, or migrated.

A migration is checked before it is written: the run's past is decided again under the workflow at hand, in its names,
and a call whose outcome is not known has to keep its key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from stepladder.app.definitions import Definitions, Pin, pin_of
from stepladder.app.left import is_pruned
from stepladder.app.loading import Workflow
from stepladder.errors import InputError, JournalError, RunPruned, StepladderError, WrongDefinition
from stepladder.events import Event, PolicyChanged, Renames, RunStarted, WorkflowChanged
from stepladder.orchestrator import Compared, Machine, compare, fold, in_flight, retold
from stepladder.record import Entry
from stepladder.state import RunState
from stepladder.workflow.difference import difference

OnChanged = Literal["refuse", "pin", "migrate"]
Entries = Sequence[Event | Entry]

WAYS: Final = "load that version, go on under the one in the journal (on_changed pin), or migrate the run (migrate)"


class Taken(NamedTuple):
    """A run taken up: the machine it goes on under, its state as that folds it, and what to journal first."""

    machine: Machine
    state: RunState
    change: PolicyChanged | WorkflowChanged | None = None


class Upgrading:
    """What an Orchestrator of `workflow` does with runs that are pinned to another one.

    Raises:
        InputError: `on_changed` is none of the three ways.
    """

    def __init__(
        self, definitions: Definitions, workflow: Workflow, agents: Mapping[str, Any], on_changed: OnChanged
    ) -> None:
        if on_changed not in get_args(OnChanged):
            raise InputError("on_changed", "", repr(on_changed), "refuse, pin or migrate")
        self.definitions, self.workflow, self.agents, self.on_changed = definitions, workflow, agents, on_changed
        self.because = ""
        """Why runs under another policy change to this one, where somebody said it."""

    def machine(self, run_id: str, entries: Entries) -> Machine:
        """The machine that the run is seen under.

        Raises:
            WrongDefinition: it is pinned to another workflow, which is refused or cannot be had.
        """
        pin = pin_of(self._started(run_id, entries), entries)
        if pin.workflow_hash == self.workflow.hash:
            return self.workflow.machine
        if self.on_changed == "refuse":
            raise self._wrong(run_id, pin, WAYS)
        try:
            return self.definitions.exact(pin).machine
        except StepladderError as error:
            raise self._wrong(run_id, pin, f"the journal's cannot be used: {error}") from error

    def taken(self, run_id: str, entries: Entries, at: float, *, again: bool = False) -> Taken:
        """Take up the run; `again`: also where it has ended.

        Raises:
            WrongDefinition: it cannot go on, under its own workflow or under the one at hand.
        """
        machine = self.machine(run_id, entries)
        state = fold(machine, entries)
        if state.status == "ended" and not again:
            return Taken(machine, state)
        if machine is self.workflow.machine:
            same = state.policy_hash == machine.policy.hash
            return Taken(machine, state, None if same else PolicyChanged(at, machine.policy.hash, self.because))
        if self.on_changed == "migrate":
            change = self._migration(run_id, entries, at)
            return Taken(self.workflow.machine, fold(self.workflow.machine, entries, then=change), change)
        if missing := sorted(machine.definition.called - set(self.agents)):
            pin = pin_of(self._started(run_id, entries), entries)
            raise self._wrong(run_id, pin, f"to go on under its own it needs agents that are not here: {missing}")
        return Taken(machine, state)

    def _migration(self, run_id: str, entries: Entries, at: float) -> WorkflowChanged:
        pin = pin_of(self._started(run_id, entries), entries)
        renames = _declared(self.definitions, self.workflow, pin)
        if renames is None:
            raise self._wrong(run_id, pin, "the one at hand has no `migrates` section from it")
        change, found = _checked(self.definitions, self.workflow, entries, pin, renames, at)
        if found.outcome != "same":
            raise self._wrong(run_id, pin, f"it is not migrated: its past {found}", found.decision)
        return change

    def _started(self, run_id: str, entries: Entries) -> RunStarted:
        if not entries or not isinstance(entries[0], RunStarted):
            found = f"run {run_id!r} without its beginning"
            raise JournalError(self.definitions.journal.name, found, "its first entry, run_started")
        return entries[0]

    def _wrong(self, run_id: str, pin: Pin, cause: str, decision: int = 0) -> WrongDefinition:
        return wrong_definition(self.definitions, self.workflow, run_id, pin, cause, decision)


def wrong_definition(
    definitions: Definitions, workflow: Workflow, run_id: str, pin: Pin, cause: str, decision: int = 0
) -> WrongDefinition:
    """The refusal, with what differs where the journal can say it."""
    try:
        differing = difference(definitions.workflow(pin).definition, workflow.definition)
    except StepladderError:
        differing = ()
    here = f"{workflow.name} {workflow.hash}"
    return WrongDefinition(run_id, here, str(pin), cause, [str(each) for each in differing], decision)


def compare_run(definitions: Definitions, workflow: Workflow, entries: Entries) -> Compared:
    """How the past of a run would have gone under `workflow`, and whether the run could go on under it."""
    started = entries[0] if entries else None
    if not isinstance(started, RunStarted):
        return compare(workflow.machine, entries)
    if is_pruned(entries):
        return Compared("incomparable", cause=str(RunPruned(started.run_id)))
    pin = pin_of(started, entries)
    if pin.workflow_hash == workflow.hash:
        return compare(workflow.machine, retold(entries)[0])
    renames = _declared(definitions, workflow, pin) or Renames()
    try:
        return _checked(definitions, workflow, entries, pin, renames)[1]
    except StepladderError as error:
        return Compared("incomparable", cause=str(error))


def _declared(definitions: Definitions, workflow: Workflow, pin: Pin) -> Renames | None:
    """What the workflow says of runs that come from there; None where it says nothing."""
    said = {each.from_: each.renames for each in workflow.definition.migrates}
    if pin.workflow_hash in said or not said:
        return said.get(pin.workflow_hash)
    try:
        old = definitions.workflow(pin)
    except StepladderError:
        return None
    return said.get(str(old.definition.version)) if old.name == workflow.name else None


def _checked(
    definitions: Definitions, workflow: Workflow, entries: Entries, pin: Pin, renames: Renames, at: float = 0.0
) -> tuple[WorkflowChanged, Compared]:
    change = WorkflowChanged(at, workflow.hash, workflow.machine.policy.hash, renames)
    found = compare(workflow.machine, retold(entries, change)[0])
    if found.outcome == "same":
        after = fold(workflow.machine, entries, then=change)
        if after.status != "ended":
            before = fold(definitions.workflow(pin).machine, entries)
            if not in_flight(before) <= in_flight(after):
                was, now = "a call whose outcome is not known", "another call, or none"
                found = Compared("diverges", after.opened, after.step, was, now)
    return change, found
