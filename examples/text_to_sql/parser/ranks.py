"""By what rows are put in order, when the question says so or when it has to be asked."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from . import facts as f
from .about import About
from .doubts import Option, Unknown, Unsure
from .items import Item
from .linking import ColumnLink, TableLink, incomes
from .terms import as_key, item_of
from .thesaurus import VAGUE_LESS


class Ranks(About):
    """Ranks and what they are by."""

    def _rank(self) -> tuple[f.Ranked | None, f.Key | None]:
        """The rank, and the key it is by."""
        ranks = self.all(f.Ranked)
        if len([rank for rank in ranks if rank.key]) > 1 or len(ranks) > 2:
            raise Unsure("Several orders are asked for at once: which one is meant?")
        keyed = next((rank for rank in ranks if rank.key), None)
        limited = next((rank for rank in ranks if rank.number is not None), None)
        if keyed:
            return msgspec.structs.replace(keyed, number=limited.number if limited else None), keyed.key
        if not ranks:
            return None, None
        vague = self.all(f.Vague)
        descending = ranks[0].descending != bool(vague and vague[0].what.says in VAGUE_LESS)
        return msgspec.structs.replace(ranks[0], descending=descending), self._given_key(ranks[0], vague)

    def _given_key(self, rank: f.Ranked, vague: list[f.Vague]) -> f.Key:
        """The key that `by ...` gives, or that a reply gives."""
        for fact in self.said:
            if isinstance(fact, f.Sorted) and fact.key is not None:
                self.said.remove(fact)
                return fact.key
            if isinstance(fact, f.Grouped) and not fact.firm and fact.what is not None and not fact.part:
                self.said.remove(fact)
                return as_key(fact.what, fact.of)
        return self._asked_key(rank, vague)

    def _asked_key(self, rank: f.Ranked, vague: list[f.Vague]) -> f.Key:
        asked = next((item for item in self.resolver.question if item.at == rank.at and item.kind == "FIRST"), None)
        if asked is not None:
            return f.Key(Item("SUPER", asked.text, says="recent" if rank.descending else "early", at=asked.at))
        word = vague[0].what.text if vague else "top"
        if self.subject is None:
            raise Unsure(f"What does '{word}' refer to, and by what is it measured?")
        table = self.resolver.table(self.subject)
        options = list(self._measures_of(table))
        if not options:
            raise Unknown(f"nothing in this database says what '{word}' would be for {table}")
        said = next((item.text for item in self.resolver.question if item == self.subject), table)
        chosen: f.Key = self.resolver.replies.settle(f"What makes the {word} {said}:", options)
        return chosen

    def _measures_of(self, table: str) -> Iterator[Option]:
        """What the rows of a table can be measured by: income, its own numbers, how many others belong to it."""
        for income in incomes(self.schema):
            distance = self.resolver.distance(table, income.units.table)
            if distance is not None and distance < 8:
                yield Option("by revenue", f.Key(item_of("revenue", income), "sum"))
                yield Option(
                    f"by {' '.join(income.units.words)} sold",
                    f.Key(item_of("quantity", ColumnLink(income.units, 1.0)), "sum"),
                )
        for column in self.schema.table(table).columns:
            pointing = any((key.table, key.column) == (table, column.name) for key in self.schema.keys)
            if column.kind == "number" and not column.primary and not pointing:
                yield Option(f"by {' '.join(column.words)}", f.Key(item_of(column.name, ColumnLink(column, 1.0))))
        for key in self.schema.keys:
            if key.to_table == table and key.table != table:
                yield Option(
                    f"by number of {key.table.replace('_', ' ')}",
                    f.Key(item_of(key.table, TableLink(key.table, 1.0)), "count"),
                )

    def _one_place(self, rank: f.Ranked) -> bool:
        """The first place only; `top ... by` without a number is a whole list."""
        return rank.key is not None or self._singular()

    def _singular(self) -> bool:
        return self.subject is not None and not self.subject.text.lower().endswith("s")

    def _limit(self, rank: f.Ranked) -> int | None:
        return None if rank.number == 1 else rank.number

    def _is_extreme(self, rank: f.Ranked, key: f.Key, measures: list[f.Key]) -> bool:
        """`the highest price of ...` is a number; `the ... with the highest price` are rows."""
        if measures or key.function or rank.number is not None or key.what.kind == "SUPER" or not key.what.columns:
            return False
        before = [m.what for m in self.all(f.Mentioned) if m.what.at < key.what.at and m.what != key.of]
        return not before and not self._asks_who() and rank.key is not None
