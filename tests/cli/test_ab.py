"""`ab` and `rollout`: from files and from journals, for people and as JSON."""

from __future__ import annotations

import json

import pytest
from scipy import stats

from tests.cli.desk import Desk
from tests.cli.trials import WORKFLOW, filled
from tests.evaluation.test_trial import arm


@pytest.fixture
def pairs(desk: Desk) -> Desk:
    metrics = ("success", "quality", "time_s")
    rows = [
        {
            "pair": one.key,
            **{f"{name}_a": getattr(one, name) for name in metrics},
            **{f"{name}_b": getattr(two, name) for name in metrics},
        }
        for one, two in zip(arm(0.6), arm(0.9, 0.72, seed=1), strict=True)
    ]
    desk.write(pairs__jsonl="\n".join(map(json.dumps, rows)))
    return desk


def test_pairs_in_a_file(pairs: Desk) -> None:
    told = pairs("ab", "pairs.jsonl", columns=90)
    assert told.code == 0
    assert told.out.startswith("paired trial: a a (80 runs), b b (80 runs)\n")
    assert "McNemar" in told.out
    assert told.out.splitlines()[-1] == "GO"
    said = pairs.json("ab", "pairs.jsonl")
    quality = next(each["contrast"] for each in said["criteria"] if each["metric"] == "quality")
    rows = [json.loads(line) for line in (pairs.folder / "pairs.jsonl").read_text().splitlines()]
    theirs = stats.ttest_rel([each["quality_b"] for each in rows], [each["quality_a"] for each in rows])
    assert (quality["statistic"], quality["p"]) == (theirs.statistic, theirs.pvalue)


def test_what_is_asked_can_be_said(pairs: Desk) -> None:
    told = pairs("ab", "pairs.jsonl", "--gain", "success=0.6", "--runs", "100")
    assert (told.code, told.out.splitlines()[-1]) == (1, "NO-GO")
    assert pairs.json("ab", "pairs.jsonl", "--gain", "success=0.3")["verdict"] == "GO"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("ab", "none.jsonl"), 2, "none.jsonl"),
        (("ab", "pairs.jsonl", "--design", "mixed"), 2, "expected paired, split, shadow"),
        (("ab", "pairs.jsonl", "--design", "shadow"), 2, "a shadow is in a journal"),
        (("ab", "pairs.jsonl", "--by", "colour"), 2, "expected policy, mode, prompt, model"),
        (("ab", "pairs.jsonl", "--gain", "speed=1"), 2, "expected one of success, quality, time_s, usd"),
        (("ab", "pairs.jsonl", "--gain", "success=much"), 2, "a part such as 0.15"),
        (("ab", "pairs.jsonl", "--a", "c"), 2, "no arm 'c'"),
        (("ab",), 4, "no journal"),
    ],
)
def test_what_cannot_be_compared(pairs: Desk, args: tuple[str, ...], code: int, said: str) -> None:
    told = pairs(*args)
    assert (told.code, told.out) == (code, "")
    assert said in told.err


@pytest.fixture
def sorting(desk: Desk) -> Desk:
    """160 odd runs, half of which the model decides, and 40 that nobody asks about."""
    desk.write(workflow__yaml=WORKFLOW)
    filled(desk.folder / "stepladder.db", ["metal", "plain", "paper", "glass", "metal"] * 40)
    return desk


def test_modes_of_a_rollout_in_a_journal(sorting: Desk) -> None:
    said = sorting.json("ab", "--by", "mode", "--gain", "success=0.15", "--a", "rule_wins")
    assert (said["verdict"], said["design"], said["a"], said["b"]) == ("GO", "split", "rule_wins", "model_wins")
    assert said["n_a"] + said["n_b"] == 160
    assert said["left_out"] == {"runs without a mode at next_action": 40}
    contrast = said["criteria"][0]["contrast"]
    assert (contrast["a"], contrast["b"] > 0.6) == (0, True)


def test_the_rollout_goes_up_and_writes_only_its_share(sorting: Desk) -> None:
    told = sorting("rollout", "workflow.yaml", "--apply", "--gain", "success=0.15")
    assert told.code == 0
    assert "advance 50% -> 100%  GO: every criterion is met" in told.out
    assert (sorting.folder / "workflow.yaml").read_text() == WORKFLOW.replace("share: 0.5", "share: 1.0")
    again = sorting.json("rollout", "workflow.yaml", "--apply")["routes"]["hybrid"]
    assert (again["move"], again["looks"]) == ("done", []), "no run has been decided at the new share"


def test_the_rollout_is_rolled_back_where_the_guard_trips(desk: Desk) -> None:
    text = WORKFLOW.replace("{do: THROW, because: it is worth", "{do: KEEP, because: it is worth")
    desk.write(workflow__yaml=text)
    filled(desk.folder / "stepladder.db", ["glass"] * 60, text)
    told = desk("rollout", "workflow.yaml")
    assert told.code == 1
    assert "roll back 50% -> 0%  success is worse after" in told.out
    assert (desk.folder / "workflow.yaml").read_text() == text, "nothing is written without --apply"
    assert desk("rollout", "workflow.yaml", "--apply").code == 1
    assert "share: 0.0," in (desk.folder / "workflow.yaml").read_text()


def test_a_shadow(desk: Desk) -> None:
    text = WORKFLOW.replace("reconcile: rule_wins", "reconcile: shadow").replace("share: 0.5", "share: 0")
    desk.write(workflow__yaml=text)
    filled(desk.folder / "stepladder.db", ["glass", "metal", "paper"] * 20, text)
    said = desk.json("ab", "--design", "shadow")
    assert said["shadow"]["decisions"] == 60
    assert said["shadow"]["agreement"] == pytest.approx(1 / 3)
    assert said["shadow"]["differing"] == {"THROW -> KEEP": 40}
    assert said["shadow"]["model_success"] == [0, pytest.approx(2 / 3)]
    told = desk("ab", "--design", "shadow")
    assert (told.code, told.out.splitlines()[-1].startswith("advance 0% -> 10%")) == (0, True)
    assert desk.json("rollout", "workflow.yaml")["routes"]["hybrid"]["to"] == 0.1


def test_a_file_without_a_rollout(sorting: Desk) -> None:
    sorting.write(plain__yaml=WORKFLOW.replace("rollout:", "# rollout:"))
    told = sorting("rollout", "plain.yaml")
    assert (told.code, "no rollout under policy.routes" in told.err) == (2, True)
