"""The journal: append-only, written before anything is done."""

from stepladder.journal.codec import decode_turn, encode_turn, joined
from stepladder.journal.memory import MemoryJournal
from stepladder.journal.owner import LEASE_S, Owner, gone, new_owner
from stepladder.journal.pruned import seal, without_payload
from stepladder.journal.redact import REDACTED, Redactor
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
    not_there,
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
    "chain",
    "decode_turn",
    "encode_turn",
    "gone",
    "joined",
    "new_owner",
    "not_there",
    "seal",
    "without_payload",
]
