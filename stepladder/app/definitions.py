"""Workflows as a journal keeps them, and which of them a run is pinned to.

The journal keeps the definition of every run under `workflow hash/policy hash`; a workflow with signals of its own
needs these handed in, because they are Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stepladder.app.loading import Workflow, restored
from stepladder.errors import DefinitionError, InputError, JournalError
from stepladder.events import Event, PolicyChanged, RunStarted, WorkflowChanged
from stepladder.journal import Journal, entries_in
from stepladder.record import Entry
from stepladder.signals import Signal


class Pin(NamedTuple):
    """The workflow that a run is pinned to, and the policy that it has now."""

    name: str
    workflow_hash: str
    policy_hash: str

    def __str__(self) -> str:
        return f"{self.name} {self.workflow_hash}"


def pins_of(started: RunStarted, entries: Iterable[Event | Entry]) -> list[Pin]:
    """Every pin, in order, of a run that `started` so and went on with these entries."""
    pins = [Pin(started.workflow, started.workflow_hash, started.policy_hash)]
    for entry in entries:
        if isinstance(entry, WorkflowChanged):
            pins.append(Pin(started.workflow, entry.workflow_hash, entry.policy_hash))
        elif isinstance(entry, PolicyChanged):
            pins.append(pins[-1]._replace(policy_hash=entry.policy_hash))
    return pins


def pin_of(started: RunStarted, entries: Iterable[Event | Entry]) -> Pin:
    """The last of them."""
    return pins_of(started, entries)[-1]


class Definitions:
    """The workflows that a journal keeps, each built once with these signals."""

    def __init__(self, journal: Journal, signals: Iterable[Signal] = ()) -> None:
        self.journal, self.signals = journal, tuple(signals)
        self._built: dict[Pin, Workflow] = {}

    def keep(self, workflow: Workflow) -> None:
        """Keep a workflow for whoever comes later."""
        self.journal.keep_definition(f"{workflow.hash}/{workflow.machine.policy.hash}", "workflow", workflow.stored())

    def workflow(self, pin: Pin) -> Workflow:
        """The workflow under this policy.

        Raises:
            JournalError: the journal does not keep it.
            InputError: it cannot be built, for want of its own signals.
        """
        if pin not in self._built:
            self._built[pin] = self._restored(pin)
        return self._built[pin]

    def exact(self, pin: Pin) -> Workflow:
        """The same, for going on: it has to be the very workflow that the run is pinned to.

        Raises:
            InputError: its own signals are not at hand in the versions it was decided by.
            And as `workflow`.
        """
        found = self.workflow(pin)
        if (found.hash, found.machine.policy.hash) != pin[1:]:
            wanted: dict[str, int] = msgspec.json.decode(self._body(pin)).get("signals", {})
            here = {each.name: each.version for each in self.signals}
            other = [name for name, version in wanted.items() if here.get(name) != version]
            said = ", ".join(f"{name} in version {here.get(name)}" for name in other)
            expected = ", ".join(f"{name} in version {wanted[name]}" for name in other)
            raise InputError(str(pin), "signals", said or "other versions", expected or "those it was decided by")
        return found

    def _restored(self, pin: Pin) -> Workflow:
        try:
            return restored(self._body(pin), self.signals)
        except DefinitionError as error:
            unknown = sorted({problem.found for problem in error.problems})
            wanted = "its own signals, from its agents file (--agents)"
            raise InputError(str(pin), "", ", ".join(unknown), wanted) from error

    def _body(self, pin: Pin) -> bytes:
        kept = self.journal.definition(f"{pin.workflow_hash}/{pin.policy_hash}")
        if kept is None:
            missing = f"no definition of {pin} under policy {pin.policy_hash}"
            raise JournalError(self.journal.name, missing, "the definition that its runs were decided by")
        return kept


def day_cap_usd(journal: Journal) -> float | None:
    """The cap of a day that the newest run of a journal was decided under; None where there is none."""
    for row in journal.rows(1):
        entries = entries_in(journal.turns(row.run_id))
        if not entries or not isinstance(entries[0], RunStarted):
            return None
        pin = pin_of(entries[0], entries[1:])
        body = journal.definition(f"{pin.workflow_hash}/{pin.policy_hash}")
        policy = msgspec.json.decode(body)["source"].get("policy") if body else None
        found = ((policy or {}).get("money") or {}).get("day_usd")
        return float(found) if isinstance(found, (int, float)) else None
    return None
