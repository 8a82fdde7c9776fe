"""Changes of mind: what a model chose before it came to choose otherwise is no evidence any more.

A model, its prompt or what it is told may change in the middle of a history. Then a rule that was right for long
agrees with most of the choices, and with none of the newest. So, where it is known when choices were made, rules are
looked for in parts of the history (its beginning, its end, all of it), and the choices that each one is about are gone
through in the order of time (`drift`). Where the model changed its mind, only what came after counts in that situation;
everywhere else everything does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.evaluation.choices import Chosen
from stepladder.evaluation.drift import one_mind_since, witnesses
from stepladder.evaluation.literals import places_of
from stepladder.evaluation.mined_rules import Rule, Terms
from stepladder.evaluation.mining import Mine

Array = NDArray[Any]
PARTS: Final = ((0.0, 0.25), (0.0, 0.5), (0.0, 0.75), (0.0, 1.0), (0.5, 1.0), (0.75, 1.0))
"""Parts of the history, from and to, that rules are looked for in."""


class Change(msgspec.Struct, frozen=True):
    """Where a model changed its mind: in the situation `when`, where it chose `action` in a share `before` of the runs,
    and since `at` (seconds since 1970) in a share `after`. `choices` from before that do not count."""

    step: str
    action: str
    when: tuple[str, ...]
    at: float
    before: float
    after: float
    choices: int


class Current(msgspec.Struct, frozen=True, eq=False):
    """The choices that still count, the rules they speak for, and the changes of mind."""

    mine: Mine
    rules: list[Rule]
    changes: list[Change]


def current(chosen: Sequence[Chosen], terms: Terms = Terms(), seed: int = 0) -> Current:  # noqa: B008 - frozen
    """The rules that the choices speak for, without those from before a change of mind. Where it is not known when all
    of them were made, every one counts."""
    if any(each.at is None for each in chosen):
        mine = Mine(chosen, terms)
        return Current(mine, mine.rules(seed=seed), [])
    ordered = sorted(chosen, key=_at)
    mine = Mine(ordered, terms)
    changes, stale = _told_once(list(_changes(mine, seed)), len(ordered))
    if changes:
        mine = Mine([each for each, old in zip(ordered, stale.tolist(), strict=True) if not old], terms)
    return Current(mine, _standing(mine, mine.rules(seed=seed)), changes)


def _at(choice: Chosen) -> float:
    return choice.at or 0.0


def _changes(mine: Mine, seed: int) -> Iterator[tuple[Change, Array]]:
    """The changes of mind among choices in the order of time, each with the places of those from before it."""
    rows = np.arange(len(mine.chosen))
    for first, last in PARTS:
        within = (rows >= first * len(rows)) & (rows < last * len(rows))
        for rule, places in _taken(mine, mine.rules(within, seed)):
            hits = mine.actions[places] == rule.action
            runs = [mine.chosen[place].run_id for place in places.tolist()]
            seen = witnesses(runs)
            since = one_mind_since(hits[seen])
            if not since:
                continue
            new = runs.index(runs[seen[since]])
            before, after = (round(float(hits[part].mean()), 4) for part in (seen[:since], seen[since:]))
            choice, when = mine.chosen[places[new]], tuple(map(str, rule.clauses))
            yield Change(choice.step, rule.action, when, _at(choice), before, after, new), places[:new]


def _told_once(changes: list[tuple[Change, Array]], rows: int) -> tuple[list[Change], Array]:
    """The changes, of those about the same choices the widest alone; and which choices are from before one."""
    stale, told = np.zeros(rows, np.bool_), list[Change]()
    for change, places in sorted(changes, key=lambda each: (-each[0].choices, each[0].when, each[0].action)):
        if 2 * int(stale[places].sum()) < len(places):
            told.append(change)
        stale[places] = True
    return told, stale


def _taken(mine: Mine, rules: Sequence[Rule]) -> Iterator[tuple[Rule, Array]]:
    """Each rule with the places of the choices in all the history that it takes, and none before it."""
    left = mine.every
    for rule in rules:
        here = mine.rows.table.every(rule.clauses, left)
        left = left & ~here
        yield rule, places_of(here, len(mine.chosen))


def _standing(mine: Mine, rules: list[Rule]) -> list[Rule]:
    """The rules without those that the newest choices speak against."""
    kept = list[Rule]()
    for rule, places in _taken(mine, rules):
        seen = witnesses([mine.chosen[place].run_id for place in places.tolist()])
        hits = (mine.actions[places] == rule.action)[seen]
        since = one_mind_since(hits)
        if not since or hits[since:].mean() >= mine.terms.alone():
            kept.append(rule)
    return kept if len(kept) == len(rules) else mine.judge.together(mine.judge.apart(kept, mine.every), mine.every)
