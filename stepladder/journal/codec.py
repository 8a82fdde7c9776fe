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


def decode_turn(body: bytes) -> tuple[AnyEvent | AnyEntry, ...]:
    """The turn's entries.

    Raises:
        ValueError: these bytes are no turn.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
