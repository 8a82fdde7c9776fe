"""Links words of a question to what a schema holds: tables, columns, roles of keys, values and measures.

Every link has a score: 1 is the name itself, less for a relative of the word, a synonym, or a part of the name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from ..schema import Column, ForeignKey, Schema, Table
from .thesaurus import (
    COUNT_HEADS,
    DEMONYMS,
    FLAG_HEADS,
    INCOME,
    NATIONS,
    SEXES,
    STOP,
    SYNONYMS,
    TABLE_HEADS,
    TIME_TAILS,
    UNIT_PRICES,
    UNIT_TAILS,
    UNITS_SOLD,
    WEAK_TAILS,
)
from .words import Token, name_words, plain, root, singular, text_words

Words = tuple[str, ...]
LEAST = 0.55


class TableLink(msgspec.Struct, frozen=True):
    """Words that name a table."""

    table: str
    score: float


class ColumnLink(msgspec.Struct, frozen=True):
    """Words that name a column; `counts` when they were said as a number of things (`number of pages`)."""

    column: Column
    score: float


class RoleLink(msgspec.Struct, frozen=True):
    """Words that name what a key is for: the origin of a trip, the manager of a person."""

    key: ForeignKey
    score: float


class ValueLink(msgspec.Struct, frozen=True):
    """Words that stand in a column; `whole` is false when they are a part of the texts there."""

    column: Column
    value: str
    score: float
    whole: bool = True
    others: tuple[str, ...] = ()


class IncomeLink(msgspec.Struct, frozen=True):
    """Words that mean units times unit price, both columns of one table."""

    units: Column
    price: Column
    score: float = 0.9


Link = TableLink | ColumnLink | RoleLink | ValueLink | IncomeLink
Named = TypeVar("Named")


class Name(msgspec.Struct, frozen=True):
    """One way to say a name, and how sure one can be of it."""

    words: Words
    score: float


class Vocabulary:
    """A schema prepared for linking: its names in all ways to say them, its values by their words."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._pointing = {(key.table, key.column) for key in schema.keys}
        self._tables = [(table, table_names(table)) for table in schema.tables]
        self._columns = [(c, column_names(c)) for table in schema.tables for c in table.columns if self._is_said(c)]
        self._roles = [(key, role_names(key)) for key in schema.keys if role_names(key)]
        self._values, self._parts = _value_index(schema)

    def _is_said(self, column: Column) -> bool:
        return (column.table, column.name) not in self._pointing

    def links(self, words: Words, token: Token | None = None) -> tuple[Link, ...]:
        """All that `words` may mean in this schema, best first; `token` is the first word as it was written."""
        if all(word in STOP for word in words) and not (
            token and token.capital and len(words) == 1 and token.text.isupper()
        ):
            return ()
        found: list[Link] = [*self._names(words), *self._value_links(words), *self._income(words)]
        return tuple(sorted(found, key=lambda link: -link.score))

    def parts(self, words: Words) -> tuple[Link, ...]:
        """Values that hold `words` among other words, as a surname does."""
        candidates = self._parts.get(words[0], ())
        held = [pair for pair in candidates if all(word in _value_words(pair[1]) for word in words)]
        return tuple(
            _part_link(column, [value for other, value in held if other == column]) for column in _columns_of(held)
        )

    def spellings(self) -> frozenset[str]:
        """All words of names, for recognising a slip of the pen."""
        said = [name.words for _, names in (*self._tables, *self._columns) for name in names if name.score >= 0.9]
        return frozenset(word for words in said for word in words if len(word) > 3)

    def _names(self, words: Words) -> Iterator[Link]:
        for table, score in _matches(self._tables, words):
            yield TableLink(table.name, score)
        for column, score in _matches(self._columns, words):
            yield ColumnLink(column, score)
        for key, score in _matches(self._roles, words):
            yield RoleLink(key, score)

    def _value_links(self, words: Words) -> Iterator[ValueLink]:
        for alias, score in _value_aliases(words):
            found = self._values.get(alias, ())
            for column in _columns_of(found):
                first, *others = [value for other, value in found if other == column]
                yield ValueLink(column, first, score, others=tuple(others))
        for letters in SEXES.get(words[0], ()) if len(words) == 1 else ():
            for column, value in self._values.get((letters,), ()):
                if {"gender", "sex"} & set(column.words):
                    yield ValueLink(column, value, 0.95)

    def _income(self, words: Words) -> Iterator[IncomeLink]:
        if len(words) == 1 and (words[0] in INCOME or words[0] + "s" in INCOME):
            yield from incomes(self.schema)


@lru_cache(maxsize=8)
def vocabulary(schema: Schema) -> Vocabulary:
    """The schema's vocabulary, prepared once."""
    return Vocabulary(schema)


def incomes(schema: Schema) -> Iterator[IncomeLink]:
    """Tables whose rows hold a number of units and the price of one."""
    for table in schema.tables:
        numbers = [column for column in table.columns if column.kind == "number" and not column.primary]
        units = [column for column in numbers if column.words[-1] in UNITS_SOLD]
        prices = [column for column in numbers if column.words[-1] in UNIT_PRICES and "total" not in column.words]
        if len(units) == 1 and len(prices) == 1:
            yield IncomeLink(units[0], prices[0])


def table_names(table: Table) -> tuple[Name, ...]:
    """The ways to say a table."""
    words = _without_head(name_words(table.name), TABLE_HEADS)
    whole = [Name(words, 1.0)]
    tail = [Name(words[-1:], 0.7)] if len(words) > 1 else []
    return (*whole, *tail)


def column_names(column: Column) -> tuple[Name, ...]:
    """The ways to say a column: whole, and without the parts that carry no meaning."""
    words, table = column.words, name_words(column.table)
    ways = [Name(words, 1.0)]
    if len(words) > len(table) and words[: len(table)] == table:
        words = words[len(table) :]
        ways.append(Name(words, 0.97))
    ways += [Name(core, score) for core, score in _cores(column, words) if core]
    ways += [Name(words[cut:], 0.72) for cut in range(1, len(words)) if words[cut:][0] not in STOP]
    return tuple(ways)


def _cores(column: Column, words: Words) -> Iterator[tuple[Words, float]]:
    if words[-1] in UNIT_TAILS and len(words) > 1:
        yield words[:-1], 0.95
        yield words[-2:-1], 0.7
    if words[-1] in WEAK_TAILS and words[0] not in ("first", "last", "middle"):
        yield words[:-1], 0.85
    if column.kind in ("date", "year") and words[-1] in TIME_TAILS:
        yield words[:-1], 0.85
    if column.kind == "flag":
        yield _without_head(words, FLAG_HEADS), 1.0
    if column.kind == "number":
        yield words[:-1], 0.65
        yield _without_head(words, COUNT_HEADS) if words[0] in COUNT_HEADS else (), 0.9
        yield words[:-1] if words[-1] in COUNT_HEADS else (), 0.9


def role_names(key: ForeignKey) -> tuple[Name, ...]:
    """The words of the key's column that its target does not have: origin in `origin_airport_id`."""
    words = name_words(key.column)
    words = words[:-1] if len(words) > 1 and words[-1] in ("id", "code", "key", "no", "ref") else words
    target = name_words(key.to_table)
    if words == target or words == target[-1:] or words == ("id",):
        return ()
    role = words[: -len(target)] if words[-len(target) :] == target else words
    return (Name(role, 0.95), Name(role + target, 1.0), Name(role + target[-1:], 1.0)) if role else ()


def _without_head(words: Words, heads: frozenset[str]) -> Words:
    return words[1:] if len(words) > 1 and words[0] in heads else words


def _matches(named: list[tuple[Named, tuple[Name, ...]]], words: Words) -> Iterator[tuple[Named, float]]:
    for thing, names in named:
        score = max((likeness(words, name.words) * name.score for name in names), default=0.0)
        if score >= LEAST:
            yield thing, round(score, 3)


def likeness(said: Words, name: Words) -> float:
    """How much two phrases are alike, 0 to 1."""
    if said == name or "".join(said) == "".join(name):
        return 1.0
    if len(said) == len(name) + 1 and "of" in said and said[0] not in COUNT_HEADS:
        at = said.index("of")
        return 0.97 * max(likeness(said[at + 1 :] + said[:at], name), likeness(said[:at] + said[at + 1 :], name))
    if len(said) != len(name):
        return 0.0
    return min(_word_likeness(one, other) for one, other in zip(said, name, strict=True))


@lru_cache(maxsize=65_536)
def _word_likeness(one: str, other: str) -> float:
    if one == other:
        return 1.0
    if root(one) == root(other):
        return 0.88
    return 0.8 if _synonyms(one) & _synonyms(other) else 0.0


@lru_cache(maxsize=4_096)
def _synonyms(word: str) -> frozenset[int]:
    """The numbers of the groups that hold the word or a relative of it."""
    return frozenset(n for n, group in enumerate(_groups()) if word in group or root(word) in group)


@lru_cache(maxsize=1)
def _groups() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(form for word in line.split() for form in (word, root(word))) for line in SYNONYMS)


@lru_cache(maxsize=65_536)
def _value_words(value: str) -> Words:
    return text_words(value)


Pairs = dict[Words, list[tuple[Column, str]]]


def _value_index(schema: Schema) -> tuple[Pairs, dict[str, list[tuple[Column, str]]]]:
    """Values by all their words, and by each of their words."""
    whole: Pairs = defaultdict(list)
    parts: dict[str, list[tuple[Column, str]]] = defaultdict(list)
    for column, value in _all_values(schema):
        words = _value_words(value)
        if words:
            whole[words].append((column, value))
        for word in set(words) if len(words) > 1 else ():
            parts[word].append((column, value))
    return dict(whole), dict(parts)


def _all_values(schema: Schema) -> Iterator[tuple[Column, str]]:
    for table in schema.tables:
        for column in table.columns:
            if column.kind == "text":
                yield from ((column, value) for value in column.values)


def _part_link(column: Column, values: list[str]) -> ValueLink:
    return ValueLink(column, values[0], 0.7, whole=False, others=tuple(values[1:]))


def _columns_of(pairs: Sequence[tuple[Column, str]]) -> list[Column]:
    return list(dict.fromkeys(column for column, _ in pairs))


def _value_aliases(words: Words) -> Iterator[tuple[Words, float]]:
    """The phrase itself, a country for its people, and other names of a country."""
    yield words, 1.0
    phrase = " ".join(words)
    country = DEMONYMS.get(phrase, "")
    for name in (country, *NATIONS.get(country, ()), *NATIONS.get(phrase, ())):
        if name:
            yield tuple(singular(plain(word)) for word in name.split()), 0.95
