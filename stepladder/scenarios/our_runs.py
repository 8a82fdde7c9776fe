"""Our own runs as recordings: so that policies are tuned on them, and rules mined from them, like on any others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from stepladder.app.run import Run
from stepladder.commands import AskPerson, CallAgent
from stepladder.events import AgentFailed, AgentReturned, Event, MessageReceived, PersonAnswered, RunStarted
from stepladder.orchestrator import DecisionRecord
from stepladder.record import Answered, Entry, Settled, Shadowed
from stepladder.scenarios.cassette import answered
from stepladder.scenarios.recording import Afterwards, Decided, Identity, Outcome, Recording, Step
from stepladder.scenarios.recording_line import new_step
from stepladder.values import canonical

SOURCE: Final = "stepladder"
SUPERVISOR: Final = "orchestrator"
"""Who decides, in recordings of ours."""


def recording_of(run: Run) -> Recording:
    """The run as a recording; its domain is the workflow's name.

    What was said later about its success counts, else the end it came to.
    """
    steps: list[Step] = []
    records = {record.number: record for record in run.decisions}
    at = 0.0
    for entry, command, _ in answered(run):
        at = entry.at if isinstance(entry, Event) else at
        steps += [_at(each, at) for each in _steps(entry, command, records, len(steps))]
    said = [outcome.success for outcome in run.outcomes if outcome.decision == 0 and outcome.success is not None]
    success = said[-1] if said else run.success
    workflow = run.machine.definition.name
    models = [record.calls[0].asked for record in run.decisions if record.calls]
    return Recording(
        run.id,
        SOURCE,
        f"{SOURCE}/{workflow}",
        workflow,
        run.id,
        tuple(steps),
        Identity(models[0] if models else None, agent_system=SOURCE),
        Afterwards(Outcome(success, termination=run.end or None)),
    )


def _at(step: Step, at: float) -> Step:
    from msgspec.structs import replace

    return replace(step, ts=datetime.fromtimestamp(at, UTC).isoformat()) if at else step


def _steps(entry: Event | Entry, command: Any, records: dict[int, DecisionRecord], i: int) -> list[Step]:
    match entry:
        case RunStarted():
            return [new_step(i, "user", "user_message", _text(entry.input))]
        case PersonAnswered() if isinstance(command, AskPerson) and command.about == "question":
            return [new_step(i, "user", "user_message", _text(entry.value))]
        case MessageReceived():
            return [new_step(i, "user", "user_message", _text(entry.payload))]
        case AgentReturned() if isinstance(command, CallAgent):
            return _call(i, command, _text(entry.output), error=False, cost=entry.usage.cost_usd)
        case AgentFailed() if isinstance(command, CallAgent):
            return _call(i, command, entry.error or entry.reason, error=True, cost=entry.usage.cost_usd)
        case Settled() if (record := records.get(entry.n)) is not None:
            return [_decision(i, record)]
        case _:
            return []


def _call(i: int, command: CallAgent, text: str, *, error: bool, cost: float | None) -> list[Step]:
    call = new_step(i, command.step, "tool_call", tool=command.agent, args=command.arguments)
    return [
        call,
        new_step(i + 1, command.agent, "tool_result", text, tool=command.agent, ref=i, is_error=error, cost=cost),
    ]


def _decision(i: int, record: DecisionRecord) -> Step:
    opened = record.opened
    answers: list[Answered | Shadowed] = [*record.answered, *record.shadows]
    voices = [each for each in answers if each.verdict is not None and each.rung != "person"]
    decided = Decided(
        opened.point,
        record.source,
        opened.rule,
        opened.verdict.action,
        record.calls[0].asked if record.calls else "",
        voices[0].verdict.action if voices and voices[0].verdict else "",
        opened.route,
        record.signals,
    )
    parameters = record.settled.parameters if record.settled else {}
    return new_step(i, SUPERVISOR, "decision", tool=record.action, args=parameters, decided=decided)


def _text(value: Any) -> str:
    return canonical(value).decode()
