"""What a SQLite database holds: tables, columns, keys, and the words that stand in its text columns.

Keys that are not declared are taken from names (`customer_id` points at the table of customers) when the values agree.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec

from .parser.words import name_words
from .sandbox import open_read_only

Kind = Literal["number", "year", "text", "date", "flag", "key", "other"]

MAX_VALUES = 2_000
MAX_VALUE_CHARS = 80
SAMPLE = 200
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
NUMBER_TYPES = ("INT", "REAL", "FLOA", "DOUB", "NUM", "DEC", "MONEY")
KEY_WORDS = ("id", "code", "key", "no", "ref", "fk")
TRUE_WORDS = ("1", "yes", "y", "true", "t")
FALSE_WORDS = ("0", "no", "n", "false", "f")


class Column(msgspec.Struct, frozen=True):
    """A column; `values` are the distinct texts of a text column, empty when there are too many.

    `unique` says that no text comes twice, as with names of things.
    """

    table: str
    name: str
    type: str
    kind: Kind
    primary: bool = False
    nulls: bool = False
    values: tuple[str, ...] = ()
    unique: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the name, in the singular."""
        return name_words(self.name)


class ForeignKey(msgspec.Struct, frozen=True):
    """`table.column` points at `to_table.to_column`; `declared` is false when only names and values say so."""

    table: str
    column: str
    to_table: str
    to_column: str
    declared: bool = True


class Table(msgspec.Struct, frozen=True):
    """A table; `key` is its single primary key column, or `rowid`."""

    name: str
    columns: tuple[Column, ...]
    key: str = "rowid"

    def column(self, name: str) -> Column | None:
        """The column of that name, any case."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


class Schema(msgspec.Struct, frozen=True):
    """All tables and the keys between them."""

    tables: tuple[Table, ...]
    keys: tuple[ForeignKey, ...] = ()

    def table(self, name: str) -> Table:
        """The table of that name, any case; KeyError when there is none."""
        found = next((table for table in self.tables if table.name.lower() == name.lower()), None)
        if found is None:
            raise KeyError(name)
        return found

    def without(self, name: str) -> Schema:
        """The schema without the table or the columns of that name, as when a query found them missing."""
        gone = name.lower()
        kept = tuple(
            msgspec.structs.replace(table, columns=tuple(c for c in table.columns if c.name.lower() != gone))
            for table in self.tables
            if table.name.lower() != gone
        )
        keys = tuple(key for key in self.keys if gone not in _names_of(key))
        return Schema(kept, keys)


def _names_of(key: ForeignKey) -> tuple[str, ...]:
    return tuple(name.lower() for name in (key.table, key.column, key.to_table, key.to_column))


def read_schema(path: str | Path) -> Schema:
    """Read the schema of a SQLite file, read-only. Raises sqlite3.Error when the file is not a database."""
    with closing(open_read_only(str(Path(path).resolve()), immutable=False)) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        tables = tuple(_table(database, name) for name in _table_names(database))
        declared = tuple(key for table in tables for key in _declared_keys(database, table, tables))
        return Schema(tables, declared + tuple(_implied_keys(database, tables, declared)))


def quoted(name: str) -> str:
    """A name as SQLite reads it whatever its letters are."""
    return '"' + name.replace('"', '""') + '"'


def _table_names(database: sqlite3.Connection) -> list[str]:
    found = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    return [name for name, sql in found if not name.startswith("sqlite_") and "VIRTUAL" not in (sql or "")[:20].upper()]


def _table(database: sqlite3.Connection, name: str) -> Table:
    found = database.execute(f"PRAGMA table_info({quoted(name)})").fetchall()
    keys = [row[1] for row in found if row[5]]
    columns = tuple(_column(database, name, str(row[1]), str(row[2]).upper(), row[1] in keys) for row in found)
    return Table(name, columns, keys[0] if len(keys) == 1 else "rowid")


def _column(database: sqlite3.Connection, table: str, name: str, type_: str, primary: bool) -> Column:
    values = _distinct(database, table, name)
    texts = tuple(value for value in values if isinstance(value, str))
    kind = _kind(name, type_, [value for value in values if value is not None])
    fits = len(texts) <= MAX_VALUES and kind in ("text", "flag")
    kept = tuple(sorted(text for text in texts if 0 < len(text) <= MAX_VALUE_CHARS)) if fits else ()
    unique = bool(kept) and len(kept) == _filled(database, table, name)
    return Column(table, name, type_, kind, primary, None in values, kept, unique)


def _filled(database: sqlite3.Connection, table: str, column: str) -> int:
    """How many rows have a value in that column."""
    return int(database.execute(f"SELECT COUNT({quoted(column)}) FROM {quoted(table)}").fetchone()[0])


def _distinct(database: sqlite3.Connection, table: str, column: str) -> list[object]:
    """Distinct values, one more than are kept, so that a caller sees when there are too many."""
    query = f"SELECT DISTINCT {quoted(column)} FROM {quoted(table)} LIMIT {MAX_VALUES + 1}"
    return [value for (value,) in database.execute(query)]


def _kind(name: str, type_: str, values: list[object]) -> Kind:
    sample = values[:SAMPLE]
    if name_words(name)[-1] == "id" and not any(isinstance(value, float) for value in sample):
        return "key"
    if _is_flag(name, type_, values):
        return "flag"
    if sample and all(isinstance(value, str) and ISO_DATE.fullmatch(value) for value in sample):
        return "date"
    if sample and all(isinstance(value, int | float) for value in sample):
        return "year" if _says_year(name) and all(_is_year(value) for value in sample) else "number"
    if sample and all(isinstance(value, str) for value in sample):
        return "text"
    return _declared_kind(type_) if not sample else "other"


def _declared_kind(type_: str) -> Kind:
    if any(part in type_ for part in NUMBER_TYPES):
        return "number"
    return "date" if "DATE" in type_ else "text"


def _is_flag(name: str, type_: str, values: list[object]) -> bool:
    """Two truth words at most, and a name or type that says so (a number that happens to be 0 or 1 is none)."""
    truths = all(str(value).lower() in TRUE_WORDS + FALSE_WORDS for value in values)
    says_so = "BOOL" in type_ or name_words(name)[0] in ("is", "has", "was", "can", "allow", "needs")
    return truths and 0 < len(values) <= 2 and (says_so or _two_words(values))


def _two_words(values: list[object]) -> bool:
    return {str(value).lower() for value in values} in ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"0", "1"})


def _says_year(name: str) -> bool:
    """`release_year`, or what happened in it: `founded`, `built`."""
    return any(word in ("year", "built", "born") or word.endswith("ed") for word in name_words(name))


def _is_year(value: object) -> bool:
    return isinstance(value, int) and 1000 <= value <= 2200


def _declared_keys(database: sqlite3.Connection, table: Table, tables: tuple[Table, ...]) -> Iterator[ForeignKey]:
    """Declared keys of one column each (keys of several columns are left out)."""
    rows = database.execute(f"PRAGMA foreign_key_list({quoted(table.name)})").fetchall()
    single = [row for row in rows if sum(other[0] == row[0] for other in rows) == 1]
    by_name = {other.name.lower(): other for other in tables}
    for row in sorted(single, key=lambda row: row[0], reverse=True):
        target = by_name.get(str(row[2]).lower())
        if target is not None:
            yield ForeignKey(table.name, row[3], target.name, row[4] or target.key)


def _implied_keys(
    database: sqlite3.Connection, tables: tuple[Table, ...], declared: tuple[ForeignKey, ...]
) -> Iterator[ForeignKey]:
    known = {(key.table, key.column.lower()) for key in declared}
    for table in tables:
        for column in table.columns:
            if (table.name, column.name.lower()) not in known:
                yield from (key for key in _implied_key(table, column, tables) if _values_agree(database, key))


def _implied_key(table: Table, column: Column, tables: tuple[Table, ...]) -> list[ForeignKey]:
    """The key that the name of `column` implies: its words end in the words of another table's name."""
    words = column.words[:-1] if column.words[-1] in KEY_WORDS else column.words
    named_key = column.words[-1] in KEY_WORDS
    if not words or (column.primary and table.key == column.name):
        return []
    targets = [
        other for other in tables if _ends_with(words, other) and (named_key or column.kind in ("number", "key"))
    ]
    found = [
        ForeignKey(table.name, column.name, other.name, _target(other, column), declared=False) for other in targets
    ]
    usable = [key for key in found if key.to_column and (key.to_table, key.to_column) != (table.name, column.name)]
    return sorted(usable, key=lambda key: -len(key.to_table))[:1]


def _ends_with(words: tuple[str, ...], table: Table) -> bool:
    names = name_words(table.name)
    return words[-len(names) :] == names or "".join(words) == "".join(names)


def _target(table: Table, column: Column) -> str:
    """The column of `table` that `column` would point at; empty when there is none."""
    last = column.words[-1]
    for candidate in table.columns:
        if candidate.name.lower() == column.name.lower() or (last != "id" and candidate.words == (last,)):
            return candidate.name
    return table.key if table.key != "rowid" and last not in ("code", "ref") else ""


def _values_agree(database: sqlite3.Connection, key: ForeignKey) -> bool:
    """Whether every value seen exists in the target."""
    query = (
        f"SELECT COUNT(*) FROM (SELECT DISTINCT {quoted(key.column)} AS value FROM {quoted(key.table)}"
        f" WHERE {quoted(key.column)} IS NOT NULL LIMIT {SAMPLE}) WHERE value NOT IN"
        f" (SELECT {quoted(key.to_column)} FROM {quoted(key.to_table)} WHERE {quoted(key.to_column)} IS NOT NULL)"
    )
    return bool(database.execute(query).fetchone()[0] == 0)
