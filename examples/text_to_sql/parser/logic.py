"""The logical form of a question: what is read from which table, before it is SQL.

Every column is reached from the query's root by a path along keys, so that one table may play two parts.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..schema import Column, ForeignKey

Function = Literal["", "count", "sum", "avg", "min", "max"]


class Edge(msgspec.Struct, frozen=True):
    """One step along a key: forward to the one row it points at, backward to the many that point here."""

    key: ForeignKey
    forward: bool

    @property
    def source(self) -> str:
        """The table where the step begins."""
        return self.key.table if self.forward else self.key.to_table

    @property
    def target(self) -> str:
        """The table where the step ends."""
        return self.key.to_table if self.forward else self.key.table

    @property
    def columns(self) -> tuple[str, str]:
        """The columns that must be equal, at the source and at the target."""
        here, there = self.key.column, self.key.to_column
        return (here, there) if self.forward else (there, here)


Path = tuple[Edge, ...]


def fans_out(path: Path) -> bool:
    """Whether one row may find many along the path."""
    return any(not edge.forward for edge in path)


class Ref(msgspec.Struct, frozen=True):
    """A column at the end of a path."""

    path: Path
    column: Column


class RowKey(msgspec.Struct, frozen=True):
    """What tells the rows of the table at the end of a path apart."""

    path: Path
    table: str


class Product(msgspec.Struct, frozen=True):
    """Units times the price of one."""

    path: Path
    units: Column
    price: Column


class Part(msgspec.Struct, frozen=True):
    """A part of a date: year, month, quarter, weekday or day."""

    ref: Ref
    part: str


Expression = Ref | RowKey | Product | Part


class Condition(msgspec.Struct, frozen=True):
    """A comparison of a column with values from the question or the vocabulary."""

    ref: Ref
    operator: str
    values: tuple[str | float, ...] = ()


class Some(msgspec.Struct, frozen=True):
    """Rows of the root for which related rows exist (or, negated, do not); or a number of them."""

    paths: tuple[Path, ...]
    conditions: tuple[Condition, ...] = ()
    negated: bool = False
    counted: Path | None = None
    operator: str = ""
    number: float = 0


class Term(msgspec.Struct, frozen=True):
    """A value of a result row."""

    expression: Expression
    name: str
    function: str = ""
    distinct: bool = False


class Query(msgspec.Struct, frozen=True):
    """One question, understood. `shared_first` keeps all rows that share the first place of the order.

    `within` are the groups in each of which there is an order of its own.
    """

    root: str
    outputs: tuple[Term, ...]
    conditions: tuple[Condition, ...] = ()
    somes: tuple[Some, ...] = ()
    required: tuple[Path, ...] = ()
    groups: tuple[Expression, ...] = ()
    order: Term | None = None
    descending: bool = False
    limit: int | None = None
    shared_first: bool = False
    distinct: bool = False
    having: tuple[Term, str, float] | None = None
    average_of_groups: str = ""
    zeros_of: RowKey | None = None
    within: tuple[Expression, ...] = ()
