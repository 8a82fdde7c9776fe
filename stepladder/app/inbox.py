"""What lies in a run's inbox, as the events it becomes."""

from __future__ import annotations

from stepladder.app.answers import check_answer, waits_for_message
from stepladder.errors import InputError, RunNotWaiting
from stepladder.events import Event, MessageReceived, PersonAnswered, RunCancelled, RunRetried
from stepladder.journal import InboxItem
from stepladder.orchestrator import Machine
from stepladder.state import RunState


def event_of(machine: Machine, state: RunState, item: InboxItem, now: float) -> Event | None:
    """The event that the item becomes in this state; None where the run cannot take it now."""
    body = item.body
    match item.kind:
        case "cancel":
            return RunCancelled(now, body["by"], body["reason"])
        case "retry":
            return RunRetried(now, body["by"])
        case "message":
            wait = waits_for_message(state, body["name"])
            return MessageReceived(now, wait.number, body["name"], body["payload"]) if wait else None
        case "answer":
            return _answer(machine, state, item, now)


def is_too_late(state: RunState, item: InboxItem) -> bool:
    """Whether it answers a question that is not open any more; it must never answer the next one.

    A question that was not asked yet in this state is open in the journal: the run has moved on elsewhere.
    """
    return item.kind == "answer" and 0 < item.body.get("command", 0) < state.next_command and not _is_open(state, item)


def _is_open(state: RunState, item: InboxItem) -> bool:
    return item.body.get("command", 0) in (0, *state.outstanding)


def _answer(machine: Machine, state: RunState, item: InboxItem, now: float) -> PersonAnswered | None:
    if not _is_open(state, item):
        return None
    try:
        command = check_answer(machine, state, item.body["value"])
    except (InputError, RunNotWaiting):  # it fits nothing now and stays where it is
        return None
    return PersonAnswered(now, command.number, item.body["value"], item.body["by"])
