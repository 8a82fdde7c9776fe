"""Conditions, classifiers and rules, asked of many rows at once.

`tests/evaluation` shows that they always agree with asking one row at a time (`Condition.holds`, `classify`, `choose`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Final, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from stepladder.classifier import Classifier
from stepladder.clauses import AnyOf, Clause, Condition
from stepladder.evaluation.columns import Columns
from stepladder.evaluation.mask import Mask
from stepladder.record import Route
from stepladder.rules import Rule

ROUTES: Final[tuple[Route, ...]] = get_args(Route)
"""What the codes of `Routes` stand for: standard 0, hybrid 1, complex 2."""


def names_read(classifiers: Iterable[Classifier] = (), rules: Iterable[Rule] = ()) -> list[str]:
    """The names of the columns that these need, each once."""
    any_ofs = [any_of for each in classifiers for any_of in (each.complex, each.hybrid)]
    clauses = [clause for any_of in any_ofs for clause in any_of.clauses()]
    clauses += [clause for rule in rules for clause in rule.when.clauses]
    return list(dict.fromkeys(clause.signal for clause in clauses))


class Masks:
    """Columns with their answers: a clause is asked once, however many settings have it (125 KB for a million rows)."""

    def __init__(self, columns: Columns) -> None:
        self.columns, self.rows = columns, columns.rows
        self._known: dict[tuple[Clause, type], Mask] = {}

    def clause(self, clause: Clause) -> Mask:
        """The rows where the clause holds. Raises InputError where its signal has no column."""
        key = clause, type(clause.literal)  # `x == 1` and `x == true` are equal, for Python
        if key not in self._known:
            self._known[key] = self.columns.holds(clause)
        return self._known[key]

    def condition(self, condition: Condition) -> Mask:
        """The rows where every clause holds."""
        first, *others = condition.clauses or (None,)
        mask = Mask.every(self.rows) if first is None else self.clause(first)
        for clause in others:
            mask &= self.clause(clause)
        return mask

    def named(self, any_of: AnyOf) -> dict[str, Mask]:
        """For each name the rows where its condition holds."""
        return {name: self.condition(condition) for name, condition in any_of.named.items()}

    def any(self, masks: Iterable[Mask]) -> Mask:
        """The rows of any of these."""
        return reduce(or_, masks, Mask.none(self.rows))


class Routes(msgspec.Struct, frozen=True, eq=False):
    """The rows that are not ordinary, and in `fired` by name why; a hybrid name counts where nothing is complex."""

    complex: Mask
    hybrid: Mask
    fired: dict[Route, dict[str, Mask]]

    def codes(self) -> NDArray[np.uint8]:
        """Each row's route, as its place in `ROUTES`."""
        return self.hybrid.flags() + 2 * self.complex.flags().view(np.uint8)


def classify_columns(classifier: Classifier, masks: Masks) -> Routes:
    """`classify`, of every row. Raises InputError where a signal has no column."""
    complex_ = masks.named(classifier.complex)
    is_complex = masks.any(complex_.values())
    hybrid = {name: mask - is_complex for name, mask in masks.named(classifier.hybrid).items()}
    return Routes(is_complex, masks.any(hybrid.values()), {"complex": complex_, "hybrid": hybrid})


class Choices(msgspec.Struct, frozen=True, eq=False):
    """For each rule the rows where it is chosen, and those where it held, was not legal and so was passed over."""

    rows: int
    chosen: tuple[Mask, ...]
    passed_over: tuple[Mask, ...]

    def codes(self) -> NDArray[np.int16]:
        """Each row's rule, as its place among the rules; -1 where none is chosen, hence STOP."""
        codes = np.full(self.rows, -1, np.int16)
        for place, mask in enumerate(self.chosen):
            codes[mask.flags()] = place
        return codes


def choose_columns(rules: Sequence[Rule], masks: Masks, legal: Mapping[str, Mask]) -> Choices:
    """`choose`, of every row; `legal` has the rows where an action is legal (one that it does not name: nowhere)."""
    nowhere, left = Mask.none(masks.rows), Mask.every(masks.rows)
    chosen, passed_over = [], []
    for rule in rules:
        held = masks.condition(rule.when) & left
        taken = held & legal.get(rule.do, nowhere)
        chosen.append(taken)
        passed_over.append(held - taken)
        left -= taken
    return Choices(masks.rows, tuple(chosen), tuple(passed_over))
