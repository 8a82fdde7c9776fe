"""What goes with a question to a model: the artifacts that its facts refer to, as far as the rung takes them.

Beside each reference the prompt says what became of its bytes: `attached` under which name, or `left_out` and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from stepladder.decision import Attachments
from stepladder.drivers.artifacts import digest_of, noted, references
from stepladder.llm import Attachment
from stepladder.state import RunState

Load = Callable[[str], bytes | None]


class Attached(msgspec.Struct, frozen=True):
    """What is attached to a question, by digest and in order, and what is left out, by digest, with why."""

    sent: Mapping[str, Attachment] = {}
    left_out: Mapping[str, str] = {}

    @property
    def notes(self) -> dict[str, dict[str, str]]:
        """What the prompt says beside each reference, by digest."""
        sent = {digest: {"attached": each.name} for digest, each in self.sent.items()}
        return sent | {digest: {"left_out": why} for digest, why in self.left_out.items()}


def attach(takes: Attachments, facts: Iterable[object], load: Load) -> Attached:
    """What a rung that takes these attachments is sent for these facts: each artifact once, in the order of the facts.

    One that does not fit into what is left of the rung's bytes is left out; smaller ones behind it may still fit.
    """
    sent: dict[str, Attachment] = {}
    left_out: dict[str, str] = {}
    room = takes.bytes
    found = {digest_of(each): each for value in facts for each in references(value)} if takes.types else {}
    for digest, reference in found.items():
        attachment = _attachment(takes, reference, f"attachment-{len(sent) + 1}", room, load)
        if isinstance(attachment, str):
            left_out[digest] = attachment
        else:
            sent[digest] = attachment
            room -= len(attachment.data)
    return Attached(sent, left_out)


def attach_to_run(takes: Attachments, state: RunState, load: Load) -> tuple[Attached, RunState]:
    """What goes with a question about this state, and the state as the prompt shall show it."""
    last = state.last if state.returned is not None else {}
    attached = attach(takes, (last, state.input, *reversed(state.results.values())), load)
    if not (notes := attached.notes):
        return attached, state
    last = noted(state.last, notes)
    results = {name: last if each is state.last else noted(each, notes) for name, each in state.results.items()}
    return attached, msgspec.structs.replace(state, input=noted(state.input, notes), last=last, results=results)


def _attachment(takes: Attachments, reference: Mapping[str, Any], name: str, room: int, load: Load) -> Attachment | str:
    """The artifact as an attachment, or why it is left out. What cannot fit by the size it states is not loaded."""
    media_type = str(reference.get("media_type", "")).partition(";")[0].strip().lower()
    if not takes.take(media_type):
        return f"{media_type[:100] or 'no media type'} is not taken"
    stated = reference.get("bytes")
    if isinstance(stated, int) and stated > room:
        return _too_large(stated, room)
    body = load(digest_of(reference))
    if body is None:
        return "its bytes are not there any more"
    return Attachment(media_type, body, name) if len(body) <= room else _too_large(len(body), room)


def _too_large(size: int, room: int) -> str:
    return f"too large: {size} bytes where {room} are left"
