"""An MCP server without the SDK: it starts at once, and does what a good one does not. Its tools are its faults.

It is called with a mode, and with a file for its process id.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TOOLS = ("ok", "hang", "exit", "litter", "error", "closed", "long", "wrong", "garbage")


def say(told: dict[str, Any], **answer: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", "id": told["id"], **answer}), flush=True)


def call(told: dict[str, Any]) -> None:
    match told["params"]["name"]:
        case "exit":
            sys.exit(3)
        case "error":
            say(told, error={"code": -32603, "message": "it broke"})
        case "closed":
            say(told, error={"code": -32000, "message": "the one behind me went away"})
        case "long":
            print("x" * 17 * 1024 * 1024, flush=True)
        case "wrong":
            say(told, result={"content": "no list"})
        case "garbage":
            print("what now", flush=True)
            sys.exit(4)
        case "litter":
            print("debug: here\n\n[1]\n{}", flush=True)
            say(told, result={"content": [{"type": "text", "text": "clean"}]})
        case "ok":
            say(told, result={"content": [{"type": "text", "text": "fine"}]})


def main(mode: str) -> None:
    if mode == "exits":
        print("no such database")
        sys.exit(7)
    if mode == "deaf":
        print("starting", flush=True)
        time.sleep(600)
    for line in sys.stdin:
        told = json.loads(line)
        match told.get("method"):
            case "initialize":
                here = {"protocolVersion": "2025-11-25", "serverInfo": {"name": "bare", "version": "1"}}
                say(told, result={**here, "capabilities": {"tools": {}}})
            case "tools/list":
                say(told, result={"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]})
            case "tools/call":
                call(told)
            case _ if "id" in told:
                say(told, error={"code": -32601, "message": "Method not found"})
    if mode in ("stays", "ignores"):
        time.sleep(600)


def write_id(mode: str, file: str) -> None:
    """Our id, or that of a process of our own, which has our output."""
    number = subprocess.Popen(["sleep", "600"]).pid if mode == "leaves" else os.getpid()
    Path(f"{file}.new").write_text(str(number))
    Path(f"{file}.new").rename(file)


if sys.argv[2:]:
    write_id(*sys.argv[1:])
if sys.argv[1:2] == ["ignores"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
main(sys.argv[1] if sys.argv[1:] else "")
