"""Entries as bytes: a turn (an event and what was concluded from it) is one JSON array.

What is left of a turn whose payload was pruned is an object: the digest of what it was, and its entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stepladder.events import AnyEvent, Event
from stepladder.record import AnyEntry, Entry


class _Left(msgspec.Struct):
    left_of: str
    entries: tuple[AnyEvent | AnyEntry, ...]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(tuple[AnyEvent | AnyEntry, ...])
_LEFT: Final = msgspec.json.Decoder(_Left)


def encode_turn(entries: Sequence[Event | Entry]) -> bytes:
    """The turn as bytes."""
    return _ENCODER.encode(entries)


def encode_left(digest_of_body: bytes, entries: Sequence[AnyEvent | AnyEntry]) -> bytes:
    """What is left of the turn whose body had this digest."""
    return _ENCODER.encode(_Left(digest_of_body.hex(), tuple(entries)))


def decode_turn(body: bytes) -> tuple[AnyEvent | AnyEntry, ...]:
    """The turn's entries.

    Raises:
        ValueError: these bytes are no turn.
    """
    try:
        return _LEFT.decode(body).entries if body.startswith(b"{") else _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
