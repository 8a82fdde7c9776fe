"""Which tools were called, and how often: `called.NAME`."""

from __future__ import annotations

from typing import Final

from stepladder.signals.conduct import MESSAGE
from stepladder.signals.signal import Observation, Signal


def _count(memory: dict[str, int], seen: Observation) -> dict[str, int]:
    return memory if seen.name == MESSAGE else {**memory, seen.name: memory.get(seen.name, 0) + 1}


called: Final = Signal(
    "called",
    {},
    _count,
    on=("decision",),
    total=True,
    description="called.NAME: how often this tool was called, or this action taken.",
)
