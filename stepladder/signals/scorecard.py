"""A learned risk as a scorecard: bands of a signal's value, and the points each band adds.

The sum is the log-odds that the run fails, given what was seen so far (an additive logistic model: Hastie and
Tibshirani 1990; as a table of bands: Siddiqi 2006). It is one more signal, never the judge: clauses read `risk.value`,
and `risk.because` names the bands that added most. A signal without a value adds nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from stepladder.clauses import MISSING, Facts, reader
from stepladder.signals.signal import Fold, Observation, Signal

LARGEST: Final = 3
"""How many bands an explanation names."""
DIGITS: Final = 6


class Term(msgspec.Struct, frozen=True):
    """Points for one signal: `points[0]` below `cuts[0]`, `points[k]` from `cuts[k - 1]` on."""

    signal: str
    cuts: tuple[float, ...]
    points: tuple[float, ...]

    def at(self, value: Any) -> float:
        """The points of this value; 0 for what is no number."""
        if type(value) is not int and type(value) is not float:
            return 0.0
        return self.points[bisect_right(self.cuts, value)]


class Part(msgspec.Struct, frozen=True):
    """Points that are added together: for every run, or for the runs of one domain."""

    base: float = 0.0
    terms: tuple[Term, ...] = ()


class Scorecard(msgspec.Struct, frozen=True):
    """The points of every run, and what is added to them in a domain."""

    every: Part
    domains: Mapping[str, Part] = {}

    def parts(self, domain: str = "") -> tuple[Part, ...]:
        """The parts that count in a domain."""
        own = self.domains.get(domain)
        return (self.every,) if own is None else (self.every, own)

    def names(self) -> tuple[str, ...]:
        """The signals it reads, each once."""
        parts = [self.every, *self.domains.values()]
        return tuple(dict.fromkeys(term.signal for part in parts for term in part.terms))

    def score(self, facts: Facts, domain: str = "") -> float:
        """The log-odds of failing, on these facts."""
        parts = self.parts(domain)
        return sum(part.base for part in parts) + sum(points for _, _, points in self._terms(facts, domain))

    def explain(self, facts: Facts, domain: str = "", longest: int = LARGEST) -> list[tuple[str, Any, float]]:
        """Signal, value and points of the signals that add or take most, the largest first."""
        added: dict[str, tuple[Any, float]] = {}
        for name, value, points in self._terms(facts, domain):
            added[name] = value, added.get(name, (value, 0.0))[1] + points
        largest = sorted(added.items(), key=lambda each: (-abs(each[1][1]), each[0]))
        return [(name, value, round(points, DIGITS)) for name, (value, points) in largest[:longest] if points]

    def _terms(self, facts: Facts, domain: str) -> Iterable[tuple[str, Any, float]]:
        for part in self.parts(domain):
            for term in part.terms:
                value = reader(term.signal)(facts)
                if value is not MISSING:
                    yield term.signal, value, term.at(value)


def probability(log_odds: float) -> float:
    """Log-odds as a probability."""
    return round(1 / (1 + math.exp(-max(-60.0, min(60.0, log_odds)))), DIGITS)


def risk_signal(card: Scorecard, signals: Mapping[str, Signal], domain: str = "") -> Signal:
    """The scorecard as a signal `risk` with `value` (a probability) and `because`, over the signals that it reads.

    `signals` knows them by name. The same function serves live runs and recordings.

    Raises:
        KeyError: the card reads a signal that is not among them.
    """
    read = [signals[root] for root in dict.fromkeys(name.partition(".")[0] for name in card.names())]
    fold = Fold(read)

    def update(memory: dict[str, Any], seen: Observation) -> dict[str, Any]:
        new, broken = fold.update(memory, {}, seen)
        if broken:
            raise ValueError(next(iter(broken.values())))
        return new

    def value(memory: dict[str, Any]) -> dict[str, Any]:
        facts, _ = fold.values(memory, {})
        because = ", ".join(
            f"{name} {told(value)} ({points:+.2f})" for name, value, points in card.explain(facts, domain)
        )
        return {"value": probability(card.score(facts, domain)), "because": because}

    return Signal(
        "risk",
        fold.start(),
        update,
        value,
        on=("result", "answer", "decision"),
        description="The learned risk that the run fails: value, and the signals that add most.",
    )


def told(value: Any) -> str:
    """A number as people read it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
