"""How long a target usually takes, and how reliable it is: running figures of its answers."""

from __future__ import annotations

from collections.abc import Sequence

KEPT = 0.9
"""How much of a running share the newest outcome leaves standing: about the last ten count."""
CLEARLY = 0.2
"""A link is put behind another only if its share of answers is lower by more than this."""


class Pace:
    """Smoothed latency and its deviation, doubled at every time-out: the retransmission timer of RFC 6298."""

    def __init__(self) -> None:
        self.usual_s = 0.0
        self._deviation_s = 0.0
        self._doubled = 1.0
        self.answers = 0.5
        """Share of the newest calls that were answered, 0 to 1; a half where nothing is known."""
        self.seen = 0

    def answered(self, took_s: float) -> None:
        """An answer took so long."""
        if self.usual_s == 0.0:
            self.usual_s, self._deviation_s = took_s, took_s / 2
        else:
            self._deviation_s += 0.25 * (abs(self.usual_s - took_s) - self._deviation_s)
            self.usual_s += 0.125 * (took_s - self.usual_s)
        self._doubled = 1.0
        self._count(1.0)

    def failed(self, *, late: bool) -> None:
        """It did not answer; `late`: it was cut off."""
        if late:
            self._doubled = min(64.0, self._doubled * 2)
        self._count(0.0)

    def patience_s(self, left_s: float) -> float:
        """How long to wait for one attempt: what it usually takes and four deviations, at least half the time."""
        return min(left_s, self._doubled * max(left_s / 2, self.usual_s + 4 * self._deviation_s))

    def _count(self, answered: float) -> None:
        self.seen += 1
        self.answers = answered if self.seen == 1 else KEPT * self.answers + (1 - KEPT) * answered


def by_reliability(paces: Sequence[Pace]) -> list[int]:
    """The numbers of the links, more reliable ones first. Differences that are not clear leave the order as it is, and
    a target that was asked fewer than ten times keeps its place."""
    shares = [pace.answers if pace.seen >= 10 else 1.0 for pace in paces]
    order: list[int] = []
    for link, share in enumerate(shares):
        place = next((at for at, other in enumerate(order) if shares[other] + CLEARLY < share), len(order))
        order.insert(place, link)
    return order
