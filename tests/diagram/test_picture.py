"""What is drawn: boxes, arrows, and the path that a journal tells."""

from __future__ import annotations

import pytest

from stepladder.diagram import Path, path_of
from stepladder.diagram.picture import picture, shortened
from stepladder.diagram.spread import spread
from stepladder.diagram.tracks import Piece, assign
from stepladder.events import AgentReturned, PersonAnswered, RunStarted
from stepladder.orchestrator import Machine, advance, fold
from stepladder.record import Opened, Settled, Verdict
from stepladder.state import RunState
from tests.example_workflows import TEXT_TO_SQL, workflow

DEFINITION = workflow(TEXT_TO_SQL)


def test_the_path_of_a_run_is_what_its_state_counts() -> None:
    machine = Machine(DEFINITION)
    outputs = [
        {"status": "answerable", "sql": "SELECT 1", "question": ""},
        {"success": True, "rows": [[1]], "error": ""},
        {"text": "One."},
    ]
    moved = advance(machine, RunState(), RunStarted(0.0, "run", "", "", "", {"question": "?"}))
    journal = list(moved.entries)
    for at, output in enumerate(outputs, 1):
        (number,) = moved.state.outstanding
        moved = advance(machine, moved.state, AgentReturned(float(at), number, output))
        journal += moved.entries
    state, path = fold(machine, journal), path_of(DEFINITION, journal)
    assert state.end == path.current == "done"
    assert path.visits == {**{step: count for step, count in state.visits.items() if count}, "done": 1}
    for action, count in state.taken.items():
        assert count == sum(times for (_, name, _), times in path.moves.items() if name == action)


def _decision(step: str, action: str, to: str, approval: str = "") -> list[Opened | Settled]:
    return [Opened(1, step, (action,), Verdict(action)), Settled(1, action, to, approval=approval)]


@pytest.mark.parametrize(("approve", "current", "visits"), [(True, "planning", 1), (False, "new_query", 0)])
def test_a_move_that_needs_approval_counts_when_it_is_given(approve: bool, current: str, visits: int) -> None:
    entries = [
        *_decision("new_query", "CALL_PLANNER", "planning", "careful"),
        PersonAnswered(1.0, 1, {"approve": approve}),
    ]
    path = path_of(DEFINITION, entries)
    assert (path.current, path.visits.get("planning", 0)) == (current, visits)


def test_stop_is_drawn_only_where_it_was_taken() -> None:
    path = path_of(DEFINITION, _decision("planning", "STOP", "given_up"))
    assert path.moves == {("planning", "STOP", "given_up"): 1}
    stops = [arrow for arrow in picture(DEFINITION, path).arrows if arrow.action == "STOP"]
    assert [(arrow.source, arrow.target, arrow.taken) for arrow in stops] == [("planning", "given_up", 1)]
    assert not any(arrow.action == "STOP" for arrow in picture(DEFINITION).arrows)


def test_a_run_that_has_not_moved_is_at_its_start() -> None:
    assert path_of(DEFINITION, []) == Path({"new_query": 1}, {}, "new_query")


def test_a_cut_is_shown() -> None:
    assert shortened("short") == "short"
    assert shortened("a" * 50, 10) == "aaaaaaaaa…"
    assert shortened("one, two, three", 10) == "one, two…"


def test_places_are_near_their_wishes_and_apart() -> None:
    assert spread([0, 10], [1, 1], [5]) == [0, 10]
    assert spread([0, 0], [1, 1], [10]) == [-5, 5]
    assert spread([0, 0], [3, 1], [8]) == [-2, 6]
    assert spread([5, 0, 100], [1, 1, 1], [10, 10]) == [-2.5, 7.5, 100]


def test_lines_that_meet_have_heights_of_their_own() -> None:
    one, two, far, straight = Piece(0, 100, "a"), Piece(50, 150, "b"), Piece(300, 400, "c"), Piece(5, 6, "d")
    tracks = assign([one, two, far, straight])
    assert tracks == {two: 0, one: 1, far: 0}
    assert assign([Piece(0, 100, "same"), Piece(50, 150, "same")]) != {}
