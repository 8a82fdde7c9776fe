"""Deciding again from a journal: every event is applied once more, every conclusion drawn anew and compared.

No agent is called, no model is asked, no clock is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from stepladder.events import Event, PolicyChanged, WorkflowChanged
from stepladder.journal import StoredTurn
from stepladder.orchestrator import Machine, advance, fold
from stepladder.record import Entry, Opened
from stepladder.state import RunState

Either = Event | Entry


class Divergence(msgspec.Struct, frozen=True):
    """The first place where today's code does not say what the journal says.

    `seq` is the number of the entry in the run, `decision` the decision it belongs to (the next one, for an event).
    `recorded` and `decided` are the two entries, None where one side has nothing there; `cause` says it in words.
    """

    seq: int
    decision: int
    recorded: Either | None
    decided: Either | None
    cause: str


class Replayed(msgspec.Struct, frozen=True):
    """What a replay found: decisions reproduced, entries gone through, and the first divergence, if any."""

    run_id: str
    decisions: int
    entries: int
    divergence: Divergence | None = None
    end: str = ""


def replay(
    machine: Machine,
    run_id: str,
    turns: Sequence[StoredTurn],
    machine_of: Callable[[str, str], Machine | None] = lambda *_: None,
) -> Replayed:
    """Decide the run again. `machine_of(workflow_hash, policy_hash)` gives the machine of what the run changed to."""
    return _Replay(machine, run_id, machine_of).through(turns)


class _Replay:
    def __init__(self, machine: Machine, run_id: str, machine_of: Callable[[str, str], Machine | None]) -> None:
        self.machine, self.run_id, self.machine_of = machine, run_id, machine_of
        self.state = RunState()
        self.past: list[Either] = []

    def through(self, turns: Sequence[StoredTurn]) -> Replayed:
        for turn in turns:
            divergence = self._turn(turn)
            if divergence is not None:
                return Replayed(self.run_id, divergence.decision - 1, turn.seq, divergence)
        return Replayed(self.run_id, self.state.opened, len(self.past), None, self.state.end)

    def _turn(self, turn: StoredTurn) -> Divergence | None:
        if turn.seq != len(self.past) + 1:
            cause = f"entry {len(self.past) + 1} is missing"
            return Divergence(len(self.past) + 1, self.state.opened + 1, None, None, cause)
        decision = next((entry.n for entry in turn.entries if isinstance(entry, Opened)), self.state.opened + 1)
        entries: tuple[Either, ...] = turn.entries
        while entries:
            event = entries[0] if isinstance(entries[0], Event) else None
            rest = entries[1:] if event is not None else entries
            length = next((index for index, entry in enumerate(rest) if isinstance(entry, Event)), len(rest))
            divergence = self._event(event, rest[:length])
            if divergence is not None:
                return divergence
            entries = rest[length:]
        if not turn.intact:
            cause = "this turn was changed after it was written: its digest does not fit"
            return Divergence(turn.seq, decision, turn.entries[0] if turn.entries else None, None, cause)
        return None

    def _event(self, event: Event | None, recorded: Sequence[Either]) -> Divergence | None:
        try:
            decided = self._again(event)
        except (KeyError, AssertionError, TypeError, ValueError) as error:
            cause = f"this entry cannot be applied: {type(error).__name__}: {error}"
            return Divergence(len(self.past) + 1, self.state.opened + 1, event, None, cause)
        for index in range(max(len(recorded), len(decided))):
            was = recorded[index] if index < len(recorded) else None
            now = decided[index] if index < len(decided) else None
            if was != now:
                return self._divergence(was, now, index + 1)
        self.past += recorded
        return None

    def _again(self, event: Event | None) -> Sequence[Either]:
        if isinstance(event, (PolicyChanged, WorkflowChanged)):
            self._change(event)
        moved = advance(self.machine, self.state, event)
        self.state = moved.state
        if event is None:
            return moved.entries
        self.past.append(event)
        return moved.entries[1:]

    def _change(self, event: PolicyChanged | WorkflowChanged) -> None:
        then = event if isinstance(event, WorkflowChanged) else None
        machine = self.machine_of(then.workflow_hash if then else self.state.workflow_hash, event.policy_hash)
        if machine is not None:
            self.machine, self.state = machine, fold(machine, self.past, then=then)

    def _divergence(self, was: Either | None, now: Either | None, after: int) -> Divergence:
        entry = was if isinstance(was, Entry) else now
        decision = entry.n if isinstance(entry, Entry) else self.state.opened
        return Divergence(len(self.past) + after, decision, was, now, _cause(was, now))


def _cause(was: Either | None, now: Either | None) -> str:
    if was is None or now is None or type(was) is not type(now):
        return f"recorded {_kind(was)}, decided now {_kind(now)}"
    fields = [name for name in was.__struct_fields__ if getattr(was, name) != getattr(now, name)]
    shown = (f"{name} was {getattr(was, name)!r}, is now {getattr(now, name)!r}" for name in fields)
    return f"{_kind(was)} differs: {'; '.join(shown)}"


def _kind(entry: Either | None) -> str:
    return "nothing" if entry is None else str(type(entry).__struct_config__.tag)
