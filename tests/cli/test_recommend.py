"""`recommend` and `forecast`."""

from __future__ import annotations

import pytest

from tests.cli.desk import Desk
from tests.cli.trials import WORKFLOW, filled


def test_a_rule_that_is_overruled(desk: Desk) -> None:
    text = WORKFLOW.replace("reconcile: rule_wins", "reconcile: model_wins")
    desk.write(workflow__yaml=text)
    filled(desk.folder / "stepladder.db", ["metal", "paper", "wood", "plain"] * 12, text)
    (said,) = desk.json("recommend")["recommendations"]
    assert (said["about"], said["name"], said["command"]) == ("rule", "looking.throw", "stepladder mine")
    assert said["evidence"].startswith("overruled in 36 of 36 decisions")
    told = desk("recommend", "workflow.yaml")
    assert (told.code, "overruled more often than not, mostly by KEEP" in told.out) == (0, True)


def test_nothing_to_say(desk: Desk) -> None:
    desk.write(workflow__yaml=WORKFLOW)
    filled(desk.folder / "stepladder.db", ["plain"] * 12)
    assert desk("recommend").out == "nothing: 12 runs speak for no change, or say too little\n"


def test_what_an_open_run_is_still_to_need(sql: Desk) -> None:
    for number in range(12):
        sql("run", "text_to_sql.yaml", "-i", f"question=How many {number}?", "--id", f"r{number}")
    assert sql("run", "text_to_sql.yaml", "-i", "question=best", "--id", "open").code == 3
    said = sql.json("forecast", "open")["forecast"]
    assert (said["alike"], said["runs"]) == ("after 2 decisions, in planning", 12)
    assert said["decisions"] == {"middle": 2.0, "low": 2.0, "high": 2.0}
    assert said["success"] == 1.0
    told = sql("forecast", "open")
    assert (told.code, "  decisions  2 more (2 to 2 in four of five runs)" in told.out) == (0, True)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("forecast", "good"), 2, "has ended"),
        (("forecast", "nobody"), 4, "nobody"),
        (("recommend", "none.yaml"), 2, "none.yaml"),
    ],
)
def test_what_cannot_be_said(sql: Desk, args: tuple[str, ...], code: int, said: str) -> None:
    sql("run", "text_to_sql.yaml", "-i", "question=How many?", "--id", "good")
    told = sql(*args)
    assert (told.code, told.out) == (code, "")
    assert said in told.err
