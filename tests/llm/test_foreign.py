"""What a firewall or a proxy says with 403, 407 or 451 is believed of nothing that lasts: on every wire."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from stepladder import rule
from stepladder.app.decision_point import DecisionPoint
from stepladder.app.lone import Decision
from stepladder.fallback import BreakerPolicy, Failure, Retry
from stepladder.llm import Providers
from stepladder.llm.health import Health
from stepladder.llm.purse import Target
from tests.llm.loopback import Act, Loopback, answer
from tests.llm.server_acts import TEXT, WIRES, error, ok
from tests.llm.test_variants import open_provider

PAGE = b"<!DOCTYPE html><html><head><title>Attention Required!</title></head><body>403</body></html>"
LEGAL = ("approve", "wait")


class Changing(Loopback):
    """A server that can be told to do something else."""

    def __init__(self, act: Act) -> None:
        self.now = act
        super().__init__(self._act)

    def _act(self, connection: socket.socket) -> None:
        self.now(connection)


def decided(wire: str, server: Loopback, health: Health, times: int, then: Any = None) -> list[Decision]:
    """So many decisions, one after the other; `then` is called after each with its number."""

    async def run() -> list[Decision]:
        providers = Providers({"faulty": open_provider(wire, server.url, "faulty")}, health=health)
        point = DecisionPoint(
            "next_action",
            rules=[rule("wait", because="nobody said better")],
            signals={"doubt": bool},
            classifier={"complex": {"doubt": ["doubt == true"]}},
            chain=["faulty:fault-model"],
            retry=Retry(attempts=2, backoff_s=0.01),
            providers=providers,
        )
        found = []
        for number in range(times):
            found.append(await point.decide({"doubt": True}, legal=LEGAL))
            if then is not None:
                then(number + 1)
        await point.close()
        await providers["faulty"].close()
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("status", [403, 407, 451])
@pytest.mark.parametrize("wire", WIRES)
def test_a_page_opens_the_breaker_and_the_key_works_again_when_it_is_gone(wire: str, status: int) -> None:
    clock = {"now": 0.0}
    health = Health(breaker=BreakerPolicy(open_s=30), clock=lambda: clock["now"], chance=lambda: 0.0)

    with Changing(answer(status, PAGE, content_type="text/html")) as server:

        def then(number: int) -> None:
            if number == 7:
                assert len(server.requests) == 5, "five in a row open the breaker of the server: nobody is asked"
                assert not health.latches
                clock["now"], server.now = 31.0, answer(200, ok(wire, TEXT))

        found = decided(wire, server, health, 9, then)
        assert len(server.requests) == 7
    assert [each.source for each in found] == ["rule"] * 7 + ["model"] * 2
    first = found[0].record.calls[0].attempts[0]
    assert (first.handled, first.cost, first.alert) == ("failover", "none", True)
    assert f"HTTP {status} without an error object" in first.cause
    assert "<" not in first.cause


@pytest.mark.parametrize("wire", WIRES)
def test_the_same_status_in_the_server_s_own_form_switches_the_key_off(wire: str) -> None:
    health = Health()
    with Loopback(error(403, "You may not.")(wire)) as server:
        found = decided(wire, server, health, 3)
        assert len(server.requests) == 1
    assert [why for why, until in health.latches.values() if until is None] == ["auth"]
    assert [each.source for each in found] == ["rule"] * 3


def test_what_lasts_is_not_made_shorter_by_what_was_on_its_way() -> None:
    from stepladder.fallback import handling

    health = Health(clock=lambda: 0.0)
    of = health.of(Target("faulty", "m", "http://x"))
    first, second = of.allow(), of.allow()
    assert first is not None
    assert second is not None
    for permits, failure in ((first, Failure("rejected", "not_found")), (second, Failure("rejected", "daily_quota"))):
        of.failed(permits, failure, handling(failure))
    assert list(health.latches.values()) == [("not_found", None)]
