"""A run taken up again at one of its decisions, under another policy or with another action.

Up to there the run is as it was recorded. From there on it is decided again. What its agents, models and people said
counts again wherever exactly the same is asked of them: a call with the same key (agent, arguments, how often), a
question with the same words, a rung at the same decision by the same prompt while nothing has gone another way. What
was never asked is asked live where that is wanted, and else not known: there the fork ends.

Each decision says what it rests on: `recorded`, `recomputed` (decided again on what is on record), `live` (on something
that was done now) or `unknown` (the fork does not get there).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from stepladder.commands import AnyCommand, AskModel, CallAgent, Wait
from stepladder.decision import CACHE
from stepladder.errors import InputError
from stepladder.evaluation.replies import Reply, key_of, missing, replies
from stepladder.events import Event, ModelAnswered, ModelFailed, TimePassed
from stepladder.orchestrator import Machine, advance, evolve, fold
from stepladder.orchestrator.decide import decide
from stepladder.record import Asked, Entry, Opened, Settled
from stepladder.state import RunState

Either = Event | Entry
Label = Literal["recorded", "recomputed", "live", "unknown"]
Live = Callable[[Machine, RunState, CallAgent | AskModel], Event | None]
"""Makes a call, or asks a model, now; None where that is not to be done."""
MOST: Final = 100_000
"""Events in one fork."""


class ForkStep(msgspec.Struct, frozen=True):
    """A decision of the fork: what was chosen, where it led and on whose word; `was` is what the record has under its
    number ("" where it has none)."""

    n: int
    step: str
    action: str
    to: str
    source: str
    label: Label
    was: str = ""


class Fork(msgspec.Struct, frozen=True, eq=False):
    """What came of it.

    `differs` is the first decision that goes another way (0: none does). `end` is where it ends, or "" with what it
    would have had to know (`missing`). `unknown` counts the recorded decisions behind that place. `asked` and
    `was_asked` count questions to models from the fork on, up to the same place; `success` and `was_success` say how
    both ended. `usd` is what the models cost that were asked now.
    """

    run_id: str
    at: int
    steps: tuple[ForkStep, ...]
    differs: int
    end: str
    missing: str
    unknown: int
    asked: int
    was_asked: int
    success: bool | None
    was_success: bool | None
    usd: float = 0.0


def fork(
    machine: Machine,
    entries: Sequence[Either],
    at: int,
    *,
    old: Machine | None = None,
    action: str = "",
    live: Live | None = None,
) -> Fork:
    """Take the run up at decision `at` under `machine` (`old`: the one it was decided by), or with this action there.

    Raises:
        InputError: there is no such decision about the next action, or the action is not legal there.
    """
    place = next((i for i, each in enumerate(entries) if isinstance(each, Opened) and each.n == at), None)
    opened = entries[place] if place is not None else None
    if place is None or not isinstance(opened, Opened) or opened.point != "next_action":
        known = [each.n for each in entries if isinstance(each, Opened) and each.point == "next_action"]
        raise InputError("fork", "--at", str(at), f"a decision about the next action: {', '.join(map(str, known))}")
    going = _Forking(machine, entries, old or machine, live)
    going.begin(fold(machine, entries[:place]), action)
    return going.told(at, action)


class _Forking:
    def __init__(self, machine: Machine, entries: Sequence[Either], old: Machine, live: Live | None) -> None:
        self.machine, self.entries, self.live = machine, entries, live
        self.replies = replies(old, entries)
        self.settled = {each.n: each for each in entries if isinstance(each, Settled)}
        self.opened = {each.n: each for each in entries if isinstance(each, Opened)}
        self.steps: list[ForkStep] = []
        self.differs = self.asked = 0
        self.usd = 0.0
        self.is_live = False
        self.missing = ""
        self.prompts: dict[int, str] = {}

    def begin(self, state: RunState, action: str) -> None:
        """Decide where it was forked, then go on as far as it is known what came."""
        self.state = state
        if action:
            self._take(action)
        self._advance(None)
        for _ in range(MOST):
            event = self._next()
            if event is None:
                return
            self._advance(event)

    def _take(self, action: str) -> None:
        opened = decide(self.machine, self.state)[0]
        assert isinstance(opened, Opened), "the state is the one that this decision opened in"
        if action not in opened.legal:
            blocked = f", since {opened.blocked[action]}" if action in opened.blocked else ""
            found = f"{action!r}, which is not legal there{blocked}"
            raise InputError("fork", "--action", found, f"one of: {', '.join(opened.legal)}")
        to = self.machine.take(opened.step, action)
        chosen = Settled(opened.n, action, to, "forked here", source="person", relation="override")
        for entry in (opened, chosen):
            self.state = evolve(self.machine, self.state, entry)
            self._see(entry)

    def _advance(self, event: Event | None) -> None:
        moved = advance(self.machine, self.state, event)
        self.state = moved.state
        for entry in moved.entries:
            self._see(entry)

    def _see(self, entry: Either) -> None:
        if isinstance(entry, Opened):
            self.opened_now = entry
        elif isinstance(entry, Settled):
            was = self.settled.get(entry.n)
            same = was is not None and (was.action, was.to, was.parameters) == (
                entry.action,
                entry.to,
                entry.parameters,
            )
            if not same and not self.differs:
                self.differs = entry.n
            label: Label = "live" if self.is_live else "recomputed"
            told = f"{was.action} -> {was.to}" if was else ""
            self.steps.append(
                ForkStep(entry.n, self.opened_now.step, entry.action, entry.to, entry.source, label, told)
            )

    def _next(self) -> Event | None:
        """The answer to one of the commands: the one that came first on record, else a live one."""
        if self.state.status == "ended":
            return None
        waiting = [each for each in self.state.outstanding.values() if not (isinstance(each, AskModel) and each.shadow)]
        known = [
            (self.replies[key][0].at, number, each, key)
            for number, each in enumerate(waiting)
            if self.replies.get(key := self._key(each))
        ]
        if known:
            _, _, command, key = min(known, key=lambda item: item[:2])
            return self._again(self.replies[key].popleft(), command)
        for command in waiting:
            if isinstance(command, Wait) and not command.message and command.deadline is not None:
                return TimePassed(max(self.state.now, command.deadline), command.number)
            event = self._live(command)
            if event is not None:
                return event
        self.missing = "; ".join(map(missing, waiting)) or "nothing is outstanding"
        return None

    def _live(self, command: AnyCommand) -> Event | None:
        """What comes of it now, where that is wanted."""
        if self.live is None or not isinstance(command, CallAgent | AskModel):
            return None
        event = self.live(self.machine, self.state, command)
        self.is_live = self.is_live or event is not None
        if isinstance(event, ModelAnswered | ModelFailed):
            self.asked += not (isinstance(event, ModelFailed) and event.provider == CACHE)
            self.usd += event.usage.cost_usd or 0.0
        return event

    def _key(self, command: AnyCommand) -> tuple[Any, ...]:
        if isinstance(command, AskModel) and self.differs:
            return ("unknown",)  # it would be asked about another run
        return key_of(self.machine, command)

    def _again(self, event: Reply, command: AnyCommand) -> Event:
        if isinstance(command, AskModel):
            self.asked += 1
        return replace(event, command=command.number, at=max(event.at, self.state.now))

    def told(self, at: int, action: str) -> Fork:
        """The fork with the steps before it, and those of the record that it does not get to."""
        before = [step for step in recorded_steps(self.entries) if step.n < at]
        last = self.steps[-1].n if self.steps else at - 1
        behind = sum(each.point == "next_action" for n, each in self.opened.items() if n > last) if self.missing else 0
        ended = self.state.status == "ended"
        ends = self.machine.definition.ends
        was = fold(self.machine, self.entries)
        until = last if self.missing else max(self.opened)
        return Fork(
            self.state.run_id,
            at,
            (*before, *self.steps, *self._unknown(last)),
            self.differs or (at if self.missing and not self.steps else 0),
            self.state.end if ended else "",
            self.missing,
            behind,
            self.asked,
            sum(_models(self.entries, n) for n in self.opened if at <= n <= until),
            ends[self.state.end].success if ended and self.state.end in ends else False if ended else None,
            ends[was.end].success if was.end in ends else False if was.end else None,
            self.usd,
        )

    def _unknown(self, last: int) -> Iterator[ForkStep]:
        """The recorded decisions that nobody can say anything about."""
        if self.missing:
            for step in recorded_steps(self.entries):
                if step.n > last:
                    yield replace(step, action="", to="", source="", label="unknown", was=f"{step.action} -> {step.to}")


def recorded_steps(entries: Sequence[Either]) -> list[ForkStep]:
    """The decisions about the next action, as they are on record."""
    opened = {each.n: each for each in entries if isinstance(each, Opened) and each.point == "next_action"}
    return [
        ForkStep(
            each.n, opened[each.n].step, each.action, each.to, each.source, "recorded", f"{each.action} -> {each.to}"
        )
        for each in entries
        if isinstance(each, Settled) and each.n in opened
    ]


def _models(entries: Sequence[Either], n: int) -> int:
    return sum(len(each.models) for each in entries if isinstance(each, Asked) and each.n == n and not each.shadow)
