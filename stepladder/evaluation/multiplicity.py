"""Several tests at once: p values made larger for how many were made.

Holm (1979) keeps the chance of any false finding; Benjamini and Hochberg (1995) the expected share of false ones among
the findings.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """The p values, adjusted; in the order given."""
    order, adjusted, highest = sorted(range(len(ps)), key=ps.__getitem__), [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, (len(ps) - rank) * ps[place])
        adjusted[place] = min(1.0, highest)
    return adjusted


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """The p values, adjusted; in the order given."""
    order, adjusted, lowest = sorted(range(len(ps)), key=ps.__getitem__, reverse=True), [0.0] * len(ps), 1.0
    for rank, place in enumerate(order):
        lowest = min(lowest, ps[place] * len(ps) / (len(ps) - rank))
        adjusted[place] = lowest
    return adjusted
