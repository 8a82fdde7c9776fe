"""Signals: named numbers, flags and words, each a fold over what was observed."""

from stepladder.signals.builtin import BUILTIN, valid_score
from stepladder.signals.called import called
from stepladder.signals.conduct import CONDUCT
from stepladder.signals.scorecard import Part, Scorecard, Term, probability, risk_signal
from stepladder.signals.signal import MESSAGE, Fold, Observation, Signal, signal
from stepladder.signals.wording import WORDING

AGENTS = {**CONDUCT, **WORDING, called.name: called}
"""Signals of how agents behave, by name. A workflow that names one folds it; nothing else does."""

__all__ = [
    "AGENTS",
    "BUILTIN",
    "CONDUCT",
    "MESSAGE",
    "WORDING",
    "Fold",
    "Observation",
    "Part",
    "Scorecard",
    "Signal",
    "Term",
    "called",
    "probability",
    "risk_signal",
    "signal",
    "valid_score",
]
