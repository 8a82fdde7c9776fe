"""Forks: what is on record counts where the same is asked, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given

from stepladder.commands import AskModel, CallAgent
from stepladder.errors import InputError
from stepladder.evaluation.fork import Fork, fork, recorded_steps
from stepladder.evaluation.fork_summary import summary
from stepladder.events import AgentReturned, Event
from stepladder.orchestrator import Machine
from stepladder.record import Opened
from stepladder.state import RunState
from tests.example_workflows import TEXT_TO_SQL, machine
from tests.orchestrator.play import Play
from tests.orchestrator.test_laws import STORIES, Story

MODELLED = machine(TEXT_TO_SQL)
ROWS = {"success": True, "rows": [[42]]}
BARE = machine(TEXT_TO_SQL, {"policy": {"mode": "programmatic"}})
NO_RETRY = machine(TEXT_TO_SQL, {"rules": {"executing": {"repair": None}}, "policy": {"mode": "programmatic"}})


def good(run_id: str = "good") -> Play:
    """Planned, run, phrased, done: four decisions."""
    play = Play(MODELLED, run_id, question="How many?")
    play.returns({"status": "answerable", "sql": "SELECT 1"})
    play.returns(ROWS)
    return play.returns({"text": "42"})


def repaired(run_id: str = "repaired") -> Play:
    """The first SQL does not run, the second does: six decisions."""
    play = Play(MODELLED, run_id, question="How many?")
    play.returns({"status": "answerable", "sql": "SELECT x"})
    play.returns({"success": False, "error": "no x"})
    while play.all(AskModel):
        play.answers({"action": "RETRY_PLANNING", "reason": "once more", "confidence": 0.9})
    play.returns({"status": "answerable", "sql": "SELECT 1"})
    play.returns(ROWS)
    return play.returns({"text": "42"})


def told(found: Fork) -> list[tuple[int, str, str]]:
    return [(each.n, each.action, each.label) for each in found.steps]


def test_under_the_same_policy_nothing_changes() -> None:
    for play in (good(), repaired()):
        for at in range(1, play.state.opened + 1):
            found = fork(MODELLED, play.journal, at)
            assert (found.differs, found.missing, found.end) == (0, "", "done")
            assert [each.label for each in found.steps] == [
                "recorded" if each.n < at else "recomputed" for each in found.steps
            ]
            assert (found.success, found.was_success) == (True, True)


def test_another_policy_takes_another_way() -> None:
    found = fork(NO_RETRY, repaired().journal, 1, old=MODELLED)
    assert found.differs == 3
    assert found.end == "given_up"
    assert (found.success, found.was_success) == (False, True)
    assert [each.action for each in found.steps][-1] == "GIVE_UP"
    assert found.steps[2].was == "RETRY_PLANNING -> planning"


def test_another_action_ends_where_nothing_is_on_record() -> None:
    found = fork(MODELLED, good().journal, 2, action="RETRY_PLANNING")
    assert (found.differs, found.end) == (2, "")
    assert "planner" in found.missing
    assert told(found) == [
        (1, "CALL_PLANNER", "recorded"),
        (2, "RETRY_PLANNING", "recomputed"),
        (3, "", "unknown"),
        (4, "", "unknown"),
    ]
    assert found.unknown == 2
    assert found.success is None


def test_live_calls_are_labelled() -> None:
    outputs: dict[str, Any] = {"planner": {"status": "unanswerable"}}

    def live(machine: Machine, state: RunState, command: CallAgent) -> Event | None:
        return AgentReturned(state.now + 1, command.number, outputs[command.agent], command.attempt)

    found = fork(BARE, good().journal, 2, old=MODELLED, action="RETRY_PLANNING", live=live)
    assert found.end == "given_up"
    assert told(found)[1:] == [(2, "RETRY_PLANNING", "recomputed"), (3, "GIVE_UP", "live")]


def test_a_call_that_is_on_record_is_not_made_again() -> None:
    """Forked behind a repair: the second plan was asked for with the error of the first, and that is on record."""
    play = repaired()
    found = fork(MODELLED, play.journal, 3, action="RETRY_PLANNING")
    assert (found.differs, found.end, found.missing) == (0, "done", "")
    assert found.steps[2].source == "person"


@pytest.mark.parametrize(
    ("at", "action", "said"),
    [
        (9, "", "a decision about the next action: 1, 2, 3, 4"),
        (2, "COMPLETE", "which is not legal there"),
        (2, "ASK_CLARIFICATION", "one of: "),
    ],
)
def test_what_cannot_be_forked(at: int, action: str, said: str) -> None:
    play = good()
    if action == "ASK_CLARIFICATION":
        found = fork(MODELLED, play.journal, at, action=action)
        assert "a person says" in found.missing
        return
    with pytest.raises(InputError) as caught:
        fork(MODELLED, play.journal, at, action=action)
    assert said in str(caught.value)


@given(STORIES)
def test_a_run_of_any_kind_goes_its_own_way_again(story: Story) -> None:
    """Waits, people, late answers, cancelled and retried: under its own policy every decision is what it was."""
    assume(story.state.status == "ended")
    recorded = [(each.n, each.action) for each in recorded_steps(story.journal)]
    for opened in story.journal:
        if isinstance(opened, Opened) and opened.point == "next_action":
            found = fork(story.machine, story.journal, opened.n)
            assert (found.differs, found.missing, found.unknown) == (0, "", 0)
            assert (found.end, found.success) == (story.state.end, found.was_success)
            assert [(each.n, each.action) for each in found.steps] == recorded
            assert found.asked == found.was_asked


def test_what_a_person_said_before_the_fork_is_not_said_again() -> None:
    play = Play(BARE, question="Best?")
    for words in ("by revenue", "of this year"):
        play.returns({"status": "needs_clarification", "question": "Which?"})
        play.says({"text": words})
    play.returns({"status": "answerable", "sql": "SELECT 1"})
    play.returns(ROWS)
    play.returns({"text": "42"})
    found = fork(BARE, play.journal, 4, action="ASK_CLARIFICATION")
    assert (found.differs, found.end) == (0, "done"), "the parameters of the action are those on record"
    found = fork(BARE, play.journal, 6, action="ASK_CLARIFICATION")
    assert (found.differs, found.missing) == (6, "what a person says in clarifying")


def test_a_run_that_was_retried_is_compared_with_its_last_end() -> None:
    play = Play(BARE, question="How many?")
    play.returns({"status": "unanswerable"})
    assert play.where == "given_up"
    play.retry().returns({"status": "answerable", "sql": "SELECT 1"})
    play.returns(ROWS)
    play.returns({"text": "42"})
    assert play.where == "done"
    found = fork(BARE, play.journal, 1)
    assert (found.differs, found.end, found.success, found.was_success) == (0, "done", True, True)


def test_where_nobody_knows_what_a_model_says_nothing_is_known_to_differ() -> None:
    asking = machine(TEXT_TO_SQL, {"policy": {"classifier": {"hybrid": {"always": ["returned == ok"]}}}})
    known, unknown = (forks([play], asking)[0] for play in (repaired("r"), good("g")))
    assert {known.differs, unknown.differs} == {0}
    assert "says to decision 2" in unknown.missing
    found = summary([unknown, unknown])
    assert found is not None
    assert (found.changed, found.unclear, found.changed_interval) == (0, 2, (0.0, 1.0))


def forks(plays: Sequence[Play], under: Machine, action: str = "", at: int = 1) -> list[Fork]:
    return [fork(under, play.journal, at, old=MODELLED, action=action) for play in plays]


def test_a_population() -> None:
    plays = [good(f"g{n}") for n in range(6)] + [repaired(f"r{n}") for n in range(4)]
    found = summary(forks(plays, NO_RETRY))
    assert found is not None
    assert (found.runs, found.changed, found.unclear, found.known) == (10, 4, 0, 10)
    assert found.changed_interval.low < 0.4 < found.changed_interval.high
    assert (found.was_success, found.success) == (1.0, (0.6, 0.6))
    assert found.ends is not None
    assert found.ends.difference == pytest.approx(-0.4)
    assert found.ends.low < -0.4 < found.ends.high
    assert found.first == {"executing: RETRY_PLANNING -> planning => GIVE_UP": 4}
    assert found.asked is not None
    assert found.asked.difference == pytest.approx(-0.4), "one question to a model less in four of ten"
    unknown = summary(forks(plays, MODELLED, "RETRY_PLANNING", 2))
    assert unknown is not None
    assert (unknown.known, unknown.success) == (0, (0.0, 1.0))
    assert unknown.ends is None
    assert summary([]) is None
