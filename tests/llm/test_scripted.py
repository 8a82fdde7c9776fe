from __future__ import annotations

import asyncio
import copy
import json
import pickle

import pytest

from stepladder.llm import (
    Late,
    ModelError,
    ModelReply,
    ModelRequest,
    RateLimited,
    Refused,
    ScriptedProvider,
    ScriptRanDry,
    Unavailable,
)
from tests.llm.wires import request


def ask(provider: ScriptedProvider, **fields: object) -> ModelReply:
    return asyncio.run(provider.ask(request(**fields)))  # type: ignore[arg-type]


def test_a_script_is_answered_in_order_and_recorded() -> None:
    provider = ScriptedProvider([{"action": "größer"}, " raw\n", lambda asked: {"said": asked.prompt}])
    assert provider.left == 3
    assert ask(provider).text == '{"action": "größer"}'
    assert ask(provider).text == " raw\n"
    assert json.loads(ask(provider, prompt="second?").text) == {"said": "second?"}
    assert (provider.left, len(provider.requests)) == (0, 3)
    assert provider.requests[2].prompt == "second?"


def test_a_reply_says_that_it_was_scripted() -> None:
    reply = ask(ScriptedProvider(["x"]))
    assert (reply.provider, reply.model, reply.cost_usd, reply.finish) == ("scripted", "scripted", 0.0, "stop")


def test_errors_are_raised_whether_instance_class_or_from_a_function() -> None:
    async def later(asked: ModelRequest) -> ModelError:
        return Refused("scripted", asked.model, "no", reason="refusal")

    limited = RateLimited("scripted", "m", "slow down", retry_after_s=2.0)
    provider = ScriptedProvider([limited, Unavailable, later, lambda _: Late])
    for kind in (RateLimited, Unavailable, Refused, Late):
        with pytest.raises(kind):
            ask(provider)


def test_a_dry_script_is_no_model_error() -> None:
    provider = ScriptedProvider(["only one"])
    ask(provider)
    with pytest.raises(ScriptRanDry, match=r"1 answers .* 'What next\?'") as caught:
        ask(provider)
    assert not isinstance(caught.value, ModelError)
    assert caught.value.answers == 1


def test_a_mistake_in_the_script_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(ScriptedProvider([lambda _: str(1 // 0)]))


def test_an_answer_that_takes_longer_than_the_deadline_is_late() -> None:
    provider = ScriptedProvider(["x", "y"], delay_s=0.05)
    with pytest.raises(Late):
        ask(provider, deadline_s=0.01)
    assert ask(provider).latency_s == 0.05


def test_an_error_can_be_copied_pickled_and_written_down() -> None:
    limited = RateLimited("p", "m", "slow down", retry_after_s=2.0, input_tokens=3)
    for again in (copy.copy(limited), pickle.loads(pickle.dumps(limited))):
        assert again.as_dict() == limited.as_dict()
        assert str(again) == str(limited) == "p:m: rate limited: slow down (may be tried again)"
    assert json.loads(json.dumps(limited.as_dict()))["code"] == "rate_limited"
