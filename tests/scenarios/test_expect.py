"""Expectations: each kind, held and not held, with what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.drivers.desk import LADDER
from tests.scenarios.stage import OWLS, X, played

ASKED = "script: {worker: [{y: 1}], models: {'scripted:first': [{action: CLOSE, confidence: 0.9}]}}"
"""One decision: a model chooses CLOSE over the rule's SOLVE."""
FAILED = "script: {worker: [{y: 1}], models: {'scripted:first': [{$fail: late}]}}"
LIMITED = "script: {worker: [{y: 1}, {y: 2}], models: {'scripted:first': [{action: AGAIN, confidence: 0.9}]}}"
ONE_DECISION = LADDER.replace("decisions: 6", "decisions: 1")


@pytest.mark.parametrize(
    ("expected", "what", "found"),
    [
        ("end: closed", "end", None),
        ("end: solved", "end", "closed"),
        ("success: false", "success", None),
        ("success: true", "success", False),
        ("path: [CLOSE]", "path", None),
        ("path: []", "path", ["CLOSE"]),
        ("path: [CLOSE, CLOSE]", "path", ["CLOSE"]),
        ("asked: 1", "asked", None),
        ("asked: 0", "asked", 1),
        ("never: [SOLVE]", "never SOLVE", None),
        ("never: [STOP]", "never STOP", None),
        ("never: [CLOSE]", "never CLOSE", "taken 1 times"),
        ("never: [SOVLE]", "never SOVLE", "no such action"),
        ("usd_at_most: 0", "usd", None),
        ("usd_at_most: -0.5", "usd", 0.0),
        ("waiting: question", "waiting", "nothing"),
        ("decisions: {1: {action: CLOSE}}", "decision 1.action", None),
        ("decisions: {1: {action: SOLVE}}", "decision 1.action", "CLOSE"),
        ("decisions: {1: {rule: solve}}", "decision 1.rule", None),
        ("decisions: {1: {rule: close}}", "decision 1.rule", "solve"),
        ("decisions: {1: {source: model}}", "decision 1.source", None),
        ("decisions: {1: {source: rule}}", "decision 1.source", "model"),
        ("decisions: {1: {relation: override}}", "decision 1.relation", None),
        ("decisions: {1: {relation: agreement}}", "decision 1.relation", "override"),
        ("decisions: {1: {route: complex}}", "decision 1.route", None),
        ("decisions: {1: {route: hybrid}}", "decision 1.route", "complex"),
        ("decisions: {1: {point: next_action}}", "decision 1.point", None),
        ("decisions: {1: {point: select_agent}}", "decision 1.point", "next_action"),
        ("decisions: {1: {fallback: false}}", "decision 1.fallback", None),
        ("decisions: {1: {fallback: true}}", "decision 1.fallback", False),
        ("decisions: {1: {limit: false}}", "decision 1.limit", None),
        ("decisions: {1: {limit: true}}", "decision 1.limit", False),
        ("decisions: {1: {fired: [always]}}", "decision 1.fired", None),
        ("decisions: {1: {fired: []}}", "decision 1.fired", ["always"]),
        ("decisions: {2: {action: CLOSE}}", "decision 2", "only 1 were"),
        ("output: {reason: so}", "output.reason", "nothing"),
    ],
)
def test_what_is_expected(tmp_path: Path, expected: str, what: str, found: Any) -> None:
    result = played(tmp_path, "ladder", X, ASKED, f"expect: {{{expected}}}")
    checks = {check.what: check for check in result.checks}
    assert list(checks) == [what, "script"]
    assert (checks[what].held, result.passed) == (found is None, found is None)
    if found is not None:
        assert checks[what].found == (None if found == "nothing" else found)
        assert str(checks[what]).endswith(f", found {checks[what].found}")
        assert result.failures == (checks[what],)


def test_a_fallback_and_a_limit_are_seen(tmp_path: Path) -> None:
    assert played(tmp_path, "ladder", X, FAILED, "expect: {decisions: {1: {fallback: true, source: rule}}}").passed
    stopped = "expect: {end: closed, path: [AGAIN, STOP], decisions: {2: {limit: true, source: limit}}}"
    assert [str(each) for each in played(tmp_path, ONE_DECISION, X, LIMITED, stopped).failures] == []
    assert not played(tmp_path, ONE_DECISION, X, LIMITED, "expect: {never: [STOP]}").passed


def test_money(tmp_path: Path) -> None:
    agents = "from stepladder import AgentResult\nAGENTS = {'worker': lambda x: AgentResult({'y': x}, cost_usd=0.25)}"
    (tmp_path / "agents.py").write_text(agents)
    script = "script: {models: {'scripted:first': [{action: CLOSE, confidence: 0.9}]}}"
    assert played(tmp_path, "ladder", X, script, "expect: {usd_at_most: 0.25}").passed
    (check,) = played(tmp_path, "ladder", X, script, "expect: {usd_at_most: 0.2}").failures
    assert str(check) == "usd: expected at most 0.2, found 0.25"


@pytest.mark.parametrize(
    ("given", "expected", "held"),
    [
        ("1", "1", True),
        ("1", "1.0", True),
        ("1", "true", False),
        ("true", "1", False),
        ("false", "0", False),
        ("false", "null", False),
        ("'1'", "1", False),
        ("null", "null", True),
        ("{a: [1, {b: c}]}", "{a: [1, {b: c}]}", True),
        ("{a: [1, {b: c}]}", "{a: [1]}", False),
        ("{a: [1]}", "{a: [true]}", False),
        ("{a: [1.0]}", "{a: [1]}", True),
        ("{a: 1}", "{a: 1, b: 2}", False),
        ("[1]", "{a: 1}", False),
        ("[1, 2]", "[2, 1]", False),
    ],
)
def test_values_of_the_output(tmp_path: Path, given: str, expected: str, held: bool) -> None:
    text = f"script: {{worker: [{{y: {given}}}]}}"
    result = played(tmp_path, "one", X, text, f"expect: {{output: {{made: {{y: {expected}}}}}}}")
    assert result.passed == held


def test_a_run_that_waits(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text("AGENTS = {'printer': print}")
    script = "script: {writer: [{text: a}]}"
    assert played(tmp_path, "talk", OWLS, script, "expect: {waiting: question, path: [ASK]}").passed
    found = {
        check.what: check.found
        for check in played(
            tmp_path, "talk", OWLS, script, "expect: {end: printed, success: true, output: {sheets: 1}}"
        ).failures
    }
    assert found == {
        **{"end": "", "success": None, "output.sheets": None},
        "script": "nobody answers: it waits for question",
    }
