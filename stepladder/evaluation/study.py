"""Searching with Optuna, so that a search can be broken off and gone on with, and comes to the same either way.

Each trial is drawn by a sampler of its own, seeded by the seed and the number of trials that were told before it. So
what is drawn depends on what was found so far and on nothing else. A trial that was cut off is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepladder.errors import InputError
from stepladder.evaluation.extras import needed

Objective = Callable[[Any], float]
OnTrial = Callable[[int, float], None]
STARTUP = 20
"""Trials that are drawn evenly before the sampler (TPE, Bergstra 2011) learns from them."""


class Studies:
    """Where searches are kept: in a file, or nowhere. Raises InputError: the file is not one of an earlier search."""

    def __init__(self, file: Path | None, what: str) -> None:
        self.optuna = needed("optuna", "tuning")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        self.what, self.storage = what, None
        if file is not None:
            journal = needed("optuna.storages.journal", "tuning")
            try:
                self.storage = self.optuna.storages.JournalStorage(journal.JournalFileBackend(str(file)))
            except (OSError, ValueError, KeyError) as error:
                raise InputError("study", str(file), str(error).lower(), "a file of an earlier search") from None

    def best(
        self, name: str, objective: Objective, trials: int, seed: int, on_trial: OnTrial | None = None
    ) -> tuple[dict[str, Any], float]:
        """The parameters and the value of the best of so many trials; those that the file has count."""
        state = self.optuna.trial.TrialState
        study = self.optuna.create_study(
            storage=self.storage, study_name=f"{self.what}/{name}", load_if_exists=True, direction="maximize"
        )
        known = study.get_trials(deepcopy=False)
        for each in known:
            if each.state == state.RUNNING:
                study.tell(each.number, state=state.FAIL)
        done = sum(each.state == state.COMPLETE for each in known)
        for number in range(done, trials):
            study.sampler = self.optuna.samplers.TPESampler(seed=seed * 1_000_003 + number, n_startup_trials=STARTUP)
            trial = study.ask()
            value = objective(trial)
            study.tell(trial, value)
            if on_trial is not None:
                on_trial(number + 1, value)
        return dict(study.best_params), float(study.best_value)
