"""What a question says, piece by piece, before it is known which columns it is about."""

from __future__ import annotations

from typing import Literal

import msgspec

from .items import Item, Period

Function = Literal["count", "sum", "avg", "min", "max"]


class Key(msgspec.Struct, frozen=True):
    """Something to count, add up or sort by; `function` is empty for the thing itself."""

    what: Item
    function: str = ""
    distinct: bool = False
    of: Item | None = None


class Compared(msgspec.Struct, frozen=True):
    """A property against numbers; `operator` is a comparison, `between`, or `average` with `than` before it."""

    what: Item
    operator: str
    numbers: tuple[float, ...] = ()
    of: Item | None = None


class Dated(msgspec.Struct, frozen=True):
    """A date against a period; two periods are from the first to the last."""

    what: Item | None
    operator: str
    periods: tuple[Period, ...]
    at: int = 0


class Valued(msgspec.Struct, frozen=True):
    """Texts that stand in one column; `all_of` when every one of them is asked for."""

    items: tuple[Item, ...]
    hint: Item | None = None
    negated: bool = False
    all_of: bool = False


class Written(msgspec.Struct, frozen=True):
    """A text that a column starts with, ends with, contains or is (`is`)."""

    how: str
    text: str
    what: Item | None = None
    negated: bool = False
    at: int = 0


class Known(msgspec.Struct, frozen=True):
    """Whether a property has a value; `truth` for a property that is a truth itself."""

    what: Item
    known: bool = True
    truth: bool = False


class Numbered(msgspec.Struct, frozen=True):
    """One thing by its number."""

    what: Item
    number: float


class Counted(msgspec.Struct, frozen=True):
    """How many related things there must be."""

    what: Item
    operator: str
    number: float


class Absent(msgspec.Struct, frozen=True):
    """Related things of which there must be none."""

    what: Item


class Measured(msgspec.Struct, frozen=True):
    """A number asked for."""

    key: Key


class Averaged(msgspec.Struct, frozen=True):
    """The average, highest or lowest of counts: items per order."""

    function: str
    what: Item


class Ranked(msgspec.Struct, frozen=True):
    """The first `number` by a key, or all that share the first place."""

    key: Key | None
    descending: bool = True
    number: int | None = None
    at: int = 0


class Grouped(msgspec.Struct, frozen=True):
    """One row for each; `part` is a part of a date; `firm` is false for `by`, which may also mean an order."""

    what: Item | None
    part: str = ""
    of: Item | None = None
    firm: bool = True


class Sorted(msgspec.Struct, frozen=True):
    """An order of the rows."""

    key: Key | None
    descending: bool | None = None


class Distinct(msgspec.Struct, frozen=True):
    """Every row once."""

    at: int = 0


class Vague(msgspec.Struct, frozen=True):
    """A judgement that needs a measure: the best by what."""

    what: Item


class Mentioned(msgspec.Struct, frozen=True):
    """A table, column or value that is named and not used otherwise."""

    what: Item
    also: bool = False
    of: Item | None = None


class Leftover(msgspec.Struct, frozen=True):
    """Something that was not understood."""

    what: Item


Fact = (
    Compared | Dated | Valued | Written | Known | Numbered | Counted | Absent | Measured | Averaged | Ranked | Grouped
    | Sorted | Distinct | Vague | Mentioned | Leftover
)  # fmt: skip
