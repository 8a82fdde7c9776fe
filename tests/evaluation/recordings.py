"""Made-up recordings for tests: agents that fail more often the more they go round in circles."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from stepladder.scenarios.recording import Afterwards, Failure, Identity, Outcome, Recording, Step
from stepladder.scenarios.recording_line import new_step

DATA = Path(__file__).parents[3] / "shared" / "data" / "recordings"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no recordings in ../shared/data/recordings")


def run_of(number: int, random: Random, *, domain: str = "desk", source: str = "made") -> Recording:
    """A run of 6 to 15 calls; one in two goes round in circles, and of these four in five fail."""
    circles = random.random() < 0.5
    failed = random.random() < (0.8 if circles else 0.2)
    steps: list[Step] = [new_step(0, "user", "user_message", "Please help")]
    for turn in range(random.randrange(6, 16)):
        same = circles and turn > 2 and random.random() < 0.6
        arguments = {"page": 1} if same else {"page": turn}
        at = len(steps)
        steps.append(new_step(at, "assistant", "tool_call", tool=f"tool_{turn % 3}", args=arguments))
        wrong = same and random.random() < 0.5
        steps.append(
            new_step(
                at + 1, "env", "tool_result", "not found" if wrong else f"page {arguments}", ref=at, is_error=wrong
            )
        )
    steps.append(new_step(len(steps), "assistant", "message", "Sorry, that is all." if failed else "All done."))
    return Recording(
        f"{source}:{domain}:{number}",
        source,
        f"{source}/{domain}",
        domain,
        f"key {number // 2}",
        tuple(steps),
        Identity(model=f"model {number % 2}"),
        Afterwards(Outcome(success=not failed)),
    )


def runs_of(count: int, seed: int = 0, *, domain: str = "desk", source: str = "made") -> list[Recording]:
    """So many of them."""
    random = Random(seed)
    return [run_of(number, random, domain=domain, source=source) for number in range(count)]


def labelled(count: int, seed: int = 0) -> list[Recording]:
    """Runs that all failed, with the decisive error at their third call or near it."""
    random = Random(seed)
    found = []
    for number, run in enumerate(runs_of(count, seed, domain="lab", source="labelled")):
        label = Failure(step=5 + random.randrange(-2, 3))
        after = Afterwards(Outcome(success=False), label)
        found.append(
            Recording(
                f"labelled:{number}",
                run.source,
                run.family,
                run.domain,
                f"key l{number}",
                run.steps,
                run.identity,
                after,
            )
        )
    return found
