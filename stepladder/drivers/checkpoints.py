"""The state of a long run, kept in its journal so that taking the run up does not read all of its past.

A checkpoint spares time and decides nothing: it is used only by the definition and policy that it was folded under, and
one that does not read back as it was is not kept. Replay and verification read every entry.
"""

from __future__ import annotations

from typing import Final

import msgspec

from stepladder.journal import Checkpoint
from stepladder.orchestrator import Machine
from stepladder.state import RunState


class _Kept(msgspec.Struct):
    workflow: str
    policy: str
    state: RunState


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Kept)


def kept_state(machine: Machine, state: RunState) -> bytes | None:
    """The state as bytes; None where it holds what JSON does not (a signal's memory of sets or tuples)."""
    try:
        body = _ENCODER.encode(_Kept(machine.definition.hash, machine.policy.hash, state))
        return body if _DECODER.decode(body).state == state else None
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


def kept_under(checkpoint: Checkpoint) -> tuple[str, str] | None:
    """The hashes of workflow and policy that it was folded under; None where it cannot be read."""
    try:
        kept = _DECODER.decode(checkpoint.state)
    except (msgspec.MsgspecError, ValueError):
        return None
    return kept.workflow, kept.policy


def state_at(machine: Machine, checkpoint: Checkpoint | None) -> RunState | None:
    """The state that was kept, if it was folded under this very machine."""
    if checkpoint is None:
        return None
    try:
        kept = _DECODER.decode(checkpoint.state)
    except (msgspec.MsgspecError, ValueError):
        return None
    same = (kept.workflow, kept.policy) == (machine.definition.hash, machine.policy.hash)
    return kept.state if same else None
