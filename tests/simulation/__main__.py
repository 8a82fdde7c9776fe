"""Run one seed with its story, or many seeds.

python -m tests.simulation SEED
python -m tests.simulation --seeds 20000 [--from 0] [--jobs 2]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation.world import outcome, simulate


def one(seed: int) -> int:
    """Tell the story of a seed."""
    found = simulate(seed)
    print("\n".join(found.trace))
    print(f"seed {seed}: journal {found.digest}, {_ends(found.ends)}")
    for broken in found.broken:
        print(f"BROKEN: {broken}")
    return 1 if found.broken else 0


def many(first: int, count: int, jobs: int) -> int:
    """Run seeds; name those that fail."""
    began, failed, ends = time.monotonic(), 0, Counter[str]()
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for found in pool.map(outcome, range(first, first + count), chunksize=8):
            ends += found.ends
            if found.broken:
                failed += 1
                print(f"seed {found.seed}: {found.broken[0]}\n  python -m tests.simulation {found.seed}", flush=True)
    took = time.monotonic() - began
    print(f"{count} seeds, {failed} failed, {ends.total()} runs ({_ends(ends)}), {took:.0f} s")
    return 1 if failed else 0


def _ends(ends: Counter[str]) -> str:
    return ", ".join(f"{end} {times}" for end, times in sorted(ends.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Deterministic simulation.")
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.seed is not None:
        return one(given.seed)
    return many(given.first, given.seeds or 200, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
