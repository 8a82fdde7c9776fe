"""Heads: how far every run of a journal has come, and by which digest. Kept elsewhere, one witnesses what was there.

A head is one small JSON document; its own digest covers all the rest, so that this digest alone, in a mail or a commit,
is enough to trust the document later. What grows on after a head was taken is fine.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from stepladder.errors import InputError, JournalError, cause_of
from stepladder.journal import Journal, RawRun, decode_turn

FORMAT: Final = "stepladder-head"
VERSION: Final = 1


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many entries a run has, and the digest of its chain behind them (32 hex digits)."""

    entries: int
    digest: str


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The places of all runs of a journal at a time (seconds since 1970), of those that were pruned too."""

    format: str
    version: int
    journal: str
    at: float
    runs: dict[str, Place]
    digest: str = ""

    def own_digest(self) -> str:
        """The digest of everything else in it: BLAKE2b-256 of its JSON, keys sorted, without spaces."""
        plain = msgspec.to_builtins(self)
        del plain["digest"]
        return blake2b(msgspec.json.encode(plain, order="deterministic"), digest_size=32).hexdigest()


def head_of(journal: Journal, at: float | None = None) -> Head:
    """The head of a journal as it is now. Raises JournalError where it cannot be read."""
    runs = {left.run_id: Place(left.entries, left.digest.hex()) for left in journal.pruned()}
    for each in journal.raw():
        if isinstance(each, RawRun) and each.turns:
            runs[each.name] = _place(journal, each)
    name = journal.name if "://" in journal.name else Path(journal.name).name
    head = Head(FORMAT, VERSION, name, time.time() if at is None else at, dict(sorted(runs.items())))
    return msgspec.structs.replace(head, digest=head.own_digest())


def read_head(path: Path) -> Head:
    """A head that was kept. Raises InputError: it is none, or it was changed."""
    try:
        head = msgspec.json.decode(path.read_bytes(), type=Head)
    except OSError as error:
        raise _refused(path, cause_of(error)) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise _refused(path, str(error)) from None
    if (head.format, head.version) != (FORMAT, VERSION):
        raise _refused(path, f"{head.format} {head.version}")
    if head.digest != head.own_digest():
        raise _refused(path, "one that was changed after it was taken: its digest does not fit")
    return head


def _place(journal: Journal, run: RawRun) -> Place:
    last = run.turns[-1]
    try:
        return Place(last.seq - 1 + len(decode_turn(last.body)), last.digest.hex())
    except (ValueError, TypeError) as error:
        found = f"run {run.name!r}, entry {last.seq}: {error}"
        raise JournalError(journal.name, found, "a turn as stepladder writes it") from None


def _refused(path: Path, found: str) -> InputError:
    return InputError(f"head {path}", "", found, f"a {FORMAT} {VERSION}, as `stepladder head` writes it")
