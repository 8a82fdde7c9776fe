"""The simulation in the suite: many worlds in which no law breaks, and planted bugs that it has to find."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.simulation.__main__ import one
from tests.simulation.bugs import BUGS, Plant, chain_not_linked
from tests.simulation.world import Simulated, simulate

SEEDS: Final = range(240)
WITHIN: Final = 240
"""Seeds in which a planted bug has to be found."""
ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def worlds() -> list[Simulated]:
    return [simulate(seed) for seed in SEEDS]


def test_no_law_is_broken(worlds: list[Simulated]) -> None:
    broken = [f"python -m tests.simulation {world.seed}: {world.broken[0]}" for world in worlds if world.broken]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "what",
    [
        "is dead",
        "stalls for",
        "relieves",
        "is refused turn",
        "error before write",
        "error after write",
        "death before write",
        "death after write",
        "error after put",
        "cannot read",
        "closes",
        "RunResumed",
        "RunRetried",
        "RunCancelled",
        "reason=cut_off",
        "reason=invalid",
        "TimePassed",
        "MessageReceived",
        "Shadowed",
        "drops answer",
        "RunNotWaiting",
        "InputError",
        "'effect': 'redo'",
        "'approve': False",
        "spent",
        "of working time reached",
    ],
)
def test_the_worlds_are_not_tame(worlds: list[Simulated], what: str) -> None:
    assert any(any(what in line for line in world.trace) for world in worlds)


def test_runs_end_in_every_way(worlds: list[Simulated]) -> None:
    ends = sum((world.ends for world in worlds), Counter[str]())
    assert set(ends) >= {"there", "lost", "done", "given_up", "solved", "closed", "paid", "unpaid", "cancelled"}
    assert min(ends[end] for end in ("there", "done", "solved", "paid")) > 10


def test_the_same_seed_gives_the_same_journal_byte_for_byte(worlds: list[Simulated]) -> None:
    again = [simulate(world.seed) for world in worlds[:20]]
    assert [world.journal for world in again] == [world.journal for world in worlds[:20]]
    assert [world.trace for world in again] == [world.trace for world in worlds[:20]]
    assert len({world.journal for world in worlds}) == len(worlds)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_and_in_another_process(worlds: list[Simulated], seed: int) -> None:
    for hashes in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-m", "tests.simulation", str(seed)],
            env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"seed {seed}: journal {worlds[seed].digest}" in told


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    assert any(simulate(seed).broken for seed in range(WITHIN)), f"{bug.__doc__} Not found in {WITHIN} seeds."


def test_a_seed_that_fails_tells_its_story(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    chain_not_linked(monkeypatch)
    assert one(0) == 1
    told = capsys.readouterr().out
    assert " starts\n" in told
    assert told.rstrip().endswith("is not chained to the one before")
