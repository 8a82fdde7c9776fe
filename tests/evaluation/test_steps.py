"""Recordings as columns: the same numbers as a live run, nothing from later, nothing from afterwards."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from stepladder.errors import InputError
from stepladder.evaluation.agent_policy import of_clauses
from stepladder.evaluation.parquet import write_columns
from stepladder.evaluation.steps import KNOWN, NUMERIC, read_steps, steps_of
from stepladder.scenarios.observing import observations
from stepladder.scenarios.recording import Afterwards, Failure, Identity, Outcome
from stepladder.scenarios.recording_files import write_recordings
from stepladder.signals import Fold
from tests.evaluation.recordings import run_of, runs_of

RUNS = runs_of(20)


def test_each_row_is_what_a_live_fold_says() -> None:
    read = steps_of(RUNS)
    fold = Fold(KNOWN[name] for name in NUMERIC)
    row = 0
    for run in RUNS:
        memory: dict[str, Any] = fold.start()
        for seen in observations(run.steps):
            memory, broken = fold.update(memory, {}, seen)
            assert not broken
            for name, value in fold.values(memory, {})[0].items():
                assert read.steps.column(name)[row] == value, name
            row += 1
    assert row == read.steps.rows


@pytest.mark.parametrize("kept", [1, 3, 7])
def test_nothing_is_read_of_what_comes_later(kept: int) -> None:
    cut = [replace(run, steps=run.steps[:kept]) for run in RUNS]
    whole, part = steps_of(RUNS), steps_of(cut)
    rows = np.flatnonzero(whole.steps.place < kept)
    for name in NUMERIC:
        assert np.array_equal(whole.steps.column(name)[rows], part.steps.column(name)), name


def test_nothing_is_read_of_identity_and_what_came_afterwards() -> None:
    random = Random(3)
    other = [
        replace(
            run,
            identity=Identity(model=str(random.random()), agent_system="x", task_id="y"),
            after=Afterwards(Outcome(random.random() < 0.5), Failure(step=1), {"judge": "fail"}, 9.0, {1: 1.0}),
        )
        for run in RUNS
    ]
    for name in NUMERIC:
        assert np.array_equal(steps_of(RUNS).steps.column(name), steps_of(other).steps.column(name)), name


LEAKS = ["outcome.success", "success", "score", "n_steps", "failure.step", "judges.verdict", "agent_seconds", "model"]
LEAKS += ["agent_system", "task_id", "split_key", "trial", "family", "hardness", "level", "no_such_signal"]


@pytest.mark.parametrize("name", [name for name in LEAKS if name != "score"])
def test_a_name_that_gives_the_outcome_away_has_no_column(name: str) -> None:
    read = steps_of(RUNS)
    with pytest.raises(InputError):
        read.steps.column(name)
    with pytest.raises(InputError):
        steps_of(RUNS, [name])
    with pytest.raises(InputError):
        of_clauses("leak", {"leak": [f"{name} == 1"]}).routes(read.steps)


def test_the_score_signal_is_not_the_reward() -> None:
    """`score` is a signal of declared scores; recordings have none, whatever reward stands beside a step."""
    rewarded = [
        replace(run, after=Afterwards(run.after.outcome, rewards={step.i: 1.0 for step in run.steps})) for run in RUNS
    ]
    read = steps_of(rewarded, ["score.quality"])
    assert set(read.steps.column("score.quality").tolist()) == {None}


def test_how_often_a_tool_was_called() -> None:
    read = steps_of(RUNS)
    calls = [sum(step.tool == "tool_1" and step.kind == "tool_call" for step in run.steps) for run in RUNS]
    last = read.steps.first + read.steps.length - 1
    assert read.steps.column("called.tool_1")[last].tolist() == calls
    assert np.isnan(read.steps.column("called.nothing")).all()


def test_the_order_of_runs_does_not_change_the_digest() -> None:
    assert steps_of(RUNS).digest == steps_of(RUNS[::-1]).digest != steps_of(RUNS[1:]).digest


def test_the_last_step_does_not_count() -> None:
    read = steps_of([run_of(0, Random(1))])
    flags = np.zeros(read.steps.rows, np.bool_)
    flags[-1] = True
    assert read.steps.begins(flags).tolist() == [-1]
    flags[-2] = True
    assert read.steps.begins(flags).tolist() == [read.steps.rows - 2]


def test_no_run_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    file.write_text("{}\n")
    with pytest.raises(InputError, match="no run"):
        read_steps([file])


def test_columns_as_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_recordings(RUNS, tmp_path / "runs.jsonl")
    read = read_steps([tmp_path / "runs.jsonl"])
    write_columns(read, of_clauses("p", {"errors": ["error_count > 0"]}), tmp_path / "out.parquet")
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.num_rows == read.steps.rows
    assert not {"outcome", "failed", "model", "success"} & set(table.column_names)
    assert table.column("error_count").to_pylist() == read.steps.column("error_count").tolist()
