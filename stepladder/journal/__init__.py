"""The journal: append-only, written before anything is done."""

from stepladder.journal.beside import beside
from stepladder.journal.codec import decode_turn, encode_turn, joined
from stepladder.journal.memory import MemoryJournal
from stepladder.journal.owner import LEASE_S, Owner, gone, new_owner
from stepladder.journal.pruned import seal, without_payload
from stepladder.journal.reading import entries_in, turns_of
from stepladder.journal.redact import REDACTED, Redactor
from stepladder.journal.refusals import not_there
from stepladder.journal.store import (
    NO_DIGEST,
    Checkpoint,
    InboxItem,
    InboxKind,
    Journal,
    Kept,
    Pruned,
    RawRun,
    RawTurn,
    RunRow,
    StoredTurn,
    Swept,
    TakenItem,
    Turn,
    append,
    chain,
)

__all__ = [
    "LEASE_S",
    "NO_DIGEST",
    "REDACTED",
    "Checkpoint",
    "InboxItem",
    "InboxKind",
    "Journal",
    "Kept",
    "MemoryJournal",
    "Owner",
    "Pruned",
    "RawRun",
    "RawTurn",
    "Redactor",
    "RunRow",
    "StoredTurn",
    "Swept",
    "TakenItem",
    "Turn",
    "append",
    "beside",
    "chain",
    "decode_turn",
    "encode_turn",
    "entries_in",
    "gone",
    "joined",
    "new_owner",
    "not_there",
    "seal",
    "turns_of",
    "without_payload",
]
