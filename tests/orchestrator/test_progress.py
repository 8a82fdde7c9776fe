"""Loop protection: the same action in the same situation with nothing new in between is asked about, then ended."""

from __future__ import annotations

from typing import Any, Final

import pytest

from stepladder.clauses import Fired, Reading
from stepladder.orchestrator import decision_records, fold
from stepladder.orchestrator.progress import REMEMBERED
from stepladder.record import STOP, Asked, Opened
from tests.example_workflows import PAYMENT, machine
from tests.orchestrator.play import Play

LOOP: Final = """
workflow: loop
start: writing
agents: {writer: {idempotent: true}, validator: {idempotent: true}}
phases:
  main:
    steps:
      writing:  {agent: writer, timeout_s: 5, with: {notes: result.checking.notes}}
      checking: {agent: validator, with: {text: result.writing.text}}
      asking:   {ask: person, deadline_s: 60, output: {text: string}}
      cooling:  {wait: {seconds: 60}}
      hearing:  {wait: {message: news}}
ends: {good: {success: true}, left: {success: false}, stuck: {success: false}}
actions:
  CHECK:  {from: [writing, asking, cooling, hearing], to: checking}
  REVISE: {from: checking, to: writing}
  AGAIN:  {from: checking, to: checking}
  ASK:    {from: checking, to: asking}
  COOL:   {from: checking, to: cooling}
  HEAR:   {from: checking, to: hearing}
  ACCEPT: {from: checking, to: good, guard: [last.ok == true]}
  LEAVE:  {from: "*", to: left}
rules:
  writing: {check: {do: CHECK}}
  checking:
    good:   {when: [last.ok == true], do: ACCEPT}
    revise: {do: REVISE, because: it is not good}
  asking:  {check: {do: CHECK}}
  cooling: {check: {do: CHECK}}
  hearing: {check: {do: CHECK}}
policy: {limits: {decisions: 10, then: stuck}, classifier: {}}
"""
TEXT: Final = {"text": "a"}
POOR: Final = {"ok": False, "notes": "poor"}
MODEL: Final = {
    "rungs": {"first": {"model": "scripted:first"}},
    "routes": {"complex": {"ask": ["first"]}},
}


def loop(do: str = "REVISE", **policy: Any) -> Play:
    """At `checking`, where nothing is good yet, the rule does this."""
    return Play(machine(LOOP, {"rules": {"checking": {"revise": {"do": do}}}, "policy": policy}))


def test_the_same_action_in_the_same_situation_escalates_then_ends() -> None:
    play = loop("AGAIN").returns(TEXT)
    for _ in range(4):
        play.returns(POOR)
    assert (play.where, play.path) == ("stuck", ["CHECK", "AGAIN", "AGAIN", "AGAIN", STOP])
    assert [opened.route for opened in play.of(Opened)] == ["standard", "standard", "standard", "complex", "standard"]
    assert play.of(Opened)[3].fired == (Fired("no_progress", (Reading("no_progress >= 2", 2),)),)
    reason = "no progress: checking -> AGAIN taken 3 times in the same situation"
    assert (play.settled.source, play.settled.reason, play.opened.limit) == ("limit", reason, reason)
    assert play.state.end_reason == reason
    *_, asked, ended = decision_records(play.journal)
    assert "no_progress: no_progress >= 2 (was 2)" in asked.explain()
    assert f"checking: STOP -> stuck, by limit: {reason}" in ended.explain()


def test_two_steps_in_turn_are_a_circle_too() -> None:
    play = loop()
    while play.state.status != "ended":
        play.returns(TEXT if play.call.agent == "writer" else POOR)
    assert play.path == ["CHECK", "REVISE", "CHECK", "REVISE", "CHECK", "REVISE", "CHECK", STOP]
    assert play.settled.reason == "no progress: checking -> REVISE taken 3 times in the same situation"
    assert [opened.route for opened in play.of(Opened)][4:] == ["standard", "complex", "complex", "standard"]


def test_an_agent_that_changes_its_mind_and_back_is_a_circle() -> None:
    play = loop("AGAIN").returns(TEXT)
    for turn in range(8):
        if play.state.status != "ended":
            play.returns({"ok": False, "notes": turn % 2})
    assert play.path.count("AGAIN") == 6
    assert play.settled.reason == "no progress: checking -> AGAIN taken 3 times in the same situation"


def test_steps_without_effect_turn_on_the_spot() -> None:
    changes = {
        "start": "here",
        "phases": {"main": {"steps": {"here": {}, "there": {}}}},
        "actions": {"GO": [{"from": "here", "to": "there"}, {"from": "there", "to": "here"}]},
        "rules": {"here": {"go": {"do": "GO"}}, "there": {"go": {"do": "GO"}}},
    }
    play = Play(machine(LOOP, changes))
    assert (play.where, play.settled.reason) == (
        "stuck",
        "no progress: here -> GO taken 3 times in the same situation",
    )


@pytest.mark.parametrize("reason", ["raised", "late"])
def test_failing_the_same_way_is_no_progress(reason: str) -> None:
    again = {"actions": {"REVISE": {"from": ["checking", "writing"], "to": "writing"}}}
    play = Play(machine(LOOP, {**again, "rules": {"writing": {"check": {"do": "REVISE"}}}}))
    for _ in range(4):
        play.fails(reason, "away")
    assert play.settled.reason == "no progress: writing -> REVISE taken 3 times in the same situation"


# --- what is no circle


def test_results_that_differ_go_on_to_the_limit() -> None:
    play = loop()
    for turn in range(11):
        play.returns({"text": f"draft {turn}"} if play.call.agent == "writer" else {"ok": False, "notes": turn})
    assert play.settled.reason == "limit of 10 decisions reached"
    assert {opened.route for opened in play.of(Opened)} == {"standard"}


def test_one_step_may_look_the_same_as_long_as_another_one_learns() -> None:
    play = loop()
    for turn in range(11):
        play.returns({"text": "a", "changed": turn} if play.call.agent == "writer" else POOR)
    assert play.settled.reason == "limit of 10 decisions reached"
    assert {opened.route for opened in play.of(Opened)} == {"standard"}


def test_news_after_a_circle_gives_another_try() -> None:
    play = loop("AGAIN").returns(TEXT)
    for output in (POOR, POOR, POOR, {"ok": False, "notes": "other"}, POOR):
        play.returns(output)
    assert play.opened.route == "standard"
    play.returns(POOR)
    assert play.opened.route == "complex"


@pytest.mark.parametrize("do", ["COOL", "HEAR", "ASK"])
def test_the_worlds_word_begins_anew(do: str) -> None:
    """A step that is polled, a message that says nothing new, a person who answers or lets the time pass."""
    play = loop(do).returns(TEXT)
    for turn in range(4):
        play.returns(POOR)
        if do == "HEAR":
            play.receives("news")
        elif do == "ASK" and turn % 2:
            play.says({"text": "go on"})
        else:
            play.overruns()
        assert play.state.tries[:-1] == ()
    assert {opened.route for opened in play.of(Opened)} == {"standard"}


def test_a_retry_of_one_command_is_no_decision() -> None:
    play = Play(machine(PAYMENT))
    for _ in range(3):
        play.fails().later(10)
    assert (play.path, len(play.state.tries)) == (["AGAIN"], 1)


def test_a_bound_of_ones_own_comes_first() -> None:
    """Three times and no more, says the guard: the rules have their own way out."""
    play = Play(machine(PAYMENT))
    for _ in range(4):
        play.returns({"ok": False})
    assert (play.where, play.path) == ("unpaid", ["AGAIN", "AGAIN", "AGAIN", "GIVE_UP"])
    assert play.settled.source == "rule"


def test_a_run_that_is_taken_up_again_begins_anew() -> None:
    play = loop("AGAIN").returns(TEXT)
    for _ in range(4):
        play.returns(POOR)
    play.retry()
    for _ in range(3):
        play.returns(POOR)
    assert (play.where, play.opened.route) == ("checking", "complex")
    play.returns(POOR)
    assert (play.where, fold(play.machine, play.journal)) == ("stuck", play.state)


# --- the ladder


def test_the_ladder_is_asked_and_may_leave() -> None:
    play = loop("AGAIN", **MODEL).returns(TEXT).returns(POOR).returns(POOR).returns(POOR)
    play.answers({"action": "LEAVE", "reason": "it turns in circles"})
    assert (play.where, play.settled.source, len(play.of(Asked))) == ("left", "model", 1)


def test_a_model_that_agrees_gets_no_fourth_time() -> None:
    play = loop("AGAIN", **MODEL).returns(TEXT).returns(POOR).returns(POOR).returns(POOR)
    play.answers({"action": "AGAIN"}).returns(POOR)
    assert (play.where, len(play.of(Asked))) == ("stuck", 1)


def test_a_model_that_takes_the_same_action_again_and_again_is_stopped() -> None:
    """The rule would revise; a model that is always asked goes round on its own."""
    play = loop(**MODEL, classifier={"complex": {"always": ["decisions >= 0"]}})
    play.returns(TEXT).answers({"action": "CHECK"})
    for _ in range(4):
        play.returns(POOR).answers({"action": "AGAIN"})
    assert play.path == ["CHECK", "AGAIN", "AGAIN", "AGAIN", STOP]
    assert play.opened.limit == "", "the rule's action was not used up"
    assert (play.where, play.settled.source, play.settled.reason) == (
        "stuck",
        "limit",
        "no progress: checking -> AGAIN taken 3 times in the same situation",
    )


def test_a_model_may_still_choose_another_action() -> None:
    play = loop(**MODEL, classifier={"complex": {"always": ["decisions >= 0"]}})
    play.returns(TEXT).answers({"action": "CHECK"})
    for action in ("AGAIN", "AGAIN", "AGAIN", "LEAVE"):
        play.returns(POOR).answers({"action": action})
    assert (play.where, play.settled.source) == ("left", "model")


def test_what_a_person_decides_is_done() -> None:
    person = {"rungs": {"person": {}}, "routes": {"complex": {"ask": ["person"]}}}
    play = loop(
        "AGAIN", **person, limits={"no_progress": {"end": 2}}, classifier={"complex": {"poor": ["last.ok == false"]}}
    )
    play.returns(TEXT)
    for _ in range(5):
        play.returns(POOR).says({"action": "AGAIN"})
    assert play.path == ["CHECK"] + ["AGAIN"] * 5


# --- the limits


def test_both_thresholds_can_be_set_or_left_out() -> None:
    for limits, routes, taken in (
        ({"escalate": 3, "end": 5}, [3, 4], 5),
        ({"escalate": None}, [], 3),
        ({"end": 2}, [], 2),
        ({"end": None}, range(2, 9), 9),
    ):
        play = loop("AGAIN", limits={"no_progress": limits}).returns(TEXT)
        while play.state.status != "ended":
            play.returns(POOR)
        complex_ = [number for number, opened in enumerate(play.of(Opened)[1:]) if opened.route == "complex"]
        assert (complex_, play.path.count("AGAIN")) == (list(routes), taken)


def test_a_condition_of_the_same_name_replaces_the_thresholds() -> None:
    play = loop("AGAIN", classifier={"complex": {"no_progress": ["no_progress >= 1"]}}).returns(TEXT)
    play.returns(POOR).returns(POOR)
    assert play.opened.fired == (Fired("no_progress", (Reading("no_progress >= 1", 1),)),)


def test_rules_can_leave_before_the_limit_does() -> None:
    rules = {"checking": {"revise": {"when": ["no_progress < 2"], "do": "AGAIN"}, "leave": {"do": "LEAVE"}}}
    play = Play(machine(LOOP, {"rules": rules})).returns(TEXT)
    for _ in range(3):
        play.returns(POOR)
    assert (play.where, play.settled.source, play.path.count("AGAIN")) == ("left", "rule", 2)


def test_a_circle_that_is_too_long_is_left_to_the_limit_on_decisions() -> None:
    def decisions(length: int) -> int:
        play = loop("AGAIN", limits={"decisions": 1000}).returns(TEXT)
        while play.state.status != "ended":
            play.returns({"notes": len(play.path) % length})
            assert len(play.state.tries) <= REMEMBERED
        return play.state.decisions

    assert decisions(REMEMBERED) < 4 * REMEMBERED
    assert decisions(REMEMBERED + 1) == 1001
