"""Trials out of recordings of agents, ours or another system's: arms are models, agent systems, families ...

What came of a run is its outcome; its quality the score; its time what its agents worked, else the time between its
first and last step; its cost that of its steps. Runs of the same task are pairs. Runs with one `split_key` are one
group, and no witnesses of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from stepladder.errors import InputError
from stepladder.evaluation.shadow import Answers, ShadowReport, report_of
from stepladder.evaluation.trial import Measured, Trial, paired, split, without
from stepladder.evaluation.trial_file import meant, named_arms
from stepladder.scenarios.recording import Recording, Step
from stepladder.scenarios.recording_files import numbered_lines

FIELDS: Final = ("model", "user_model", "agent_system", "source", "family", "domain", "trial")
"""What arms of recordings may differ in; also `provenance.KEY`."""
SETTINGS: Final = ("agent_system", "source", "family", "domain")
"""What a family is told by: where arms differ in one of these, the same task is a pair in two families as well."""
ENOUGH: Final = 0.5
"""Runs are paired by themselves where each arm has so large a share of its runs on tasks that both had."""


class _Head(msgspec.Struct):
    run_id: str
    steps: msgspec.Raw


def are_recordings(file: Path) -> bool:
    """Whether the file's first line is a recording (else it may be a file of trials); a folder has recordings."""
    if file.is_dir() or file.suffix == ".csv":
        return file.is_dir()
    try:
        _, line = next(numbered_lines(file, lambda _: None))
        msgspec.json.decode(line, type=_Head)
    except (StopIteration, InputError, msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def can_differ_in(by: str) -> bool:
    """Whether arms of recordings can be told apart by this."""
    return by in FIELDS or (by.startswith("provenance.") and len(by) > len("provenance."))


def trial_of_recordings(
    recordings: Iterable[Recording],
    by: str,
    *,
    a: str = "",
    b: str = "",
    design: Literal["", "paired", "split"] = "",
    pair_by: str = "",
) -> Trial:
    """The trial among these runs; "" pairs them where most are of tasks that both arms had.

    `pair_by` names what makes two runs a pair: "" is the task in one family (where arms are no families themselves),
    task_id the task in any, and else one of `FIELDS` or split_key.

    Raises:
        InputError: there are no two arms, or no task that both had.
    """
    if not can_differ_in(by):
        raise InputError("recordings", "--by", by, f"one of: {', '.join(FIELDS)}, provenance.KEY")
    if pair_by and pair_by not in (*FIELDS, "task_id", "split_key"):
        raise InputError("recordings", "--pair-by", pair_by, f"one of: task_id, split_key, {', '.join(FIELDS)}")
    arms, left_out = dict[str, list[Measured]](), Counter[str]()
    for run in recordings:
        arm = run.said(by)
        if arm:
            arms.setdefault(arm, []).append(_measured(run, _key(run, by, pair_by)))
        else:
            left_out[f"runs without a {by}"] += 1
    a, b = named_arms(list(arms), meant(a, arms), meant(b, arms), f"the recordings by {by}")
    is_paired = design == "paired" or (not design and _mostly_shared(arms[a], arms[b]))
    if is_paired:
        trial = paired(a, b, *([each for each in arms[arm] if each.key] for arm in (a, b)))
        left_out["runs without a task"] += sum(not each.key for arm in (a, b) for each in arms[arm])
    else:
        trial = split(a, b, arms[a], arms[b])
    for reason, count in left_out.items():
        trial = without(trial, reason, count)
    return trial


def _key(run: Recording, by: str, pair_by: str) -> str:
    """What two runs have to have in common; "" where that is not known."""
    if pair_by and pair_by != "task_id":
        return run.said(pair_by)
    task = run.identity.task_id
    if task is None:
        return ""
    family = "" if pair_by or by in SETTINGS else run.family
    return "\n".join((run.domain, family, task, "" if run.split_key == run.run_id else run.split_key))


def _mostly_shared(a: list[Measured], b: list[Measured]) -> bool:
    keys = [{each.key for each in arm if each.key} for arm in (a, b)]
    both = keys[0] & keys[1]
    return all(sum(each.key in both for each in arm) >= ENOUGH * len(arm) for arm in (a, b))


def _measured(run: Recording, key: str) -> Measured:
    outcome, costs = run.after.outcome, [each.cost for each in run.steps if each.cost is not None]
    time_s = run.after.agent_seconds if run.after.agent_seconds is not None else _lasted_s(run.steps)
    usd = sum(costs) if costs else None
    return Measured(key, outcome.success, outcome.score, time_s, usd, run.identity.trial or 0, run.split_key)


def _lasted_s(steps: tuple[Step, ...]) -> float | None:
    """Seconds from the first time that a step says to the last; None where fewer than two say one."""
    said = [each.ts for each in steps if each.ts]
    if len(said) < 2:
        return None
    try:
        apart = datetime.fromisoformat(said[-1]) - datetime.fromisoformat(said[0])
    except (ValueError, TypeError):
        return None
    return apart.total_seconds() if apart.total_seconds() >= 0 else None


def shadow_of_recordings(
    recordings: Iterable[Recording], point: str = "next_action", level: float = 0.95, model: str = ""
) -> ShadowReport | None:
    """What models said beside the rules in recordings of ours (`model` "": any); None where there is no such answer."""
    return report_of((_answers(run, point, model) for run in recordings), level)


def _answers(run: Recording, point: str, model: str) -> Answers:
    answers = Answers(run.after.outcome.success)
    for step in run.steps:
        said = step.decided
        if said is None or said.point != point or not said.model or model not in ("", said.model):
            continue
        answers.costs.append((step.cost or 0.0, 0.0))
        answers.say(said.rule_action, said.model_action)
    return answers
