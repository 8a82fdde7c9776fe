"""What a signal is, and how a set of them is folded.

A signal is `(start, update(memory, observation), value(memory))`. Updates are pure and never change the memory they are
given: the same function serves a live run, a replay and a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from stepladder.values import plain

Kind = Literal["result", "answer", "decision"]


class Observation(msgspec.Struct, frozen=True, gc=False):
    """One thing a run saw: the result of an effect, a person's answer, or a decision.

    `name` is the agent, the person's step or the action; `call` names the very call (step, agent, arguments) by digest;
    `scores` holds what the agent declared as scores, as received, and `bounds` their ranges.
    """

    kind: Kind
    step: str
    name: str = ""
    call: str = ""
    returned: str = "ok"
    output: Mapping[str, Any] = {}
    scores: Mapping[str, Any] = {}
    bounds: Mapping[str, tuple[float, float]] = {}
    at: float = 0.0


MESSAGE: Final = "MESSAGE"
"""The name of the decision to say something."""


def said(seen: Observation) -> str:
    """The text that an observation carries."""
    text = seen.output.get("text")
    return text if isinstance(text, str) else ""


def _itself(memory: Any) -> Any:
    return memory


class Signal(msgspec.Struct, frozen=True):
    """A named fold. `on` lists the kinds of observation it looks at; `version` belongs to the workflow hash.

    `total`: it never raises and its values are plain, so nobody has to look.
    """

    name: str
    start: Any
    update: Callable[[Any, Observation], Any]
    value: Callable[[Any], Any] = _itself
    on: tuple[Kind, ...] = ("result",)
    version: int = 1
    description: str = ""
    total: bool = False


def signal(
    name: str,
    *,
    start: Any,
    on: tuple[Kind, ...] = ("result",),
    version: int = 1,
    value: Callable[[Any], Any] | None = None,
) -> Callable[[Callable[[Any, Observation], Any]], Signal]:
    """Make a signal of the decorated `update(memory, observation)`; its docstring becomes the description."""

    def make(update: Callable[[Any, Observation], Any]) -> Signal:
        described = (update.__doc__ or "").strip()
        return Signal(name, start, update, value or _itself, on, version, described)

    return make


class Fold:
    """A set of signals, folded together."""

    def __init__(self, signals: Iterable[Signal]) -> None:
        self.signals = tuple(signals)
        kinds: tuple[Kind, ...] = ("result", "answer", "decision")
        self._on = {kind: tuple(s for s in self.signals if kind in s.on) for kind in kinds}
        self._bare = tuple(s.name for s in self.signals if s.total and s.value is _itself)
        self._ours = tuple((s.name, s.value) for s in self.signals if s.total and s.value is not _itself)
        self._theirs = tuple(s for s in self.signals if not s.total)

    def start(self) -> dict[str, Any]:
        """The memories before anything was observed."""
        return {each.name: each.start for each in self.signals}

    def listens(self, kind: Kind) -> bool:
        """Whether any signal looks at observations of this kind."""
        return bool(self._on[kind])

    def update(
        self, memory: dict[str, Any], broken: dict[str, str], seen: Observation
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The memories after `seen`; a signal that raises stays broken, with what it said, and has no value."""
        new = dict(memory)
        for each in self._on[seen.kind]:
            try:
                new[each.name] = each.update(new[each.name], seen)
            except Exception as error:
                broken = {**broken, each.name: f"{type(error).__name__}: {error}"}
        return new, broken

    def values(self, memory: dict[str, Any], broken: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
        """Each signal's value by name, without those that have none."""
        if broken:
            return self._looked_at(self.signals, {}, memory, broken)
        found = {name: memory[name] for name in self._bare}
        for name, value_of in self._ours:
            found[name] = value_of(memory[name])
        return self._looked_at(self._theirs, found, memory, broken) if self._theirs else (found, broken)

    @staticmethod
    def _looked_at(
        signals: Iterable[Signal], found: dict[str, Any], memory: dict[str, Any], broken: dict[str, str]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The values of signals that may raise or give what is not plain."""
        for each in signals:
            if each.name in broken:
                continue
            try:
                value = plain(each.value(memory[each.name]))
            except Exception as error:
                broken = {**broken, each.name: f"{type(error).__name__}: {error}"}
                continue
            if value is not None:
                found[each.name] = value
        return found, broken
