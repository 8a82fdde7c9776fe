"""Decisions whose breakers, latches and ledger can be looked into."""

from __future__ import annotations

from typing import Any, Final

from stepladder import rule
from stepladder.app.decision_point import DecisionPoint
from stepladder.decision import Budget
from stepladder.fallback import BreakerPolicy, Outcome
from stepladder.journal import Journal
from stepladder.llm import Providers
from stepladder.llm.breaker import Breaker, Permit
from stepladder.llm.health import Health
from stepladder.llm.provider import Provider

LEGAL: Final = ("approve", "reject", "wait")
MODEL: Final = "fault-model"
MODELS: Final = (f"faulty:{MODEL}", f"second:{MODEL}", f"third:{MODEL}", f"spender:{MODEL}")
PRICES: Final = dict.fromkeys(MODELS, (10.0, 40.0))
"""US dollars per million tokens read and written."""


class CountedBreaker(Breaker):
    """A breaker that remembers what it was told."""

    told: list[tuple[str, Outcome]]

    def record(self, permit: Permit, outcome: Outcome, took_s: float = 0.0) -> None:
        self.told.append((self.name, outcome))
        super().record(permit, outcome, took_s)


class Watched(Health):
    """Health whose breakers can be looked into."""

    def __init__(self) -> None:
        super().__init__(breaker=BreakerPolicy(open_s=0.005))
        self.told: list[tuple[str, Outcome]] = []

    def breaker(self, name: str) -> Breaker:
        if name not in self._breakers:
            made = CountedBreaker(name, self._policy, clock=self.clock, chance=self.chance)
            made.told = self.told
            self._breakers[name] = made
        return self._breakers[name]

    def failed_scopes(self, provider: str = "faulty") -> set[str]:
        """The scopes in which failures of this provider were counted: endpoint, model."""
        own = [(name, outcome) for name, outcome in self.told if name.startswith(f"{provider}@")]
        return {"model" if name.endswith(f"/{MODEL}") else "endpoint" for name, outcome in own if outcome == "failure"}

    def latched(self) -> list[str]:
        """What is switched off: provider, api_key or model, and whether it comes back by itself."""
        names = {2: "provider", 3: "model"}
        return [
            ("api_key" if key[-1] == "key" else names[len(key)]) + (" until" if until is not None else "")
            for key, (_, until) in self.latches.items()
        ]


def point(
    own: dict[str, Provider], health: Health, journal: Journal, budget: Budget, deadline_s: float, **more: Any
) -> DecisionPoint:
    """A decision that is put to these, in this order."""
    return DecisionPoint(
        "next_action",
        rules=[rule("wait", because="nobody said better")],
        signals={"doubt": bool},
        classifier={"complex": {"doubt": ["doubt == true"]}},
        chain=[f"{name}:{MODEL}" for name in own],
        deadline_s=deadline_s,
        providers=Providers(own, health=health),
        journal=journal,
        budget=budget,
        **more,
    )
