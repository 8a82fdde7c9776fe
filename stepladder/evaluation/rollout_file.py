"""Rollouts as a policy file has them, and the runs that tell how they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from stepladder.errors import InputError
from stepladder.evaluation.shadow import ShadowReport, shadow_report
from stepladder.evaluation.trial import Trial, split
from stepladder.evaluation.trial_runs import PastRun, trial_of
from stepladder.workflow.yaml_edit import replaced
from stepladder.workflow.yaml_text import read_yaml


class Rollout(msgspec.Struct, frozen=True):
    """`share` of the runs that take this route are reconciled by `b`, the others by `a`."""

    route: str
    share: float
    a: str
    b: str


def rollouts_in(text: str, file: str = "") -> list[Rollout]:
    """Those under `policy.routes`. Raises DefinitionError where the text is no YAML."""
    data, _ = read_yaml(text, file)
    routes = _mapping(_mapping(data.get("policy")).get("routes"))
    found = []
    for name, route in routes.items():
        rollout = _mapping(_mapping(route).get("rollout"))
        if isinstance(rollout.get("share"), int | float):
            a = str(_mapping(route).get("reconcile", "model_wins"))
            found.append(Rollout(name, float(rollout["share"]), a, str(rollout.get("reconcile", ""))))
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def with_share(text: str, shares: Mapping[str, float], file: str = "") -> str:
    """The text with these routes' shares; nothing else is changed."""
    for route, share in shares.items():
        text = replaced(text, ["policy", "routes", route, "rollout", "share"], share, file)
    return text


def trial_at(
    runs: Iterable[PastRun], rollout: Rollout, point: str = "next_action", policy: str = ""
) -> tuple[Trial | None, ShadowReport | None]:
    """The runs that met the rollout, a against b; and what the model says in shadow.

    Only decisions on its route count, and (`policy`) those made under this policy hash; an arm without runs is empty.
    """
    met = [each for each in (_on_route(run, rollout, policy) for run in runs) if each.records]
    shadow = shadow_report(met, point)
    modes = {record.opened.mode for run in met for record in run.records}
    if modes >= {rollout.a, rollout.b}:
        try:
            return trial_of(met, "mode", a=rollout.a, b=rollout.b, point=point), shadow
        except InputError:  # no run in one of them stayed in one mode
            pass
    return split(rollout.a, rollout.b, (), ()), shadow


def _on_route(run: PastRun, rollout: Rollout, policy: str) -> PastRun:
    records = tuple(
        each
        for each in run.records
        if each.opened.route == rollout.route and each.asked and (not policy or each.policy_hash == policy)
    )
    return replace(run, records=records)
