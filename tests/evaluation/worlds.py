"""Random worlds: three rules over words, flags, counts and measures, and noise, written down as choices of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepladder.clauses import Clause, Condition
from stepladder.evaluation.choices import Chosen

ACTIONS = ("search", "answer", "ask", "stop", "fetch")
RUNS, STEPS = 150, 12
Planted = tuple[str, Condition]


def _facts(random: np.random.Generator) -> dict[str, Any]:
    return {
        "kind": str(random.choice(list("abcd"))),
        "state": str(random.choice(["open", "shut", "none"])),
        "flag": bool(random.random() < 0.4),
        "tries": int(random.integers(0, 7)),
        "count": int(random.integers(0, 30)),
        "share": round(float(random.random()), 3),
        "seconds": round(float(random.exponential(40)), 2),
        "other.word": str(random.choice(list("efghij"))),
        "other.count": int(random.integers(0, 20)),
        "other.share": round(float(random.random()), 4),
    }


def _clause(random: np.random.Generator, name: str, values: Sequence[Any], *, ranges: bool) -> list[Clause]:
    if not isinstance(values[0], int | float) or isinstance(values[0], bool):
        return [Clause(name, "==", values[int(random.integers(len(values)))])]
    low, high = np.quantile(values, np.sort(random.uniform(0.1, 0.9, 2)), method="nearest").tolist()
    if ranges and random.random() < 0.5:
        return [Clause(name, ">=", low), Clause(name, "<=", high)]
    return [Clause(name, ">=", low)] if random.random() < 0.5 else [Clause(name, "<=", high)]


def _rules(random: np.random.Generator, rows: Sequence[dict[str, Any]], *, ranges: bool) -> list[Condition]:
    """Three conditions; each decides 8% to 35% of the rows before which no other does."""
    names = [name for name in rows[0] if not name.startswith("other")]
    found = list[Condition]()
    left = rows
    while len(found) < 3:
        several = random.choice(names, int(random.integers(1, 4)), replace=False).tolist()
        clauses = [
            each for name in several for each in _clause(random, name, [row[name] for row in rows], ranges=ranges)
        ]
        condition = Condition(clauses)
        own = [row for row in left if condition.holds(row)]
        if 0.08 * len(rows) <= len(own) <= 0.35 * len(rows):
            found.append(condition)
            left = [row for row in left if row not in own]
    return found


def world(seed: int, noise: float, *, ranges: bool = False) -> tuple[list[Chosen], list[Planted], list[str]]:
    """Choices, the rules behind them (the first that holds decides), and what they say of each choice ("": nothing).

    Where no rule is, and in a part `noise` of the choices, any action is as likely.
    """
    random = np.random.default_rng(seed)
    rows = [_facts(random) for _ in range(RUNS * STEPS)]
    actions = random.permutation(ACTIONS).tolist()
    rules = list(zip(actions, _rules(random, rows[:600], ranges=ranges), strict=False))
    chosen, said = list[Chosen](), list[str]()
    for place, row in enumerate(rows):
        said.append(next((action for action, condition in rules if condition.holds(row)), ""))
        any_of = str(random.choice(ACTIONS))
        action = any_of if not said[-1] or random.random() < noise else said[-1]
        run = place // STEPS
        chosen.append(Chosen(f"r{run}", f"g{run // 2}", row, action))
    return chosen, rules, said
