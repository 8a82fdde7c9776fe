"""A policy that changes while an Orchestrator runs: `policy.models` holds for what is asked afterwards, and what is
known of models stays known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stepladder import Orchestrator
from stepladder.errors import InputError, JournalError
from stepladder.fallback import BreakerPolicy, Chain, Link, Rate, Retries, Retry
from stepladder.llm import ModelReply, Providers, RateLimited, Rejected, Unavailable
from stepladder.llm.health import Health
from stepladder.llm.known import Known
from stepladder.llm.outcome import Answer, Outcome
from stepladder.llm.owner import Owner
from stepladder.llm.provider import ModelRequest
from stepladder.llm.purse import Payer
from tests.app.test_model_limits import flow

GOOD = '{"action": "ANSWER", "confidence": 0.9, "reason": "ok"}'
DOWN = Unavailable("openai", "gpt-5-mini", "HTTP 503")
EAGER = {"calls": 999, "least": 999, "straight": 999}
OFTEN = {"attempts": 3, "backoff_s": 0.0}


class Own:
    """Somebody's provider: counts, waits at its gate, and fails as it is told."""

    name = "openai"

    def __init__(self, says: str | Exception = GOOD) -> None:
        self.says, self.asked, self.flying = says, 0, 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.then: Callable[[int], None] | None = None

    async def ask(self, request: ModelRequest) -> ModelReply:
        self.asked, self.flying = self.asked + 1, self.flying + 1
        if self.then is not None:
            self.then(self.asked)
        try:
            await self.gate.wait()
        finally:
            self.flying -= 1
        if isinstance(self.says, Exception):
            raise self.says
        counts = {"input_tokens": 10, "output_tokens": 5, "cost_usd": 0.0, "latency_s": 0.0}
        return ModelReply(text=self.says, model=request.model, finish="stop", provider=self.name, **counts)

    async def close(self) -> None:
        """Nothing to give back."""


def desk(own: Own, models: dict[str, Any] | None, **more: Any) -> Orchestrator:
    agents = {"reader": lambda ticket: {"kind": "complaint"}}
    rung = more.pop("rung", {})
    providers = more.pop("providers", None) or Providers({"openai": own})
    return Orchestrator(flow(models, **rung), agents=agents, providers=providers, **more)


async def runs(of: Orchestrator, count: int) -> None:
    for number in range(count):
        assert (await of.run({"ticket": str(number)})).end == "answered"


def test_a_stricter_breaker_opens_for_what_is_asked_afterwards() -> None:
    async def main() -> None:
        own = Own(DOWN)
        async with desk(own, {"breaker": {"straight": 9, "open_s": 60}}) as of:
            await runs(of, 3)
            of.change_policy(flow({"breaker": {"straight": 2, "open_s": 60}}), because="it is down")
            await runs(of, 6)
            assert own.asked == 3 + 2

    asyncio.run(main())


@pytest.mark.parametrize(
    "more",
    [
        {"rates": {"*": {"at_once": 7}}},
        {"retries": {"share": 0.5}},
        {"breaker": {"straight": 4, "open_s": 50}},
        {"breaker": {"straight": 9}},
    ],
    ids=str,
)
def test_a_breaker_that_is_open_stays_open(more: dict[str, Any]) -> None:
    async def main() -> None:
        own, first = Own(DOWN), {"breaker": {"straight": 4, "open_s": 60}}
        async with desk(own, first) as of:
            await runs(of, 6)
            assert own.asked == 4
            of.change_policy(flow({**first, **more}))
            await runs(of, 6)
            assert own.asked == 4, "it has not forgotten"
            assert "open" in of._resources.owner.health.states().values()

    asyncio.run(main())


def test_a_breaker_whose_policy_is_the_same_counts_on() -> None:
    async def main() -> None:
        own, first = Own(DOWN), {"breaker": {"straight": 4, "open_s": 60}}
        async with desk(own, first) as of:
            await runs(of, 2)
            of.change_policy(flow({**first, "rates": {"*": {"at_once": 7}}}))
            await runs(of, 6)
            assert own.asked == 4

    asyncio.run(main())


def test_retries_change_for_the_next_question_and_not_for_the_one_that_is_asked() -> None:
    async def main() -> None:
        own = Own(DOWN)
        models = {"breaker": EAGER, "retries": {"share": 0.0, "least": 5}}
        async with desk(own, models, rung={"retry": OFTEN}) as of:
            none = flow({"breaker": EAGER, "retries": {"share": 0.0, "least": 0}}, retry=OFTEN)
            own.then = lambda asked: of.change_policy(none) if asked == 1 else None
            await runs(of, 1)
            assert own.asked == 3 + 1, "three of the question that was asked, and one of the decision that is made anew"
            await runs(of, 2)
            assert own.asked == 3 + 1 + 2

    asyncio.run(main())


def test_a_narrower_limit_holds_at_once() -> None:
    async def main() -> None:
        own = Own()
        async with desk(own, {"rates": {"*": {"at_once": 3}}}) as of:
            own.gate.clear()
            first = [asyncio.create_task(of.run({"ticket": str(n)})) for n in range(3)]
            while own.flying < 3:
                await asyncio.sleep(0.01)
            of.change_policy(flow({"rates": {"*": {"at_once": 1}}}))  # what is asked is cut off, and asked anew
            later = asyncio.create_task(of.run({"ticket": "later"}))
            await asyncio.sleep(0.1)
            own.then = lambda _: seen.append(own.flying)
            seen = [own.flying]
            own.gate.set()
            assert {run.end for run in await asyncio.gather(later, *first)} == {"answered"}
            assert max(seen) == 1

    asyncio.run(main())


class AnyAnswer:
    """Everything counts."""

    def read(self, reply: ModelReply, link: int) -> Answer:
        return Answer(reply.text)

    def again(self, request: ModelRequest, wrong: str) -> ModelRequest:
        return request


def test_a_question_that_is_asked_goes_on_under_what_it_began_with_and_is_counted() -> None:
    async def main() -> None:
        own, known = Own(DOWN), Known()
        wide = Health(rates={"*": Rate(at_once=3)}, retries=Retries(least=9), known=known)
        narrow = Health(rates={"*": Rate(at_once=1)}, retries=Retries(0.0, 0), known=known)
        owner = Owner(Providers({"openai": own}), health=wide)
        chain = Chain((Link("openai:m"),), Retry(attempts=3, backoff_s=0.0))
        asked = ModelRequest(model="", system="", prompt="?", schema={}, deadline_s=0.0)

        def ask() -> asyncio.Task[Outcome]:
            return asyncio.create_task(owner.ask(chain, asked, AnyAnswer(), Payer(), 20.0))

        own.gate.clear()
        first = ask()
        while own.flying < 1:
            await asyncio.sleep(0.01)
        owner.under(narrow)
        second = ask()
        await asyncio.sleep(0.05)
        assert own.asked == 1, "the one on its way takes the only place"
        own.gate.set()
        assert [len(each.attempts) for each in await asyncio.gather(first, second)] == [3, 1]
        assert own.asked == 4

    asyncio.run(main())


def test_what_a_server_said_holds_under_any_policy() -> None:
    async def main(says: Exception) -> None:
        own = Own(says)
        async with desk(own, None) as of:
            await runs(of, 1)
            for models in ({"rates": {"*": {"at_once": 2}}}, {"breaker": {"straight": 2}}, {"retries": {"least": 9}}):
                of.change_policy(flow(models))
                await runs(of, 2)
            assert own.asked == 1

    asyncio.run(main(RateLimited("openai", "gpt-5-mini", "HTTP 429", retry_after_s=50.0)))
    asyncio.run(main(Rejected("openai", "gpt-5-mini", "HTTP 401", status=401, reason="auth")))


def test_going_back_is_to_where_one_was() -> None:
    async def main() -> None:
        first, second = flow({"breaker": {"straight": 2}}), flow({"breaker": {"straight": 3}})
        async with desk(Own(), {"breaker": {"straight": 2}}) as of:
            owner = of._resources.owner
            before = owner.health
            of.change_policy(first)
            assert owner.health is before
            of.change_policy(second)
            assert owner.health is not before
            of.change_policy(first)
            assert owner.health is before

    asyncio.run(main())


def test_two_who_ask_under_different_policies_know_the_same_of_models() -> None:
    async def main() -> None:
        own = Own(Rejected("openai", "gpt-5-mini", "HTTP 401", status=401, reason="auth"))
        providers = Providers({"openai": own})
        async with (
            desk(own, None, providers=providers) as one,
            desk(own, {"retries": {"least": 9}}, providers=providers) as other,
        ):
            await runs(one, 1)
            await runs(other, 1)
            assert own.asked == 1
            providers.health.reset()
            await runs(other, 1)
            assert own.asked == 2

    asyncio.run(main())


def test_with_an_error_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise JournalError("runs.db", "the disk is full", "room")

    async def main() -> None:
        async with desk(Own(), {"breaker": {"straight": 2}}) as of:
            before = of.workflow, of.machine, of._resources.owner.health
            with pytest.raises(InputError):
                of.change_policy(flow({"retries": {"least": 9}}, model="nobody:m"))
            with monkeypatch.context() as patched:
                patched.setattr(of.journal, "keep_definition", full)
                with pytest.raises(JournalError):
                    of.change_policy(flow({"retries": {"least": 9}}))
            assert (of.workflow, of.machine, of._resources.owner.health) == before
            assert (await of.run({"ticket": "x"})).decisions[-1].policy_hash == before[1].policy.hash

    asyncio.run(main())


def test_what_code_says_comes_before_every_policy() -> None:
    async def main() -> None:
        own = Own(DOWN)
        providers = Providers({"openai": own}, health=Health(breaker=BreakerPolicy(straight=3, open_s=60)))
        async with desk(own, None, providers=providers) as of:
            of.change_policy(flow({"breaker": {"straight": 1}}))
            await runs(of, 6)
            assert own.asked == 3

    asyncio.run(main())
