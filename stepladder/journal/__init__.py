"""The journal: append-only, written before anything is done."""

from stepladder.journal.codec import decode_turn, encode_turn
from stepladder.journal.memory import MemoryJournal
from stepladder.journal.redact import REDACTED, Redactor
from stepladder.journal.store import InboxItem, InboxKind, Journal, RunRow, StoredTurn, chain

__all__ = [
    "REDACTED",
    "InboxItem",
    "InboxKind",
    "Journal",
    "MemoryJournal",
    "Redactor",
    "RunRow",
    "StoredTurn",
    "chain",
    "decode_turn",
    "encode_turn",
]
