"""A run as its caller sees it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec

from stepladder.commands import AskPerson
from stepladder.events import Event, OutcomeAttached
from stepladder.journal import Journal, entries_in
from stepladder.orchestrator import DecisionRecord, Machine, decision_records, facts_of, retold
from stepladder.record import Entry
from stepladder.state import RunState

Status = Literal["working", "waiting", "ended"]


class Waiting(msgspec.Struct, frozen=True):
    """What a run rests on.

    `about`: question, decision, approval, effect (a person says), message or time. `options` are the words to choose
    from, `deadline` is in seconds since 1970 (None: no limit).
    """

    about: str
    step: str
    question: str = ""
    options: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}
    deadline: float | None = None


class Run:
    """A run at one moment; a later moment is another Run. Its entries are read when they are first asked for.

    `pruned` says that its payloads are gone: it has no input, no output and no results any more.
    """

    def __init__(
        self, machine: Machine, state: RunState, journal: Journal, seq: int | None = None, *, pruned: bool = False
    ) -> None:
        self._machine, self.state, self._journal, self._seq, self.pruned = machine, state, journal, seq, pruned

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.status}, step={self.step!r}, end={self.end!r})"

    @property
    def id(self) -> str:
        """Its id."""
        return self.state.run_id

    @property
    def status(self) -> Status:
        """working, waiting or ended."""
        if self.state.status == "ended":
            return "ended"
        return "waiting" if self.waiting else "working"

    @property
    def machine(self) -> Machine:
        """The workflow machine it is seen under."""
        return self._machine

    @property
    def step(self) -> str:
        """The step it is in, or ended from."""
        return self.state.step

    @property
    def phase(self) -> str:
        """The phase of that step."""
        return self._machine.definition.steps[self.state.step].phase

    @property
    def end(self) -> str:
        """Where it ended ("" while it has not)."""
        return self.state.end

    @property
    def success(self) -> bool | None:
        """Whether it ended well; None while it has not ended."""
        if self.state.status != "ended":
            return None
        end = self._machine.definition.ends.get(self.state.end)
        return end.success if end else False

    @property
    def reason(self) -> str:
        """Why it ended."""
        return self.state.end_reason

    @property
    def waiting(self) -> Waiting | None:
        """What it rests on, or None."""
        command = self.state.waiting
        if command is None or not self.state.resting:
            return None
        if isinstance(command, AskPerson):
            return Waiting(
                command.about, command.step, command.question, command.options, command.arguments, command.deadline
            )
        return Waiting(
            "message" if command.message else "time", command.step, command.message, deadline=command.deadline
        )

    @cached_property
    def output(self) -> dict[str, Any] | None:
        """What the workflow says the run gives at its end; None while it has not ended, and when it was pruned."""
        if self.state.status != "ended" or self.pruned:
            return None
        end = self._machine.definition.ends.get(self.state.end)
        return end.output.resolve(facts_of(self._machine, self.state)) if end else {"reason": self.state.end_reason}

    @cached_property
    def entries(self) -> tuple[Event | Entry, ...]:
        """Everything in its journal up to this moment, in order."""
        return tuple(entries_in(self._journal.turns(self.id))[: self._seq])

    @property
    def retold(self) -> Sequence[Event | Entry]:
        """The same in the names that its workflow has now, where it was migrated."""
        return retold(self.entries)[0]

    @cached_property
    def decisions(self) -> tuple[DecisionRecord, ...]:
        """Its decision records, in order."""
        return decision_records(self.entries, self._machine.starting_signals)

    @cached_property
    def outcomes(self) -> tuple[OutcomeAttached, ...]:
        """How it turned out, as said later about the whole run."""
        return tuple(each for each in self.entries if isinstance(each, OutcomeAttached) and each.decision == 0)

    @property
    def usd(self) -> float:
        """What it has cost so far."""
        return self.state.usd

    def explain(self) -> str:
        """Every decision, explained."""
        return "\n".join(record.explain() for record in self.decisions)
