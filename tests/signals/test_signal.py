"""Signals of one's own: where they are heard, and what a broken one does."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.record import Opened
from stepladder.signals import Fold, Observation, Signal, signal
from tests.example_workflows import TRIAGE, machine
from tests.orchestrator.play import Play


@signal("long_texts", start=0, on=("result", "answer"))
def long_texts(total: int, seen: Observation) -> int:
    """How many texts of more than ten characters there were."""
    return total + (len(seen.output["text"]) > 10)


@signal("tries", start=0, on=("decision",))
def tries(total: int, seen: Observation) -> int:
    """How often TRY was chosen."""
    return total + (seen.name == "TRY")


def by_rules(clause: str) -> dict[str, Any]:
    """TRIAGE where `clause` makes a decision hybrid, which asks nobody."""
    return {"policy": {"classifier": {"complex": None, "hybrid": {"mine": [clause]}}}}


def test_made_of_a_function() -> None:
    assert (long_texts.name, long_texts.on, long_texts.version) == ("long_texts", ("result", "answer"), 1)
    assert long_texts.description == "How many texts of more than ten characters there were."


def test_hears_only_what_it_listens_to() -> None:
    fold = Fold([tries])
    assert fold.listens("decision")
    assert not fold.listens("result")
    memory, _ = fold.update(fold.start(), {}, Observation("result", "s", "TRY"))
    assert fold.values(memory, {}) == ({"tries": 0}, {})
    memory, _ = fold.update(memory, {}, Observation("decision", "s", "TRY"))
    assert fold.values(memory, {}) == ({"tries": 1}, {})


def test_an_update_leaves_the_memory_it_was_given() -> None:
    fold = Fold([tries])
    before = fold.start()
    fold.update(before, {}, Observation("decision", "s", "TRY"))
    assert before == {"tries": 0}


def test_a_classifier_clause_reads_it() -> None:
    play = Play(machine(TRIAGE, by_rules("long_texts > 0"), signals=[long_texts]))
    assert play.opened.route == "standard"
    play.returns({"text": "short"})
    assert play.opened.route == "standard"
    play.returns({"text": "long enough to count"})
    assert play.opened.route == "hybrid"
    assert [(f.name, [(r.clause, r.value) for r in f.readings]) for f in play.opened.fired] == [
        ("mine", [("long_texts > 0", 1)])
    ]
    assert play.opened.signals == {"long_texts": 1}


def test_one_that_hears_decisions_counts_them_at_the_next() -> None:
    play = Play(machine(TRIAGE, by_rules("tries > 0"), signals=[tries]))
    assert play.opened.route == "standard"
    play.returns({"done": False})
    assert play.opened.route == "hybrid"


def test_one_that_raises_in_update_has_no_value_and_the_run_goes_on() -> None:
    play = Play(machine(TRIAGE, by_rules("long_texts >= 0"), signals=[long_texts]))
    assert play.opened.route == "hybrid"
    play.returns({"no text": True})
    assert play.opened.broken == {"long_texts": "KeyError: 'text'"}
    assert play.opened.route == "standard", "a missing value satisfies no clause"
    play.returns({"text": "it stays broken, once it is"})
    assert play.opened.broken == {"long_texts": "KeyError: 'text'"}
    assert play.path == ["TRY", "TRY", "TRY"]


def raises(_: Any) -> Any:
    raise ZeroDivisionError("no tries yet")


def test_one_that_raises_in_value_has_no_value_and_the_run_goes_on() -> None:
    bad = Signal("ratio", 0, lambda total, _: total + 1, value=lambda total: 1 / total if total != 1 else raises(total))
    play = Play(machine(TRIAGE, by_rules("ratio > 0"), signals=[bad]))
    assert play.opened.broken == {"ratio": "ZeroDivisionError: division by zero"}
    assert play.opened.route == "standard"
    play.returns({})
    assert play.opened.broken == {"ratio": "ZeroDivisionError: no tries yet"}
    play.returns({})
    assert (play.opened.broken, play.opened.signals, play.opened.route) == ({}, {"ratio": 0.5}, "hybrid")


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), {1: 2}, {"a"}, object(), 10**5000, "\ud800", b"x"],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_no_journal_can_hold_is_broken(value: Any) -> None:
    odd = Signal("odd", 0, lambda total, _: total, value=lambda _: value)
    found, broken = Fold([odd]).values({"odd": 0}, {})
    assert found == {}
    assert list(broken) == ["odd"]


def test_a_value_that_goes_is_gone() -> None:
    """None is no value, also where there was one before."""
    fleeting = Signal("fleeting", 0, lambda total, _: total + 1, value=lambda total: total if total == 1 else None)
    play = Play(machine(TRIAGE, by_rules("fleeting > 0"), signals=[fleeting]))
    play.returns({"round": 1})
    assert (play.opened.route, play.opened.signals) == ("hybrid", {"fleeting": 1})
    play.returns({"round": 2})
    assert (play.opened.route, play.opened.signals) == ("standard", {"fleeting": None})
    play.returns({"round": 3})
    assert (play.opened.route, play.opened.signals) == ("standard", {})


def test_a_change_is_recorded_once() -> None:
    play = Play(machine(TRIAGE, by_rules("error_count > 0")))
    for returned in ("raised", "raised", None, None):
        play.returns({}) if returned is None else play.fails()
    assert [entry.signals for entry in play.of(Opened)] == [{}, {"error_count": 1}, {"error_count": 2}, {}, {}]
