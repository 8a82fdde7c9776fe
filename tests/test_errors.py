"""Errors go from process to process: each keeps its class, its message and its fields."""

from __future__ import annotations

import copy
import pickle

import pytest

from stepladder import errors
from stepladder.errors import Problem, StepladderError

EXAMPLES: list[StepladderError] = [
    errors.DefinitionError([Problem("steps", "x", "y")]),
    errors.InputError("input", "topic", "5", "text"),
    errors.JournalError("runs.db", "nothing", "a journal"),
    errors.RunNotFound("7"),
    errors.RunEnded("7", "done"),
    errors.RunNotWaiting("7", "an answer", "nobody"),
    errors.RunConflict("7", "moved on"),
    errors.RunOwned("7", "process 5"),
    errors.WrongDefinition("7", "a", "b", differences=["c"], decision=3),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_can_be_copied_and_pickled(error: StepladderError) -> None:
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert (str(again), vars(again)) == (str(error), vars(error))
