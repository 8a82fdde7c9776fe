"""Steps as an importer writes them: numbered, with results that know the call they answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite, nan
from typing import Any, Final

from msgspec.structs import replace

from stepladder.scenarios.recording import Step
from stepladder.scenarios.recording_line import new_step

_SECONDS: Final = 1e11
"""A larger number of seconds is beyond the year 5000."""


class Writer:
    """The steps of one run, in order."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._calls: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._batch: list[int] = []

    def asked(self, text: str, **more: Any) -> None:
        """A person says something."""
        self._add("user", "user_message", text, **more)

    def began(self, text: str, **more: Any) -> None:
        """A person said something before all else, of which only now is heard."""
        later = [replace(each, i=each.i + 1, ref=None if each.ref is None else each.ref + 1) for each in self.steps]
        self.steps = [new_step(0, "user", "user_message", text, **more), *later]
        self._calls = {name: place + 1 for name, place in self._calls.items()}
        self._last = {name: place + 1 for name, place in self._last.items()}
        self._batch = [place + 1 for place in self._batch]

    def said(self, agent: str, text: str, **more: Any) -> None:
        """An agent says something; nothing said is no step."""
        if text:
            self._add(agent, "message", text, **more)

    def called(
        self, agent: str, tool: str, args: Any, call_id: str = "", *, kind: str = "tool_call", **more: Any
    ) -> None:
        """An agent calls a tool, or hands over to another agent."""
        self._last[tool] = len(self.steps)
        if self.steps and self.steps[-1].kind not in ("tool_call", "handoff"):
            self._batch = []
        self._batch.append(len(self.steps))
        if call_id:
            self._calls[call_id] = len(self.steps)
        self._add(agent, kind, str(more.pop("text", "")), tool=tool, args=args, **more)

    def knows(self, call_id: str) -> bool:
        """Whether this call was made."""
        return call_id in self._calls

    def returned(
        self,
        text: str,
        *,
        error: bool | None,
        call_id: str = "",
        tool: str = "",
        agent: str = "environment",
        **more: Any,
    ) -> None:
        """A call returned: the one of this id, else the first of this tool among the newest calls, which were made
        together, that has not returned, else the newest of this tool."""
        ref = self._calls.get(call_id) if call_id else self._unanswered(tool)
        if ref in self._batch:
            self._batch.remove(ref)
        name = self.steps[ref].tool if ref is not None else tool or None
        self._add(agent, "tool_result", text, tool=name, ref=ref, is_error=error, **more)

    def _unanswered(self, tool: str) -> int | None:
        waiting = (place for place in self._batch if self.steps[place].tool == tool)
        return next(waiting, self._last.get(tool))

    def _add(self, agent: str, kind: str, text: str, **more: Any) -> None:
        args = more.pop("args", None)
        self.steps.append(new_step(len(self.steps), agent, kind, text, args=args, **more))


def text_of(content: Any) -> str:
    """The text of a message's content: text as it stands, the text parts (and refusals) of a list, nothing of anything
    else."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(_part_text, content)))
    return ""


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        found = part.get("text", part.get("content", part.get("refusal")))
        return found if isinstance(found, str) else ""
    return ""


def word(value: Any, otherwise: str = "") -> str:
    """The value where it is text or a number, as text."""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else otherwise


def number(value: Any) -> float | None:
    """The value where it is a number, also as text; not what is none (NaN) or has no end."""
    try:
        found = nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if isfinite(found) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def whole(value: Any) -> int | None:
    """The value where it is a whole number, also as text (OTLP writes them so)."""
    try:
        return None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def moment(value: Any) -> str | None:
    """A time as ISO 8601: text as it stands, a number as seconds since 1970, or thousandths where it is too large for
    that; None for anything else."""
    if isinstance(value, str) and number(value) is None:
        return value or None
    seconds = number(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds / (1000 if abs(seconds) > _SECONDS else 1), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
