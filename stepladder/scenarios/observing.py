"""Recorded steps as the observations that signals fold over: the same signals as in a live run.

| step | observation |
|---|---|
| user_message | `answer` of a person, with the text |
| message | `decision` MESSAGE of the agent, with the text |
| tool_call, handoff | `decision` with the tool's name; `call` names the very call |
| tool_result | `result` of the call it refers to: failed where the recording says error, else ok |
| decision | `decision` with the action |

A result whose call the recording does not have (a simulated user's own, in tau-bench) is told apart by its text: what
came back twice was most likely called twice.

Only what a step shows goes in: no identity, nothing from afterwards, nothing of a later step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from stepladder.scenarios.recording import Step
from stepladder.signals import MESSAGE, Observation
from stepladder.values import digest


def observations(steps: Iterable[Step]) -> Iterator[Observation]:
    """One observation for each step, in order."""
    calls: dict[int, tuple[str, str, str]] = {}
    for step in steps:
        at = seconds_of(step.ts)
        if step.kind in ("tool_call", "handoff", "decision"):
            tool = step.tool or step.kind
            call = digest(step.agent, tool, step.args_sha)
            calls[step.i] = step.agent, tool, call
            yield Observation("decision", step.agent, tool, call, output=_said(step), at=at)
        elif step.kind == "tool_result":
            asker, tool, call = calls.get(step.ref if step.ref is not None else -1, (step.agent, step.tool or "", ""))
            returned = "failed" if step.is_error else "ok"
            call = call or digest(asker, tool, step.text_sha)
            yield Observation("result", asker, tool, call, returned, _said(step), at=at)
        elif step.kind == "user_message":
            yield Observation("answer", step.agent, "person", output=_said(step), at=at)
        else:
            yield Observation("decision", step.agent, MESSAGE, output=_said(step), at=at)


def _said(step: Step) -> Mapping[str, Any]:
    """What a step shows: its text with the length and digest of the whole, arguments, flags of the recorded system."""
    said: dict[str, Any] = {}
    if step.text:
        said["text"], said["length"], said["sha"] = step.text, step.text_len, step.text_sha
    if step.args is not None:
        said["args"] = step.args
    if step.signals:
        said["flags"] = dict(step.signals)
    return said


def seconds_of(ts: str | None) -> float:
    """Seconds since 1970; 0 where the recording has no time, or one that cannot be read."""
    if not ts:
        return 0.0
    try:
        read = datetime.fromisoformat(ts)
    except ValueError:
        return 0.0
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
