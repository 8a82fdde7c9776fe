"""Signals: named numbers, flags and words, each a fold over what was observed."""

from stepladder.signals.builtin import BUILTIN, valid_score
from stepladder.signals.signal import Fold, Observation, Signal, signal

__all__ = ["BUILTIN", "Fold", "Observation", "Signal", "signal", "valid_score"]
