"""Which tools were called, and how often: `called.NAME`."""

from __future__ import annotations

from typing import Final

from stepladder.signals.signal import Signal
from stepladder.signals.tally import count_tools

called: Final = Signal(
    "called",
    {},
    count_tools,
    on=("decision",),
    total=True,
    description="called.NAME: how often this tool was called, or this action taken.",
)
