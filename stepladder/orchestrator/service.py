"""How well models have served: a view of decision records.

For every model: how many requests were sent, how many were answered, how long the answers took, what went wrong, what
it cost, and how often it stood in for another. For all decisions: how many asked, fell back, and what one cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil

import msgspec

from stepladder.events import Attempt
from stepladder.orchestrator.records import DecisionRecord, ModelCall


class Served(msgspec.Struct, frozen=True):
    """What came of everything that was sent to one model (`provider:model`).

    `sent` counts requests, `answered` those that brought an answer that counts, `failures` the others by the class of
    their failure: answers that do not count are among them (invalid, low_quality). `retried` are requests after the
    first for one question, `stood_in` answers in the place of a model before it in the chain, `passed_over` how often
    it was its turn and nothing was sent. `p50_s`, `p95_s` and `p99_s` are percentiles of the seconds that answers took
    (nearest rank; 0 where there is none). `usd` includes what may have been billed. `look_at` is what somebody has to
    look at: a wrong key, no money, a model that is not there.
    """

    model: str
    sent: int = 0
    answered: int = 0
    failures: dict[str, int] = {}
    retried: int = 0
    stood_in: int = 0
    passed_over: int = 0
    p50_s: float = 0.0
    p95_s: float = 0.0
    p99_s: float = 0.0
    usd: float = 0.0
    look_at: tuple[str, ...] = ()

    @property
    def failed(self) -> float:
        """Requests without an answer that counts, as a share of all that were sent; 0 where none was."""
        return 1 - self.answered / self.sent if self.sent else 0.0

    @property
    def late(self) -> float:
        """Requests that took too long, as a share of all that were sent; 0 where none was."""
        return self.failures.get("late", 0) / self.sent if self.sent else 0.0


class Service(msgspec.Struct, frozen=True):
    """How decisions were served.

    `asked` of them asked a model or wanted to, in `fallbacks` the rule stood because that came to nothing, for these
    `causes` by how many: what the models failed at, invalid or unsure answers, and over_cap, throttled, unpriced or
    no_ledger where nothing was sent. `usd` is what all of them cost. `models` are by name.
    """

    decisions: int = 0
    asked: int = 0
    fallbacks: int = 0
    usd: float = 0.0
    causes: dict[str, int] = {}
    models: tuple[Served, ...] = ()

    @property
    def fallback_share(self) -> float:
        """Fallbacks among the decisions that asked; 0 where none did."""
        return self.fallbacks / self.asked if self.asked else 0.0

    @property
    def usd_a_decision(self) -> float:
        """US dollars for one decision on average, those that asked nobody included."""
        return self.usd / self.decisions if self.decisions else 0.0


def service(records: Iterable[DecisionRecord]) -> Service:
    """How well the models of these decisions served."""
    listed = list(records)
    calls = [call for record in listed for call in record.calls if not call.cached]
    by_model: dict[str, list[tuple[Attempt, ModelCall]]] = {}
    for call in calls:
        for attempt in call.attempts:
            by_model.setdefault(attempt.target, []).append((attempt, call))
    models = tuple(_served(model, by_model[model]) for model in sorted(by_model))
    return Service(
        len(listed),
        sum(any(not call.cached for call in record.calls) for record in listed),
        sum(bool(record.settled and record.settled.fallback) for record in listed),
        sum(each.usd for each in models),
        dict(Counter(cause for record in listed for cause in _causes(record)).most_common()),
        models,
    )


def _causes(record: DecisionRecord) -> list[str]:
    """Why the rule stood where somebody was asked, each cause once."""
    if not (record.settled and record.settled.fallback):
        return []
    failures = [call.failure for call in record.calls if call.failure]
    said = [each.outcome for each in record.answered if each.outcome in ("invalid", "unsure")]
    return list(dict.fromkeys([*failures, *said]))


def _served(model: str, attempts: Sequence[tuple[Attempt, ModelCall]]) -> Served:
    sent = [attempt for attempt, _ in attempts if attempt.sent]
    took = sorted(attempt.elapsed_s for attempt in sent if attempt.outcome == "answered")
    return Served(
        model,
        len(sent),
        len(took),
        dict(Counter(attempt.outcome for attempt in sent if attempt.outcome != "answered").most_common()),
        len(sent) - len({id(call) for attempt, call in attempts if attempt.sent}),
        sum(_stood_in(attempt, call) for attempt, call in attempts),
        len(attempts) - len(sent),
        _percentile(took, 0.50),
        _percentile(took, 0.95),
        _percentile(took, 0.99),
        sum(_usd(attempt) for attempt in sent),
        tuple(dict.fromkeys(attempt.cause or attempt.outcome for attempt in sent if attempt.alert)),
    )


def _stood_in(attempt: Attempt, call: ModelCall) -> bool:
    """Whether this attempt gave the answer of a call that another model was to answer."""
    return not call.failure and attempt is call.attempts[-1] and call.attempts[0].target != attempt.target


def _usd(attempt: Attempt) -> float:
    return (attempt.reserved_usd if attempt.cost == "reserve" else attempt.usage.cost_usd) or 0.0


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[ceil(share * len(ordered)) - 1] if ordered else 0.0
