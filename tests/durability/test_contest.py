"""Two processes want the same run at the same moment, a thousand times over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.contest import Verb, contest


@pytest.mark.parametrize("verb", ["run", "resume"])
def test_exactly_one_goes_on(stage: Path, verb: Verb) -> None:
    found = contest(verb, 1_000, stage / f"contest-{verb}")
    assert found.problems == ()
