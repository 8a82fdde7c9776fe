"""Opening the journal, and finding the run that is meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stepladder.cli.failures import NothingThere, UsageError
from stepladder.cli.options import Place

if TYPE_CHECKING:
    from stepladder.journal import Journal, RunRow
    from stepladder.signals import Signal

LAST = "last"
EVERYTHING = 2**31
OURS = re.compile("[0-9a-f]{32}")
"""An id that stepladder gave."""


def shown_place(place: Place) -> str:
    """The place as it may be shown: without a password."""
    from stepladder.journal.address import shown

    return str(place) if isinstance(place, Path) else shown(place)


@contextmanager
def opened(place: Place) -> Iterator[Journal]:
    """The journal that is there. Raises NothingThere, JournalError."""
    from stepladder.app.journals import open_journal
    from stepladder.errors import NoJournal

    try:
        journal = open_journal(place, create=False)
    except NoJournal:
        missing = f"no journal {shown_place(place)}; `stepladder run` makes one, --journal FILE names another"
        raise NothingThere(missing) from None
    try:
        yield journal
    finally:
        journal.close()


def named(journal: Journal, name: str, *, acting: bool = False) -> str:
    """The id of the run that `name` means: the id itself, the newest run for `last`, else the only id that begins so,
    or where none does, the only one that ends so: the ids that we give begin with their time, and differ at the end.

    Where something is done to the run (`acting`), only ids that we gave may be shortened: `cancel t-1` must never mean
    t-10 because t-1 is not there.

    Raises:
        RunNotFound, RunPruned: there is none (any more).
        UsageError: several ids do, or one that may not be shortened.
    """
    from stepladder.journal import not_there

    if journal.row(name) is not None:
        return name
    if name == LAST:
        newest = journal.rows(1)
        if not newest:
            raise NothingThere(f"no run in {journal.name} yet; `stepladder run` makes one")
        return newest[0].run_id
    if not name or journal.pruned(name):
        raise not_there(journal, name)
    ids, how = [row.run_id for row in journal.rows(EVERYTHING)], "begin"
    found = [run_id for run_id in ids if run_id.startswith(name)]
    if not found:
        found, how = [run_id for run_id in ids if run_id.endswith(name)], "end"
    if len(found) > 1:
        raise UsageError(f"run {name!r}: {len(found)} ids {how} so ({', '.join(found[:5])} ...); type more of it")
    if not found:
        raise not_there(journal, name)
    if acting and not OURS.fullmatch(found[0]):
        raise UsageError(f"run {name!r}: there is no such run; {found[0]} {how}s so, but has to be named in full here")
    return found[0]


def row_json(row: RunRow) -> dict[str, object]:
    """A line of the list of runs as JSON."""
    import msgspec

    plain: dict[str, object] = msgspec.structs.asdict(row)
    plain["run"] = plain.pop("run_id")
    return {"run": plain.pop("run"), **plain}


def signals_of(agents: Path | None, options: dict[str, str]) -> tuple[Signal, ...]:
    """The signals of an agents file, or none where none is given."""
    if agents is None:
        return ()
    from stepladder.app.loading import load_agents

    return load_agents(agents, options)[1]
