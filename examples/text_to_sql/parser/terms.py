"""Small pieces of queries: names of result columns, keys to sort by."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from . import facts as f
from .items import Item
from .linking import Link
from .logic import Expression, Part, Path, Product, Ref, RowKey, Term


def item_of(text: str, *links: Link) -> Item:
    return Item("MENTION", text, links=links, at=10_000)


def as_key(item: Item, of: Item | None) -> f.Key:
    """A thing to sort by: a number as it is, a kind of things by how many there are."""
    if item.columns and not (item.tables and item.tables[0].score > item.columns[0].score):
        return f.Key(item, of=of)
    return f.Key(item, "sum" if item.incomes else "count", of=of)


def has_number(item: Item) -> bool:
    return any(link.column.kind == "number" for link in item.columns)


def surely_column(item: Item) -> bool:
    table = max([link.score for link in item.tables] + [link.score for link in item.roles], default=0.0)
    return bool(item.columns) and item.columns[0].score > table


def path_of(expression: Expression) -> Path:
    return expression.ref.path if isinstance(expression, Part) else expression.path


def named_refs(refs: Sequence[Ref]) -> tuple[Term, ...]:
    return named_terms([Term(ref, ref.column.name) for ref in refs])


def named_terms(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Terms with names of their own."""
    named: tuple[Term, ...] = ()
    for term in terms:
        named = (*named, with_fresh_name(term, named))
    return named


def with_fresh_name(term: Term, others: Sequence[Term]) -> Term:
    taken = {other.name.lower() for other in others}
    table = "" if isinstance(term.expression, Part | Product) else table_of(term.expression)
    names = [term.name, f"{table}_{term.name}", *(f"{term.name}_{n}" for n in range(2, 50))]
    return msgspec.structs.replace(term, name=next(name for name in names if name.lower() not in taken))


def table_of(expression: Expression) -> str:
    match expression:
        case Ref(_, column):
            return column.table
        case RowKey(_, table):
            return table
        case _:
            return "value"
