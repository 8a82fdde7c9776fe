"""What the model rung costs above the bare SDK: `python benchmarks/llm.py [--calls N] [--rounds N] [--json FILE]`.

One question to a server on loopback that answers at once, microseconds a call, one after the other. The rows, in
`llm_rows.py`:

    bare SDK       openai's AsyncOpenAI.chat.completions.create, max_retries=0
    adapter        ours: one request, capped bytes, a deadline, our own reader
    model rung     the adapter under its owner: limiter, breakers, purse, next step, judged answer, record of attempts
    ... without a wire   the same over a provider that answers at once: what is the rung's own
    litellm        acompletion, num_retries=0
    instructor     from_openai(...).create(response_model=...), max_retries=0

LiteLLM and instructor want another version of the SDK than we do, so they run in an environment of their own, in
`benchmarks/.peers` (or `--peers PYTHON`), which is made with pip when it is missing; `--no-peers` does without. The
bare SDK is a row of both, and every row is compared with the bare SDK of its own environment. Rounds of all rows
alternate, over one server. The least of a row's rounds counts, by the clock and of processor time: what the machine
does beside it only adds.
"""

import argparse
import asyncio
import json
import multiprocessing
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from llm_rows import ADAPTER, ALONE, ANSWER, BARE, RUNG
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
PEERS = HERE / ".peers" / "llm"
WANTED = ("litellm", "instructor")
SHOWN = {BARE: "bare SDK", ADAPTER: "adapter", RUNG: "model rung", ALONE: "model rung without a wire"}
FLOOR_US, GOAL_US = 100, 50
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


class Row(NamedTuple):
    """A row in its environment: `ours` or `peers`."""

    where: str
    name: str


class Worker:
    """A process that times rows, in one environment."""

    def __init__(self, python: Path | str, url: str, rows: tuple[str, ...]) -> None:
        command = [str(python), str(HERE / "llm_rows.py"), url]
        self.rows, self.process = (
            rows,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            ),
        )
        self.versions: dict[str, str] = self._heard()

    def time(self, row: str, count: int) -> dict[str, Any]:
        """So many calls of a row."""
        assert self.process.stdin is not None, "it is a pipe"
        self.process.stdin.write(f"{row} {count}\n")
        self.process.stdin.flush()
        return self._heard()

    def close(self) -> None:
        """Let it come to its end."""
        assert self.process.stdin is not None, "it is a pipe"
        self.process.stdin.close()
        self.process.wait()

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None, "it is a pipe"
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args}: ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


def environment(console: Console) -> Path | str:
    """The peers' Python, made where it is missing; or why it cannot be."""
    python = PEERS / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = PEERS / "ready"
    if ready.exists() and ready.read_text(encoding="utf-8").split() == list(WANTED):
        return python
    console.print(f"making an environment for {' and '.join(WANTED)} in {PEERS} (once, a minute or two) ...")
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(PEERS)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *WANTED],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["it failed"])[-1]
    ready.write_text(" ".join(WANTED), encoding="utf-8")
    return python


Took = dict[Row, list[tuple[float, float]]]
"""Microseconds a call by the clock and of the row's own processor, one pair a round."""


def measured(workers: dict[str, Worker], count: int, rounds: int) -> tuple[Took, dict[Row, str]]:
    """What every row took, and why a row is absent."""
    took: Took = {Row(where, name): [] for where, worker in workers.items() for name in worker.rows}
    absent: dict[Row, str] = {}
    for number in range(rounds + 1):  # the first one warms up
        for row in [row for row in took if row not in absent]:
            told = workers[row.where].time(row.name, count)
            if "absent" in told:
                absent[row] = told["absent"]
            elif number:
                took[row].append((told["took"][0], told["took"][1]))
    return {row: pairs for row, pairs in took.items() if row not in absent}, absent


class Figures(NamedTuple):
    """Microseconds a call by the clock and of the processor, and the same above the bare SDK beside it."""

    clock: float
    work: float
    clock_above: float | None
    work_above: float | None
    ratio: float | None


def figures(took: Took) -> dict[Row, Figures]:
    clock = {row: min(each[0] for each in pairs) for row, pairs in took.items()}
    work = {row: min(each[1] for each in pairs) for row, pairs in took.items()}
    found = {}
    for row in took:
        bare = Row(row.where, BARE)
        beside = row.name != ALONE and bare in took
        above = (clock[row] - clock[bare], work[row] - work[bare], work[row] / work[bare]) if beside else (None,) * 3
        found[row] = Figures(clock[row], work[row], *above)
    return found


def show(found: dict[Row, Figures], absent: dict[str, str], workers: dict[str, Worker], console: Console) -> None:
    table = Table("row", "openai", "us by the clock", "above", "us of processor", "above", "times")
    for row, each in found.items():
        told = workers[row.where].versions
        name = SHOWN.get(row.name) or f"{row.name} {told.get(row.name, '')}"
        above = ["" if value is None else f"{value:+,.0f}" for value in (each.clock_above, each.work_above)]
        times = "" if each.ratio is None else f"{each.ratio:.2f}"
        table.add_row(name, told["openai"], f"{each.clock:,.0f}", above[0], f"{each.work:,.0f}", above[1], times)
    console.print(table)
    for name, why in absent.items():
        console.print(f"[yellow]absent: {name}: {why}[/yellow]")
    over = found[Row("ours", RUNG)].clock_above
    console.print(f"the rung above the bare SDK: {over:+,.0f} us (floor {FLOOR_US}, goal {GOAL_US})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="a Python that has litellm and instructor")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    console, absent = Console(), dict[str, str]()
    peers = None if options.no_peers else options.peers or environment(console)
    if isinstance(peers, str):
        peers, absent = None, dict.fromkeys(WANTED, peers)
    port = multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    while not port.value:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{port.value}/v1"
    workers = {"ours": Worker(sys.executable, url, tuple(SHOWN))}
    if peers is not None:
        workers["peers"] = Worker(peers, url, (BARE, *WANTED))
    try:
        took, missing = measured(workers, options.calls, options.rounds)
    finally:
        for worker in workers.values():
            worker.close()
        server.terminate()
    found = figures(took)
    show(found, absent | {row.name: why for row, why in missing.items()}, workers, console)
    if options.json:
        told = {
            "python": platform.python_version(),
            "versions": {where: worker.versions for where, worker in workers.items()},
            "rows": {f"{row.where} {row.name}": each._asdict() for row, each in found.items()},
            "rounds": {f"{row.where} {row.name}": pairs for row, pairs in took.items()},
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
