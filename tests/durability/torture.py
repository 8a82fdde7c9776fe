"""All of the torture: every crash point of every scenario, ten thousand random kills, every write that fails.

    python -m tests.durability.torture [--parts PART ...] [--share 0.01] [--seed N] [--kills N] [--story WORD]

The suite has a part of it. Each part shows how far it is; then comes what was wrong, with its case and the folder it
was left in. The same seed makes the same plan again (when a random kill comes, the machine decides). Exits with 1 where
anything was wrong.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Final

from tests.durability.contest import contest
from tests.durability.crashes import (
    Outcome,
    Undisturbed,
    crowd_deaths,
    killed_at,
    killed_at_random,
    killed_in_a_crowd,
    pool,
    quick_folder,
    recorded,
    results,
)
from tests.durability.disk import built, faulted
from tests.durability.life import TIDY
from tests.durability.story import SCENARIOS
from tests.durability.wal import NEVER, cut, cuts, flipped, flipped_in_the_file, sample

PARTS: Final = ("moments", "crowd", "random", "disk", "log", "contest")
PER_SEED: Final = 50
"""Kills of one seed."""
SHARES: Final = 8
"""Parts that the cases of a disk or of a log are done in."""
COUNTED: Final = {"random": ("kills", PER_SEED), "log": ("cuts", 4 * SHARES), "contest": ("rounds", 1)}
"""The parts that do as many as an option says, and the least of it."""
Case = Callable[[], Outcome | list[Outcome]]


class Torture:
    """What is to be done, part by part, with these scenarios."""

    def __init__(self, given: argparse.Namespace, stage: Path, crew: ProcessPoolExecutor) -> None:
        self.given, self.stage, self.crew = given, stage, crew
        files = [file for file in SCENARIOS if given.story in file.stem]
        found = results([crew.submit(recorded, file, stage, with_strict=True) for file in files])
        self.stories = [story for stories in found for story in stories]
        self.chance = random.Random(given.seed)

    @property
    def few(self) -> list[Undisturbed]:
        """The shortest, and those that say most."""
        names = ("journey_scenario", "text_to_sql_unanswerable", "ml_pipeline_refused-strict")
        return [story for story in self.stories if story.kept.stem in names] or self.stories[:1]

    def moments(self) -> Iterator[Case]:
        """Every moment of every turn of every story: once, and followed by another."""
        for n, story in enumerate(self.stories):
            for m, death in enumerate(story.deaths):
                yield partial(killed_at, story, [death], self.stage / f"moment-{n}-{m}")
                deaths = [death, self.chance.choice(story.deaths)]
                yield partial(killed_at, story, deaths, self.stage / f"twice-{n}-{m}")

    def crowd(self) -> Iterator[Case]:
        """Every moment around every write while many runs are in flight."""
        for n, story in enumerate(self.few):
            deaths = self.crew.submit(crowd_deaths, story, self.stage / f"crowd-{n}").result()
            for m, death in enumerate(deaths):
                for slow in (False, True):
                    yield partial(killed_in_a_crowd, story, death, self.stage / f"crowd-{n}-{m}-{slow}", slow=slow)

    def random(self) -> Iterator[Case]:
        """Kills at any time: one run after the other, and many in flight."""
        for n in range(self.given.kills // PER_SEED):
            story, folder = self.stories[n // 2 % len(self.stories)], self.stage / f"random-{n}"
            yield partial(killed_at_random, story, self.given.seed + n, PER_SEED, folder, crowd=n % 2 == 1)

    def disk(self) -> Iterator[Case]:
        """Every write and every sync of a run fails, and some of those of many runs."""
        shim = built(self.stage)
        for n, story in enumerate(self.few):
            for share in range(SHARES):
                options, where = ("--share", share, SHARES), self.stage / f"disk-{n}-{share}"
                yield partial(faulted, shim, where / "one", story.kept, *options)
                yield partial(faulted, shim, where / "many", story.kept, *options, "--crowd", "--every", 200)

    def log(self) -> Iterator[Case]:
        """Cuts through logs, and bits turned over in them."""
        for n, story in enumerate(self.few):
            few, many, last = self.given.cuts, self.given.cuts // 4, story.deaths[-1].at
            for runs, at, count, pages in ((1, last, few, NEVER), (16, 40, many, NEVER), (16, 40, many, TIDY)):
                where = self.stage / f"sample-{n}-{runs}-{pages}"
                found = self.crew.submit(sample, story, runs, at, where, pages).result()
                bytes_ = cuts(found.log, count, self.chance)
                for share in range(SHARES):
                    where, seed = self.stage / f"log-{n}-{runs}-{pages}-{share}", self.given.seed + share
                    yield partial(cut, found, bytes_[share::SHARES], where, 50)
                    yield partial(flipped, found, seed, count // SHARES // 4, where / "bits")
                    yield partial(flipped_in_the_file, found, seed, count // SHARES // 4, where / "file")

    def contest(self) -> Iterator[Case]:
        """Two processes, and three, want the same run."""
        for verb in ("run", "resume"):
            for contestants in (2, 3):
                where = self.stage / f"contest-{verb}-{contestants}"
                yield partial(contest, verb, self.given.rounds, where, contestants)

    def plan(self, part: str) -> list[Case]:
        """What is to be done for a part; of a part that is not counted out, a share at random."""
        cases = list(getattr(self, part)())
        share = 1.0 if part in COUNTED else self.given.share
        return cases if share >= 1 else self.chance.sample(cases, max(1, round(len(cases) * share)))


def done(name: str, crew: ProcessPoolExecutor, plan: Iterable[Case]) -> list[Outcome]:
    """Do a part and show how far it is: its outcomes."""
    started, found, shown = time.monotonic(), list[Outcome](), 0.0
    futures = [crew.submit(case) for case in plan]
    for n, future in enumerate(as_completed(futures), 1):
        made = future.result()
        found += [made] if isinstance(made, Outcome) else made
        now = time.monotonic()
        if now - shown > 1 or n == len(futures):
            shown, wrong = now, sum(bool(each.problems) for each in found)
            kills = sum(each.kills for each in found)
            print(
                f"\r{name:8} {n:>5}/{len(futures)}: {len(found)} cases, {kills} kills or faults, {wrong} wrong,"
                f" {now - started:.0f} s",
                end="",
                flush=True,
            )
    print()
    return found


def main() -> None:
    """Do the parts, and say what was wrong."""
    parser = argparse.ArgumentParser(description="Torture the journal.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=10_000, help="kills at random")
    parser.add_argument("--cuts", type=int, default=5_000, help="cuts through a log")
    parser.add_argument("--rounds", type=int, default=1_000, help="rounds of each contest")
    parser.add_argument("--share", type=float, default=1.0, metavar="0..1", help="so much of everything")
    parser.add_argument("--story", default="", help="only scenarios whose file has this in its name")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    for name, least in COUNTED.values():
        setattr(given, name, max(least, round(getattr(given, name) * given.share)))
    stage, found = quick_folder(), list[Outcome]()
    print(f"seed {given.seed}, in {stage}", flush=True)
    with pool(given.workers) as crew:
        torture = Torture(given, stage, crew)
        for part in given.parts:
            found += done(part, crew, torture.plan(part))
    wrong = [outcome for outcome in found if outcome.problems]
    for outcome in wrong:
        print(f"\n{outcome.case}\n  " + "\n  ".join(outcome.problems[:5]))
    print(f"{len(found)} cases, {sum(each.kills for each in found)} kills, faults and rounds, {len(wrong)} wrong")
    if wrong:
        sys.exit(f"what was left of them is in {stage}")
    shutil.rmtree(stage)


if __name__ == "__main__":
    main()
