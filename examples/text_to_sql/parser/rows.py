"""Questions for rows of a subject: which values, in which order, how many."""

from __future__ import annotations

import msgspec

from ..schema import Column, Kind
from . import facts as f
from .about import HEADS
from .conditions import Conditions
from .doubts import Unsure
from .groups import Groups
from .items import Item
from .logic import Condition, Edge, Query, Ref, RowKey, Term, fans_out
from .ranks import Ranks
from .resolving import ANY, column_said
from .terms import as_key, named_refs, named_terms, with_fresh_name
from .thesaurus import BY_AGE, LESS

MEASURABLE: tuple[Kind, ...] = ("number", "year", "date")


class Rows(Conditions, Ranks, Groups):
    """Assembles queries whose rows are rows of a table."""

    def _rows(self, rank: f.Ranked | None, key: f.Key | None) -> Query:
        counted = self.all(f.Counted)
        if counted and self.subject is None and (columns := self._plain_columns()):
            return self._columns_with_counts(columns[0], counted[0])
        self._settle_root(key)
        outputs, distinct = self._outputs()
        query = self._filtered(Query(self.root, outputs, distinct=distinct or bool(self.all(f.Distinct))))
        if rank and key:
            return self._ranked_rows(query, rank, key)
        return self._sorted_rows(query)

    def _columns_with_counts(self, item: Item, counted: f.Counted) -> Query:
        """`countries with more than 10 people`: groups with a condition on their count."""
        self.root = self.resolver.table(counted.what)
        self.said = [fact for fact in self.said if fact is not counted]
        ref = self.resolver.column(item, self.root)
        count = Term(RowKey((), self.root), "count", "count")
        terms = (Term(ref, ref.column.name), count)
        query = Query(self.root, terms, groups=(ref,), having=(count, counted.operator, counted.number))
        return self._filtered(query, (ref.path,))

    def _outputs(self) -> tuple[tuple[Term, ...], bool]:
        """The values of a row; whether every one is wanted once."""
        role = self._role_output()
        if role:
            return named_refs(role), True
        shown = [
            m for m in self.all(f.Mentioned) if m.what.columns and not m.what.verbal and m.what is not self.subject
        ]
        columns = [self.resolver.column(m.what, self.root, ANY, m.of) for m in shown if not self._is_required(m)]
        also = [ref for m in self.all(f.Mentioned) if self._is_also(m) for ref in self._labels_at(m.what)]
        if not columns and not also:
            return named_refs(self._whole_row()), False
        labelled = also or any(self._after_subject(m) for m in shown)
        labels = [Ref((), column) for column in self.resolver.labels(self.root)] if labelled else []
        refs = list(dict.fromkeys([*labels, *columns, *also]))
        return named_refs(refs), not labelled and self._lists_values(shown)

    def _role_output(self) -> list[Ref]:
        subject = self.subject
        if subject is None or not subject.roles or subject.tables:
            return []
        path = (Edge(subject.roles[0].key, forward=True),)
        return [Ref(path, column) for column in self.resolver.labels(path[-1].target)]

    def _is_required(self, mention: f.Mentioned) -> bool:
        return bool(mention.what.tables) and not mention.also

    def _is_also(self, mention: f.Mentioned) -> bool:
        entity = bool(mention.what.tables or mention.what.roles) and mention.what is not self.subject
        if entity and not mention.also and self._listed(mention.what):
            raise Unsure(
                f"Should the {mention.what.text} be listed on their own, or those that belong to each of {self.root}?"
            )
        return entity and mention.also

    def _listed(self, item: Item) -> bool:
        """Named after `and`, right after the subject: both are wanted."""
        previous = self.resolver.question[item.at - 1] if item.at else None
        return (
            previous is not None
            and previous.kind == "AND"
            and self.subject is not None
            and item.at - self.subject.at == 2
        )

    def _labels_at(self, item: Item) -> list[Ref]:
        path = self.resolver.entity(item, self.root)
        return [Ref(path, column) for column in self.resolver.labels(path[-1].target if path else self.root)]

    def _after_subject(self, mention: f.Mentioned) -> bool:
        own = mention.of is None or mention.also
        return self.subject is not None and own and mention.what.at > self.subject.at

    def _lists_values(self, shown: list[f.Mentioned]) -> bool:
        """`which cities ...`: the values of a column, not one per row."""
        asked = any(HEADS & set(m.what.before) for m in shown) or self.subject is None
        columns = [link.column for m in shown for link in m.what.columns[:1]]
        named = any(isinstance(fact, f.Valued | f.Numbered | f.Ranked | f.Written | f.Compared) for fact in self.said)
        return asked and len(shown) == 1 and not columns[0].unique and columns[0].kind == "text" and not named

    def _whole_row(self) -> list[Ref]:
        """All columns for a plain list, else what people know a row by."""
        narrowed = any(not isinstance(fact, f.Mentioned) for fact in self.said) or len(self.all(f.Mentioned)) > 1
        asked = {word for item in self.resolver.question for word in item.before}
        if not narrowed and not asked & HEADS:
            return [Ref((), column) for column in self.schema.table(self.root).columns]
        return [Ref((), column) for column in self.resolver.labels(self.root)]

    def _ranked_rows(self, query: Query, rank: f.Ranked, key: f.Key) -> Query:
        ref = self.resolver.column(key.what, self.root, MEASURABLE, key.of)
        if fans_out(ref.path):
            many = f"There are many {column_said(ref.column)} for each of {self.root}"
            raise Unsure(f"{many}: the highest, the average or the total?")
        term = Term(ref, ref.column.name)
        known = Condition(ref, "known")
        within, shown = self._groups(rank, [])
        query = msgspec.structs.replace(query, within=tuple(within), outputs=named_terms((*query.outputs, *shown)))
        outputs = (
            query.outputs
            if any(t.expression == ref for t in query.outputs)
            else (*query.outputs, with_fresh_name(term, query.outputs))
        )
        order = next(t for t in outputs if t.expression == ref)
        return msgspec.structs.replace(
            query, outputs=outputs, order=order, descending=_descends(rank, key, ref.column), limit=self._limit(rank),
            shared_first=self._limit(rank) is None and self._one_place(rank), conditions=(*query.conditions, known),
        )  # fmt: skip

    def _sorted_rows(self, query: Query) -> Query:
        orders = self.all(f.Sorted)
        by = [g for g in self.all(f.Grouped) if not g.firm]
        groups = [g for g in self.all(f.Grouped) if g.firm]
        if groups or len(orders) + len(by) > 1:
            raise Unsure("What is wanted for each: a number of them, or a total or average of what?")
        if not orders and not by:
            return query
        if by and (by[0].part or by[0].what is None):
            raise Unsure("What is wanted for each of them: how many, or a total of what?")
        key = orders[0].key if orders else as_key(by[0].what, by[0].of) if by[0].what else None
        ref = (
            self.resolver.column(key.what, self.root, ANY, key.of) if key and key.what.columns else self._label_ref(key)
        )
        term = next(
            (t for t in query.outputs if t.expression == ref),
            with_fresh_name(Term(ref, ref.column.name), query.outputs),
        )
        outputs = query.outputs if term in query.outputs or query.distinct else (*query.outputs, term)
        return msgspec.structs.replace(
            query, outputs=outputs, order=term, descending=bool(orders and orders[0].descending)
        )

    def _label_ref(self, key: f.Key | None) -> Ref:
        path = self.resolver.entity(key.what, self.root) if key else ()
        return Ref(path, self.resolver.labels(path[-1].target if path else self.root)[0])


def _descends(rank: f.Ranked, key: f.Key, column: Column) -> bool:
    """Which end comes first: the oldest were born first, the cheapest cost least."""
    if key.what.kind != "SUPER":
        return rank.descending
    more = key.what.says not in LESS
    if key.what.says in BY_AGE and "age" not in column.words:
        more = not more
    return more
