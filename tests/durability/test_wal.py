"""5,000 cuts through the log of killed processes, and bits turned over in it."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.durability.crashes import Outcome, Undisturbed, results
from tests.durability.life import TIDY
from tests.durability.wal import Sample, cut, cuts, flipped, flipped_in_the_file, is_begun_anew, sample

SHARES = 10

Samples = dict[str, Sample]


@pytest.fixture(scope="module")
def samples(crew: ProcessPoolExecutor, stage: Path, stories: dict[str, Undisturbed]) -> Samples:
    """What processes left that were killed at the last turn, in the middle of many runs, and with their second log."""
    journey = stories["journey_scenario"]
    one = crew.submit(sample, journey, 1, journey.deaths[-1].at, stage / "one")
    many = crew.submit(sample, journey, 16, 45, stage / "many-runs")
    anew = crew.submit(sample, journey, 16, 45, stage / "anew", TIDY)
    return {"one": one.result(), "many": many.result(), "anew": anew.result()}


def nothing_wrong(found: list[Outcome]) -> int:
    wrong = [problem for outcome in found for problem in outcome.problems]
    assert not wrong, f"{len(wrong)} problems; the first: {wrong[:3]}"
    return sum(outcome.kills for outcome in found)


def test_a_log_that_is_cut_anywhere_is_a_whole_past(crew: ProcessPoolExecutor, stage: Path, samples: Samples) -> None:
    plan = [
        (found, at[share::SHARES])
        for found, count in zip(samples.values(), (3_000, 1_000, 1_000), strict=True)
        for at in [cuts(found.log, count, random.Random(5))]
        for share in range(SHARES)
    ]
    found = results(crew.submit(cut, part, at, stage / f"cut-{n}", 50) for n, (part, at) in enumerate(plan))
    assert nothing_wrong(found) == 5_000


def test_the_samples_are_of_both_kinds(samples: Samples) -> None:
    """A log that was begun anew has older frames behind its own; these must not come back."""
    assert [is_begun_anew(found.log) for found in samples.values()] == [False, False, True]


@pytest.mark.parametrize("name", ["one", "many", "anew"])
def test_a_bit_is_turned_over(crew: ProcessPoolExecutor, stage: Path, samples: Samples, name: str) -> None:
    log = [crew.submit(flipped, samples[name], seed, 200, stage / f"bit-{name}-{seed}") for seed in range(2)]
    file = [crew.submit(flipped_in_the_file, samples[name], seed, 200, stage / f"f-{name}-{seed}") for seed in range(2)]
    assert nothing_wrong(results(log + file)) == 800
