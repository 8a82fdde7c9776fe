"""How the section `models` of a policy is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from stepladder.fallback import BreakerPolicy, Rate, TargetPolicy


def targets_json(policy: TargetPolicy) -> dict[str, Any]:
    """All that is in force, defaults included; of a rate what is limited."""
    told: dict[str, Any] = msgspec.to_builtins(policy)
    rates = told["rates"].items()
    return {**told, "rates": {name: {key: n for key, n in each.items() if n is not None} for name, each in rates}}


def targets_lines(policy: TargetPolicy) -> Iterator[str]:
    """The same for people, a line for each thing."""
    yield f"  breaker: {_breaker(policy.breaker)}"
    for name, rate in policy.rates.items():
        yield f"  rate {name}: {_rate(rate)}"
    retries = policy.retries
    yield f"  retries: {retries.share:.0%} of first attempts over {retries.window_s:g} s, or {retries.least}"
    if policy.shared:
        yield "  breakers are kept beside the journal, for every process"


def _breaker(policy: BreakerPolicy) -> str:
    slow = "" if policy.slow_s is None else f", or {policy.slow:.0%} slower than {policy.slow_s:g} s"
    opens = (
        f"opens after {policy.straight} failures alone, or {policy.failing:.0%} of the last {policy.calls} calls"
        f" of {policy.window_s:g} s failed ({policy.least} at least){slow}"
    )
    rest = f"for {policy.open_s:g} s, then {policy.growth:g} times as long each, at most {policy.most_open_s:g} s"
    return f"{opens}; {rest}, less up to {policy.jitter:.0%}; a probe has {policy.probe_s:g} s"


def _rate(rate: Rate) -> str:
    said = (
        (rate.per_minute, "{:g} requests a minute"),
        (rate.tokens_per_minute, "{:g} tokens a minute"),
        (rate.at_once, "{} at once"),
    )
    return ", ".join(text.format(value) for value, text in said if value is not None)
