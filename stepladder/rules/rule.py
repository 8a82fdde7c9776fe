"""One rule, and the first of several that holds and is legal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from stepladder.clauses import ALWAYS, Clause, Condition, Facts


class Rule(msgspec.Struct, frozen=True):
    """Prefer the action `do` when the condition holds.

    `parameters` are references or literals, resolved when it is chosen. On the routes that it `settles` nobody is
    asked. One in `shadow` is never chosen: what it would have said is compared later.
    """

    name: str
    do: str
    when: Condition = ALWAYS
    because: str = ""
    parameters: dict[str, Any] = {}
    settles: tuple[str, ...] = ()
    shadow: bool = False


class Choice(msgspec.Struct, frozen=True, gc=False):
    """What the rules say: the rule that is chosen (None: hence STOP), and those that held but are not legal."""

    rule: Rule | None
    passed_over: tuple[str, ...] = ()


NOBODY = Choice(None)


def rule(
    do: str,
    *,
    when: Iterable[str | Clause] = (),
    because: str = "",
    name: str = "",
    parameters: dict[str, Any] | None = None,
    settles: Iterable[str] = (),
    shadow: bool = False,
) -> Rule:
    """A rule in Python, as the workflow file's `{when: ..., do: ..., because: ...}`.

    `settles` are the routes on which it needs nobody but in 5% of the decisions; in `shadow` it is never chosen.

    Raises:
        ClauseError: `when` holds something that is no clause.
    """
    return Rule(name or do.lower(), do, Condition(when), because, parameters or {}, tuple(settles), shadow)


def choose(rules: Sequence[Rule], facts: Facts, legal: Collection[str]) -> Choice:
    """The first rule that holds and whose action is legal."""
    passed_over: tuple[str, ...] = ()
    for each in rules:
        if each.when.holds(facts):
            if each.do in legal:
                return Choice(each, passed_over)
            passed_over = (*passed_over, each.name)
    return Choice(None, passed_over) if passed_over else NOBODY
