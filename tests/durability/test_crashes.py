"""A process is killed at every moment there is, and at any time; another one finishes its runs as if nothing had been.

Part of it is here; `make torture` does all of it.
"""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.durability.crashes import (
    Outcome,
    Undisturbed,
    crowd_deaths,
    killed_at,
    killed_at_random,
    killed_in_a_crowd,
    results,
)
from tests.durability.life import MOMENTS

Stories = dict[str, Undisturbed]


def kills(outcomes: list[Outcome]) -> int:
    """How many processes were killed; nothing may be wrong."""
    wrong = [outcome for outcome in outcomes if outcome.problems]
    assert not wrong, f"{len(wrong)} of {len(outcomes)} cases; the first: {wrong[0]}"
    return sum(outcome.kills for outcome in outcomes)


def test_every_turn_has_every_moment(stories: Stories) -> None:
    """What the undisturbed run notes is what the plan of deaths is made of."""
    for story in stories.values():
        turns = {death.at for death in story.deaths if death.at}
        met = Counter(death.moment for death in story.deaths if death.at)
        assert 0 < met.pop("after the effect before its result") <= len(turns)
        assert met.pop("after the result before it is looked at") == len(turns) - 1, "after the last turn comes none"
        assert set(met) == set(MOMENTS[:5]) - {"after half the append"}
        assert set(met.values()) == {len(turns)}


def test_killed_at_every_moment_of_every_turn(crew: ProcessPoolExecutor, stage: Path, stories: Stories) -> None:
    plan = [
        (story, death)
        for name, story in stories.items()
        for death in story.deaths[:: 3 if name.endswith("-strict") else 1]
    ]
    found = results(
        crew.submit(killed_at, story, [death], stage / f"once-{n}") for n, (story, death) in enumerate(plan)
    )
    assert kills(found) == len(plan) > 400


def test_killed_again_while_it_is_taken_up(crew: ProcessPoolExecutor, stage: Path, stories: Stories) -> None:
    chance = random.Random(7)
    plan = [(story, chance.choices(story.deaths, k=3)) for story in chance.choices(list(stories.values()), k=40)]
    found = results(
        crew.submit(killed_at, story, deaths, stage / f"more-{n}") for n, (story, deaths) in enumerate(plan)
    )
    assert kills(found) > len(plan)


def test_killed_while_many_runs_are_in_flight(crew: ProcessPoolExecutor, stage: Path, stories: Stories) -> None:
    """Around the commits of groups: half the turns inserted, all of them, committed and nobody told.

    On a slow disk a thread writes them.
    """
    story = stories["journey_scenario"]
    deaths = random.Random(7).sample(crew.submit(crowd_deaths, story, stage / "crowd").result(), 24)
    found = results(
        crew.submit(killed_in_a_crowd, story, death, stage / f"in-{n}", slow=n % 2 == 1)
        for n, death in enumerate(deaths)
    )
    assert kills(found) >= len(deaths) // 2, "the groups differ a little from run to run: some moments never come"


def test_killed_500_times_at_random(crew: ProcessPoolExecutor, stage: Path, stories: Stories) -> None:
    names = ["journey_scenario", "text_to_sql_ambiguous", "text_to_sql_repaired-strict", "ml_pipeline_refused-strict"]
    found = results(
        crew.submit(killed_at_random, stories[names[seed % 4]], seed, 25, stage / f"seed-{seed}", crowd=seed >= 10)
        for seed in range(20)
    )
    assert kills(found) == 500
