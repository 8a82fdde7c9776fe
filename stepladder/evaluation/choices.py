"""What a model chose, and what was known when it did: the rows that rules are mined from.

Of imported runs: each call, handoff or message of an agent, on what was observed before it. Of recordings of ours: each
decision that a model answered, on the same and the signals it was made on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from stepladder.scenarios.observing import observations, seconds_of
from stepladder.scenarios.recording import Recording, Step
from stepladder.signals import BUILTIN, MESSAGE, Fold
from stepladder.signals.habits import HABITS, named

WATCHED: Final = ("error_count", "consecutive_errors", "repeated_calls", "repeated_results", "unusual_patterns")
"""The shipped signals that are looked at beside the habits."""
Facts = Mapping[str, Any]


class Chosen(msgspec.Struct, frozen=True):
    """One choice of a model: the facts it was made on, the action, and what it cost (None: nobody knows).

    `group`: choices that share it are never on both sides of a split. `success` is how its run ended. `rule` is what
    the rules said, where they said something; `step`, `route` and `workflow` are where it was made ("" for an imported
    run). `at` is when, in seconds since 1970 (None: nobody knows).
    """

    run_id: str
    group: str
    facts: Facts
    action: str
    success: bool | None = None
    usd: float | None = None
    seconds: float | None = None
    rule: str = ""
    step: str = ""
    route: str = ""
    workflow: str = ""
    at: float | None = None


def chosen_in(recordings: Iterable[Recording], agents: Iterable[str] = ()) -> Iterator[Chosen]:
    """Every choice in imported runs: of these agents, or of each but users, people and tools' own environment."""
    fold, wanted = Fold((*HABITS, *(BUILTIN[name] for name in WATCHED))), frozenset(agents)
    for each in recordings:
        yield from _in_run(each, fold, wanted)


def _in_run(run: Recording, fold: Fold, wanted: frozenset[str]) -> Iterator[Chosen]:
    memory, broken, taken = fold.start(), dict[str, str](), dict[str, int]()
    success = run.after.outcome.success
    chooses = wanted or choosers(run.steps)
    for step, seen in zip(run.steps, observations(run.steps), strict=True):
        ours = step.decided if step.kind == "decision" else None
        if ours is not None or (step.agent in chooses and step.kind in ("message", "tool_call", "handoff")):
            action = MESSAGE if step.kind == "message" else named(seen.name)
            said = action if ours is None else ours.model_action
            if said:
                values, _ = fold.values(memory, broken)
                facts = flat({**values, **(ours.signals if ours else {}), "taken": taken})
                told = (ours.rule_action, "", ours.route) if ours else ("", "", "")
                given = run.run_id, run.split_key, facts, said, success, step.cost, None
                yield Chosen(*given, *told, at=seconds_of(step.ts) or None)
            taken = {**taken, action: taken.get(action, 0) + 1}
        memory, broken = fold.update(memory, broken, seen)


def choosers(steps: Iterable[Step]) -> frozenset[str]:
    """The agents that call or hand over, without those that people are."""
    people = {each.agent for each in steps if each.kind in ("user_message", "tool_result")}
    return frozenset(each.agent for each in steps if each.kind in ("message", "tool_call", "handoff")) - people


def flat(facts: Facts, head: str = "") -> dict[str, Any]:
    """The single values in the facts, by the dotted names that clauses have for them."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{head}{name}.")
        elif isinstance(value, str | int | float):
            found[f"{head}{name}"] = value
    return found
