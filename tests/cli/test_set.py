"""`set`: values of a policy, changed where they stand."""

from __future__ import annotations

import pytest

from stepladder import Workflow
from tests.cli.desk import Desk

FILE = """\
workflow: sorting   # a comment
start: look
input: {text: string}
agents: {looker: {idempotent: true}}
phases: {work: {steps: {look: {agent: looker, with: {text: input.text}}}}}
ends: {kept: {success: true}, dropped: {success: false}}
actions:
  KEEP: {from: look, to: kept, guard: [returned == ok]}
  DROP: {from: look, to: dropped}
rules:
  look: {keep: {do: KEEP}, drop: {do: DROP}}
policy:
  limits: {decisions: 30, then: dropped}   # thirty
  classifier:
    complex:
      failing: [error_count > 2]
"""
POLICY = "policy:\n  limits: {decisions: 5}\n"


@pytest.mark.parametrize(
    ("said", "line", "was"),
    [
        ("limits.decisions=60", "  limits: {decisions: 60, then: dropped}   # thirty", 30),
        ("limits.usd=0.5", "  limits: {decisions: 30, then: dropped, usd: 0.5}   # thirty", None),
        ("classifier.complex.failing=[error_count > 3]", "      failing: [error_count > 3]", ["error_count > 2"]),
        ("classifier.complex.odd=[validation_anomalies > 0]", "      odd: [validation_anomalies > 0]", None),
    ],
)
def test_a_value_changes_where_it_stands_and_nothing_else(desk: Desk, said: str, line: str, was: object) -> None:
    desk.write(w__yaml=FILE)
    told = desk.json("set", "w.yaml", said)
    key = said.partition("=")[0]
    assert told["changed"][key]["was"] == was
    text = (desk.folder / "w.yaml").read_text()
    assert line in text.splitlines()
    gone = set(FILE.splitlines()) - set(text.splitlines())
    assert gone <= {"  limits: {decisions: 30, then: dropped}   # thirty", "      failing: [error_count > 2]"}
    assert len(gone) <= 1
    Workflow.load(desk.folder / "w.yaml")


def test_several_at_once_are_told_one_by_one(desk: Desk) -> None:
    desk.write(w__yaml=FILE)
    told = desk("set", "w.yaml", "limits.decisions=60", "limits.usd=2")
    assert told.code == 0
    assert told.out.splitlines() == ["limits.decisions  30 -> 60", "limits.usd  not set -> 2", "wrote w.yaml"]


def test_a_key_is_taken_away_and_null_is_a_value(desk: Desk) -> None:
    desk.write(w__yaml=FILE.replace("decisions: 30,", "decisions: 30, usd: null,"))
    told = desk(
        "set", "w.yaml", "limits.usd=2", "--remove", "limits.decisions", "--remove", "classifier.complex.failing"
    )
    assert told.code == 0, told.err
    assert told.out.splitlines()[:3] == [
        "limits.usd  null -> 2",
        "limits.decisions  30 -> not set",
        "classifier.complex.failing  [error_count > 2] -> not set",
    ]
    text = (desk.folder / "w.yaml").read_text()
    assert "  limits: {usd: 2, then: dropped}   # thirty" in text
    Workflow.load(desk.folder / "w.yaml")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), "give KEY=VALUE or --remove KEY"),
        (("--remove", "limits.usd"), "w.yaml: policy.limits.usd: found nothing; expected a key that is there"),
        (("--remove", "limits.usd.more"), "w.yaml: policy.limits.usd: found nothing"),
        (("--remove", "limits.decisions.more"), "w.yaml: policy.limits.decisions.more: found nothing"),
        (("--remove", "limits.decisions", "limits.decisions=3"), "limits.decisions is both given a value and removed"),
    ],
)
def test_what_cannot_be_taken_away(desk: Desk, args: tuple[str, ...], expected: str) -> None:
    desk.write(w__yaml=FILE)
    told = desk("set", "w.yaml", *args)
    assert (told.code, expected in told.err) == (2, True), told.err
    assert (desk.folder / "w.yaml").read_text() == FILE


def test_a_policy_file_is_held_against_its_workflow(desk: Desk) -> None:
    desk.write(w__yaml=FILE, p__yaml=POLICY)
    assert desk("set", "p.yaml", "limits.decisions=6", "--workflow", "w.yaml").code == 0
    assert (desk.folder / "p.yaml").read_text() == "policy:\n  limits: {decisions: 6}\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("limits.decision=60", "w.yaml:13: policy.limits.decision: found key 'decision'; expected one of"),
        ("limits.decisions=many", "w.yaml:13: policy.limits.decisions: found 'many'"),
        ("limits.then=kept", "w.yaml:13: policy.limits.then: found end 'kept', which succeeds"),
        ("limits.decisions.more=1", "limits.decisions: found no mapping"),
        ("limits.decisions=1\nother: 2", "expected one value on one line"),
        ("limits.decisions={", "KEY=VALUE limits.decisions"),
        ("limits.decisions", "found 'limits.decisions'; expected name=value"),
    ],
)
def test_what_could_not_be_used_is_not_written(desk: Desk, said: str, expected: str) -> None:
    desk.write(w__yaml=FILE)
    told = desk("set", "w.yaml", said)
    assert told.code == 2
    assert expected in told.err
    assert (desk.folder / "w.yaml").read_text() == FILE
    assert [each.name for each in desk.folder.iterdir() if "draft" in each.name] == []
