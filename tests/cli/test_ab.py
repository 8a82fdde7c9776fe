"""`ab` and `rollout`: from files and from journals, for people and as JSON."""

from __future__ import annotations

import json
import re

import pytest
from scipy import stats

from stepladder import Workflow
from stepladder.scenarios.recording_files import write_recordings
from tests.cli.desk import Desk
from tests.cli.trials import WORKFLOW, filled
from tests.evaluation.recordings import runs_of
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
    write_recordings(runs_of(240), desk.folder / "runs.jsonl")
    return desk


OLD = WORKFLOW.replace("      rollout: {share: 0.5, reconcile: model_wins}   # since May\n", "")
NEW = OLD.replace("rule_wins", "model_wins").replace("{then: thrown}", "{decisions: 9, then: thrown}")
SAID = "{% for block in context %}{{ block.text }}{% endfor %}"
PROMPTS = f"""prompts:
  first@1: 'Choose. {SAID}'
  second@1: 'Keep what is worth it. {SAID}'
"""


def prompted(text: str, name: str) -> str:
    """The workflow with a prompt of its own."""
    return PROMPTS + text.replace('"scripted:first"', f'"scripted:first", prompt: {name}')


SUBJECTS = {
    "policy": (OLD, NEW),
    "mode": (OLD, NEW),
    "prompt": (prompted(OLD, "first@1"), prompted(NEW, "second@1")),
    "model": (OLD, NEW.replace('"scripted:first"', '"scripted:second"')),
}


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
        (("ab", "pairs.jsonl", "--by", "colour"), 2, "a file of runs says it in `arm`"),
        (("ab", "pairs.jsonl", "--pair-by", "x"), 2, "a file of runs says it in `pair`"),
        (("ab", "pairs.jsonl", "--only", "domain=x"), 2, "it says which recordings"),
        (("ab", "runs.jsonl", "--by", "outcome"), 2, "expected model, user_model"),
        (("ab", "runs.jsonl", "--only", "mood=x"), 2, "expected model=, user_model="),
        (("ab", "runs.jsonl", "--a", "model 7"), 2, "no arm 'model 7'"),
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


def test_a_file_is_compared_as_it_is_told_to(pairs: Desk) -> None:
    said = pairs.json("ab", "pairs.jsonl", "--design", "split")
    assert (said["design"], said["criteria"][0]["contrast"]["test"]) == ("split", "chi-square")
    rows = [json.dumps({"arm": arm, "success": True}) for arm in "ab"]
    pairs.write(bare__jsonl="\n".join(rows))
    told = pairs("ab", "bare.jsonl", "--design", "paired")
    assert (told.code, "2 rows without a `pair`" in told.err) == (2, True)


def test_models_in_recordings(pairs: Desk) -> None:
    told = pairs("ab", "runs.jsonl", "--gain", "success=0.5")
    assert (told.code, told.out.splitlines()[-1]) == (1, "NO-GO")
    assert told.out.startswith("split trial: a model 0 (120 runs), b model 1 (120 runs)\n")
    assert "success: runs of 120 groups, with each as one witness p" in told.out
    said = pairs.json("ab", "runs.jsonl", "--design", "paired", "--pair-by", "split_key")
    assert (said["design"], said["n_a"], said["criteria"][0]["contrast"]["test"]) == ("paired", 120, "McNemar")
    runs = [(run.identity.model, run.after.outcome.success) for run in runs_of(240)]
    shares = [sum(bool(won) for model, won in runs if model == name) / 120 for name in ("model 0", "model 1")]
    assert [said["criteria"][0]["contrast"][name] for name in "ab"] == pytest.approx(shares)
    assert pairs.json("ab", "runs.jsonl", "--only", "domain=desk", "--b", "model 0")["a"] == "model 1"


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


@pytest.mark.parametrize("design", ["split", "paired", "shadow"])
@pytest.mark.parametrize("by", ["policy", "prompt", "model", "mode"])
def test_every_design_of_every_subject(desk: Desk, by: str, design: str) -> None:
    """Two policies that differ in that, each with the same inputs; in the shadow both models speak beside the rules."""
    a, b = SUBJECTS[by]
    if design == "shadow":
        a, b = (re.sub("reconcile: [a-z]+_wins", "reconcile: shadow", each) for each in (a, b))
    kinds = ["metal", "paper", "glass"] * 20
    for prefix, text in (("a", a), ("b", b)):
        filled(desk.folder / "stepladder.db", kinds, text, prefix)
    arms = {
        "policy": [Workflow.parse(text).machine.policy.hash for text in (a, b)],
        "prompt": ["first@1", "second@1"],
        "model": ["scripted:first", "scripted:second"],
        "mode": ["rule_wins", "model_wins"],
    }[by]
    if design == "shadow":
        if by == "mode":  # a shadow has one
            return
        for arm, agreement in zip(arms, (1 / 3, 1 / 3), strict=True):
            said = desk.json("ab", "--design", "shadow", "--by", by, "--b", arm[:14])
            assert (said["shadow"]["decisions"], said["shadow"]["agreement"]) == (60, pytest.approx(agreement))
        assert desk.json("ab", "--design", "shadow")["shadow"]["decisions"] == 120
        return
    said = desk.json("ab", "--by", by, "--a", arms[0], "--b", arms[1], "--design", design)
    assert (said["design"], said["a"], said["b"], said["n_a"], said["n_b"]) == (design, *arms, 60, 60)
    found = said["criteria"][0]["contrast"]
    assert (found["a"], found["b"]) == (0.0, pytest.approx(2 / 3))


def test_a_file_without_a_rollout(sorting: Desk) -> None:
    sorting.write(plain__yaml=WORKFLOW.replace("rollout:", "# rollout:"))
    told = sorting("rollout", "plain.yaml")
    assert (told.code, "no rollout under policy.routes" in told.err) == (2, True)
