"""Finds the column, table or key that a mention means, seen from the table that the question is about.

The nearest likely meaning wins when it wins clearly; otherwise it is a doubt, and somebody is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from ..schema import Column, Kind
from .doubts import Option, Replies, Unknown
from .items import Item
from .linking import ColumnLink, Vocabulary
from .logic import Edge, Path, Product, Ref
from .paths import best_ways, cost, said
from .thesaurus import BY_AGE, HINTS, LABELS, PEOPLE
from .words import CAMEL, name_words, root

CLEARLY = 0.9
NUMERIC: tuple[Kind, ...] = ("number", "year")
TEMPORAL: tuple[Kind, ...] = ("date", "year")
ANY: tuple[Kind, ...] = ("number", "year", "text", "date", "flag", "key", "other")
OF_NAMES = frozenset(("full", "display", "short", "long", "common", "official", "user", "nick"))
ADJECTIVE_KINDS = ("SUPER", "COMPARE_ADJ", "BARE")


class Candidate(msgspec.Struct, frozen=True):
    """A column that a mention may mean, and how far-fetched that is."""

    column: Column
    cost: float


class Resolver:
    """Resolves mentions for one question; `named` are the tables that the question names."""

    def __init__(self, words: Vocabulary, replies: Replies, question: Sequence[Item]) -> None:
        self.words = words
        self.schema = words.schema
        self.replies = replies
        self.question = tuple(question)
        self.named = frozenset(link.table for item in question for link in item.tables)
        self.keys = {link.key for item in question for link in item.roles}

    def near(self, item: Item | None) -> tuple[str, ...]:
        """Words close to an item that may tell two keys apart: before it, and the item before it."""
        if item is None:
            return ()
        previous = self.question[item.at - 1].text.lower().split() if 0 < item.at <= len(self.question) else []
        return (*item.before, *previous, *item.text.lower().split())

    def path(self, start: str, goal: str, item: Item | None = None) -> Path:
        """The way from one table to another. Raises Unknown when there is none, Unsure when several are as good."""
        found = best_ways(self.schema, start, goal, self.named, self.near(item))
        if not found:
            raise Unknown(f"nothing connects {_plain(start)} with {_plain(goal)}")
        if len(found) == 1:
            return found[0]
        by_role = [path for path in found if any(edge.key in self.keys for edge in path)]
        if len(by_role) == 1:
            return by_role[0]
        options = [Option(f"through {said(path)}", path) for path in found]
        return tuple(self.replies.settle(f"How are {_plain(start)} and {_plain(goal)} meant to be connected:", options))

    def reaches(self, start: str, goal: str) -> bool:
        """Whether there is any way."""
        return bool(best_ways(self.schema, start, goal, self.named))

    def distance(self, start: str, goal: str) -> float | None:
        """The cost of the best way; None when there is none."""
        found = best_ways(self.schema, start, goal, self.named)
        return min(map(cost, found)) if found else None

    def entity(self, item: Item, start: str) -> Path:
        """The way to a mentioned table or role."""
        if item.roles and (not item.tables or item.roles[0].score > item.tables[0].score):
            key = item.roles[0].key
            return (*self.path(start, key.table, item), Edge(key, forward=True))
        return self.path(start, self.table(item), item)

    def table(self, item: Item) -> str:
        """The table that an item names. Raises Unknown for an item that names none."""
        if item.tables:
            best = [link for link in item.tables if link.score >= item.tables[0].score - 0.05]
            options = [Option(_plain(link.table), link.table) for link in best]
            return (
                options[0].value
                if len(options) == 1
                else str(self.replies.settle(f"By '{item.text}', do you mean", options))
            )
        if item.roles:
            return item.roles[0].key.to_table
        raise Unknown(f"'{item.text}' is no kind of thing in this database")

    def column(self, item: Item, start: str, kinds: Sequence[Kind] = ANY, of: Item | None = None) -> Ref:
        """The column that an item means, seen from `start`."""
        via = self.entity(of, start) if of is not None and (of.tables or of.roles) else None
        home = via[-1].target if via else start
        own = [c for c in self._candidates(item, home, kinds) if via is None or c.column.table == home]
        chosen = self._clearest(item, own)
        if via is not None:
            return Ref(via, chosen)
        return Ref(self.path(start, chosen.table, item), chosen)

    def home(self, item: Item, context: Sequence[str], kinds: Sequence[Kind] = ANY) -> Column:
        """The column that an item means when the table that the question is about is not known yet."""
        if context:
            return self._clearest(item, self._candidates(item, context[0], kinds))
        return self._clearest(item, [Candidate(c, 10 * (1 - s)) for c, s in self._meanings(item, kinds)])

    def _candidates(self, item: Item, start: str, kinds: Sequence[Kind]) -> list[Candidate]:
        far = {table.name: self.distance(start, table.name) for table in self.schema.tables}
        meanings = self._meanings(item, kinds)
        return [Candidate(c, 10 * (1 - s) + d) for c, s in meanings if (d := far[c.table]) is not None]

    def _meanings(self, item: Item, kinds: Sequence[Kind]) -> list[tuple[Column, float]]:
        if item.kind in ADJECTIVE_KINDS and not item.columns:
            return list(self._hinted(item.says, kinds))
        return [(link.column, link.score) for link in _column_links(item) if link.column.kind in kinds]

    def _hinted(self, adjective: str, kinds: Sequence[Kind]) -> Iterator[tuple[Column, float]]:
        """Columns that measure an adjective."""
        for table in self.schema.tables:
            for column in table.columns:
                apt = column.kind in kinds and set(column.words) & set(HINTS.get(adjective, ()))
                pointing = any((key.table, key.column) == (table.name, column.name) for key in self.schema.keys)
                if (
                    (apt or (adjective in ("recent", "early") and column.kind == "date"))
                    and not pointing
                    and not column.primary
                ):
                    yield column, _aptness(adjective, column)

    def _clearest(self, item: Item, candidates: Sequence[Candidate]) -> Column:
        ranked = sorted(candidates, key=lambda c: c.cost)
        if not ranked:
            raise Unknown(f"nothing in this database tells '{item.text}' of what is asked about")
        close = [c for c in ranked if c.cost < ranked[0].cost + CLEARLY]
        if len(close) == 1:
            return ranked[0].column
        options = [Option(column_said(c.column), c.column) for c in close]
        chosen: Column = self.replies.settle(f"By '{item.text}', do you mean", options)
        return chosen

    def product(self, item: Item, start: str) -> Product:
        """Units times price, seen from `start`."""
        income = item.incomes[0]
        return Product(self.path(start, income.units.table, item), income.units, income.price)

    def date_column(self, start: str, verbs: Sequence[Item]) -> Ref:
        """The date that a question is about when it names none: of a verb said, of the table, of the nearest."""
        for verb in verbs:
            if any(link.column.kind in TEMPORAL for link in verb.columns):
                return self.column(verb, start, TEMPORAL)
        tables = [start, *sorted(self.named - {start})]
        for table in tables:
            dates = self.dates(table)
            if dates and self.reaches(start, table):
                return Ref(self.path(start, table), self.one_of("Which date is meant:", dates))
        return self._nearest_date(start)

    def dates(self, table: str) -> list[Column]:
        """The dates of a table; only the one named like the table itself, if there is one (when a loan was loaned)."""
        found = [c for c in self.schema.table(table).columns if c.kind in TEMPORAL]
        own = [c for c in found if root(c.words[0]) == root(name_words(table)[-1])]
        return own if len(own) == 1 else found

    def _nearest_date(self, start: str) -> Ref:
        far = [(d, c) for c in self._all_dates() if (d := self.distance(start, c.table)) is not None]
        if not far:
            raise Unknown("there is no date that the question could be about")
        least = min(d for d, _ in far)
        chosen = self.one_of("Which date is meant:", [c for d, c in far if d < least + CLEARLY])
        return Ref(self.path(start, chosen.table), chosen)

    def _all_dates(self) -> Iterator[Column]:
        return (c for table in self.schema.tables for c in table.columns if c.kind in TEMPORAL)

    def one_of(self, asked: str, columns: Sequence[Column]) -> Column:
        """The only column, or the one that a reply names."""
        if len(columns) == 1:
            return columns[0]
        chosen: Column = self.replies.settle(asked, [Option(column_said(c), c) for c in columns])
        return chosen

    def labels(self, table: str) -> tuple[Column, ...]:
        """The columns by which people know a row: a name or title, first and last name, else what is unique."""
        columns = self.schema.table(table).columns
        texts = [c for c in columns if c.kind in ("text", "other") and not self._points(c)]
        if first := _first(texts, lambda c: {"first", "forename", "given"} & set(c.words)):
            last = _first(texts, lambda c: bool({"last", "surname", "family"} & set(c.words)))
            return (first, last) if last else (first,)
        for label in LABELS:
            if found := _first(texts, lambda c, label=label: _own_words(c) == tuple(label.split())):  # type: ignore[misc]
                return (found,)
        named = _first(texts, _names_its_row) or _first(texts, lambda c: c.unique)
        return (named,) if named else self._key(table)

    def _key(self, table: str) -> tuple[Column, ...]:
        found = self.schema.table(table)
        return tuple(c for c in found.columns if c.name == found.key) or found.columns[:1]

    def _points(self, column: Column) -> bool:
        return any((key.table, key.column) == (column.table, column.name) for key in self.schema.keys)

    def people(self) -> list[str]:
        """The tables whose rows are persons."""
        return [t.name for t in self.schema.tables if sum(bool(PEOPLE & set(c.words)) for c in t.columns) > 0]


def _first(columns: Sequence[Column], fits: Callable[[Column], object]) -> Column | None:
    return next((column for column in columns if fits(column)), None)


def _names_its_row(column: Column) -> bool:
    """Whether a name is that of the row itself, and not of somebody who has to do with it."""
    *whose, last = column.words
    table = "".join(name_words(column.table))
    own = all(word in OF_NAMES or word in table or table.startswith(word[:3]) for word in whose)
    return last in ("name", "title", "label") and (own or column.unique)


def _own_words(column: Column) -> tuple[str, ...]:
    table = name_words(column.table)
    words = column.words
    return words[len(table) :] if len(words) > len(table) and words[: len(table)] == table else words


def _column_links(item: Item) -> tuple[ColumnLink, ...]:
    return item.columns


def _aptness(adjective: str, column: Column) -> float:
    """A column of exactly that meaning is apter than one of a wider meaning."""
    hints = HINTS[adjective]
    if adjective in BY_AGE:
        return 1.0 - 0.1 * min((hints.index(word) for word in column.words if word in hints), default=9)
    return 1.0


def column_said(column: Column) -> str:
    """A column in words."""
    return f"{' '.join(column.words)} of {_plain(column.table)}"


def _plain(name: str) -> str:
    """A table's name in words, in the number that it has."""
    return " ".join(CAMEL.findall(name)).lower()
