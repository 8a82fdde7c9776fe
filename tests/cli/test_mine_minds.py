"""`mine` on the journal of a model that changed its mind: its newest choices decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stepladder.drivers import ManualClock
from stepladder.llm import ModelRequest
from tests.cli.desk import Desk
from tests.cli.trials import WORKFLOW, filled

KINDS = ["metal", "paper", "glass", "wood"]
TEXT = WORKFLOW.replace("reconcile: rule_wins", "reconcile: model_wins")


def otherwise(request: ModelRequest) -> Mapping[str, Any]:
    """Now paper is thrown as well."""
    thrown = any(kind in request.prompt for kind in ("glass", "paper"))
    return {"action": "THROW" if thrown else "KEEP", "reason": "so it seems", "confidence": 0.9}


@pytest.fixture
def changed(desk: Desk) -> Desk:
    """240 runs in which paper was kept, and on another day 80 in which it was thrown."""
    desk.write(workflow__yaml=TEXT)
    filled(desk.folder / "stepladder.db", KINDS * 60, TEXT)
    filled(desk.folder / "stepladder.db", KINDS * 20, TEXT, "later", says=otherwise, day=30)
    return desk


def test_the_newest_choices_decide(changed: Desk) -> None:
    said = changed.json("mine")
    assert said["choices"] == 320
    (change,) = said["changes"]
    assert (change["step"], change["choices"]) == ("looking", 60)
    assert 29 < (change["at"] - ManualClock().now()) / 86_400 < 31
    assert [each for each in change["when"] if "paper" in each]
    assert {change["before"], change["after"]} == {0.0, 1.0}
    support = {each["action"]: 0 for each in said["proposals"]}
    for each in said["proposals"]:
        assert each["agreement"] == 1.0, "no rule says what paper was before"
        assert each["drift"] == {"newest": 1.0, "before": 1.0, "p": 1.0}
        support[each["action"]] += each["support"]
    assert support == {"KEEP": 160, "THROW": 100}, "of paper the newest twenty"
    told = changed("mine")
    assert "the model changed its mind on 20" in told.out
    assert "60 choices from before do not count" in told.out
    assert "agrees in 100.0% of the newest quarter of runs, 100.0% of those before" in told.out


def test_what_takes_over_is_measured_on_what_still_counts(changed: Desk) -> None:
    assert changed.json("mine", "--partitions", "2")["coverage"]["agreement"]["mean"] > 0.97


def test_without_a_change_nothing_is_said_of_one(desk: Desk) -> None:
    desk.write(workflow__yaml=TEXT)
    filled(desk.folder / "stepladder.db", KINDS * 30, TEXT)
    assert desk.json("mine")["changes"] == []
    assert "changed its mind" not in desk("mine").out
