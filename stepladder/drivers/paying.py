"""Who pays for a question to a model: the purse, before anything is sent and again when it is known what it came to."""

from __future__ import annotations

from msgspec.structs import replace

from stepladder.commands import AskModel
from stepladder.decision import Budget
from stepladder.events import NOTHING_USED, Usage
from stepladder.llm import ModelReply, ModelRequest, Provider
from stepladder.llm.errors import ModelError
from stepladder.llm.purse import Payer, Purse, Refusal, Reservation, Spent, Target
from stepladder.record import Opened
from stepladder.state import RunState


class NotPaid(Exception):
    """The purse refused: `code` and `reason` are what the record says."""

    def __init__(self, refusal: Refusal) -> None:
        self.code, self.reason = refusal.code, refusal.reason
        super().__init__(refusal.reason)


class Paying:
    """One attempt and who pays for it. `usage` is what it came to, at the price that was booked."""

    def __init__(self, purse: Purse, payer: Payer, max_output_tokens: int = 0) -> None:
        self._purse, self._payer, self._most = purse, payer, max_output_tokens
        self.usage = NOTHING_USED

    def bounded(self, request: ModelRequest) -> ModelRequest:
        """The request, allowed to write what the rung allows."""
        return replace(request, max_output_tokens=self._most) if self._most else request

    async def ask(self, provider: Provider, model: str, request: ModelRequest) -> tuple[ModelReply, Usage]:
        """Ask, paid. Raises NotPaid, and what the provider raises."""
        reserved = await self._purse.reserve(_target(model), request, self._payer)
        if isinstance(reserved, Refusal):
            raise NotPaid(reserved)
        spent = Spent("unknown")
        try:
            reply = await provider.ask(request)
            spent = _answered(reply)
        except ModelError as error:
            spent = _failed(error)
            raise
        finally:
            self.usage = self._settled(reserved, spent)
        return reply, self.usage

    def _settled(self, reserved: Reservation, spent: Spent) -> Usage:
        booked = self._purse.settle(reserved, spent)
        estimated = spent.known in ("estimate", "unknown") and bool(booked)
        return replace(spent.usage, cost_usd=booked, estimated=estimated)


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


def _target(model: str) -> Target:
    provider, _, name = model.partition(":")
    return Target(provider, name)


def _answered(reply: ModelReply) -> Spent:
    usage = Usage(reply.input_tokens, reply.output_tokens, reply.cost_usd)
    return Spent("usage" if reply.usage_known else "unknown", usage)


def _failed(error: ModelError) -> Spent:
    usage = Usage(error.input_tokens or 0, error.output_tokens or 0, error.cost_usd)
    if error.input_tokens is not None and error.output_tokens is not None:
        return Spent("usage", usage)
    if error.cost_usd:
        return Spent("usage", usage)
    return Spent("unknown" if error.may_be_billed else "none", usage)
