"""What every run has to keep to, said once more without the product's own counters: entry by entry, as it is written.

Each law is a function of the story so far, the state before an entry, the entry, and the state after it. It yields what
is wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from stepladder.app.loading import Workflow
from stepladder.commands import AnyCommand, AskModel, AskPerson, CallAgent
from stepladder.events import (
    AgentFailed,
    AgentReturned,
    Event,
    MessageReceived,
    ModelAnswered,
    ModelFailed,
    OutcomeAttached,
    PersonAnswered,
    RunResumed,
    RunRetried,
    TimePassed,
)
from stepladder.orchestrator import evolve
from stepladder.record import STOP, Asked, Entry, Opened, Settled
from stepladder.state import RunState
from tests.orchestrator.oracle import Oracle

ANSWERS: Final = (AgentReturned, AgentFailed, PersonAnswered, MessageReceived, ModelAnswered, ModelFailed, TimePassed)
CLOSE: Final = 1e-6


class Story:
    """One run as its journal tells it, with what the laws remember of it."""

    def __init__(self, run_id: str, workflow: Workflow, source: dict[str, Any]) -> None:
        self.run_id, self.workflow, self.machine = run_id, workflow, workflow.machine
        self.oracle = Oracle(source)
        self.entries: list[Event | Entry] = []
        self.digest = bytes(16)
        self.state = RunState()
        self.states: dict[int, RunState] = {0: self.state}
        self.decisions, self.usd, self.working_s, self.at = 0, 0.0, 0.0, 0.0
        self.asked: Counter[tuple[str, int]] = Counter()
        self.commands: set[tuple[int, int]] = set()
        self.known: set[str] = set()
        self.unsure: set[str] = set()
        self.keys: dict[str, str] = {}
        self.resumes = 0

    def see(self, entry: Event | Entry) -> list[str]:
        """Go on by one entry; what is wrong with it."""
        before, after = self.state, evolve(self.machine, self.state, entry)
        wrong = [wrong for law in LAWS for wrong in law(self, before, entry, after)]
        self.oracle.see(before, entry, after)
        self.entries.append(entry)
        self.state = after
        return wrong


def settled_is_legal(story: Story, before: RunState, entry: Event | Entry, _: RunState) -> Iterator[str]:
    """What is settled was legal, by guards read naively from the source, and the machine goes there."""
    if isinstance(entry, Opened) and entry.point == "next_action":
        legal = story.oracle.legal(before)
        if set(entry.legal) != legal:
            yield f"decision {entry.n} offers {sorted(entry.legal)}, legal are {sorted(legal)}"
    if isinstance(entry, Settled):
        opened = before.asking.opened if before.asking else None
        if opened is None or opened.n != entry.n:
            yield f"decision {entry.n} is settled and not open"
        elif entry.action not in (*opened.legal, STOP):
            yield f"decision {entry.n} came to {entry.action}, legal were {opened.legal}"
        elif opened.point == "next_action" and story.machine.take(before.step, entry.action) != entry.to:
            yield f"{entry.action} does not lead from {before.step} to {entry.to}"


def counters_are_right(story: Story, before: RunState, entry: Event | Entry, after: RunState) -> Iterator[str]:
    """Decisions, money and working time are what a recount of the journal gives."""
    if isinstance(entry, Event) and not isinstance(entry, OutcomeAttached):
        if before.status == "working" and not before.resting and not isinstance(entry, RunResumed):
            story.working_s += max(0.0, entry.at - story.at)
        story.at = max(story.at, entry.at)
        story.usd += usage.cost_usd or 0.0 if (usage := getattr(entry, "usage", None)) else 0.0
    if isinstance(entry, PersonAnswered) and isinstance(before.outstanding.get(entry.command), AskPerson):
        story.decisions = 0
    if isinstance(entry, RunRetried) and before.status != after.status:
        story.decisions, story.working_s = 0, 0.0
    if _decides(before, entry):
        story.decisions += 1
    for name in ("decisions", "usd", "working_s"):
        counted, recounted = getattr(after, name), getattr(story, name)
        if abs(counted - recounted) > CLOSE:
            yield f"{name} is {counted}, a recount gives {recounted}"


def limits_hold(story: Story, before: RunState, entry: Event | Entry, after: RunState) -> Iterator[str]:
    """Nothing but STOP is decided beyond a limit, and no model is asked beyond the budget."""
    limits = story.machine.limits
    if _decides(before, entry) and isinstance(entry, Settled) and entry.action != STOP:
        if story.decisions > limits.decisions:
            yield f"decision {entry.n} is number {story.decisions}, the limit is {limits.decisions}"
        if limits.working_s is not None and story.working_s >= limits.working_s + CLOSE:
            yield f"decision {entry.n} after {story.working_s} s of work, the limit is {limits.working_s}"
    if isinstance(entry, Asked) and entry.models and limits.usd is not None and story.usd >= limits.usd + CLOSE:
        yield f"a model is asked after ${story.usd}, the limit is ${limits.usd}"


def late_events_only_count(story: Story, before: RunState, entry: Event | Entry, after: RunState) -> Iterator[str]:
    """What answers a command that nobody awaits costs time and money, and nothing else."""
    if not isinstance(entry, ANSWERS) or _awaited(before, entry):
        return
    same = msgspec.structs.replace(
        before, now=after.now, working_s=after.working_s, usd=after.usd, agents_usd=after.agents_usd
    )
    if same != after:
        changed = [name for name in after.__struct_fields__ if getattr(same, name) != getattr(after, name)]
        yield f"{type(entry).__name__} for command {entry.command} is late and changed {changed}"


def calls_keep_their_keys(story: Story, before: RunState, entry: Event | Entry, after: RunState) -> Iterator[str]:
    """The same call has the same key until its outcome is known, and then another one."""
    _learn_outcome(story, before, entry, after)
    for call in _calls(after):
        if (call.number, call.attempt) not in story.commands:
            name = json.dumps([call.step, call.agent, call.arguments], sort_keys=True)
            last = story.keys.get(name)
            if last is not None and last != call.key and last not in story.known:
                yield f"{call.agent} is called under key {call.key}, the outcome of {last} is unknown"
            if call.key in story.known:
                yield f"{call.agent} is called again under key {call.key}, whose outcome is known"
            yield from _may_be_made(story, entry, call)
            story.keys[name] = call.key
            story.commands.add((call.number, call.attempt))
            story.asked[call.key, call.attempt] += 1


LAWS: Final[tuple[Callable[[Story, RunState, Any, RunState], Iterator[str]], ...]] = (
    settled_is_legal,
    counters_are_right,
    limits_hold,
    late_events_only_count,
    calls_keep_their_keys,
)


def _decides(before: RunState, entry: Event | Entry) -> bool:
    asking = before.asking
    return isinstance(entry, Settled) and asking is not None and asking.opened.point == "next_action"


def _awaited(before: RunState, event: Any) -> bool:
    command = before.outstanding.get(event.command)
    match event:
        case TimePassed():
            due = command is not None and command.deadline is not None and event.at >= command.deadline
            return due and getattr(command, "attempt", event.attempt) == event.attempt
        case AgentReturned():
            return isinstance(command, CallAgent) or (isinstance(command, AskPerson) and command.call is not None)
        case AgentFailed():
            return isinstance(command, CallAgent) and command.attempt == event.attempt
        case ModelAnswered() | ModelFailed():
            return isinstance(command, AskModel)
        case _:
            return command is not None


def _calls(state: RunState) -> list[CallAgent]:
    return [command for command in state.outstanding.values() if isinstance(command, CallAgent)]


def _learn_outcome(story: Story, before: RunState, entry: Event | Entry, after: RunState) -> None:
    if isinstance(entry, RunResumed):
        story.resumes += 1
    calls = {number: _call_of(command) for number, command in before.outstanding.items()}
    for number, call in calls.items():
        if call is not None and number not in after.outstanding:
            if getattr(entry, "command", 0) == number and _says_outcome(entry):
                story.known.add(call.key)
            elif isinstance(entry, PersonAnswered) and entry.command == number:
                story.unsure.discard(call.key)
            else:
                story.unsure.add(call.key)


def _call_of(command: AnyCommand) -> CallAgent | None:
    """The call, also where a person is asked what became of it."""
    found = command.call if isinstance(command, AskPerson) else command
    return found if isinstance(found, CallAgent) else None


def _says_outcome(entry: Event | Entry) -> bool:
    match entry:
        case AgentReturned() | AgentFailed(reason="raised" | "invalid") | PersonAnswered(value={"effect": "done"}):
            return True
    return False


def _may_be_made(story: Story, entry: Event | Entry, call: CallAgent) -> Iterator[str]:
    """Where nobody knows what became of a call that is not idempotent, a person has to say that it is made again."""
    if story.machine.definition.agents[call.agent].idempotent:
        return
    failed = isinstance(entry, AgentFailed) and entry.reason in ("raised", "invalid")
    redone = isinstance(entry, PersonAnswered) and entry.value.get("effect") == "redo"
    if (call.attempt > 1 or call.key in story.unsure) and not failed and not redone:
        yield f"{call.agent} is not idempotent and is called again after {type(entry).__name__}"
