"""Questions for numbers over the rows of one table, in groups or altogether."""

from __future__ import annotations

import msgspec

from ..schema import Kind
from . import facts as f
from .conditions import Conditions
from .doubts import Option, Unsure
from .groups import Groups
from .items import Item
from .linking import incomes
from .logic import Query, Ref, RowKey, Term
from .ranks import Ranks
from .resolving import ANY, NUMERIC
from .terms import named_terms, path_of

ADDED: dict[str, tuple[Kind, ...]] = {"sum": ("number",), "avg": NUMERIC}


class Figures(Conditions, Ranks, Groups):
    """Assembles queries whose rows are computed."""

    def _numbers(self, measures: list[f.Key], rank: f.Ranked | None, key: f.Key | None) -> Query:
        keys = measures or ([key] if key else [])
        self.root = self._measured_root(keys[0])
        self.root_is_measured = True
        groups, labels = self._groups(rank, measures)
        terms = [self._term(one) for one in keys]
        paths = tuple(path_of(group) for group in groups)
        query = self._filtered(Query(self.root, named_terms((*labels, *terms)), groups=tuple(groups)), paths)
        shown = query.outputs[len(labels) :]
        if rank and key:
            order = shown[0] if not measures else self._matching(shown, key)
            return self._ranked_numbers(query, rank, order)
        return self._sorted_numbers(query)

    def _matching(self, shown: tuple[Term, ...], key: f.Key) -> Term:
        wanted = self._term(key)
        found = next((t for t in shown if (t.expression, t.function) == (wanted.expression, wanted.function)), None)
        if found is None:
            raise Unsure("By which of the numbers should be sorted?")
        return found

    def _ranked_numbers(self, query: Query, rank: f.Ranked, order: Term) -> Query:
        if not query.groups:
            raise Unsure(f"For what is the {order.name} meant: which things should be compared?")
        limit = self._limit(rank)
        zeros = self._zeros(query, order) if not rank.descending else None
        return msgspec.structs.replace(
            query, order=order, descending=rank.descending, limit=limit, zeros_of=zeros,
            shared_first=limit is None and self._one_place(rank),
        )  # fmt: skip

    def _zeros(self, query: Query, order: Term) -> RowKey | None:
        """The fewest may be none at all: rows of the group's table that nothing was counted for."""
        group = query.groups[0]
        single = len(query.groups) == 1 or all(isinstance(g, RowKey) for g in query.groups[:1])
        return group if order.function == "count" and isinstance(group, RowKey) and single and group.path else None

    def _sorted_numbers(self, query: Query) -> Query:
        orders = self.all(f.Sorted)
        if not orders:
            return query
        if len(orders) > 1 or not query.groups:
            raise Unsure("By what should the numbers be sorted?")
        order = orders[0]
        functions = [t for t in query.outputs if t.function]
        if order.key is None:
            return msgspec.structs.replace(query, order=query.outputs[0])
        wanted = self._sort_term(order.key, query)
        term = next(
            (t for t in query.outputs if t.expression == wanted.expression and t.function == wanted.function), None
        )
        if term is None and not functions:
            raise Unsure("By what should the numbers be sorted?")
        return msgspec.structs.replace(query, order=term or functions[0], descending=bool(order.descending))

    def _sort_term(self, key: f.Key, query: Query) -> Term:
        if key.function or key.what.incomes:
            return self._term(key)
        if key.what.columns:
            ref = self.resolver.column(key.what, self.root)
            same = [t for t in query.outputs if t.expression == ref]
            return same[0] if same else Term(ref, ref.column.name)
        return query.outputs[0]

    def _averaged(self, averaged: f.Averaged) -> Query:
        """`average number of X per Y`, among the Y that have any."""
        groups = [g for g in self.all(f.Grouped) if g.what is not None]
        if len(groups) != 1 and self.subject is None:
            raise Unsure(f"The {averaged.function} number of {averaged.what.text} for each of what?")
        self.root = self.resolver.table(averaged.what)
        expressions, _ = self._groups(None, [f.Key(averaged.what, "count")])
        if not expressions and self.subject is not None:
            expressions = self._group(self.subject, "", None)[0]
        count = Term(RowKey((), self.root), "count", "count")
        query = Query(self.root, (count,), groups=tuple(expressions), average_of_groups=averaged.function)
        return self._filtered(query, tuple(path_of(group) for group in expressions))

    def _measured_root(self, key: f.Key) -> str:
        if key.what.incomes and not key.what.columns:
            return self._income_root(key.what)
        if key.function == "count" and key.what.tables:
            return self.resolver.table(key.what)
        if key.what.roles and not key.what.columns:
            return key.what.roles[0].key.to_table
        kinds: tuple[Kind, ...] = ADDED.get(key.function, ANY)
        if key.of is not None:
            return self.resolver.column(key.what, self.resolver.table(key.of), kinds).column.table
        return self.resolver.home(key.what, self._context(), kinds).table

    def _income_root(self, item: Item) -> str:
        tables = list(dict.fromkeys(link.units.table for link in item.incomes))
        options = [Option(table.replace("_", " "), table) for table in tables]
        return (
            tables[0]
            if len(tables) == 1
            else str(self.resolver.replies.settle(f"By '{item.text}', do you mean that of", options))
        )

    def _term(self, key: f.Key) -> Term:
        """The measure, seen from the root."""
        if key.what.incomes and not key.what.columns:
            return Term(self.resolver.product(key.what, self.root), "revenue", key.function or "sum")
        if key.function == "count" and (key.what.tables or (key.what.roles and not key.what.columns)):
            table = self.resolver.table(key.what)
            if item_units := self._units(key, table):
                return item_units
            path = self.resolver.path(self.root, table) if table != self.root else ()
            return Term(RowKey(path, table), f"number_of_{table}" if path else "count", "count", bool(path))
        kinds: tuple[Kind, ...] = ADDED.get(key.function, ANY)
        ref = self.resolver.column(key.what, self.root, kinds)
        return self._column_term(key, ref)

    def _units(self, key: f.Key, table: str) -> Term | None:
        """`items sold` may be the rows or the units in them: that is asked, unless the table was named in full."""
        found = next((i for i in incomes(self.schema) if i.units.table == table), None)
        if found is None or not key.what.tables or key.what.tables[0].score >= 0.9 or self.all(f.Counted):
            return None
        options = [
            Option(f"the total {' '.join(found.units.words)}", True),
            Option(f"the number of {table.replace('_', ' ')}", False),
        ]
        if not self.resolver.replies.settle(f"By the number of {key.what.text}, do you mean", options):
            return None
        return Term(Ref(self.resolver.path(self.root, table), found.units), f"sum_{found.units.name}", "sum")

    def _column_term(self, key: f.Key, ref: Ref) -> Term:
        """Counting a number adds it up, counting a text counts the different texts."""
        if key.function == "count" and ref.column.kind in NUMERIC and not key.distinct:
            return Term(ref, f"sum_{ref.column.name}", "sum")
        distinct = key.distinct or key.function == "count"
        return Term(ref, f"{key.function or 'sum'}_{ref.column.name}", key.function or "sum", distinct)
