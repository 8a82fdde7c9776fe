"""The parts of a policy that are about money: the section `money`, and the rung `cache`."""

from __future__ import annotations

from typing import Final

from stepladder.decision import CACHE, Budget, Caching
from stepladder.workflow.compiler import Compiler, Key
from stepladder.workflow.policy_file import MoneyFile, RungFile
from stepladder.workflow.problems import Problems

CACHING_KEYS: Final = ("features", "ttl_s", "entries", "shared", "similar")
UNCACHED: Final = frozenset({"budget_used", "time_used", "decisions", "rule_margin"})
"""Facts about time, cost and the rules: a verdict that depended on them would never be found again."""


def budget_of(money: MoneyFile | None, problems: Problems) -> Budget | None:
    """The budget that a section `money` gives; the cap of a run is not part of it."""
    if money is None:
        return None
    for model in money.prices:
        check_model_name(model, ("policy", "money", "prices", model), problems)
    return Budget(
        money.decision_usd,
        None,
        money.day_usd,
        money.throttle,
        tuple(money.still_ask),
        money.on_cap,
        money.allow_unpriced,
        {model: (read, written) for model, (read, written) in money.prices.items()},
    )


def caching_of(name: str, rung: RungFile, compiler: Compiler, path: Key) -> Caching | None:
    """How the rung of this name looks verdicts up; None for every rung but `cache`."""
    problems = compiler.problems
    for key in CACHING_KEYS:
        if name != CACHE and key in rung.model_fields_set:
            problems.add((*path, key), f"key {key!r}", f"no such key in the rung {name!r}: only in `cache`")
    if name != CACHE:
        return None
    for index, feature in enumerate(rung.features):
        _check_feature(feature, compiler, (*path, "features", index))
    if rung.similar is not None and not rung.features:
        problems.add((*path, "similar"), "no features", "features to compare situations by")
    standard = Caching()
    ttl_s, entries = rung.ttl_s or standard.ttl_s, rung.entries or standard.entries
    return Caching(tuple(rung.features), ttl_s, entries, rung.shared, rung.similar)


def _check_feature(feature: str, compiler: Compiler, path: Key) -> None:
    """A path that a clause could read, and nothing about time or money: the same situation comes again later."""
    if feature.split(".", maxsplit=1)[0] in UNCACHED:
        expected = "a fact that does not change with time, cost or the rules"
        compiler.problems.add(path, f"feature {feature!r}", expected)
    else:
        compiler.clause(f"{feature} == true", path)


def check_model_name(model: str, place: Key, problems: Problems) -> None:
    """`provider:name`, or a problem."""
    provider, colon, rest = model.partition(":")
    if not (provider and colon and rest):
        problems.add(place, f"model {model!r}", "provider:name, such as openai:gpt-5-mini")
