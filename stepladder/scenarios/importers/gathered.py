"""Texts that come in any order, gathered by name: what a run is made of, where its parts may stand anywhere.

They are kept in a temporary SQLite database of its own. It is in memory while it is small and goes to the disk as it
grows (https://www.sqlite.org/inmemorydb.html#temp_db), so memory holds `CACHE` and the texts of one name, whatever
comes in. The file has no name and is gone with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final

from stepladder.errors import InputError

CACHE: Final = 16
"""MB that are kept in memory."""
_SCHEMA: Final = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -{CACHE * 1024};
CREATE TABLE names (number INTEGER PRIMARY KEY, name BLOB UNIQUE);
CREATE TABLE gathered (number INTEGER, text TEXT);
BEGIN;
"""


def gathered(named: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Each name, in the order in which they first came, with its texts (ASCII) in the order in which they did.

    Raises:
        InputError: the folder for temporary files has no room.
    """
    database = sqlite3.connect("", isolation_level=None)
    try:
        database.executescript(_SCHEMA)
        for name, text in named:
            _keep(database, name.encode("utf-8", "surrogatepass"), text)
        database.execute("CREATE INDEX by_name ON gathered (number)")
        rows = database.execute(
            "SELECT name, text FROM gathered JOIN names USING (number) ORDER BY number, gathered.rowid"
        )
        for key, group in groupby(rows, itemgetter(0)):
            yield key.decode("utf-8", "surrogatepass"), [text for _, text in group]
    except sqlite3.Error as error:
        found, expected = str(error).lower(), "room for what is imported; SQLITE_TMPDIR or TMPDIR say where it goes"
        raise InputError("import", "the folder for temporary files", found, expected) from None
    finally:
        database.close()


def _keep(database: sqlite3.Connection, name: bytes, text: str) -> None:
    database.execute("INSERT INTO names (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    database.execute("INSERT INTO gathered SELECT number, ? FROM names WHERE name = ?", (text, name))
