"""Caps under kill -9; many rounds with STEPLADDER_TORTURE, a few seconds of it without."""

from __future__ import annotations

import os

import pytest

from tests.money.torture import play

ROUNDS = 60 if os.environ.get("STEPLADDER_TORTURE") else 1


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_cap_is_passed_whoever_is_killed(seed: int) -> None:
    assert "kills" in play(seed)
