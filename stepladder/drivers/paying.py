"""Who pays for a question to a model."""

from __future__ import annotations

from msgspec.structs import replace

from stepladder.commands import AskModel
from stepladder.decision import Budget
from stepladder.llm.purse import Payer
from stepladder.record import Opened
from stepladder.state import RunState


def payer_of(command: AskModel, opened: Opened, run_id: str, budget: Budget) -> Payer:
    """Who pays for this question."""
    return Payer(
        run_id,
        command.decision,
        command.number,
        command.rung,
        shadow=command.shadow,
        point=opened.point,
        route=opened.route,
        budget=budget,
    )


def budget_of(budget: Budget, state: RunState) -> Budget:
    """The budget of a run, less what its agents have cost: the ledger has only the models."""
    if budget.run_usd is None or not state.agents_usd:
        return budget
    return replace(budget, run_usd=max(0.0, budget.run_usd - state.agents_usd))
