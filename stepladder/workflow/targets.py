"""The section `models` of a policy: breakers, rates and retries of everything that is asked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from stepladder.fallback import BreakerPolicy, Rate, Retries, TargetPolicy
from stepladder.workflow.compiler import Key
from stepladder.workflow.policy_file import BreakerFile, ModelsFile
from stepladder.workflow.problems import Problems

PATH: Final[Key] = ("policy", "models")
UNSET: Final = TargetPolicy()


def targets_of(file: ModelsFile | None, asked: Collection[str], problems: Problems) -> TargetPolicy | None:
    """What the section says, None where it says nothing that is not so anyway; `asked` are the models of all rungs."""
    if file is None:
        return None
    _check_breaker(file.breaker, problems)
    for name, rate in file.rates.items():
        path = (*PATH, "rates", name)
        _check_name(name, asked, path, problems)
        if not rate.model_fields_set:
            problems.add(path, "no limit", "one of: per_minute, tokens_per_minute, at_once")
    rates = {name: Rate(**rate.model_dump()) for name, rate in file.rates.items()}
    breaker, retries = BreakerPolicy(**file.breaker.model_dump()), Retries(**file.retries.model_dump())
    found = TargetPolicy(breaker, rates, retries, file.shared)
    return None if found == UNSET else found


def _check_breaker(file: BreakerFile, problems: Problems) -> None:
    """What could never open, or would be open for longer at first than at most."""
    path = (*PATH, "breaker")
    for key in ("least", "straight"):
        if (value := getattr(file, key)) > file.calls:
            problems.add((*path, key), str(value), f"at most calls ({file.calls}): no more are remembered")
    if file.open_s > file.most_open_s:
        problems.add((*path, "most_open_s"), f"{file.most_open_s:g}", f"at least open_s ({file.open_s:g})")


def _check_name(name: str, asked: Collection[str], path: Key, problems: Problems) -> None:
    """A rate of something that no rung asks is a slip of the pen."""
    provider, colon, model = name.partition(":")
    if name == "*":
        return
    if not (provider and colon and model) or "*" in provider or ("*" in model and model != "*"):
        problems.add(path, f"rate for {name!r}", "provider:model, provider:* or *, such as openai:gpt-5-mini")
    elif model == "*":
        known = sorted({each.partition(":")[0] for each in asked})
        if provider not in known:
            problems.unknown(path, "provider of a rung's model", provider, known)
    elif name not in asked:
        problems.unknown(path, "model of a rung", name, asked)
