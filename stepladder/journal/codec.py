"""Entries as bytes: a turn (an event and what was concluded from it) is one JSON array.

Where the rule decided, its verdict stands in `opened` already; `settled` behind it does not write it again.
What is left of a turn whose payload was pruned is an object: the digest of what it was, and its entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from stepladder.events import AnyEvent, Event
from stepladder.record import AnyEntry, Entry, Opened, Settled


class _Left(msgspec.Struct):
    left_of: str
    entries: tuple[AnyEvent | AnyEntry, ...]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(tuple[AnyEvent | AnyEntry, ...])
_LEFT: Final = msgspec.json.Decoder(_Left)


def encode_turn(entries: Sequence[Event | Entry]) -> bytes:
    """The turn as bytes."""
    return _ENCODER.encode(_short(entries))


def encode_entry(entry: Event | Entry) -> bytes:
    """One entry as bytes."""
    return _ENCODER.encode(entry)


def joined(event: bytes, conclusions: Sequence[Event | Entry]) -> bytes:
    """The turn of an event that is encoded already, and what was concluded from it."""
    return b"[%b,%b" % (event, _ENCODER.encode(_short(conclusions))[1:]) if conclusions else b"[%b]" % event


def encode_left(digest_of_body: bytes, entries: Sequence[AnyEvent | AnyEntry]) -> bytes:
    """What is left of the turn whose body had this digest."""
    return _ENCODER.encode(_Left(digest_of_body.hex(), tuple(entries)))


def decode_turn(body: bytes) -> tuple[AnyEvent | AnyEntry, ...]:
    """The turn's entries.

    Raises:
        ValueError: these bytes are no turn.
    """
    try:
        if body.startswith(b"{"):
            return _whole(_LEFT.decode(body).entries)
        return _whole(_DECODER.decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def name_of(number: int, first: bytes) -> str:
    """The best that is known of a run's id where only its number is on record: what its first turn says, if it can."""
    try:
        entry = decode_turn(first)[0]
    except (ValueError, IndexError):
        return f"number {number}"
    return str(getattr(entry, "run_id", "") or getattr(entry, "decision_id", "") or f"number {number}")


def _short(entries: Sequence[Event | Entry]) -> Sequence[Event | Entry]:
    if len(entries) < 2:
        return entries
    *before, opened, settled = entries
    if type(opened) is not Opened or type(settled) is not Settled or settled.n != opened.n:
        return entries
    said, verdict = settled, opened.verdict
    if said.action != verdict.action or said.reason != verdict.reason or said.parameters != verdict.parameters:
        return entries
    return *before, opened, replace(settled, action="", reason="", parameters={})


def _whole(entries: tuple[AnyEvent | AnyEntry, ...]) -> tuple[AnyEvent | AnyEntry, ...]:
    settled = entries[-1] if entries else None
    if type(settled) is not Settled or settled.action:
        return entries
    opened = entries[-2] if len(entries) > 1 else None
    if type(opened) is not Opened or opened.n != settled.n or not settled.to:
        raise ValueError("a decision that says neither what was chosen nor by which rule")
    verdict = opened.verdict
    said = replace(settled, action=verdict.action, reason=verdict.reason, parameters=verdict.parameters)
    return *entries[:-1], said
