"""Entries as bytes: a turn (an event and what was concluded from it) is one JSON array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stepladder.events import AnyEvent, Event
from stepladder.record import AnyEntry, Entry

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(tuple[AnyEvent | AnyEntry, ...])


def encode_turn(entries: Sequence[Event | Entry]) -> bytes:
    """The turn as bytes."""
    return _ENCODER.encode(entries)


def encode_entry(entry: Event | Entry) -> bytes:
    """One entry as bytes."""
    return _ENCODER.encode(entry)


def joined(event: bytes, conclusions: Sequence[Event | Entry]) -> bytes:
    """The turn of an event that is encoded already, and what was concluded from it."""
    return b"[%b,%b" % (event, _ENCODER.encode(conclusions)[1:]) if conclusions else b"[%b]" % event


def decode_turn(body: bytes) -> tuple[AnyEvent | AnyEntry, ...]:
    """The turn's entries.

    Raises:
        ValueError: these bytes are no turn.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
