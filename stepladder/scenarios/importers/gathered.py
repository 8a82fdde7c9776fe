"""Parts of runs that come in any order and from any file, gathered by run: spans, and the events that belong to them.

They are kept in a temporary SQLite database of its own. It is in memory while it is small and goes to the disk as it
grows (https://www.sqlite.org/inmemorydb.html#temp_db), so memory holds `CACHE` and the parts of one run, whatever
comes in. The file has no name and is gone with the process.

What run a part is of can only be said when all have come: a run is the conversation that the span or one of its events
names, else the only one that its trace names, else the trace. A span that comes again counts once (the copy that ended
last and says most), and an event that comes again, in another document, counts once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from stepladder.errors import InputError

CACHE: Final = 16
"""MB that are kept in memory."""
_LAST: Final = 2**63 - 1
_SCHEMA: Final = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -{CACHE * 1024};
CREATE TABLE names (number INTEGER PRIMARY KEY, name BLOB UNIQUE);
CREATE TABLE texts (number INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE parts (number INTEGER PRIMARY KEY, trace INTEGER, span BLOB, run INTEGER, event BLOB, worth TEXT);
BEGIN;
"""
_PLACED: Final = """
CREATE TABLE kept AS
    SELECT number, trace, span, run, event, max(worth) FROM parts
    GROUP BY trace, span, event, iif(span = x'' AND event = x'', number, 0);
CREATE TABLE of_spans (trace, span, run, PRIMARY KEY (trace, span)) WITHOUT ROWID;
INSERT INTO of_spans
    SELECT trace, span, coalesce(max(iif(event = x'', run, NULL)), max(run)) FROM kept
    WHERE span <> x'' AND run IS NOT NULL GROUP BY trace, span;
CREATE TABLE of_traces (trace INTEGER PRIMARY KEY, run);
INSERT INTO of_traces
    SELECT trace, min(run) FROM kept WHERE run IS NOT NULL GROUP BY trace HAVING min(run) = max(run);
CREATE TABLE runs AS
    SELECT kept.number, coalesce(of_spans.run, kept.run, of_traces.run, kept.trace) AS run FROM kept
    LEFT JOIN of_spans ON of_spans.trace = kept.trace AND of_spans.span = kept.span
    LEFT JOIN of_traces ON of_traces.trace = kept.trace;
CREATE TABLE begun (run INTEGER PRIMARY KEY, first);
INSERT INTO begun SELECT run, min(number) FROM runs GROUP BY run;
CREATE TABLE placed (first, number, run, PRIMARY KEY (first, number)) WITHOUT ROWID;
INSERT INTO placed SELECT first, number, run FROM runs JOIN begun USING (run);
"""
_READ: Final = """
SELECT name, text FROM placed CROSS JOIN texts ON texts.number = placed.number
CROSS JOIN names ON names.number = placed.run ORDER BY placed.first, placed.number
"""


class Part(NamedTuple):
    """A span, or an event (`event` says what makes it itself, "" is a span); `text` (ASCII) is what it says.

    `span` is "" where it names none; `run` is the conversation that it names, or "".
    """

    text: str
    trace: str
    span: str = ""
    run: str = ""
    event: str = ""
    ended: int = 0


def gathered(parts: Iterable[Part]) -> Iterator[tuple[str, list[str]]]:
    """Each run's name, in the order in which they first came, with its texts in the order in which they did.

    Raises:
        InputError: the folder for temporary files has no room.
    """
    database = sqlite3.connect("", isolation_level=None)
    try:
        database.executescript(_SCHEMA)
        for part in parts:
            _keep(database, part)
        for statement in _PLACED.split(";"):
            database.execute(statement)
        for key, group in groupby(database.execute(_READ), itemgetter(0)):
            yield key.decode("utf-8", "surrogatepass"), [text for _, text in group]
    except sqlite3.Error as error:
        found, expected = str(error).lower(), "room for what is imported; SQLITE_TMPDIR or TMPDIR say where it goes"
        raise InputError("import", "the folder for temporary files", found, expected) from None
    finally:
        database.close()


def _keep(database: sqlite3.Connection, part: Part) -> None:
    number = database.execute("INSERT INTO texts (text) VALUES (?)", (part.text,)).lastrowid
    trace, run = _number(database, part.trace), _number(database, part.run) if part.run else None
    worth = f"{min(max(part.ended, 0), _LAST):019d} {len(part.text):010d}"
    row = (number, trace, _bytes(part.span), run, _bytes(part.event), worth)
    database.execute("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)", row)


def _number(database: sqlite3.Connection, name: str) -> int:
    database.execute("INSERT INTO names (name) VALUES (?) ON CONFLICT DO NOTHING", (_bytes(name),))
    (number,) = database.execute("SELECT number FROM names WHERE name = ?", (_bytes(name),)).fetchone()
    return int(number)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
