"""The ledger: one line for every call of a model, booked before it and settled after it.

    open ----> paid       the provider said what it used
         \\---> free       it was not billed: refused, rejected before any work, or never sent
         \\---> unknown    it may have been billed; what was reserved stays spent until somebody reconciles it

A line that a dead process left open counts like `unknown`. What a server bills above what was reserved is booked as it
is, with a note: a cap may be passed by that one call, and the next one is refused. Totals of a decision, a run and a
UTC day are kept beside the lines and changed in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Literal, Protocol

import msgspec

from stepladder.llm.purse import Refusal
from stepladder.money.amounts import day_of, nano
from stepladder.money.caps import Cap, refused

OVERRUN: Final = "overrun"
"""The note of a call that cost more than was reserved: its server wrote more than it may."""
State = Literal["open", "paid", "free", "unknown"]

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS ledger_lines (
    id TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL, day TEXT NOT NULL, run TEXT NOT NULL, decision BIGINT NOT NULL,
    point TEXT NOT NULL, rung TEXT NOT NULL, model TEXT NOT NULL, reserved BIGINT NOT NULL, booked BIGINT NOT NULL,
    state TEXT NOT NULL, estimated INTEGER NOT NULL, priced INTEGER NOT NULL, input_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX IF NOT EXISTS ledger_lines_by_day ON ledger_lines (day)",
    """CREATE TABLE IF NOT EXISTS ledger_totals (
    scope TEXT NOT NULL, name TEXT NOT NULL, booked BIGINT NOT NULL, PRIMARY KEY (scope, name))""",
)
COLUMNS: Final = (
    "id, at, day, run, decision, point, rung, model, reserved, booked, state, estimated, priced, input_tokens,"
    " output_tokens, note"
)
_ADD: Final = (
    "INSERT INTO ledger_totals (scope, name, booked) VALUES (?, ?, ?)"
    " ON CONFLICT (scope, name) DO UPDATE SET booked = ledger_totals.booked + excluded.booked"
)
_SETTLE: Final = (
    "UPDATE ledger_lines SET booked = ?, state = ?, estimated = ?, input_tokens = ?, output_tokens = ?, note = ?"
    " WHERE id = ?"
)


class Line(msgspec.Struct, frozen=True):
    """A line of the ledger. Amounts are nano-dollars; `at` is seconds since 1970, `day` its UTC day.

    `reserved` is what it might cost at most, `booked` what counts as spent. `estimated`: the amount is a bound and not
    what a provider said. `priced` is false for a call of a model without a price, which was allowed.
    """

    id: str
    at: float
    day: str
    run: str
    decision: int
    point: str
    rung: str
    model: str
    reserved: int
    booked: int
    state: State = "open"
    estimated: bool = True
    priced: bool = True
    input_tokens: int = 0
    output_tokens: int = 0
    note: str = ""


class Booking(msgspec.Struct, frozen=True):
    """What is to be reserved: a call that may cost `usd` (None: no known price), and the caps that it is under.
    `important` decisions are not throttled.
    """

    id: str
    at: float
    run: str
    decision: int
    point: str
    rung: str
    model: str
    usd: float | None
    caps: tuple[Cap, ...] = ()
    important: bool = False

    def line(self) -> Line:
        """The line that it is booked as."""
        amount = nano(self.usd or 0.0)
        return Line(
            self.id,
            self.at,
            day_of(self.at),
            self.run,
            self.decision,
            self.point,
            self.rung,
            self.model,
            amount,
            amount,
            priced=self.usd is not None,
        )


class Settlement(msgspec.Struct, frozen=True):
    """How a booked call ended: `usd` is what it cost, None keeps what was reserved."""

    id: str
    state: State
    usd: float | None = None
    estimated: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    note: str = ""


Bookings = Sequence[Booking | Settlement]


class Store(Protocol):
    """Where the lines are: SQL in transactions, with `?` for values."""

    name: str
    inline: bool
    """Whether a transaction is so quick that it may be made on an event loop."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Read and write: all of it becomes durable at the end, or nothing; nobody else writes meanwhile."""
        ...

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that this gives."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Transaction(Protocol):
    """An open transaction."""

    def ask(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Do it; the rows that it gives."""
        ...


class Ledger:
    """The ledger in a store. Safe to share between threads and, as far as the store is, between processes."""

    def __init__(self, store: Store) -> None:
        self.store, self.name, self.inline = store, store.name, store.inline

    def write(self, bookings: Bookings) -> list[Refusal | None]:
        """Book and settle, all in one transaction; for each why it was refused, or None.

        Booking the same id again changes nothing. Settling a line again changes it only where it was open or unknown.

        Raises:
            JournalError: it cannot be written; then nothing of it was.
        """
        with self.store.transaction() as transaction:
            return [_write(transaction, each) for each in bookings]

    def total(self, scope: str, key: str) -> int:
        """Nano-dollars that are spent or reserved there."""
        found = self.store.read("SELECT booked FROM ledger_totals WHERE scope = ? AND name = ?", (scope, key))
        return int(found[0][0]) if found else 0

    def lines(self, *, since_day: str = "", run: str = "") -> Iterator[Line]:
        """The lines, oldest first: from a UTC day on, of one run where it is named."""
        where, values = "day >= ?", [since_day]
        if run:
            where, values = f"{where} AND run = ?", [*values, run]
        for row in self.store.read(f"SELECT {COLUMNS} FROM ledger_lines WHERE {where} ORDER BY at, id", values):
            yield _line(row)

    def line(self, id: str) -> Line | None:  # noqa: A002
        """The line of this id."""
        found = self.store.read(f"SELECT {COLUMNS} FROM ledger_lines WHERE id = ?", (id,))
        return _line(found[0]) if found else None

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


def _line(row: tuple[Any, ...]) -> Line:
    values = dict(zip(Line.__struct_fields__, row, strict=True))
    return Line(**{**values, "estimated": bool(values["estimated"]), "priced": bool(values["priced"])})


def _keys(line: Line) -> dict[str, str]:
    return {"day": line.day, "run": line.run, "decision": f"{line.run}/{line.decision}"}


def _write(transaction: Transaction, what: Booking | Settlement) -> Refusal | None:
    if isinstance(what, Booking):
        return _book(transaction, what)
    _settle(transaction, what)
    return None


def _book(transaction: Transaction, booking: Booking) -> Refusal | None:
    if transaction.ask("SELECT 1 FROM ledger_lines WHERE id = ?", (booking.id,)):
        return None
    line = booking.line()
    keys = _keys(line)
    if booking.caps:
        totals = {str(cap.scope): _total(transaction, cap.scope, keys[cap.scope]) for cap in booking.caps}
        if (why := refused(booking.caps, totals, line.reserved, important=booking.important)) is not None:
            return why
    for scope, key in keys.items():
        transaction.ask(_ADD, (scope, key, line.booked))
    row = [int(value) if isinstance(value, bool) else value for value in msgspec.structs.astuple(line)]
    marks = ", ".join("?" * len(row))
    transaction.ask(f"INSERT INTO ledger_lines ({COLUMNS}) VALUES ({marks})", row)
    return None


def _total(transaction: Transaction, scope: str, key: str) -> int:
    found = transaction.ask("SELECT booked FROM ledger_totals WHERE scope = ? AND name = ?", (scope, key))
    return int(found[0][0]) if found else 0


def _settle(transaction: Transaction, settled: Settlement) -> None:
    found = transaction.ask(f"SELECT {COLUMNS} FROM ledger_lines WHERE id = ?", (settled.id,))
    line = _line(found[0]) if found else None
    if line is None or line.state not in ("open", "unknown"):
        return
    booked = line.reserved if settled.usd is None else nano(settled.usd)
    if settled.state == "free":
        booked = 0
    over = settled.state == "paid" and line.priced and booked > line.reserved
    note = settled.note or (OVERRUN if over else "")
    told = (settled.input_tokens, settled.output_tokens, note)
    transaction.ask(_SETTLE, (booked, settled.state, int(settled.estimated), *told, settled.id))
    if booked != line.booked:
        for scope, key in _keys(line).items():
            transaction.ask(_ADD, (scope, key, booked - line.booked))
