"""What every journal offers.

A journal holds turns. A turn is appended whole or not at all, under the number of its first entry (from 1), by whoever
knows how many entries there are already: a second writer with an older view is refused. Each turn's digest covers the
one before it, so what was changed afterwards is found. A run that is worked on belongs to one owner at a time, and a
turn of anybody else is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec

from stepladder.errors import StepladderError
from stepladder.events import AnyEvent
from stepladder.journal.owner import Owner
from stepladder.record import AnyEntry

Status = Literal["working", "waiting", "ended"]
InboxKind = Literal["answer", "message", "cancel", "retry"]

NO_DIGEST: Final = b"\0" * 16
NONE: Final[Mapping[str, bytes]] = {}
LEFT_OF: Final = b'{"left_of":"'
"""How the body of a turn begins whose payload was pruned; the digest of what it was follows."""


def body_digest(body: bytes) -> bytes:
    """What stands for a turn's bytes in the chain, and in their place once they are pruned."""
    if body.startswith(LEFT_OF):
        return _digest_in(body)
    return blake2b(body, digest_size=16).digest()


def _digest_in(body: bytes) -> bytes:
    try:
        return bytes.fromhex(body[len(LEFT_OF) : len(LEFT_OF) + 32].decode())
    except ValueError:
        return NO_DIGEST


def chain(before: bytes, body: bytes) -> bytes:
    """The digest of a turn after the turn with digest `before`: 16 bytes of BLAKE2b."""
    return linked(before, body_digest(body))


def linked(before: bytes, digest_of_body: bytes) -> bytes:
    """The same, from the digest of the body."""
    return blake2b(digest_of_body, digest_size=16, key=before).digest()


def sound(digest: object) -> bytes:
    """The digest, if it can be one: somebody may have written anything there."""
    return digest if isinstance(digest, bytes) and len(digest) <= len(NO_DIGEST) else NO_DIGEST


class RunRow(msgspec.Struct, frozen=True):
    """One line of the list of runs.

    Times are seconds since 1970; `waiting` says for what, `end` where it ended, `pruned` that its payloads are gone.
    """

    run_id: str
    workflow: str
    workflow_hash: str
    started_at: float
    updated_at: float
    status: Status = "working"
    step: str = ""
    waiting: str = ""
    end: str = ""
    success: bool | None = None
    decisions: int = 0
    usd: float = 0.0
    pruned: bool = False


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """The state behind the first `entries` entries of a run, and the digest of the chain there."""

    entries: int
    digest: bytes
    state: bytes


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A turn to append, with everything that becomes durable together with it.

    `seq` is the number of its first entry (1 begins the run, and needs the `row`), `digest` its place in the chain.
    `row` replaces the run's line in the list where it changed; a run that does not work any more belongs to nobody.
    `owner` is whoever works on the run ("": nobody does). `taken` is the inbox item that the turn consumes,
    `artifacts` are the bytes that it refers to by digest, `checkpoint` the state after it.
    """

    run_id: str
    seq: int
    body: bytes
    digest: bytes
    row: RunRow | None = None
    owner: str = ""
    taken: int = 0
    artifacts: dict[str, bytes] = {}
    checkpoint: Checkpoint | None = None


class StoredTurn(msgspec.Struct, frozen=True):
    """A turn as it was read: the number of its first entry, its entries, whether its digest fits the chain, and it."""

    seq: int
    entries: tuple[AnyEvent | AnyEntry, ...]
    intact: bool = True
    digest: bytes = NO_DIGEST


class RawTurn(NamedTuple):
    """A turn as it is stored."""

    seq: int
    body: bytes
    digest: bytes


class TakenItem(NamedTuple):
    """An item that came through a run's inbox, and the turn that took it."""

    number: int
    kind: str
    seq: int


class RawRun(msgspec.Struct, frozen=True, gc=False):
    """A run as it is stored. `row` is None where turns have no line; `name` is the best that is known of its id."""

    name: str
    row: RunRow | None
    turns: Sequence[RawTurn]
    taken: Sequence[TakenItem] = ()
    checkpoint: Checkpoint | None = None


class Kept(msgspec.Struct, frozen=True):
    """What is kept beside the runs: an artifact under its digest, a definition under its hashes."""

    kind: Literal["artifact", "definition"]
    name: str
    body: bytes


class Pruned(msgspec.Struct, frozen=True):
    """What is left of a run that was pruned whole: how many entries it had, its last digest, and when (since 1970)."""

    run_id: str
    entries: int
    digest: bytes
    at: float


class Swept(NamedTuple):
    """How much that nobody referred to any more was removed."""

    artifacts: int = 0
    definitions: int = 0


class InboxItem(msgspec.Struct, frozen=True):
    """Something from outside that a run has not taken yet."""

    number: int
    kind: InboxKind
    body: dict[str, Any]
    put_at: float = 0.0


class Journal(Protocol):
    """Where runs are written. Every method is synchronous and returns only when what it wrote is durable.

    Methods may be called from several threads. `write` is the one that is waited for in the middle of a run.
    """

    name: str
    grouped: bool
    """Whether a write takes long enough (a disk, a server) to be shared by the turns of many runs."""

    def write(self, turns: Sequence[Turn]) -> list[StepladderError | None]:
        """Append turns of different runs, all in one go; for each None, or why it was refused.

        Refused is a turn (RunConflict) whose place is taken, whose run belongs to somebody else or exists already,
        whose inbox item was taken by somebody else; RunNotFound where there is no such run. The others are durable.

        Raises:
            JournalError: nothing was written; or the server is gone and was not heard of again, then nobody knows, and
                whoever takes the runs up will read it.
        """
        ...

    def turns(self, run_id: str, after: int = 0) -> list[StoredTurn]:
        """The run's turns behind entry `after`, in order; [] where there are none.

        Raises JournalError where one cannot be read.
        """
        ...

    def checkpoint(self, run_id: str) -> Checkpoint | None:
        """The newest kept state of the run."""
        ...

    def row(self, run_id: str) -> RunRow | None:
        """The run's line, or None."""
        ...

    def rows(self, limit: int = 100, status: Status | None = None, workflow: str | None = None) -> list[RunRow]:
        """The newest runs first."""
        ...

    def enroll(self, owner: Owner) -> None:
        """Make an owner known, or renew its lease."""
        ...

    def leave(self, owner_id: str) -> None:
        """Forget an owner; its runs belong to nobody."""
        ...

    def claim(self, run_id: str, owner_id: str) -> None:
        """Make the run this owner's. Raises RunOwned where a living owner has it, RunNotFound."""
        ...

    def release(self, run_id: str, owner_id: str) -> None:
        """Let go of a run, if it is this owner's."""
        ...

    def put(
        self, run_id: str, kind: InboxKind, body: dict[str, Any], at: float, artifacts: Mapping[str, bytes] = NONE
    ) -> InboxItem:
        """Keep something, and the bytes that it refers to, for the run until it takes it. Raises RunNotFound."""
        ...

    def inbox(self, run_id: str) -> Sequence[InboxItem]:
        """What the run has not taken yet, oldest first."""
        ...

    def posted(self) -> Sequence[str]:
        """The runs with something in their inbox, if anybody else may have written since this was last asked."""
        ...

    def drop(self, run_id: str, number: int) -> None:
        """Take an item out that no run can take. Raises RunConflict where it is not there any more."""
        ...

    def keep_definition(self, hash_: str, kind: str, body: bytes) -> None:
        """Keep a workflow or policy under its hash, for later replays; note that it is still in use."""
        ...

    def definition(self, hash_: str) -> bytes | None:
        """What is kept under this hash."""
        ...

    def artifact(self, digest: str) -> bytes | None:
        """The bytes of this digest."""
        ...

    def raw(self, run_id: str | None = None) -> Iterator[RawRun | Kept]:
        """Everything as it is stored at one moment: the runs, oldest first, then what is kept; or this one run.

        Nothing is judged on the way: whoever changed it may have written anything.
        """
        ...

    def empty(self, turn: Turn, bodies: Mapping[int, bytes]) -> None:
        """Put these bodies in the place of those of an ended run's turns, by number, and append a turn, all in one go.

        What lay in its inbox goes, and its checkpoint.

        Raises:
            RunConflict: it has moved on meanwhile, or is worked on, or has not ended.
            RunNotFound, JournalError.
        """
        ...

    def remove(self, left: Pruned) -> None:
        """Remove an ended run, if it still has this last digest; its id stays taken. Raises as `empty`."""
        ...

    def pruned(self, run_id: str | None = None) -> Sequence[Pruned]:
        """The runs that were removed; or this one, if it was."""
        ...

    def sweep(self, before: float) -> Swept:
        """Remove artifacts that no run refers to, and definitions that besides nobody has kept since `before`.

        Gives the space that was pruned back to the disk.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def append(journal: Journal, turn: Turn) -> None:
    """Append one turn. Raises RunConflict, RunNotFound, JournalError."""
    (refused,) = journal.write([turn])
    if refused is not None:
        raise refused
