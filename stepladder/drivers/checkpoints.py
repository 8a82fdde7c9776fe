"""The state of a long run, kept in its journal so that taking the run up does not read all of its past.

A checkpoint spares time and decides nothing: it is used only by the definition and policy that it was folded under, and
one that does not read back as it was is not kept. Replay and verification read every entry.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from stepladder.journal import Checkpoint
from stepladder.orchestrator import Machine
from stepladder.signals.memory import memory_of, plain_memory
from stepladder.state import RunState


class _Kept(msgspec.Struct):
    workflow: str
    policy: str
    state: RunState


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Kept)


def kept_state(machine: Machine, state: RunState) -> bytes | None:
    """The state as bytes; None where a signal of somebody's own remembers what `signals.memory` does not know."""
    memory = {name: plain_memory(each) for name, each in state.memory.items()}
    try:
        body = _ENCODER.encode(_Kept(machine.definition.hash, machine.policy.hash, replace(state, memory=memory)))
        return body if _state_in(_DECODER.decode(body)) == state else None
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


def _state_in(kept: _Kept) -> RunState:
    return replace(kept.state, memory={name: memory_of(each) for name, each in kept.state.memory.items()})


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
        same = (kept.workflow, kept.policy) == (machine.definition.hash, machine.policy.hash)
        return _state_in(kept) if same else None
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None
