"""The figures that the development data have to give, held out. Minutes long: in `make torture`."""

from __future__ import annotations

import os

import numpy as np
import pytest

from stepladder.evaluation.choices import chosen_in
from stepladder.evaluation.mining import Mine, coverage
from stepladder.evaluation.steps import read_steps
from stepladder.evaluation.tuning import Asked, Tuned, tune
from stepladder.scenarios.recording import Recording
from stepladder.scenarios.recording_files import read_recordings
from tests.evaluation.recordings import DATA, needs_data

pytestmark = [
    needs_data,
    pytest.mark.skipif(not os.environ.get("STEPLADDER_TORTURE"), reason="minutes long: STEPLADDER_TORTURE=1 runs it"),
]
PARTITIONS = 6


def mean(tuned: Tuned, group: str, share: str, figure: str) -> float:
    return tuned.held.groups[group][share][figure].mean


def test_tau() -> None:
    tuned = tune(read_steps([DATA / "tau.dev.jsonl.gz"]), Asked(learn=True, partitions=PARTITIONS))
    assert mean(tuned, "all", "0.1", "recall") >= 0.20
    assert mean(tuned, "all", "0.2", "recall") >= 0.34
    assert mean(tuned, "all", "0.3", "recall") >= 0.46
    assert mean(tuned, "all", "0.2", "recall_by_75") >= 0.26


def test_intercode_react() -> None:
    def react(run: Recording) -> bool:
        return run.family.endswith("react")

    tuned = tune(read_steps([DATA / "intercode.dev.jsonl.gz"], wanted=react), Asked(0.1, True, partitions=PARTITIONS))
    assert mean(tuned, "all", "0.1", "recall") >= 0.16


def test_one_policy_for_all() -> None:
    tuned = tune(read_steps([DATA]), Asked(learn=True, partitions=1))
    for group in ("tau", "intercode/bash", "intercode/sql", "intercode/ctf"):
        assert mean(tuned, group, "0.2", "lift") >= 1.3
    assert tuned.near_label is not None


def test_checkpoints_on_whowhen() -> None:
    read = read_steps([DATA / "whowhen.dev.jsonl.gz"])
    tuned = tune(read, Asked(partitions=20))
    assert tuned.near_label is not None
    constant = max((np.abs(read.truth.label - step) <= 3).mean() for step in range(100))
    assert tuned.near_label.mean > constant


def test_mined_rules_take_over_of_tau() -> None:
    found = coverage(Mine(list(chosen_in(read_recordings([DATA / "tau.dev.jsonl.gz"])))), partitions=3)
    assert np.mean(found.taken_over) >= 0.37
    assert np.mean(found.agreement) >= 0.95
