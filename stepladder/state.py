"""What a run is at one moment: a fold of its journal, a small frozen value."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from stepladder.commands import AnyCommand, AskPerson, CallAgent, Wait
from stepladder.events import ModelAnswered, ModelFailed, PersonAnswered, TimePassed
from stepladder.record import Answered, AnyEntry, Asked, Opened, Settled

Returned = Literal["ok", "failed", "late", "in_doubt"]
Status = Literal["new", "working", "ended"]

CANCELLED = "cancelled"
"""The end of a run that somebody ended; no workflow may name an end so."""

Answer = ModelAnswered | ModelFailed | PersonAnswered | TimePassed


class Asking(msgspec.Struct, frozen=True, gc=False):
    """A decision that is open: what was fixed, the rung that is asked now, and what has come back from it.

    `received` holds the rung's answers as they came, `judged` how they were judged, `causes` why earlier rungs did not
    settle it. Everything that follows can be concluded again from this, so a journal may end anywhere.
    """

    opened: Opened
    asked: Asked | None = None
    received: tuple[Answer, ...] = ()
    judged: tuple[Answered, ...] = ()
    causes: tuple[str, ...] = ()

    def with_asked(self, entry: Asked) -> Asking:
        """The same with the next rung asked; what ended the rung before without settling is a cause."""
        last = self.judged[-1] if self.judged else None
        failed = last is not None and last.outcome in ("failed", "invalid", "unsure")
        causes = (*self.causes, f"{last.rung}: {last.cause}") if last is not None and failed else self.causes
        causes = (entry.because,) if entry.because else causes
        return Asking(self.opened, entry, causes=causes)

    def with_answered(self, entry: Answered) -> Asking:
        """The same with one more answer judged."""
        return replace(self, judged=(*self.judged, entry))

    def unrecorded(self, entries: tuple[AnyEntry, ...], *, shadowed: bool = False) -> tuple[AnyEntry, ...]:
        """Those of the entries concluded for it that it does not hold yet; `shadowed`: its shadow is asked."""
        return tuple(
            entry
            for entry in entries
            if not isinstance(entry, Opened)
            and entry not in self.judged
            and not (shadowed and isinstance(entry, Asked) and entry.shadow)
        )


class Try(msgspec.Struct, frozen=True, gc=False):
    """An action taken in a situation: after a call (the step, where nobody is called) had come to this.

    `times`: how often since the news numbered `news`, the last time before included; see `orchestrator.progress`.
    """

    called: str
    returned: Returned | None
    output: dict[str, Any]
    action: str
    times: int = 1
    news: int = 1


class RunState(msgspec.Struct, frozen=True, gc=False):
    """A run. Times are seconds since 1970, money USD: `usd` in all, `agents_usd` of that the agents'.

    `last` and `returned` are what the step's effect just gave, `called` names the call that gave it (the step, where
    nobody is called); `results` the latest success under each name; `collected` all of them, for the names that
    arguments read. `outstanding` are the commands that are not answered.
    `calls` counts, for each very call, how often it has had a known outcome; `first_known` is the name that a renamed
    step has in them. `memory` holds the signals' memories, `signals` their values as last recorded. `choosing`: the
    step was entered and its agent is yet to be chosen. `tries` are those since the run last heard from the world, the
    newest last. `decided_at` is the time of the newest action decision. `unjudged` holds, for each step that judges,
    the decision it will judge next and that decision's time; `judging` names the agent whose scores judge now ("" for
    none). `refused` are the actions that a person did not approve in this visit of the step. `step` stays when a run
    ends;
    `arguments` are those its effect was entered with, `interrupted` says that the run ended before its effect did, and
    `cut_off` is the call whose outcome was not known then.
    """

    run_id: str = ""
    status: Status = "new"
    workflow_hash: str = ""
    policy_hash: str = ""
    started_at: float = 0.0
    now: float = 0.0
    working_s: float = 0.0
    resting: bool = False
    usd: float = 0.0
    agents_usd: float = 0.0
    input: dict[str, Any] = {}
    step: str = ""
    last: dict[str, Any] = {}
    returned: Returned | None = None
    called: str = ""
    results: dict[str, Any] = {}
    collected: dict[str, tuple[Any, ...]] = {}
    artifacts: dict[str, str] = {}
    arguments: dict[str, Any] = {}
    decision: dict[str, Any] = {}
    taken: dict[str, int] = {}
    visits: dict[str, int] = {}
    memory: dict[str, Any] = {}
    broken: dict[str, str] = {}
    signals: dict[str, Any] = {}
    calls: dict[str, int] = {}
    first_known: dict[str, str] = {}
    outstanding: dict[int, AnyCommand] = {}
    next_command: int = 1
    opened: int = 0
    decisions: int = 0
    decided_at: float = 0.0
    unjudged: dict[str, tuple[int, float]] = {}
    judging: str = ""
    tries: tuple[Try, ...] = ()
    asking: Asking | None = None
    shadows: dict[int, Asking] = {}
    shadow_answers: tuple[Answer, ...] = ()
    approving: Settled | None = None
    refused: dict[str, str] = {}
    choosing: bool = False
    end: str = ""
    end_reason: str = ""
    interrupted: bool = False
    cut_off: CallAgent | None = None
    ended_at: float = 0.0

    @property
    def waiting(self) -> AskPerson | Wait | None:
        """The person or message that the run rests on, or None."""
        if self.status != "working":
            return None
        for command in self.outstanding.values():
            if isinstance(command, (AskPerson, Wait)):
                return command
        return None
