"""Decisions inside a run: rungs, panels, shadows, limits, approvals, cancelling, retrying."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.commands import AskModel, AskPerson, CallAgent
from stepladder.events import ModelAnswered, ModelFailed, PersonAnswered, TimePassed, Usage
from stepladder.orchestrator import evolve, fold
from stepladder.record import STOP, Answered, Asked, Opened, Settled, Shadowed
from stepladder.signals import Observation, signal
from tests.example_workflows import PAYMENT, REVIEW, TRIAGE, machine, merged
from tests.orchestrator.play import START, Play

TRY = {"action": "TRY", "reason": "go on"}
CLOSE = {"action": "CLOSE", "reason": "pointless"}
ASK = {"action": "ASK", "reason": "somebody knows"}


def triage(*ask: str, reconcile: str = "model_wins", **policy: Any) -> Play:
    route = {"ask": list(ask), "reconcile": reconcile}
    return Play(machine(TRIAGE, {"policy": {"routes": {"complex": route}, **policy}}))


def by_rules(**changes: Any) -> Play:
    return Play(machine(TRIAGE, {"policy": {"mode": "programmatic", **changes}}))


# --- asking


def test_the_rungs_in_order() -> None:
    play = triage("first", "second")
    assert (play.model.model, play.model.rung, play.model.deadline) == ("scripted:first", "first", START + 5)
    play.later(2).breaks()
    assert (play.model.model, play.model.deadline) == ("scripted:second", START + 7)
    play.answers(CLOSE)
    assert (play.where, play.settled.source, play.settled.relation) == ("closed", "model", "override")


def test_no_rung_answers() -> None:
    play = triage("first", "second").overruns().breaks("refused")
    assert (play.path, play.settled.fallback) == (["TRY"], "first: late; second: refused")


def test_the_schema_of_an_answer_is_the_legal_set() -> None:
    play = triage("first").answers({"action": "SOLVE"})
    assert play.settled.fallback == "first: action 'SOLVE' is not legal here; legal: TRY, ASK, CLOSE"


def test_a_person_decides() -> None:
    play = triage("person")
    assert (play.asked.about, play.asked.options, play.asked.deadline) == (
        "decision",
        ("TRY", "ASK", "CLOSE"),
        START + 600,
    )
    assert play.state.resting
    play.says(CLOSE)
    assert (play.where, play.settled.source) == ("closed", "person")


def test_a_person_decides_nothing_legal() -> None:
    play = triage("person").says({"action": "SOLVE"})
    assert (play.path, play.settled.source) == (["TRY"], "rule")


def test_decision_parameters_are_for_arguments() -> None:
    play = triage("first").answers({**TRY, "parameters": {"how": "hard"}})
    assert (play.settled.relation, play.state.decision["how"]) == ("override", "hard")
    play = triage("first").answers({**TRY, "parameters": {"tone": "sharp"}})
    assert (play.settled.relation, play.settled.parameters) == ("agreement", {}), "the rule's decision, not the model's"


# --- panels: several commands at once


def test_a_panel_asks_all_at_once() -> None:
    play = triage("panel")
    assert [command.model for command in play.all(AskModel)] == ["scripted:a", "scripted:b", "scripted:c"]
    a, b, c = play.all(AskModel)
    play.answers(CLOSE, to=c)
    assert (play.new(Settled), [entry.command for entry in play.new(Answered)]) == ([], [c.number])
    play.answers(CLOSE, to=a)
    assert (play.where, play.settled.source) == ("closed", "panel")
    play.answers(TRY, to=b, cost=0.25)
    assert (play.where, play.state.usd, play.entries[1:]) == ("closed", 0.25, ())


def test_a_vote_twice_counts_once() -> None:
    play = triage("panel")
    a = play.all(AskModel)[0]
    play.answers(CLOSE, to=a).answers(CLOSE, to=a)
    assert play.new(Answered) == []
    assert play.state.asking is not None


def test_a_vote_that_comes_when_the_next_rung_is_asked_is_late() -> None:
    """A panel that failed leaves a call behind; what it brings is no answer of the rung above."""
    play = triage("panel", "second")
    a, b, c = play.all(AskModel)
    play.breaks(to=a).breaks(to=b)
    assert play.model.rung == "second"
    play.answers(CLOSE, to=c, cost=0.25)
    assert (play.model.rung, play.state.usd, play.new(Answered)) == ("second", 0.25, [])
    play.answers(TRY)
    assert play.settled.relation == "agreement"


def test_a_vote_is_never_taken_for_a_persons_answer() -> None:
    accept = {"sure": ["confidence >= 0.9"]}
    play = triage("panel", "person", rungs={"panel": {"accept": accept}})
    a, b, c = play.all(AskModel)
    play.answers(CLOSE, to=a).answers(CLOSE, to=b)
    assert play.asked.about == "decision"
    play.answers(CLOSE, to=c)
    assert (play.asked.about, play.where) == ("decision", "arrived")
    assert list(play.state.outstanding.values()) == [play.asked]
    assert play.state.resting


# --- shadows


def shadowed() -> Play:
    return triage("first", reconcile="shadow")


def test_a_shadow_works_beside_the_agent() -> None:
    play = shadowed()
    shadow = play.model
    assert (play.path, play.call.agent, shadow.shadow) == (["TRY"], "worker", True)
    play.answers(CLOSE)
    assert play.new(Shadowed) == [
        Shadowed(1, "first", "differs", shadow.number, play.of(Shadowed)[0].verdict),
    ]
    assert (play.where, play.state.shadows) == ("trying", {})


def test_a_shadow_that_comes_after_later_decisions_joins_its_own() -> None:
    play = shadowed()
    first = play.model
    play.returns({"done": False})
    second = next(each for each in play.all(AskModel) if each.number != first.number)
    play.answers(TRY, to=second)
    assert [(entry.n, entry.outcome) for entry in play.new(Shadowed)] == [(2, "agrees")]
    play.answers(TRY, to=first)
    assert [(entry.n, entry.outcome) for entry in play.new(Shadowed)] == [(1, "agrees")]


def test_a_shadow_does_not_keep_a_run_from_its_end() -> None:
    play = shadowed().returns({"done": True})
    assert play.where == "solved"
    assert [command.shadow for command in play.all(AskModel)] == [True, True]
    first, second = play.all(AskModel)
    play.answers(CLOSE, to=first, cost=0.1)
    assert [(entry.n, entry.outcome) for entry in play.new(Shadowed)] == [(1, "differs")]
    play.overruns(second)
    assert [(entry.n, entry.outcome, entry.cause) for entry in play.new(Shadowed)] == [(2, "failed", "late")]
    assert (play.where, play.state.outstanding, play.state.usd) == ("solved", {}, 0.1)


def test_a_shadow_of_a_cancelled_run() -> None:
    play = shadowed().cancel()
    play.breaks("refused")
    assert [(entry.outcome, entry.cause) for entry in play.new(Shadowed)] == [("failed", "refused")]


def test_a_shadow_does_not_disturb_a_question() -> None:
    shadow = {"routes": {"complex": {"ask": ["first"], "reconcile": "shadow"}}}
    play = Play(machine(TRIAGE, {"policy": shadow, "rules": {"arrived": {"first": {"do": "ASK"}}}}))
    assert (play.asked.about, play.state.resting) == ("question", True)
    play.answers(TRY)
    assert (play.asked.about, play.state.resting) == ("question", True)


# --- limits


def test_the_decisions_limit() -> None:
    play = by_rules()
    for turn in range(12):
        play.returns({"done": False, "round": turn})
    assert (play.path, play.where) == (["TRY"] * 12 + [STOP], "closed")
    assert (play.settled.source, play.settled.reason) == ("limit", "limit of 12 decisions reached")
    assert play.opened.limit == "limit of 12 decisions reached"


def test_the_decisions_limit_counts_from_a_persons_answer() -> None:
    asking = {"rules": {"trying": {"again": {"when": ["decisions < 11"]}, "ask": {"do": "ASK"}}}}
    play = Play(machine(TRIAGE, {"policy": {"mode": "programmatic"}, **asking}))
    for turn in range(11):
        play.returns({"done": False, "round": turn})
    assert play.where == "asking"
    play.says({"text": "go on"})
    assert play.state.decisions == 1
    for turn in range(11):
        play.returns({"done": False, "round": turn})
    assert (play.where, play.path.count("ASK")) == ("asking", 2)


def test_a_deadline_is_no_answer() -> None:
    play = Play(machine(TRIAGE, {"policy": {"mode": "programmatic"}, "rules": {"arrived": {"first": {"do": "ASK"}}}}))
    play.overruns()
    assert play.state.decisions == 2


def test_the_working_time_ends_an_agents_call() -> None:
    play = by_rules(limits={"working_s": 5})
    play.later(4.9).tell(TimePassed(play.at))
    assert play.where == "trying"
    play.later(0.1).tell(TimePassed(play.at))
    assert (play.where, play.settled.source, play.settled.reason) == (
        "closed",
        "limit",
        "limit of 5 s of working time reached",
    )
    assert (play.state.outstanding, play.opened.rule) == ({}, "")


def test_the_working_time_ends_an_open_decision() -> None:
    play = triage("first", limits={"working_s": 3})
    call = play.model
    play.later(3).tell(TimePassed(play.at))
    assert (play.where, play.settled.source, play.settled.n) == ("closed", "limit", 1)
    assert len(play.of(Opened)) == 1, "the open decision settles; no other one is opened"
    play.answers(TRY, to=call, cost=0.3)
    assert (play.where, play.state.usd) == ("closed", 0.3)


def test_the_working_time_ends_a_panel_that_has_answered_in_part() -> None:
    """Nothing follows from one voice of three, and time is up: without an end the driver would be told so for ever."""
    play = triage("panel", limits={"working_s": 3})
    play.later(1).answers(TRY, to=play.all(AskModel)[0])
    play.later(2).tell(TimePassed(play.at))
    assert (play.where, play.settled.source) == ("closed", "limit")


def test_the_working_time_is_looked_at_when_an_answer_comes() -> None:
    play = triage("first", limits={"working_s": 3}).later(4).answers(TRY)
    assert (play.where, play.settled.source, play.settled.n) == ("closed", "limit", 1)


def test_waiting_for_people_is_no_working_time() -> None:
    play = triage("person", limits={"working_s": 3}).later(500).says(TRY)
    assert (play.path, play.state.working_s) == (["TRY"], 0.0)
    play.later(3).returns({"done": True})
    assert (play.where, play.state.working_s) == ("closed", 3.0)


def test_money_spent_closes_the_models() -> None:
    play = triage("first", "second", limits={"usd": 0.5}).answers(TRY, cost=0.5)
    assert play.path == ["TRY"]
    play.returns({"done": False})
    assert (play.path, play.settled.fallback) == (
        ["TRY", "TRY"],
        "first: budget of $0.5 is spent; second: budget of $0.5 is spent",
    )
    play.returns({"done": True})
    assert play.where == "solved", "the rules go on"


def test_an_agents_cost_counts_as_well() -> None:
    play = triage("first", limits={"usd": 0.5}).answers(TRY).returns({"done": False}, cost=0.6)
    assert play.settled.fallback == "first: budget of $0.5 is spent"


def test_an_unknown_price_counts_nothing() -> None:
    play = triage("first")
    play.tell(ModelAnswered(play.at, play.model.number, "", usage=Usage(10, 10, None)))
    assert play.state.usd == 0.0


def test_measures_are_facts() -> None:
    hybrid = {
        "classifier": {
            "complex": {"every": None, "dear": ["budget_used >= 0.5"]},
            "hybrid": {"slow": ["time_used >= 0.5"]},
        }
    }
    play = by_rules(limits={"usd": 1.0, "working_s": 100}, **hybrid)
    play.later(50).returns({"done": False})
    assert [(fired.name, fired.readings[0].value) for fired in play.opened.fired] == [("slow", 0.5)]
    play.returns({"done": False}, cost=0.5)
    assert [(fired.name, fired.readings[0].value) for fired in play.opened.fired] == [("dear", 0.5)]


# --- approvals


def approving(entering: str, when: list[str] | None = None, **policy: Any) -> dict[str, Any]:
    return {
        "policy": {
            "mode": "programmatic",
            "approvals": {"four_eyes": {"entering": entering, "when": when or []}},
            **policy,
        }
    }


def test_a_person_approves_a_step() -> None:
    play = Play(machine(TRIAGE, approving("trying")))
    assert (play.asked.about, play.settled.approval, play.where) == ("approval", "four_eyes", "arrived")
    assert play.asked.options == ("approve", "refuse")
    play.says({"approve": True})
    assert (play.where, play.call.agent, play.path) == ("trying", "worker", ["TRY"])


def test_a_refused_action_is_blocked_and_something_else_is_decided() -> None:
    play = Play(machine(TRIAGE, approving("trying"))).says({"approve": False, "reason": "too dear"}, by="grace")
    assert play.opened.legal == ("ASK", "CLOSE")
    blocked = play.opened.blocked["TRY"]
    assert (blocked.clause, blocked.value) == ("approval == given", "refused by grace: too dear")
    assert (play.path, play.opened.passed_over, play.where) == (["TRY", STOP], ("first",), "closed")
    assert play.state.taken["TRY"] == 0, "it was settled, but never taken"


def test_rules_and_arguments_can_read_a_refusal() -> None:
    play = Play(machine(TRIAGE, approving("trying")))
    refused = PersonAnswered(play.at, play.asked.number, {"approve": False, "reason": "too dear"}, "grace")
    decision = evolve(play.machine, play.state, refused).decision
    assert (decision["action"], decision["refused"], decision["refusal"]) == ("TRY", True, "too dear")


@pytest.mark.parametrize("value", [{}, {"approve": "yes"}, {"approve": 1}, {"approve": None}, {"refuse": False}])
def test_only_true_approves(value: dict[str, Any]) -> None:
    assert Play(machine(TRIAGE, approving("trying"))).says(value).path[0:2] == ["TRY", STOP]


def test_a_refusal_is_for_this_visit() -> None:
    changes = approving("trying")
    rules = {"arrived": {"second": {"do": "ASK"}}}
    play = Play(machine(TRIAGE, {**changes, "rules": rules})).says({"approve": False})
    assert (play.where, play.asked.about) == ("asking", "question")
    play.says({"text": "now you may"})
    assert (play.path, play.asked.about) == (["TRY", "ASK", "TRY"], "approval")
    play.says({"approve": True})
    assert play.where == "trying"


def test_an_approval_may_be_given_late() -> None:
    play = Play(machine(TRIAGE, approving("trying", limits={"working_s": 10}))).later(100_000).says({"approve": True})
    assert (play.where, play.state.working_s) == ("trying", 0.0)


def soon(deadline_s: float | None = 60) -> dict[str, Any]:
    return merged(approving("trying"), {"policy": {"approvals": {"four_eyes": {"deadline_s": deadline_s}}}})


def test_an_approval_that_nobody_gives_in_time_is_refused_by_nobody() -> None:
    play = Play(machine(TRIAGE, soon()))
    assert play.asked.deadline == play.settled.approve_by == START + 60
    assert play.later(59).tell(TimePassed(play.at, play.asked.number)).asked.about == "approval"
    play.overruns()
    assert play.opened.blocked["TRY"].value == "refused by nobody: nobody answered in time"
    assert (play.path, play.where, play.state.taken["TRY"]) == (["TRY", STOP], "closed", 0)
    assert play.state.decisions == 2, "no person answered"


def test_an_approval_in_time_is_one() -> None:
    assert Play(machine(TRIAGE, soon())).later(60).says({"approve": True}).where == "trying"


@pytest.mark.parametrize("deadline_s", [None, 5, 100_000])
def test_a_deadline_that_passed_stays_passed_under_another_policy(deadline_s: float | None) -> None:
    play = Play(machine(TRIAGE, merged(soon(), {"rules": {"arrived": {"second": {"do": "ASK"}}}}))).overruns()
    other = machine(TRIAGE, merged(soon(deadline_s), {"rules": {"arrived": {"second": {"do": "ASK"}}}}))
    again = fold(other, play.journal)
    assert (again.step, again.outstanding, again.approving) == ("asking", play.state.outstanding, None)


def test_an_approval_that_was_given_already() -> None:
    play = Play(machine(TRIAGE, approving("trying")))
    asked = play.asked
    play.says({"approve": True}).says({"approve": False}, to=asked)
    assert play.where == "trying"


def test_approving_a_phase_is_for_entering_it() -> None:
    scores = {"alignment_score": 9.5, "standardization_score": 9.0}
    play = Play(machine(REVIEW, approving("publishing", mode="hybrid"))).returns({}).returns(scores)
    assert (play.asked.about, play.path[-1]) == ("approval", "COOL")
    play.says({"approve": True})
    assert play.where == "cooling"
    play.overruns()
    assert play.where == "embargo", "within the phase nobody is asked"


def test_approving_an_end() -> None:
    play = Play(machine(TRIAGE, approving("solved"))).returns({"done": True})
    assert play.asked.about == "approval"
    assert play.says({"approve": True}).where == "solved"


def test_an_approval_may_have_a_condition() -> None:
    changes = approving("trying", ["taken.TRY >= 1"])
    play = Play(machine(TRIAGE, changes))
    assert play.where == "trying"
    play.returns({})
    assert play.asked.about == "approval"


def test_an_approvals_condition_reads_the_same_facts_when_a_model_was_asked() -> None:
    @signal("steps", start=0, on=("result",))
    def steps(total: int, _: Observation) -> int:
        return total + 1

    for clause in ("budget_used >= 0.25", "time_used >= 0.5", "steps >= 1"):
        routes = {"complex": {"ask": ["first"]}}
        changes = approving("trying", [clause], mode="hybrid", routes=routes, limits={"usd": 1.0, "working_s": 10})
        play = Play(machine(TRIAGE, changes, signals=[steps])).answers(TRY)
        assert play.where == "trying"
        play.later(5).returns({}, cost=0.25).answers(TRY)
        assert (clause, play.asked.about) == (clause, "approval")


def test_what_a_person_decided_needs_no_approval() -> None:
    changes = approving("trying", mode="hybrid", routes={"complex": {"ask": ["person"]}})
    assert Play(machine(TRIAGE, changes)).says(TRY).where == "trying"


def test_a_limit_needs_no_approval() -> None:
    play = Play(machine(TRIAGE, approving("closed", limits={"decisions": 1}))).returns({})
    assert (play.where, play.settled.source) == ("closed", "limit")


def test_stop_needs_no_approval() -> None:
    """It is always legal: a person who refuses everything does not keep the run for ever."""
    play = Play(machine(TRIAGE, {**approving("closed"), "rules": {"arrived": {"first": {"do": "CLOSE"}}}}))
    assert play.asked.about == "approval"
    play.says({"approve": False})
    assert (play.path, play.where) == (["CLOSE", STOP], "closed")


# --- cancelling


GOOD_SCORES = {"alignment_score": 9.5, "standardization_score": 9.0}
ASKS_FIRST = {"policy": {"mode": "programmatic"}, "rules": {"arrived": {"first": {"do": "ASK"}}}}
WAITING = {
    "agent": by_rules,
    "backoff": lambda: Play(machine(PAYMENT), amount=1).fails(),
    "question": lambda: Play(machine(TRIAGE, ASKS_FIRST)),
    "decision": lambda: triage("person"),
    "approval": lambda: Play(machine(TRIAGE, approving("trying"))),
    "effect": lambda: Play(machine(PAYMENT), amount=1).overruns(),
    "timer": lambda: Play(machine(REVIEW)).returns({}).returns(GOOD_SCORES),
    "message": lambda: Play(machine(REVIEW)).returns({}).returns(GOOD_SCORES).overruns(),
    "model": lambda: triage("first"),
    "panel": lambda: triage("panel"),
}


@pytest.mark.parametrize("kind", WAITING)
def test_cancelling(kind: str) -> None:
    play = WAITING[kind]()
    commands = list(play.state.outstanding.values())
    assert commands
    play.later(1).cancel("enough")
    assert (play.state.status, play.where, play.state.end_reason) == ("ended", "cancelled", "enough")
    assert (play.state.outstanding, play.state.asking, play.state.approving, play.state.waiting) == (
        {},
        None,
        None,
        None,
    )
    assert play.entries[1:] == ()
    ended = play.state
    for command in commands:
        play.later(1)
        match command:
            case CallAgent():
                play.returns({"done": True}, to=command)
            case AskModel():
                play.answers(CLOSE, to=command)
            case AskPerson():
                play.says({"approve": True, "effect": "redo", "action": "TRY"}, to=command)
            case _:
                play.tell(TimePassed(1e9, command.number))
        assert play.entries[1:] == ()
    assert (play.where, play.state.end_reason, play.state.working_s) == ("cancelled", "enough", ended.working_s)


@pytest.mark.parametrize("kind", WAITING)
def test_taking_up_a_cancelled_run(kind: str) -> None:
    play = WAITING[kind]()
    step = play.state.step
    play.cancel().later(1000).retry()
    assert (play.state.status, play.state.step, play.state.end) == ("working", step, "")
    assert play.state.outstanding, "something is awaited again"
    assert play.state.decisions <= 1


def test_cancelling_twice_keeps_the_first_reason() -> None:
    assert by_rules().cancel("first").cancel("second").state.end_reason == "first"


def test_cancelling_an_ended_run() -> None:
    play = by_rules().returns({"done": True}).cancel()
    assert (play.where, play.state.end) == ("solved", "solved")


# --- retrying


def test_taking_up_a_failed_run() -> None:
    play = by_rules(limits={"decisions": 2}).returns({}).returns({})
    assert (play.where, play.state.step) == ("closed", "trying")
    play.retry()
    assert (play.where, play.call.attempt, play.state.decisions, play.state.end_reason) == ("trying", 1, 0, "")
    play.returns({"done": True})
    assert play.where == "solved"


def test_taking_up_a_run_gives_it_new_working_time() -> None:
    play = by_rules(limits={"working_s": 5}).later(6).tell(TimePassed(START + 6))
    assert play.where == "closed"
    play.later(1000).retry()
    assert (play.where, play.state.working_s) == ("trying", 0.0)


@pytest.mark.parametrize("end", ["success", "working"])
def test_only_what_failed_is_taken_up(end: str) -> None:
    play = by_rules()
    if end == "success":
        play.returns({"done": True})
    before = play.state
    play.retry()
    assert play.state == before


def test_taking_up_a_step_without_an_effect_decides_again() -> None:
    play = triage("first").answers(CLOSE)
    assert play.where == "closed"
    play.retry()
    assert (play.state.status, play.model.decision) == ("working", 2)


def test_taking_up_a_step_that_chooses_its_agent_chooses_again() -> None:
    play = Play(machine(REVIEW)).cancel().retry()
    assert [entry.point for entry in play.of(Opened)] == ["select_agent", "select_agent"]
    assert play.call.agent == "quick"


def test_a_retry_keeps_the_shadows() -> None:
    play = shadowed().cancel().retry()
    shadow = next(each for each in play.all(AskModel) if each.shadow)
    play.tell(ModelFailed(play.at, shadow.number, "refused"))
    assert len(play.new(Shadowed)) == 1
    assert play.where == "trying"


def test_what_was_asked_is_numbered_on() -> None:
    play = triage("panel", "second")
    for command in play.all(AskModel)[:2]:
        play.breaks(to=command)
    assert [asked.commands for asked in play.of(Asked)] == [(1, 2, 3), (4,)]
    play.answers(TRY)
    assert play.call.number == 5
