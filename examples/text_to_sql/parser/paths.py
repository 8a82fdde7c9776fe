"""Ways between tables along keys, cheapest first.

To the one row that is pointed at is cheap, to the many that point here is dearer, across a linking table dearer still.
Ways through tables that the question names are preferred: somebody who names the enrolments means those.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ..schema import ForeignKey, Schema
from .linking import likeness
from .logic import Edge, Path
from .words import name_words

LONGEST = 5
SAME_COST = 0.01
DETOUR = 2.5
NAMED = 4.0


def cost(path: Path) -> float:
    """What a path costs; 0 for staying at the table."""
    turns = sum(one.forward != other.forward for one, other in pairwise(path))
    back = sum(not edge.forward for edge in path)
    return len(path) + 0.5 * back + 2.0 * turns + (2.0 if path and path[0].forward and back else 0.0)


def edges_from(schema: Schema, table: str) -> Iterator[Edge]:
    """The steps that can be taken from a table."""
    for key in schema.keys:
        if key.table == table:
            yield Edge(key, forward=True)
        if key.to_table == table:
            yield Edge(key, forward=False)


def ways(schema: Schema, start: str, goal: str) -> Iterator[Path]:
    """All ways without a table twice, up to the longest length."""
    stack: list[Path] = [(edge,) for edge in edges_from(schema, start) if edge.target != start]
    while stack:
        path = stack.pop()
        if path[-1].target == goal:
            yield path
            continue
        seen = {start, *(edge.target for edge in path)}
        if len(path) < LONGEST:
            stack += [(*path, edge) for edge in edges_from(schema, path[-1].target) if edge.target not in seen]


def best_ways(schema: Schema, start: str, goal: str, named: frozenset[str], near: tuple[str, ...] = ()) -> list[Path]:
    """The ways that are equally good; more than one is a doubt. `near` are words that may tell keys apart."""
    if start == goal:
        return [()]
    priced = [(_price(path, named, near), path) for path in ways(schema, start, goal)]
    if not priced:
        return []
    least, first = min(priced, key=lambda pair: pair[0])
    slack = DETOUR if _crosses(first) and not _passed(first, named) else SAME_COST
    return [
        path
        for price, path in sorted(priced, key=lambda pair: pair[0])
        if price <= least + slack and _like(path, first)
    ]


def _price(path: Path, named: frozenset[str], near: tuple[str, ...]) -> float:
    roles = sum(1 for edge in path if _role_said(edge.key, near))
    return cost(path) - NAMED * len(_passed(path, named)) - NAMED * roles


def _passed(path: Path, named: frozenset[str]) -> frozenset[str]:
    return named & {edge.target for edge in path[:-1]}


def _crosses(path: Path) -> bool:
    """Over a linking table: first to the many, then to the one."""
    return any(not edge.forward for edge in path) and any(edge.forward for edge in path)


def _like(path: Path, first: Path) -> bool:
    """As direct as the first: a longer detour is no rival of a plain way."""
    return path == first or cost(path) <= cost(first) + DETOUR


def role_words(key: ForeignKey) -> tuple[str, ...]:
    """The words of a key's column beside its target's: origin in `origin_airport_id`."""
    target = name_words(key.to_table)
    return tuple(
        word for word in name_words(key.column) if word not in target and word not in ("id", "code", "key", "no", "ref")
    )


def _role_said(key: ForeignKey, near: tuple[str, ...]) -> bool:
    return any(likeness((word,), (role,)) >= 0.8 for word in near for role in role_words(key))


def said(path: Path) -> str:
    """A path in words, to tell it from another one."""
    steps = [" ".join(role_words(edge.key)) or edge.target for edge in path]
    return " and ".join(dict.fromkeys(step.replace("_", " ") for step in (steps if len(path) == 1 else steps[:-1])))
