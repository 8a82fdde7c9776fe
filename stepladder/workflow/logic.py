"""Which facts satisfy clauses: exact, by trying the values on which any of them turns.

Signals are taken as independent of each other. So what has no witness can never happen, and what has one may.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from stepladder.clauses import MISSING, Clause, Condition
from stepladder.values import is_number
from stepladder.workflow.shapes import Shape

Known = Callable[[str], Shape | None]
"""The shape at a path; None where the path leads nowhere."""
Witness = dict[str, Any]
"""A value for each signal; MISSING where there is none."""
Clauses = Sequence[Clause]

OTHER_WORD: Final = "any other word"
_PATIENCE: Final = 20_000


class UndecidedError(Exception):
    """There are too many ways to try; nothing can be said."""


def witness(must: Clauses, avoid: Iterable[Clauses], known: Known) -> Witness | None:
    """Facts where all of `must` hold and in each of `avoid` some clause fails; None where there are none.

    Signals that may have any value are left out.

    Raises:
        UndecidedError: there are too many ways to try.
    """
    avoided = list(avoid)
    values = _values([*must, *(clause for clauses in avoided for clause in clauses)], known)
    for clause in must:
        values[clause.signal] = [value for value in values[clause.signal] if holds(clause, value)]
    if any(not values[clause.signal] for clause in must):
        return None
    found = next(_escapes(values, avoided, [_PATIENCE]), None)
    if found is None:
        return None
    turning = {clause.signal for clause in must} | {name for name, left in found.items() if left != values[name]}
    return {signal: left[0] for signal, left in found.items() if signal in turning}


def clash(clauses: Clauses, known: Known) -> tuple[Clause, ...]:
    """The fewest of the clauses that cannot hold together: one, two, or all of one signal; () if they can."""
    for last, clause in enumerate(clauses):
        if witness((clause,), (), known) is None:
            return (clause,)
        for earlier in clauses[:last]:
            if witness((earlier, clause), (), known) is None:
                return earlier, clause
        same = tuple(each for each in clauses[: last + 1] if each.signal == clause.signal)
        if witness(same, (), known) is None:
            return same
    return ()


def told(facts: Witness) -> str:
    """The facts as a reader would say them."""
    said = [f"{signal} is {_spelt(value)}" for signal, value in facts.items()]
    return " and ".join(said) or "always"


def holds(clause: Clause, value: Any) -> bool:
    """Whether the clause holds for this value of its signal, as it would in a run."""
    return value is not MISSING and Condition((Clause("it", clause.op, clause.literal),)).holds({"it": value})


def samples(clauses: Clauses, shape: Shape | None) -> list[Any]:
    """Values of this shape, at least one for each way in which the clauses can turn out."""
    if shape is None:
        return [MISSING]
    found: list[Any] = []
    if "number" in shape.kinds:
        found += _numbers([clause.literal for clause in clauses], shape)
    if "word" in shape.kinds:
        found += _words([clause.literal for clause in clauses], shape)
    if "flag" in shape.kinds:
        found += [True, False]
    return found if shape.always and found else [*found, MISSING]


def _values(clauses: Clauses, known: Known) -> dict[str, list[Any]]:
    of_signal: dict[str, list[Clause]] = {}
    for clause in clauses:
        of_signal.setdefault(clause.signal, []).append(clause)
    return {signal: samples(found, known(signal)) for signal, found in of_signal.items()}


def _escapes(values: dict[str, list[Any]], avoid: list[Clauses], patience: list[int]) -> Iterator[dict[str, list[Any]]]:
    """The values narrowed so that each of `avoid` fails, in every way to do so."""
    patience[0] -= 1
    if patience[0] < 0:
        raise UndecidedError
    if not avoid:
        yield values
        return
    for clause in avoid[0]:
        left = [value for value in values[clause.signal] if not holds(clause, value)]
        if left:
            yield from _escapes({**values, clause.signal: left}, avoid[1:], patience)


def _numbers(literals: Iterable[object], shape: Shape) -> list[int | float]:
    turns = sorted({n for n in literals if is_number(n)})
    bounds = [bound for bound in (shape.low, shape.high) if math.isfinite(bound)]
    if shape.whole:
        near = {math.floor(turn) + step for turn in [*turns, *bounds] for step in (-1, 0, 1, 2)}
        found: list[int | float] = sorted(near) or [0]
    else:
        between = [one / 2 + other / 2 for one, other in pairwise(turns)]
        found = sorted({*turns, *bounds, *between, *(_beyond(turns) if turns else ())}) or [0]
    return [number for number in found if shape.low <= number <= shape.high]


def _beyond(turns: Sequence[int | float]) -> tuple[float, float]:
    low, high = turns[0], turns[-1]
    below, above = low - 1, high + 1
    return (
        below if below < low else math.nextafter(low, -math.inf),
        above if above > high else math.nextafter(high, math.inf),
    )


def _words(literals: Iterable[object], shape: Shape) -> list[str]:
    if shape.words is not None:
        return sorted(shape.words)
    return [*sorted({word for word in literals if isinstance(word, str)}), OTHER_WORD]


def _spelt(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
