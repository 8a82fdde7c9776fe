"""A learned risk in a live run: the clauses read it, and every decision record says what it is made of."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder import SyncOrchestrator, Workflow
from stepladder.errors import DefinitionError

FILE: dict[str, Any] = {
    "workflow": "tries",
    "input": {"page": "integer"},
    "start": "idle",
    "agents": {"worker": {"idempotent": True, "output": {"text": "string"}}},
    "phases": {"main": {"steps": {"idle": {}, "working": {"agent": "worker", "with": {"page": "input.page"}}}}},
    "ends": {"good": {"success": True}, "bad": {"success": False}},
    "actions": {
        "WORK": {"from": ["idle", "working"], "to": "working", "guard": ["visits.working < 4"]},
        "QUIT": {"from": "working", "to": "bad"},
    },
    "rules": {"idle": {"begin": {"do": "WORK"}}, "working": {"again": {"do": "WORK"}, "quit": {"do": "QUIT"}}},
    "policy": {
        "classifier": {"complex": {"at_risk": ["risk.value >= 0.6"]}, "hybrid": {}},
        "risk": {
            "base": -1,
            "terms": {
                "needless_calls": {"cuts": [1, 2], "points": [0, 0.8, 2]},
                "called.WORK": {"cuts": [2], "points": [0, 0.3]},
            },
            "domains": {"tries": {"base": 0.1}},
        },
    },
}


def with_policy(**changes: Any) -> dict[str, Any]:
    return {**FILE, "policy": {**FILE["policy"], **changes}}


def test_clauses_read_the_risk_and_records_say_why() -> None:
    with SyncOrchestrator(Workflow.define(FILE), agents={"worker": lambda page: {"text": "same"}}) as tries:
        run = tries.run({"page": 1})
    routes = [record.opened.route for record in run.decisions]
    values = [record.signals["risk"]["value"] for record in run.decisions]
    assert values == sorted(values)
    assert routes == ["complex" if value >= 0.6 else "standard" for value in values]
    assert {"complex", "standard"} <= set(routes)
    assert run.decisions[-1].signals["risk"]["because"].startswith("needless_calls 3 (+2.00)")


def test_the_policy_hash_names_the_points() -> None:
    risk = FILE["policy"]["risk"]
    other = with_policy(
        risk={**risk, "terms": {**risk["terms"], "needless_calls": {"cuts": [1, 2], "points": [0, 0.8, 2.1]}}}
    )
    one, two = Workflow.define(FILE).definition, Workflow.define(other).definition
    assert one.hash == two.hash
    assert one.policy.hash != two.policy.hash


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"no_such": {"cuts": [1], "points": [0, 1]}}, "no_such"),
        ({"needless_calls": {"cuts": [1], "points": [0]}}, "points"),
        ({"needless_calls": {"cuts": [1, 1], "points": [0, 1, 2]}}, "go up"),
        ({"situation": {"cuts": [1], "points": [0, 1]}}, "situation"),
        ({"n_steps": {"cuts": [1], "points": [0, 1]}}, "n_steps"),
    ],
)
def test_a_scorecard_that_cannot_be_used(terms: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        Workflow.define(with_policy(risk={"terms": terms}))


def test_by_domain_is_taken_under_the_own_name() -> None:
    own = {"complex": {"always": ["needless_calls >= 0"]}, "hybrid": {}}
    definition = Workflow.define(
        with_policy(by_domain={"tries": own, "other": {"complex": {}}}, provenance={"runs": 7})
    ).definition
    assert next(iter(definition.policy.ladder.classifier.complex.named)) == "always"


def test_a_workflow_without_one_has_no_risk() -> None:
    with pytest.raises(DefinitionError, match="risk"):
        Workflow.define(with_policy(risk=None))
