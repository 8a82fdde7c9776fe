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
from pathlib import Path
from typing import Any, Final

import yaml

from stepladder.llm.google import GoogleProvider
from stepladder.llm.openai import OpenAIProvider
from stepladder.llm.provider import Provider

HERE: Final = Path(__file__).parent
CATALOGUE: Final = HERE / "llm_faults.yaml"
KEY: Final = "sk-planted-4f9a1c77e02b5d38aa61"
"""Planted in every request: it must turn up nowhere else."""
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
                sent["transport"]["bytes"] = 8 * 1024 * 1024
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

    def stats(self) -> dict[str, dict[str, Any]]:
        """By `fault|run`: requests, billed ..."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/__stats", timeout=60) as answer:
            found: dict[str, dict[str, Any]] = json.loads(answer.read())
        return found

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


class Stood:
    """Notices how long the loop stood still: one figure every 20 ms."""

    def __init__(self) -> None:
        self.worst: list[float] = [0.0]

    async def watch(self) -> None:
        """Look on until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.02)
            self.worst.append(time.perf_counter() - before - 0.02)


def provider(server: FaultServer, fault: str, run: str, wire: str, name: str) -> Provider:
    """A provider of ours whose server shows this fault."""
    url = server.url(fault, run, wire)
    if wire == "gemini_generate_content":
        return GoogleProvider(api_key=KEY, base_url=url, name=name)
    return OpenAIProvider(
        api_key=KEY, base_url=url, name=name, wire="responses" if wire == "openai_responses" else "chat"
    )


if __name__ == "__main__":
    _serve()
