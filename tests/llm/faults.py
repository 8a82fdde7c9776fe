"""The catalogue of provider faults and the server that puts them on the wire, both copied into the tests."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import types
import urllib.request
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import Any, Final

import yaml

from stepladder.llm.form import Form
from stepladder.llm.google import GoogleProvider
from stepladder.llm.openai import OpenAIProvider

HERE: Final = Path(__file__).parent
CATALOGUE: Final = HERE / "llm_faults.yaml"
KEY: Final = "sk-planted-4f9a1c77e02b5d38aa61"
"""Planted in the environment, and in every request: it must turn up nowhere else."""
OTHER_KEY: Final = "planted/by+hand.77e02b5d38aa614f9a1c=="
"""Given to providers by their configuration: no form that anything would know for a key."""
WIRES: Final = ("openai_chat", "openai_responses", "gemini_generate_content")
HEALTHY: Final = "healthy"
"""A fault of our own that is none."""
DECISION: Final = '{"action":"{{ACTION}}","confidence":0.82,"reason":"ok"}'


def _chat(content: str = DECISION) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "refusal": None}
    usage = {"prompt_tokens": 412, "completion_tokens": 31, "total_tokens": 443}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "c", "object": "chat.completion", "model": "{{MODEL}}", "choices": choices, "usage": usage}


def _resp(content: str = DECISION) -> dict[str, Any]:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": content}]}
    usage = {"input_tokens": 412, "output_tokens": 31, "total_tokens": 443}
    return {"id": "r", "object": "response", "status": "completed", "error": None, "output": [item], "usage": usage}


def _gem(content: str = DECISION) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": content}], "role": "model"}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 412, "candidatesTokenCount": 31, "totalTokenCount": 443}
    return {"candidates": [candidate], "modelVersion": "{{MODEL}}", "usageMetadata": usage}


def served() -> Any:
    """The server on a port of its own. It makes large bodies with a module that is not part of the catalogue."""
    made: Any = types.ModuleType("gen_faults")
    made.chat, made.resp, made.gem, made.DEC = _chat, _resp, _gem, DECISION
    sys.modules["gen_faults"] = made
    from tests.llm.fault_server import Server

    server = Server(str(CATALOGUE))
    for each in server.faults.values():  # large enough, and made in no time
        for sent in each["wire"].values():
            if isinstance(sent, dict) and sent.get("transport", {}).get("kind") == "pad_body":
                sent["transport"]["bytes"] = 4_300_000
    body = {"openai_chat": _chat(), "openai_responses": _resp(), "gemini_generate_content": _gem()}
    server.faults[HEALTHY] = {
        "id": HEALTHY,
        "expected": {},
        "wire": {name: {"status": 200, "body_json": each} for name, each in body.items()},
    }
    return server


class FaultServer:
    """The server in a process of its own, so that it takes no time from those who are tested."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.llm.faults"]
        root = str(HERE.parents[1])
        self._child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": root},
        )
        told = self._line()
        self.port: int = told["port"]
        self._hosts: dict[str, str] = told["hosts"]
        catalogue = yaml.load(
            CATALOGUE.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
        self.faults: dict[str, dict[str, Any]] = {each["id"]: each for each in catalogue["faults"]}

    def _line(self) -> Any:
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline())

    def pairs(self, only: str = "") -> list[tuple[str, str]]:
        """Every fault with every wire that it exists on."""
        chosen = [(name, each) for name, each in self.faults.items() if only in name]
        return [(name, wire) for name, each in chosen for wire in WIRES if each["wire"].get(wire)]

    def url(self, fault: str, run: str, wire: str) -> str:
        """The base_url at which this fault is shown."""
        sent = self.faults[fault]["wire"][wire] if fault != HEALTHY else {}
        sent = self.faults[fault]["wire"]["openai_chat"] if sent == "same_as:openai_chat" else sent
        kind = sent.get("transport", {}).get("kind", "")
        base = f"{self._hosts.get(kind, f'http://127.0.0.1:{self.port}')}/f/{fault}/{run}"
        return base if wire == "gemini_generate_content" else f"{base}/v1"

    def is_slow(self, fault: str, wire: str) -> bool:
        """Whether this fault is to be late."""
        sent = self.faults[fault]["wire"][wire]
        sent = self.faults[fault]["wire"]["openai_chat"] if sent == "same_as:openai_chat" else sent
        slow = ("hang", "drip", "delay_ms", "repeat_forever", "connect_")
        return any(f'"{word}' in json.dumps(sent) for word in slow)

    def stats(self) -> dict[str, dict[str, Any]]:
        """By `fault|run`: requests, billed ..."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/__stats", timeout=60) as answer:
            found: dict[str, dict[str, Any]] = json.loads(answer.read())
        return found

    def tags(self) -> dict[str, int]:
        """How many requests came, by the tag in their prompts."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/__tags", timeout=60) as answer:
            found: dict[str, int] = json.loads(answer.read())
        return found

    def settled(self, within_s: float = 15.0) -> None:
        """Wait until the server has no request in hand any more: it bills some of them when nobody waits for them."""
        give_up = time.monotonic() + within_s
        while self.in_hand() and time.monotonic() < give_up:
            time.sleep(0.1)

    def in_hand(self) -> int:
        """How many requests are being answered."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/__in_hand", timeout=60) as answer:
            return int(answer.read())

    def redirected(self) -> list[str]:
        """What came to the server that redirects lead to."""
        assert self._child.stdin is not None
        print("redirected", file=self._child.stdin, flush=True)
        found: list[str] = self._line()
        return found

    def close(self) -> None:
        """End the process."""
        self._child.kill()
        self._child.communicate()


def _serve() -> None:
    server = served()
    hosts = {
        "connect_refused": f"http://127.0.0.1:{server.closed_port}",
        "connect_blackhole": f"http://127.0.0.1:{server.black_port}",
        "dns_nxdomain": f"http://llm.fault.invalid:{server.port}",
        "tls_self_signed": f"https://localhost:{server.tls_port}",
    }
    print(json.dumps({"port": server.port, "hosts": hosts}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(server.sinkhits), flush=True)


SCHEDSTAT: Final = Path("/proc/thread-self/schedstat")
EVERY_S: Final = 0.02


def queued_s() -> float:
    """Seconds that this thread has been ready to run and was given no processor, by the scheduler's own books.

    Sleeping, waiting for a file or a lock, and computing are not among them: whoever blocks the loop, or keeps it busy,
    cannot hide behind this figure. 0 where the system keeps no such books.
    """
    try:
        return int(SCHEDSTAT.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


class Starved:
    """How long this loop's thread waited for a processor, and when: one figure every 20 ms."""

    def __init__(self) -> None:
        self._at: list[float] = [time.perf_counter()]
        self._queued: list[float] = [queued_s()]

    async def watch(self) -> None:
        """Look on until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self._look()

    def _look(self) -> None:
        self._at.append(time.perf_counter())
        self._queued.append(queued_s())

    def _looks(self, begun: float, ended: float) -> tuple[int, int]:
        """The numbers of the looks around two moments of `time.perf_counter`."""
        return max(0, bisect_right(self._at, begun) - 1), min(len(self._at) - 1, bisect_left(self._at, ended))

    def overrun_s(self, begun: float, ended: float, deadline_s: float) -> float:
        """How much later than its deadline something ended, less what the machine has to answer for: the time without
        a processor before its timers were set (a tenth of a second is plenty) and after the deadline had passed. What
        happened between is bounded by timers, and no excuse."""
        due = begun + deadline_s
        if ended <= due:
            return ended - due
        self._look()
        (first, begins), (ends, last) = self._looks(begun, min(due, begun + 0.1)), self._looks(due, ended)
        lost_s = self._queued[begins] - self._queued[first] + self._queued[last] - self._queued[max(ends, begins)]
        return ended - due - lost_s


def provider(
    server: FaultServer, fault: str, run: str, wire: str, name: str, key: str | None = KEY, form: Form = "schema"
) -> OpenAIProvider | GoogleProvider:
    """A provider of ours whose server shows this fault; its key is the environment's where none is given."""
    url = server.url(fault, run, wire)
    if wire == "gemini_generate_content":
        return GoogleProvider(api_key=key, base_url=url, name=name, form=form)
    return OpenAIProvider(
        api_key=key, base_url=url, name=name, wire="responses" if wire == "openai_responses" else "chat", form=form
    )


if __name__ == "__main__":
    _serve()
