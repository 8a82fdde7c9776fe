"""A run taken up again at one of its decisions, under another policy or with another action.

Up to there the run is as it was recorded. From there on it is decided again. As long as the same is awaited as was then
and nothing has gone another way, the record goes on as it stands, what came late and what people did to the run
included. After that, what its agents, models and people said since counts wherever exactly the same is asked of them: a
call with the same key (agent, arguments, how often), a question with the same words, a rung at the same decision by the
same prompt while nothing has gone another way. What was not asked since is asked live where that is wanted, and else
not known: there the fork ends.

Each decision says what it rests on: `recorded`, `recomputed` (decided again on what is on record), `live` (on something
that was done now) or `unknown` (the fork does not get there).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from stepladder.commands import AnyCommand, AskModel, CallAgent, Wait
from stepladder.decision import CACHE
from stepladder.errors import InputError
from stepladder.evaluation.replies import Reply, key_of, missing, replies
from stepladder.events import Event, ModelAnswered, ModelFailed, RunRetried, TimePassed
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

    `differs` is the first decision that goes another way (0: none that is known). `end` is where it ends, or "" with
    what it would have had to know (`missing`). `unknown` counts the recorded decisions behind that place. `asked` and
    `was_asked` count questions to models from the fork on, up to the last decision that is known; `success` and
    `was_success` say how both ended. `usd` is what the models cost that were asked now.
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
    going = _Forking(machine, entries, old or machine, live, place)
    going.begin(action)
    return going.told(at)


class _Forking:
    def __init__(
        self, machine: Machine, entries: Sequence[Either], old: Machine, live: Live | None, place: int
    ) -> None:
        self.machine, self.entries, self.live = machine, entries, live
        self.old, self.place = old, place
        self.state, self.was = (fold(each, entries[:place]) for each in (machine, old))
        self.replies: dict[tuple[Any, ...], deque[Reply]] | None = None
        """What was said since the fork left the record; None as long as it goes along with it."""
        self.retries: deque[RunRetried] = deque()
        self.settled = {each.n: each for each in entries if isinstance(each, Settled)}
        self.opened = {each.n: each for each in entries if isinstance(each, Opened)}
        self.steps: list[ForkStep] = []
        self.made: list[Either] = []
        self.differs = 0
        self.usd = 0.0
        self.is_live = False
        self.missing = ""

    def begin(self, action: str) -> None:
        """Decide where it was forked, then go on as far as it is known what came."""
        if action:
            self._take(action)
        self._advance(None)
        for _ in range(MOST):
            event = self._next()
            if event is None:
                return
            self._advance(event)

    def _take(self, action: str) -> None:
        opened = next((each for each in decide(self.machine, self.state) if isinstance(each, Opened)), None)
        if opened is None:
            raise InputError("fork", "--action", action, "a decision that opens under this policy too; here none does")
        if action not in opened.legal:
            blocked = f", since {opened.blocked[action]}" if action in opened.blocked else ""
            found = f"{action!r}, which is not legal there{blocked}"
            raise InputError("fork", "--action", found, f"one of: {', '.join(opened.legal)}")
        to = self.machine.take(opened.step, action)
        said = (self.settled.get(opened.n), opened.verdict)
        parameters = next((each.parameters for each in said if each and each.action == action), {})
        chosen = Settled(opened.n, action, to, "forked here", parameters, source="person", relation="override")
        for entry in (opened, chosen):
            self.state = evolve(self.machine, self.state, entry)
            self._see(entry)
        while self.place < len(self.entries):
            passed = self._pass()
            if isinstance(passed, Settled) and passed.n == opened.n:
                break
        if (self.state.step, self.state.end) != (self.was.step, self.was.end):  # there it was to be approved first
            self.differs = opened.n

    def _advance(self, event: Event | None) -> None:
        moved = advance(self.machine, self.state, event)
        self.state = moved.state
        for entry in moved.entries:
            self._see(entry)

    def _see(self, entry: Either) -> None:
        self.made.append(entry)
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
        """What comes next on record; else the answer to one of the commands that came first, else a live one."""
        if self.replies is None and (event := self._along()) is not None:
            return event
        if self.state.status == "ended":
            return self.retries.popleft() if self.retries and not self.differs else None
        waiting = [each for each in self.state.outstanding.values() if not (isinstance(each, AskModel) and each.shadow)]
        found = self.replies or {}
        known = [
            (found[key][0].at, number, each, key)
            for number, each in enumerate(waiting)
            if found.get(key := self._key(each))
        ]
        if known:
            _, _, command, key = min(known, key=lambda item: item[:2])
            event = found[key].popleft()
            return replace(event, command=command.number, at=max(event.at, self.state.now))
        for command in waiting:
            if isinstance(command, Wait) and not command.message and command.deadline is not None:
                return TimePassed(max(self.state.now, command.deadline), command.number)
            event = self._live(command)
            if event is not None:
                return event
        self.missing = "; ".join(map(missing, waiting)) or "nothing is outstanding"
        return None

    def _along(self) -> Event | None:
        """The next event on record; None, and from then on what was said since, where another way is gone."""
        while self.place < len(self.entries):
            entry = self.entries[self.place]
            mine, theirs = _awaited(self.machine, self.state), _awaited(self.old, self.was)
            if isinstance(entry, Event) and (self.differs or list(mine.values()) != list(theirs.values())):
                break
            alike = self.state.outstanding.keys() == self.was.outstanding.keys()
            self._pass()
            if not isinstance(entry, Event):
                continue
            command = getattr(entry, "command", None)
            if command in theirs:
                return replace(entry, command=dict(zip(theirs, mine, strict=True))[command])
            if command is None or alike:
                return entry
        rest = self.entries[self.place :]
        self.replies = replies(self.old, rest, self.was)
        self.retries.extend(each for each in rest if isinstance(each, RunRetried))
        return None

    def _pass(self) -> Either:
        entry = self.entries[self.place]
        self.was = evolve(self.old, self.was, entry)
        self.place += 1
        return entry

    def _live(self, command: AnyCommand) -> Event | None:
        """What comes of it now, where that is wanted."""
        if self.live is None or not isinstance(command, CallAgent | AskModel):
            return None
        event = self.live(self.machine, self.state, command)
        self.is_live = self.is_live or event is not None
        if isinstance(event, ModelAnswered | ModelFailed):
            self.usd += event.usage.cost_usd or 0.0
        return event

    def _key(self, command: AnyCommand) -> tuple[Any, ...]:
        if isinstance(command, AskModel) and self.differs:
            return ("unknown",)  # it would be asked about another run
        return key_of(self.machine, command)

    def told(self, at: int) -> Fork:
        """The fork with the steps before it, and those of the record that it does not get to."""
        before = [step for step in recorded_steps(self.entries) if step.n < at]
        last = self.steps[-1].n if self.steps else at - 1
        unknown = list(self._unknown(last))
        ended = self.state.status == "ended"
        ends = self.machine.definition.ends
        was = fold(self.machine, self.entries)
        until = last if self.missing else MOST
        return Fork(
            self.state.run_id,
            at,
            (*before, *self.steps, *unknown),
            self.differs,
            self.state.end if ended else "",
            self.missing,
            len(unknown),
            _models(self.made, at, until),
            _models(self.entries, at, until),
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


def _awaited(machine: Machine, state: RunState) -> dict[int, tuple[Any, ...]]:
    """What is asked, by the number of its command; nobody waits for shadows."""
    return {n: key_of(machine, each) for n, each in state.outstanding.items() if not getattr(each, "shadow", False)}


def recorded_steps(entries: Sequence[Either]) -> list[ForkStep]:
    """The decisions, as they are on record: about the next action, and which agent does it."""
    opened = {each.n: each for each in entries if isinstance(each, Opened)}
    return [
        ForkStep(
            each.n, opened[each.n].step, each.action, each.to, each.source, "recorded", f"{each.action} -> {each.to}"
        )
        for each in entries
        if isinstance(each, Settled) and each.n in opened
    ]


def _models(entries: Sequence[Either], first: int, last: int) -> int:
    """Questions to models about these decisions; the cache is none, and a shadow is not waited for."""
    asked = [each for each in entries if isinstance(each, Asked) and first <= each.n <= last and not each.shadow]
    return sum(len(each.models) for each in asked if each.rung != CACHE)
