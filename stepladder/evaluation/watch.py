"""A rollout that is rolled back by the very process that runs it, as soon as its guard trips.

The evidence is the journal: the ended runs that met the rollout under the policy at hand, those of other processes
among them. So nothing else has to be kept: a process that starts with the same file sees the same evidence, and rolls
back before its first run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec

from stepladder.app.loading import Workflow
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.errors import StepladderError
from stepladder.evaluation.extras import scipy_stats
from stepladder.evaluation.past_runs import EVERY, past_run
from stepladder.evaluation.rollout import FIRST_LOOK, Guard, Look, guard_looks, tripped
from stepladder.evaluation.rollout_file import Rollout, trial_at
from stepladder.evaluation.trial_runs import PastRun
from stepladder.events import Event
from stepladder.record import Entry


class RolledBack(msgspec.Struct, frozen=True):
    """What happened: the route, from which share, why, the guard's looks, and the policies before and after."""

    route: str
    share: float
    because: str
    looks: tuple[Look, ...]
    policy_hash: str
    fallback_hash: str
    at: float


class RolloutWatch:
    """Watches the rollouts of an Orchestrator's policy, and falls back where the guard says that they are worse.

    It looks when a run ends or somebody says how one turned out, and at least every `every_s` seconds (of the
    Orchestrator's clock, while runs move) at what other processes have ended. A tripped guard changes the policy: to
    `fallback`, else to the same one with that route's share at 0. Runs in progress journal the change and why. A look
    costs about as much as a read of the run that ended.

    Args:
        orchestrator: whose runs are watched, and whose policy is changed.
        guard: the metric that must not get worse, and the chance of a false alarm over all looks.
        point: the decision point that is rolled out.
        fallback: the policy to fall back to: a Workflow, or the path of a policy file.
        every_s: seconds until it looks for runs of other processes.
        on_roll_back: told of it.

    Raises:
        StepladderError: scipy is not installed.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        guard: Guard = Guard(),  # noqa: B008 - frozen
        *,
        point: str = "next_action",
        fallback: Workflow | str | Path | None = None,
        every_s: float = 60.0,
        on_roll_back: Callable[[RolledBack], None] | None = None,
    ) -> None:
        scipy_stats()  # slow the first time: not in the middle of a run
        self.guard, self.point, self.every_s = guard, point, every_s
        self.rolled_back: list[RolledBack] = []
        self._orchestrator, self._fallback, self._on_roll_back = orchestrator, fallback, on_roll_back
        self._past: dict[str, PastRun] = {}
        self._seen: set[str] = set()
        self.look()
        self._stop = orchestrator.listen(self._heard)

    def close(self) -> None:
        """Watch no more."""
        self._stop()

    def look(self) -> list[RolledBack]:
        """Look now at everything that has ended, in this process or another; what was rolled back."""
        journal = self._orchestrator.journal
        self._looked_at = self._orchestrator.clock.now()
        for row in journal.rows(EVERY, workflow=self._orchestrator.workflow.name):
            if row.status == "ended" and not row.pruned and row.run_id not in self._seen:
                self._read(row.run_id)
        return self._judge()

    def _heard(self, run: Run, entries: Sequence[Event | Entry]) -> None:
        if run.status == "ended":
            self._read(run.id)
            self._judge()
        if self._orchestrator.clock.now() - self._looked_at >= self.every_s:
            self.look()

    def _read(self, run_id: str) -> None:
        self._seen.add(run_id)
        self._past.pop(run_id, None)
        try:
            found = past_run(self._orchestrator.journal, run_id, self._orchestrator.workflow.signals, self.point)
        except StepladderError:  # of another version, which cannot be read here: it says nothing of this policy
            return
        if found is not None:
            kept = tuple(each for each in found.records if each.asked and each.opened.point == self.point)
            self._past[run_id] = msgspec.structs.replace(found, records=kept)

    def _judge(self) -> list[RolledBack]:
        return [found for each in _rollouts(self._orchestrator.workflow) if (found := self._judged(each)) is not None]

    def _judged(self, rollout: Rollout) -> RolledBack | None:
        policy = self._orchestrator.machine.policy.hash
        trial, _ = trial_at(self._past.values(), rollout, self.point, policy)
        if trial is None or len(trial.of_b) < FIRST_LOOK:
            return None
        looks = tuple(guard_looks(trial, self.guard))
        because = tripped(looks, self.guard)
        return self._roll_back(rollout, f"rolled back: {because}", looks) if because else None

    def _roll_back(self, rollout: Rollout, because: str, looks: tuple[Look, ...]) -> RolledBack:
        from loguru import logger

        mine = self._orchestrator
        before = mine.machine.policy.hash
        mine.change_policy(self._fallback or _without(mine.workflow, rollout.route), because=because)
        now = RolledBack(
            rollout.route, rollout.share, because, looks, before, mine.machine.policy.hash, mine.clock.now()
        )
        self.rolled_back.append(now)
        logger.warning("route {} of {}: {}", rollout.route, mine.workflow.name, because)
        if self._on_roll_back is not None:
            self._on_roll_back(now)
        return now


def _rollouts(workflow: Workflow) -> list[Rollout]:
    """Those that some of the runs have."""
    routes = workflow.machine.policy.ladder.routes
    return [
        Rollout(name, each.share, each.mode, each.rollout)
        for name, each in routes.items()
        if each.rollout is not None and each.share > 0
    ]


def _without(workflow: Workflow, route: str) -> Workflow:
    """The workflow with this route's share at 0."""
    policy: dict[str, Any] = deepcopy(dict(workflow.definition.source["policy"]))
    policy["routes"][route]["rollout"]["share"] = 0.0
    return workflow.with_policy(policy)
