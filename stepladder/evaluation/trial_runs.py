"""Trials out of runs that happened: each decision record says who chose, under which policy, prompt and mode.

The arm of a run is what its decisions at the point say of one thing (`by`): the policy they were made under, the mode
they were reconciled in (a rollout), the prompt or the models asked. A run whose decisions say two things, or none, is
in no arm. What came of a run is its outcome as somebody said later, else its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec

from stepladder.errors import InputError
from stepladder.evaluation.trial import Design, Measured, Trial, paired, split, without
from stepladder.evaluation.trial_file import meant, named_arms
from stepladder.orchestrator import DecisionRecord
from stepladder.record import Asked
from stepladder.values import digest

By = Literal["policy", "mode", "prompt", "model"]
BYS: Final = get_args(By)


class PastRun(msgspec.Struct, frozen=True):
    """An ended run as a trial sees it: its input, its decisions, and what came of it.

    `counted` are the most decisions that it counted against its limit (None: all), and `working_s` how long it worked.
    """

    run_id: str
    at: float
    input: Mapping[str, Any]
    records: tuple[DecisionRecord, ...]
    success: bool | None = None
    quality: float | None = None
    time_s: float | None = None
    usd: float | None = None
    counted: int | None = None
    working_s: float | None = None


def trial_of(
    runs: Iterable[PastRun],
    by: By,
    *,
    a: str = "",
    b: str = "",
    design: Design = "split",
    point: str = "next_action",
    pair_by: str = "",
) -> Trial:
    """The trial among these runs. `pair_by` names the part of the input that has to be the same ("": all of it).

    Raises:
        InputError: there are no two arms, or no input that both had.
    """
    arms, left_out = dict[str, list[Measured]](), Counter[str]()
    for run in sorted(runs, key=lambda each: each.at):
        found = {arm for each in run.records if each.opened.point == point for arm in ARM_OF[by](each)}
        if len(found) != 1:
            left_out[f"runs of several arms (by {by})" if found else f"runs without a {by} at {point}"] += 1
            continue
        arms.setdefault(found.pop(), []).append(_measured(run, pair_by))
    a, b = named_arms(list(arms), meant(a, arms), meant(b, arms), f"the runs by {by}")
    trial = (paired if design == "paired" else split)(a, b, arms[a], arms[b])
    for reason, count in left_out.items():
        trial = without(trial, reason, count)
    return trial


def _by_asked(record: DecisionRecord, of: Callable[[Asked], str]) -> set[str]:
    return {of(each) for each in record.asked if each.models}


ARM_OF: Final[Mapping[str, Callable[[DecisionRecord], set[str]]]] = {
    "policy": lambda record: {record.policy_hash},
    "mode": lambda record: {record.opened.mode} if record.asked else set(),
    "prompt": lambda record: _by_asked(record, lambda each: each.prompt),
    "model": lambda record: _by_asked(record, lambda each: ", ".join(each.models)),
}
"""For each thing that arms may differ in, what a decision says of it."""


def _measured(run: PastRun, pair_by: str) -> Measured:
    if pair_by and pair_by not in run.input:
        there = ", ".join(run.input) or "nothing"
        raise InputError(f"run {run.run_id!r}", f"input.{pair_by}", "nothing", f"one of: {there}")
    key = digest(run.input[pair_by] if pair_by else dict(run.input))
    return Measured(key, run.success, run.quality, run.time_s, run.usd, run.at)
