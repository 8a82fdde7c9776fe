"""What the model rung costs above the bare SDK: `python benchmarks/llm.py [--calls N] [--rounds N] [--json FILE]`.

One question to a server on loopback that answers at once, microseconds a call, one after the other. All rows go through
the same server and, but for peers that bring their own, the same SDK:

    bare SDK       openai's AsyncOpenAI.chat.completions.create, max_retries=0
    adapter        ours: one request, capped bytes, a deadline, our own reader
    model rung     the adapter under its owner: limiter, breakers, purse, next step, judged answer, record of attempts
    ... without a wire   the same over a provider that answers at once: what is the rung's own
    litellm        acompletion, num_retries=0                                             (if it is installed)
    instructor     from_openai(...).create(response_model=...), max_retries=0             (if it is installed)

Rounds of all rows alternate. By the clock the least of a row counts: what the machine does beside it only adds; of
processor time the median.
"""

import argparse
import asyncio
import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

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
BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1760000000,
        "model": "gpt-5-mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": json.dumps(ANSWER), "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 412, "completion_tokens": 31, "total_tokens": 443},
    }
).encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)

ALONE = "model rung without a wire"
OURS = ("bare SDK", "adapter", "model rung", ALONE)

Call = Callable[[], Awaitable[object]]


def serve(port: Any) -> None:
    """A server that answers at once, in a process of its own."""

    class Answers(asyncio.Protocol):
        def __init__(self) -> None:
            self.left, self.seen = b"", 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def data_received(self, data: bytes) -> None:
            self.left += data
            head, end, body = self.left.partition(b"\r\n\r\n")
            if not end:
                return
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            if len(body) >= length:
                self.left = body[length:]
                self.transport.write(HEAD + BODY)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(run())


def rows(url: str) -> dict[str, Call]:
    """Every row that can be measured here, by its name."""
    found: dict[str, Call] = {
        "bare SDK": bare(url),
        "adapter": adapter(url),
        "model rung": rung(url),
        ALONE: rung(url, wire=False),
    }
    for name, make in (("litellm", litellm), ("instructor", instructor)):
        if importlib.util.find_spec(name) is not None:
            found[name] = make(url)
    return found


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


Took = dict[str, list[tuple[float, float]]]
"""By row: microseconds a call by the clock and of this process's processor, one pair a round."""


async def measured(calls: dict[str, Call], count: int, rounds: int) -> Took:
    """What every row took."""
    took: Took = {name: [] for name in calls}
    for name, call in list(calls.items()):
        try:
            for _ in range(30):
                await call()
        except Exception as error:  # a peer that does not get along with what is installed here is left out
            if name in OURS:
                raise
            print(f"{name} is left out: {type(error).__name__}: {str(error)[:100]}")
            del calls[name], took[name]
    for _ in range(rounds):
        for name, call in calls.items():
            started, worked = time.perf_counter(), time.process_time()
            for _ in range(count):
                await call()
            clock_s, work_s = time.perf_counter() - started, time.process_time() - worked
            took[name].append((clock_s / count * 1e6, work_s / count * 1e6))
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    port = multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.01)
    took = asyncio.run(measured(rows(f"http://127.0.0.1:{port.value}/v1"), options.calls, options.rounds))
    server.terminate()
    clock = {name: min(each[0] for each in rounds) for name, rounds in took.items()}
    work = {name: statistics.median(each[1] for each in rounds) for name, rounds in took.items()}
    table = Table("row", "us by the clock", "above", "us of processor", "above", title=f"openai {version('openai')}")
    for name in took:
        above = "" if name == ALONE else f"{clock[name] - clock['bare SDK']:+,.0f}"
        more = "" if name == ALONE else f"{work[name] - work['bare SDK']:+,.0f}"
        table.add_row(name, f"{clock[name]:,.0f}", above, f"{work[name]:,.0f}", more)
    Console().print(table)
    if options.json:
        told = {"python": platform.python_version(), "clock_us": clock, "processor_us": work, "rounds": took}
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
