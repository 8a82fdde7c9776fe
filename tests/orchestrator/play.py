"""A run in a test's hands: each verb tells the machine one event, and the whole journal is kept."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from stepladder.commands import AnyCommand, AskModel, AskPerson, CallAgent, Wait
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    PersonAnswered,
    RunCancelled,
    RunRetried,
    RunStarted,
    TimePassed,
    Usage,
)
from stepladder.orchestrator import Machine, advance
from stepladder.record import Entry, Opened, Settled
from stepladder.state import RunState

T = TypeVar("T")
START = 1_000.0


class Play:
    """One run. `at` is the time of the next event; `entries` are those of the last one."""

    def __init__(self, machine: Machine, run_id: str = "run", **given: Any) -> None:
        self.machine, self.state, self.at = machine, RunState(), START
        self.journal: list[Event | Entry] = []
        self.entries: tuple[Event | Entry, ...] = ()
        definition = machine.definition
        self.tell(RunStarted(START, run_id, definition.name, definition.hash, definition.policy.hash, given))

    def tell(self, event: Event) -> Play:
        """Any event."""
        self.state, self.entries = (advanced := advance(self.machine, self.state, event)).state, advanced.entries
        self.journal += self.entries
        self.at = max(self.at, event.at)
        return self

    def later(self, seconds: float) -> Play:
        """What comes next comes so much later."""
        self.at += seconds
        return self

    # --- what is outstanding

    def all(self, kind: type[T]) -> list[T]:
        return [command for command in self.state.outstanding.values() if isinstance(command, kind)]

    def one(self, kind: type[T]) -> T:
        found = self.all(kind)
        assert len(found) == 1, f"{kind.__name__} once, in {list(self.state.outstanding.values())}"
        return found[0]

    @property
    def call(self) -> CallAgent:
        return self.one(CallAgent)

    @property
    def asked(self) -> AskPerson:
        return self.one(AskPerson)

    @property
    def model(self) -> AskModel:
        return self.one(AskModel)

    @property
    def wait(self) -> Wait:
        return self.one(Wait)

    # --- answering it

    def returns(self, output: dict[str, Any] | None = None, *, to: AnyCommand | None = None, cost: float = 0.0) -> Play:
        call = to or self.call
        return self.tell(AgentReturned(self.at, call.number, output or {}, usage=Usage(cost_usd=cost)))

    def fails(self, reason: Any = "raised", error: str = "", *, to: CallAgent | None = None) -> Play:
        call = to or self.call
        return self.tell(AgentFailed(self.at, call.number, reason, error, attempt=call.attempt))

    def says(self, value: dict[str, Any], *, to: AnyCommand | None = None, by: str = "ada") -> Play:
        return self.tell(PersonAnswered(self.at, (to or self.asked).number, value, by))

    def answers(self, answer: dict[str, Any] | str, *, to: AskModel | None = None, cost: float = 0.0) -> Play:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return self.tell(ModelAnswered(self.at, (to or self.model).number, text, usage=Usage(cost_usd=cost)))

    def breaks(self, code: str = "unavailable", *, to: AskModel | None = None) -> Play:
        return self.tell(ModelFailed(self.at, (to or self.model).number, code))

    def receives(self, name: str, payload: dict[str, Any] | None = None) -> Play:
        return self.tell(MessageReceived(self.at, self.wait.number, name, payload or {}))

    def overruns(self, command: AnyCommand | None = None) -> Play:
        """The deadline of the only command that has one passes."""
        late = command or next(each for each in self.state.outstanding.values() if each.deadline is not None)
        self.at = max(self.at, late.deadline)
        return self.tell(TimePassed(self.at, late.number, getattr(late, "attempt", 1)))

    def cancel(self, reason: str = "") -> Play:
        return self.tell(RunCancelled(self.at, "ada", reason))

    def retry(self) -> Play:
        return self.tell(RunRetried(self.at, "ada"))

    # --- what was concluded

    def of(self, kind: type[T]) -> list[T]:
        return [entry for entry in self.journal if isinstance(entry, kind)]

    def new(self, kind: type[T]) -> list[T]:
        return [entry for entry in self.entries if isinstance(entry, kind)]

    @property
    def opened(self) -> Opened:
        return self.of(Opened)[-1]

    @property
    def settled(self) -> Settled:
        return self.of(Settled)[-1]

    @property
    def path(self) -> list[str]:
        """The actions taken so far."""
        points = {entry.n: entry.point for entry in self.of(Opened)}
        return [entry.action for entry in self.of(Settled) if points[entry.n] == "next_action"]

    @property
    def where(self) -> str:
        """The end, or the step."""
        return self.state.end or self.state.step
