"""What there is one row for each of."""

from __future__ import annotations

from ..schema import Column
from . import facts as f
from .about import HEADS, About
from .doubts import Option, Unsure
from .items import Item
from .linking import TableLink
from .logic import Expression, Part, Path, Ref, RowKey, Term
from .resolving import ANY
from .terms import item_of, surely_column


class Groups(About):
    """Groups, and the columns that show them."""

    def _groups(self, rank: f.Ranked | None, measures: list[f.Key]) -> tuple[list[Expression], list[Term]]:
        """What there is one row for each of, and how it is shown."""
        expressions: list[Expression] = []
        labels: list[Term] = []
        for item, part, of in self._group_items(rank, measures):
            found, shown = self._group(item, part, of)
            expressions += found
            labels += shown
        return expressions, labels

    def _group_items(self, rank: f.Ranked | None, measures: list[f.Key]) -> list[tuple[Item | None, str, Item | None]]:
        grouped: list[tuple[Item | None, str, Item | None]] = [
            (g.what, g.part, g.of) for g in self.all(f.Grouped) if not self._does(g)
        ]
        if grouped:
            return grouped
        compared = self._compared_things()
        if rank and compared and (measures or self.root_is_measured):
            return [(compared, "", None)]
        if rank is None and measures and self._listing_of_numbers():
            return [(self.subject, "", None)]
        return []

    def _does(self, group: f.Grouped) -> bool:
        """Whether `by` means those who did it: `number of visits by members in Rome`."""
        item = group.what
        if group.firm or item is None or not item.tables or not item.text.lower().endswith("s"):
            return False
        if not any(isinstance(fact, f.Valued) and fact.items[0].at == item.at + 1 for fact in self.said):
            return False
        options = [Option(f"one number for each of the {item.text}", False), Option("one number altogether", True)]
        return bool(self.resolver.replies.settle("Is that", options))

    def _compared_things(self) -> Item | None:
        """What a rank compares: the subject, or a column that is asked for."""
        columns = [
            m.what for m in self.all(f.Mentioned) if m.what.columns and not m.what.verbal and m.what is not self.subject
        ]
        first = [item for item in (self.subject, *columns[:1]) if item is not None]
        head = [item for item in first if HEADS & set(item.before)]
        if not first and self._asks_who():
            table = self._person()
            return item_of(table, TableLink(table, 1.0))
        return next(iter(head or first), None)

    def _listing_of_numbers(self) -> bool:
        """`departments and their number of ...`: a number for each."""
        subject, measured = self.subject, self.all(f.Measured)
        if subject is None or not measured or measured[0].key.what.at < subject.at:
            return False
        between = [item for item in self.resolver.question if subject.at < item.at < measured[0].key.what.at]
        return any(item.kind == "THEIR" for item in between) or any(
            item.kind in ("HAVING", "AND") for item in between[:1]
        )

    def _group(self, item: Item | None, part: str, of: Item | None) -> tuple[list[Expression], list[Term]]:
        if part or item is None:
            ref = self.resolver.date_column(self.root, self._verbs())
            expression = Part(ref, part)
            return [expression], [Term(expression, part)]
        if of is None and (item.tables or item.roles) and not surely_column(item):
            return self._entity_group(item)
        ref = self.resolver.column(item, self.root, ANY, of)
        return [ref], [Term(ref, ref.column.name)]

    def _entity_group(self, item: Item) -> tuple[list[Expression], list[Term]]:
        path = self.resolver.entity(item, self.root)
        table = path[-1].target if path else self.root
        if not path:
            raise Unsure(f"The {table} are counted one by one: what is wanted for each?")
        labels = [Ref(path, column) for column in self._shown_columns(item, path, table)]
        return [RowKey(path, table), *labels], [Term(ref, ref.column.name) for ref in labels]

    def _shown_columns(self, item: Item, path: Path, table: str) -> tuple[Column, ...]:
        """The columns that were named for a group, or its label."""
        named = [m for m in self.all(f.Mentioned) if m.what.columns and not m.what.verbal and m.what is not item]
        asked = [link.column for m in named for link in m.what.columns if link.column.table == table]
        return tuple(dict.fromkeys(asked)) or self.resolver.labels(table)
