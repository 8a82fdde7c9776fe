"""Verdicts that models gave, kept for when the same situation comes again.

The cache holds verdicts, never decisions: what it gives is judged like an answer that came just now (is it legal here,
does it agree with the rule, is it accepted), and the reconciler settles it as it would settle the model's.
"""

from stepladder.verdicts.desk import Found, Verdicts
from stepladder.verdicts.rate import HitRate, hit_rate
from stepladder.verdicts.similar import likeness
from stepladder.verdicts.situation import Situation, situation
from stepladder.verdicts.store import Kept, MemoryStore, Store

__all__ = [
    "Found",
    "HitRate",
    "Kept",
    "MemoryStore",
    "Situation",
    "Store",
    "Verdicts",
    "hit_rate",
    "likeness",
    "situation",
]
