"""A recording as one line of JSON, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stepladder.scenarios.recording import (
    AFTERWARDS,
    FORMAT,
    IDENTITY,
    Afterwards,
    Failure,
    Identity,
    Outcome,
    Recording,
    Step,
)
from stepladder.values import digest

KEPT: Final = 600
"""Characters of a text that a line keeps: the first 400 and the last 200."""
_HEAD: Final = 400


class NotARecording(ValueError):
    """A line that is no recording: `where` in it, what was `found` and what was `expected`."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        self.where, self.found, self.expected = where, found, expected
        super().__init__(f"{where or 'line'}: found {found}; expected {expected}")


class _StepLine(Step, frozen=True, omit_defaults=True):
    """A step as written, with the reward beside it."""

    score: float | None = None


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line as written."""

    run_id: str
    steps: list[_StepLine]
    format: int = FORMAT
    source: str = "imported"
    family: str = ""
    domain: str = ""
    split_key: str = ""
    model: str | None = None
    user_model: str | None = None
    agent_system: str | None = None
    task_id: str | None = None
    trial: int | None = None
    outcome: Outcome | None = None
    failure: Failure | None = None
    judges: dict[str, Any] | None = None
    agent_seconds: float | None = None
    n_steps: int | None = None
    provenance: dict[str, Any] | None = None


_DECODER: Final = msgspec.json.Decoder(_Line)
_ENCODER: Final = msgspec.json.Encoder()
_STEP_FIELDS: Final = Step.__struct_fields__


def parse_line(line: bytes) -> Recording:
    """The recording that a line of JSON holds. Keys that the format does not name are left out.

    Raises:
        NotARecording: it holds none, is of a newer format, or refers to what comes later.
    """
    try:
        read = _DECODER.decode(line)
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$")
        raise NotARecording(where.rstrip("`").lstrip("."), said, "a recording; docs/tuning.md has the keys") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotARecording("", f"no JSON ({error})", "one recording as a JSON object on one line") from None
    if read.format != FORMAT:
        raise NotARecording("format", str(read.format), f"{FORMAT}, the format this version reads")
    if not read.run_id:
        raise NotARecording("run_id", "an empty text", "a name of its own")
    _check_steps(read.steps)
    rewards = {step.i: step.score for step in read.steps if step.score is not None}
    identity = Identity(read.model, read.user_model, read.agent_system, read.task_id, read.trial, read.provenance or {})
    after = Afterwards(read.outcome or Outcome(), read.failure, read.judges, read.agent_seconds, rewards)
    return Recording(
        read.run_id,
        read.source,
        read.family or read.source,
        read.domain or read.family or read.source,
        read.split_key or read.run_id,
        tuple(map(_completed, read.steps)),
        identity,
        after,
    )


def _check_steps(steps: list[_StepLine]) -> None:
    if not steps:
        raise NotARecording("steps", "an empty list", "at least one step")
    before = None
    for place, step in enumerate(steps):
        if before is not None and step.i <= before:
            raise NotARecording(f"steps[{place}].i", str(step.i), f"more than {before}: steps are numbered in order")
        if step.ref is not None and step.ref >= step.i:
            raise NotARecording(f"steps[{place}].ref", str(step.ref), f"an earlier step than {step.i}")
        if forbidden := (AFTERWARDS | IDENTITY).intersection(step.signals):
            found = ", ".join(sorted(forbidden))
            raise NotARecording(f"steps[{place}].signals", found, "flags that were known at this step")
        before = step.i


def _completed(step: _StepLine) -> Step:
    """The step without the reward, and with the digests that its writer left out."""
    values = {name: getattr(step, name) for name in _STEP_FIELDS}
    if step.args is not None and step.args_sha is None:
        values["args_sha"] = digest(step.args)
    if step.text and step.text_sha is None:
        values["text_sha"] = digest(step.text)
    values["text_len"] = max(step.text_len, 0) or len(step.text)
    return Step(**values)


def to_line(recording: Recording) -> bytes:
    """The recording as one line of JSON, with the line end. Reading it gives the same recording."""
    identity, after = recording.identity, recording.after
    said: dict[str, Any] = {
        "format": FORMAT,
        "run_id": recording.run_id,
        "source": recording.source,
        "family": recording.family,
        "domain": recording.domain,
        "split_key": recording.split_key,
        **{name: value for name, value in msgspec.structs.asdict(identity).items() if value not in (None, {})},
        "outcome": after.outcome,
        "failure": after.failure,
        "judges": after.judges,
        "agent_seconds": after.agent_seconds,
        "n_steps": len(recording.steps),
        "steps": [_step_said(step, after.rewards) for step in recording.steps],
    }
    return _ENCODER.encode(said) + b"\n"


def _step_said(step: Step, rewards: Mapping[int, float]) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(step)
    if step.i in rewards:
        said["score"] = rewards[step.i]
    return said


def new_step(i: int, agent: str, kind: Any, text: str = "", *, args: Any = None, **more: Any) -> Step:
    """A step for an importer: texts cut, digests made of the whole, arguments as canonical JSON (text as it stands)."""
    if args is not None and not isinstance(args, str):
        args = _canonical_text(args)
    return Step(
        i,
        agent,
        kind,
        args=cut(args) if args is not None else None,
        args_sha=digest(args) if args is not None else None,
        text=cut(text),
        text_len=len(text),
        text_sha=digest(text) if text else None,
        **more,
    )


def cut(text: str) -> str:
    """The text as a line keeps it."""
    if len(text) <= KEPT:
        return text
    left = len(text) - KEPT
    return f"{text[:_HEAD]} …[+{left} chars]… {text[_HEAD - KEPT :]}"


def _canonical_text(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
