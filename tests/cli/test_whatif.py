"""`whatif`: over recordings and over a journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.scenarios.recording import Afterwards, Outcome, Recording
from stepladder.scenarios.recording_files import write_recordings
from stepladder.scenarios.recording_line import new_step
from tests.cli.desk import Desk
from tests.cli.trials import WORKFLOW, filled


def recording(number: int, calls: int) -> Recording:
    """A run that makes the same call so many times, and fails where it is more than two."""
    steps = [new_step(0, "user", "user_message", "Where is it?")]
    for _ in range(calls):
        steps.append(new_step(len(steps), "agent", "tool_call", tool="look", args={"page": 1}))
        steps.append(new_step(len(steps), "env", "tool_result", "nothing", ref=len(steps) - 1, is_error=False))
    steps.append(new_step(len(steps), "agent", "message", "I do not know."))
    name = f"r-{number}"
    return Recording(name, "shop", "shop/x", "x", name, tuple(steps), after=Afterwards(Outcome(calls <= 2)))


@pytest.fixture
def shop(desk: Desk) -> Desk:
    write_recordings([recording(number, 1 + number % 4) for number in range(40)], Path("runs.jsonl.gz"))
    return desk


def test_settings_over_recordings(shop: Desk) -> None:
    said = shop.json("whatif", "runs.jsonl.gz", "--set", "repeated_calls >= 3", "--set", "repeated_calls>=4", "--runs")
    three, four = said["settings"]
    assert said["runs"] == 40
    assert (three["changed"], three["escalated"], three["failing"], three["failures"]) == (20, 20, 20, 20)
    assert (three["precision"], three["recall"], four["recall"]) == (1.0, 1.0, 0.5)
    assert three["at"]["r-2"] == 6, "the third result"
    assert three["unknown"] == 10 * 1 + 10 * 3
    told = shop("whatif", "runs.jsonl.gz", "--set", "repeated_calls >= 3")
    assert (told.code, "repeated_calls >= 3" in told.out) == (0, True)


def test_a_setting_changes_the_policy(shop: Desk) -> None:
    shop.write(policy__yaml="policy: {classifier: {complex: {calls: [repeated_calls >= 3]}}}\n")
    asked = ("whatif", "runs.jsonl.gz", "--policy", "policy.yaml")
    (lower,) = shop.json(*asked, "--set", "repeated_calls >= 2")["settings"]
    assert (lower["changed"], lower["up"]) == (30, 30)
    (higher,) = shop.json(*asked, "--set", "repeated_calls >= 4")["settings"]
    assert (higher["changed"], higher["up"]) == (20, 0), "also the runs that it would escalate later"
    (same,) = shop.json(*asked, "--set", "repeated_calls >= 3")["settings"]
    assert (same["changed"], same["unknown"]) == (0, 0)


def test_settings_over_a_journal(desk: Desk) -> None:
    desk.write(workflow__yaml=WORKFLOW)
    filled(desk.folder / "stepladder.db", ["metal", "plain", "paper", "glass"] * 5)
    asked = ("whatif", "--workflow", "workflow.yaml")
    (off,) = desk.json(*asked, "--set", "last.odd == false")["settings"]
    assert (off["changed"], off["up"]) == (20, 5), "the odd ones come down, the plain ones go up"
    (more,) = desk.json(*asked, "--set", "last.kind == plain")["settings"]
    assert (more["changed"], more["up"], more["escalated"]) == (5, 5, 5)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("whatif", "runs.jsonl.gz"), 2, "at least one --set"),
        (("whatif", "runs.jsonl.gz", "--set", "calls"), 2, "signal op literal"),
        (("whatif", "runs.jsonl.gz", "--set", "model == gpt"), 2, "who ran what is not for a policy to read"),
        (("whatif", "runs.jsonl.gz", "--set", "outcome == true"), 2, "known only after the run"),
        (("whatif", "runs.jsonl.gz", "--set", "success == false"), 2, "known only after the run"),
        (("whatif", "none.jsonl", "--set", "error_count > 2"), 2, "none.jsonl"),
        (("whatif", "--set", "error_count > 2"), 2, "--workflow FILE"),
        (("whatif", "runs.jsonl.gz", "--workflow", "w.yaml", "--set", "error_count > 2"), 2, "goes with a journal"),
    ],
)
def test_what_cannot_be_asked(shop: Desk, args: tuple[str, ...], code: int, said: str) -> None:
    told = shop(*args)
    assert (told.code, told.out) == (code, "")
    assert said in told.err
