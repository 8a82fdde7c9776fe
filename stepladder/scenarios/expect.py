"""Expectations: each is looked at, and says what was expected and what was found."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from stepladder.app.run import Run
from stepladder.orchestrator import DecisionRecord
from stepladder.scenarios.file import DecisionExpected, Expected


class Check(msgspec.Struct, frozen=True):
    """One expectation: what it is about, what was expected, what was found, and whether it held."""

    what: str
    expected: Any
    found: Any
    held: bool

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}" + ("" if self.held else f", found {self.found}")


def check(expected: Expected, run: Run, actions: Collection[str]) -> tuple[Check, ...]:
    """Every expectation of a scenario against its run; `actions` are those there are."""
    return tuple(_checks(expected, run, actions))


def _checks(expected: Expected, run: Run, actions: Collection[str]) -> Iterator[Check]:
    taken = [record.action for record in run.decisions if record.opened.point == "next_action" and record.settled]
    found = {
        "end": run.end,
        "success": run.success,
        "waiting": run.waiting.about if run.waiting else None,
        "path": taken,
        "asked": sum(record.asked_models for record in run.decisions),
    }
    for what, value in found.items():
        if (wanted := getattr(expected, what)) is not None:
            yield _equal(what, wanted, value)
    for action in expected.never:
        known, count = action in actions, taken.count(action)
        found_it = f"taken {count} times" if known else "no such action"
        yield Check(f"never {action}", "not taken", found_it, known and not count)
    for field, value in expected.output.items():
        yield _equal(f"output.{field}", value, (run.output or {}).get(field))
    if expected.usd_at_most is not None:
        yield Check("usd", f"at most {expected.usd_at_most}", run.usd, run.usd <= expected.usd_at_most)
    for number, decision in expected.decisions.items():
        yield from _decision(int(number), decision, run.decisions)


def _decision(number: int, expected: DecisionExpected, records: tuple[DecisionRecord, ...]) -> Iterator[Check]:
    if number > len(records):
        yield Check(f"decision {number}", "made", f"only {len(records)} were", held=False)
        return
    found = _seen(records[number - 1])
    for field, value in expected.model_dump(exclude_none=True).items():
        yield _equal(f"decision {number}.{field}", value, found[field])


def _seen(record: DecisionRecord) -> dict[str, Any]:
    opened, settled = record.opened, record.settled
    return {
        "action": record.action,
        "rule": opened.rule,
        "source": record.source,
        "relation": settled.relation if settled else None,
        "route": opened.route,
        "point": opened.point,
        "fallback": bool(settled and settled.fallback),
        "limit": bool(opened.limit),
        "fired": [fired.name for fired in opened.fired],
    }


def _equal(what: str, expected: Any, found: Any) -> Check:
    return Check(what, expected, found, _same(expected, found))


def _same(one: Any, other: Any) -> bool:
    """Whether they are the same JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
