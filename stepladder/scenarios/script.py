"""The actors of a script."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from stepladder.errors import StepladderError
from stepladder.llm import ModelReply, ModelRequest, ScriptedProvider
from stepladder.llm import errors as failures
from stepladder.llm.errors import ModelError, ScriptRanDry

SHOWN = 300
"""Characters of a value that a miss shows."""
LOOKED_AT = 2000
"""Characters of the arguments by which the nearest recorded call is found."""
CODES: dict[str, type[ModelError]] = {
    kind.code: kind
    for kind in (
        failures.Late,
        failures.Unreachable,
        failures.Unavailable,
        failures.Refused,
        failures.Truncated,
        failures.BadResponse,
        failures.RateLimited,
        failures.Rejected,
    )
}


class ScriptError(StepladderError):
    """The script of a scenario does not fit the run: somebody's lines ran out, or are left over."""


class ScriptedAgentError(Exception):
    """What `{$raise: ...}` raises inside a run."""


def _error_named(name: str) -> type[Exception]:
    """An error of this class name, which rules may read as `last.error_type`."""
    return type(name, (ScriptedAgentError,), {}) if name else ScriptedAgentError


class ScriptedAgent:
    """Gives its results in order; one that was recorded `$with` arguments is given for these arguments alone."""

    def __init__(self, name: str, results: Iterable[Mapping[str, Any]]) -> None:
        self.name, self.calls, self._results = name, 0, deque(results)
        self._recorded = [each["$with"] for each in self._results if "$with" in each]
        self.ran_dry, self.missed = False, ""

    async def __call__(self, **given: Any) -> dict[str, Any]:
        """The next result."""
        self.calls += 1
        if not self._results:
            self.ran_dry = True
            if self._recorded:
                self.missed = self.missed or missed(self.name, self.calls, given, self._recorded)
            raise ScriptedAgentError(f"the script has only {self.calls - 1} results for {self.name}")
        result = dict(self._results.popleft())
        if result.pop("$with", given) != given:
            self.missed = self.missed or missed(self.name, self.calls, given, self._recorded)
            raise ScriptedAgentError(self.missed)
        if "$raise" in result:
            raise _error_named(str(result.get("$type", "")))(str(result["$raise"]))
        if result.get("$late"):
            await asyncio.Event().wait()
        return result

    @property
    def left(self) -> int:
        """Results nobody has taken."""
        return len(self._results)


def missed(agent: str, call: int, given: Mapping[str, Any], recorded: Sequence[Mapping[str, Any]]) -> str:
    """What is said where an agent is called otherwise than recorded: the nearest recorded call, and how it differs."""

    def likeness(place: int) -> float:
        return SequenceMatcher(None, _spelt(given)[:LOOKED_AT], _spelt(recorded[place])[:LOOKED_AT]).ratio()

    nearest = max(range(len(recorded)), key=likeness)
    then = {name: _spelt(value) for name, value in recorded[nearest].items()}
    now = {name: _spelt(value) for name, value in given.items()}
    told = ", ".join(
        f"{name}: {_apart(then.get(name, 'nothing'), now.get(name, 'nothing'))}"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    )
    where = f"nearest is its recorded call {nearest + 1} ({told or 'the same'})"
    return f"call {call} of {agent} is not on the cassette; {where}"


def _apart(then: str, now: str) -> str:
    """Two texts, from a little before the place where they begin to differ."""
    same = next((place for place, (one, two) in enumerate(zip(then, now, strict=False)) if one != two), 0)
    begin = max(0, same - 20) if same > SHOWN // 2 else 0
    then, now = (
        ("…" if begin else "") + each[begin : begin + SHOWN] + ("…" if len(each) > begin + SHOWN else "")
        for each in (then, now)
    )
    return f"recorded {then}, now {now}"


def _spelt(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


class ScriptedModels:
    """One provider's models, each with a script of its own."""

    final = True
    """A line answers a question; none is asked for again."""

    def __init__(self, name: str, scripts: Mapping[str, Iterable[Any]]) -> None:
        self.name = name
        self.models = {model: ScriptedProvider([_line(each) for each in lines]) for model, lines in scripts.items()}
        self.dry: list[str] = []

    async def ask(self, request: ModelRequest) -> ModelReply:
        """The next answer of the model asked."""
        script = self.models.setdefault(request.model, ScriptedProvider([]))
        try:
            return await script.ask(request)
        except ScriptRanDry as error:
            self.dry.append(f"{self.name}:{request.model} was asked {error.answers + 1} times")
            raise

    def price(self, model: str, input_tokens: int, output_tokens: int) -> float | None:
        """Nothing: a script costs no money."""
        return 0.0

    async def close(self) -> None:
        """Nothing to give back."""


def _line(line: Any) -> Any:
    """A line of a model's script: `{$fail: code}` is a failure, text stands as it is, anything else becomes JSON."""
    if isinstance(line, Mapping) and "$fail" in line:
        kind = CODES.get(str(line["$fail"]))
        if kind is None:
            raise ScriptError(f"$fail: {line['$fail']!r} is not one of {', '.join(CODES)}")
        return kind
    return line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)


def scripted_providers(scripts: Mapping[str, Iterable[Any]], names: Iterable[str]) -> dict[str, ScriptedModels]:
    """A scripted provider for each provider that a script or the workflow names: nothing reaches a network."""
    by_provider: dict[str, dict[str, Iterable[Any]]] = {name.partition(":")[0]: {} for name in names}
    for model, lines in scripts.items():
        provider, _, rest = model.partition(":")
        by_provider.setdefault(provider, {})[rest] = lines
    return {provider: ScriptedModels(provider, models) for provider, models in by_provider.items()}


def left_over(
    agents: Iterable[ScriptedAgent],
    providers: Mapping[str, ScriptedModels],
    answers: int,
    messages: Mapping[str, deque[Any]],
) -> list[str]:
    """What of the script nobody took."""
    found = [f"{agent.left} results of {agent.name}" for agent in agents if agent.left]
    for provider in providers.values():
        found += [
            f"{script.left} answers of {provider.name}:{name}"
            for name, script in provider.models.items()
            if script.left
        ]
    found += [f"{answers} answers of the person"] if answers else []
    return found + [f"{len(left)} messages {name}" for name, left in messages.items() if left]
