"""All of the torture in one go: each part in a process of its own, whatever became of the others; then a line for each.

    python -m tests.torture [--share 0.01] [--parts PART ...]

`--share` is how much of each part is done; below 1 the tests do what they do in the suite. Exits with 1 where a part
failed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from typing import Final, NamedTuple

TESTS: Final = (
    "tests/durability",
    "tests/llm/test_fault_matrix.py",
    "tests/llm/test_variants.py",
    "tests/llm/test_breaker.py",
    "tests/scenarios/test_cassette.py",
    "tests/evaluation/test_figures.py",
)
"""The tests that do more under STEPLADDER_TORTURE."""


class Part(NamedTuple):
    """A part: the arguments of python, and how many there are of what it counts (0: it takes the share itself)."""

    arguments: tuple[str, ...]
    count: int = 0
    least: int = 1

    def command(self, share: float) -> list[str]:
        """The command that does this share of it."""
        counted = str(max(self.least, round(self.count * share))) if self.count else str(share)
        return [sys.executable, "-m", *(each.replace("COUNT", counted) for each in self.arguments)]


PARTS: Final = {
    "tests": Part(("pytest", "-q", "-rs", *TESTS)),
    "journal": Part(("tests.durability.torture", "--share", "COUNT")),
    "simulation": Part(("tests.simulation", "--seeds", "COUNT", "--jobs", "2"), 20_000),
    "models": Part(("tests.llm.torture", "COUNT"), 100_000, least=200),
    "money": Part(("tests.money.torture", "COUNT"), 60),
}


def main() -> int:
    """Do the parts, and say what was done."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description="All of the torture in one go.")
    parser.add_argument("--share", type=float, default=1.0, metavar="0..1")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=tuple(PARTS))
    given = parser.parse_args()
    environment = {name: value for name, value in os.environ.items() if name != "STEPLADDER_TORTURE"}
    if given.share >= 1:
        environment["STEPLADDER_TORTURE"] = "1"
    lines, failed = list[str](), 0
    for name in given.parts:
        command, began = PARTS[name].command(given.share), time.monotonic()
        print(f"\n== {name}: python {shlex.join(command[1:])}", flush=True)
        code = subprocess.run(command, env=environment, check=False).returncode
        failed += code != 0
        took = f"{time.monotonic() - began:.0f} s"
        lines.append(f"{name:<11}{'ok' if code == 0 else f'FAILED ({code})':<13}{took:>8}  {shlex.join(command[2:])}")
    print(f"\nshare {given.share:g}: {len(lines)} parts, {failed} failed")
    print("\n".join(lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
