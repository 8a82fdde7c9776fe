"""The rows of `llm.py`, and the process that times them: `python llm_rows.py URL` in whichever environment has the SDK.

Of the standard library only at the top, for a row runs where its own packages are. Reads lines `ROW CALLS` and answers
each with a line of JSON: microseconds a call by the clock and of this process's processor, or what went wrong. The
first line that it writes has the versions.
"""

import asyncio
import importlib.util
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

KEY = "sk-benchmark-0123456789"
ANSWER = {"action": "approve", "confidence": 0.9, "reason": "the sums agree"}
SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "action": {"type": "string", "enum": ["approve", "reject", "wait"]},
        "confidence": {"type": "number"},
    },
    "required": ["reason", "action", "confidence"],
    "additionalProperties": False,
}
PROMPT = "Which action? " + "The invoice and the order are compared line by line. " * 20
WARM = 30
"""Calls of a row before it is timed."""
BARE, ADAPTER, RUNG, ALONE = "bare", "adapter", "rung", "alone"

Call = Callable[[], Awaitable[object]]


def bare(url: str) -> Call:
    import openai

    client = openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0)

    async def call() -> object:
        messages: Any = [{"role": "system", "content": "You decide."}, {"role": "user", "content": PROMPT}]
        form: Any = {"type": "json_schema", "json_schema": {"name": "decide", "schema": SCHEMA, "strict": True}}
        made = await client.chat.completions.create(
            model="gpt-5-mini", messages=messages, response_format=form, max_completion_tokens=1024
        )
        return json.loads(made.choices[0].message.content or "")

    return call


def request() -> Any:
    from stepladder.llm.provider import ModelRequest

    return ModelRequest(model="gpt-5-mini", system="You decide.", prompt=PROMPT, schema=SCHEMA, deadline_s=5.0)


def adapter(url: str) -> Call:
    from stepladder.llm.openai import OpenAIProvider

    provider, asked = OpenAIProvider(api_key=KEY, base_url=url), request()
    return lambda: provider.ask(asked)


def rung(url: str, *, wire: bool = True) -> Call:
    """The rung over our adapter, or over a provider that answers without a wire: what is its own."""
    from stepladder.decision import Option
    from stepladder.drivers.contract import DecisionContract
    from stepladder.fallback import Chain, Link
    from stepladder.llm import ModelReply, ModelRequest, Providers
    from stepladder.llm.openai import OpenAIProvider
    from stepladder.llm.owner import Owner
    from stepladder.llm.purse import Payer
    from stepladder.record import Verdict

    class AtOnce:
        name, keeps_time, server = "openai", True, url

        async def ask(self, _: ModelRequest) -> ModelReply:
            counts = {"input_tokens": 412, "output_tokens": 31, "cost_usd": 0.001, "latency_s": 0.0}
            return ModelReply(text=json.dumps(ANSWER), model="gpt-5-mini", finish="stop", provider="openai", **counts)

        async def close(self) -> None:
            """Nothing to give back."""

    provider: Any = OpenAIProvider(api_key=KEY, base_url=url) if wire else AtOnce()
    owner = Owner(Providers({"openai": provider}))
    chain, asked = Chain((Link("openai:gpt-5-mini"),)), request()
    options = {action: Option(action, action) for action in ("approve", "reject", "wait")}
    contract = DecisionContract(chain, options, Verdict("wait"))

    async def call() -> object:
        outcome = await owner.ask(chain, asked, contract, Payer("run", 1, 1, "supervisor"), 5.0)
        assert outcome.failure is None, outcome
        return outcome

    return call


def litellm(url: str) -> Call:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise it fetches its prices
    import litellm as peer  # type: ignore[import-not-found]

    async def call() -> object:
        messages = [{"role": "system", "content": "You decide."}, {"role": "user", "content": PROMPT}]
        form = {"type": "json_schema", "json_schema": {"name": "decide", "schema": SCHEMA, "strict": True}}
        return await peer.acompletion(
            model="openai/gpt-5-mini",
            messages=messages,
            response_format=form,
            api_base=url,
            api_key=KEY,
            num_retries=0,
            max_retries=0,
        )

    return call


def instructor(url: str) -> Call:
    import instructor as peer  # type: ignore[import-not-found]
    import openai
    from pydantic import BaseModel

    class Decision(BaseModel):
        reason: str
        action: str
        confidence: float

    client = peer.from_openai(openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0), mode=peer.Mode.JSON_SCHEMA)

    async def call() -> object:
        messages: Any = [{"role": "system", "content": "You decide."}, {"role": "user", "content": PROMPT}]
        return await client.chat.completions.create(
            model="gpt-5-mini", messages=messages, response_model=Decision, max_retries=0
        )

    return call


MAKERS: dict[str, Callable[[str], Call]] = {
    BARE: bare,
    ADAPTER: adapter,
    RUNG: rung,
    ALONE: lambda url: rung(url, wire=False),
    "litellm": litellm,
    "instructor": instructor,
}
"""A row's name, to what makes it."""


async def timed(call: Call, count: int) -> tuple[float, float]:
    started, worked = time.perf_counter(), time.process_time()
    for _ in range(count):
        await call()
    clock_s, work_s = time.perf_counter() - started, time.process_time() - worked
    return clock_s / count * 1e6, work_s / count * 1e6


async def answer(url: str) -> None:
    made: dict[str, Call] = {}
    say({name: version(name) for name in ("openai", "litellm", "instructor") if importlib.util.find_spec(name)})
    for line in sys.stdin:
        name, count = line.split()
        try:
            if name not in made:
                made[name] = MAKERS[name](url)
                await timed(made[name], WARM)
            say({"took": await timed(made[name], int(count))})
        except Exception as error:  # a peer that does not get along with what is installed here is listed as absent
            say({"absent": f"{type(error).__name__}: {str(error)[:200]}"})


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), file=OUT, flush=True)


if __name__ == "__main__":
    OUT = sys.stdout
    sys.stdout = sys.stderr  # what a peer prints is no answer
    asyncio.run(answer(sys.argv[1]))
