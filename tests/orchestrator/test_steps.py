"""A run by example: steps, results, retries, timeouts, messages, choices, convergence, ends."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.commands import AskPerson, CallAgent, Wait
from stepladder.events import AgentFailed, AgentReturned, MessageReceived, OutcomeAttached, TimePassed, Usage
from stepladder.orchestrator import fold
from stepladder.record import STOP, Opened, Settled
from tests.example_workflows import PAYMENT, REVIEW, TEXT_TO_SQL, TRIAGE, machine
from tests.orchestrator.play import START, Play

RULES_ONLY = {"policy": {"mode": "programmatic"}}
QUESTION = "best customers"
PLAN = {"status": "answerable", "sql": "select 1"}
ROWS = {"success": True, "rows": [1, 2]}
VAGUE = {"status": "needs_clarification", "question": "by revenue?"}
BAD_SQL = {"success": False, "error": "no such column"}


def sql(changes: dict[str, Any] | None = None) -> Play:
    return Play(machine(TEXT_TO_SQL, changes or RULES_ONLY), question=QUESTION)


def review(**changes: Any) -> Play:
    return Play(machine(REVIEW, changes), topic="ladders")


def scored(alignment: Any, standardization: Any = 9.0, notes: str = "") -> dict[str, Any]:
    return {"alignment_score": alignment, "standardization_score": standardization, "notes": notes}


# --- the whole way


def test_from_question_to_answer() -> None:
    play = sql()
    assert (play.where, play.call.agent, play.call.arguments) == (
        "planning",
        "planner",
        {"question": QUESTION, "clarifications": None, "error": None},
    )
    play.returns(PLAN)
    assert (play.where, play.call.arguments) == ("executing", {"sql": "select 1"})
    play.returns(ROWS)
    assert (play.where, play.call.arguments) == ("responding", {"question": QUESTION, "rows": [1, 2]})
    play.returns({"text": "one and two"})
    assert (play.state.status, play.where, play.state.end_reason) == ("ended", "done", "the answer is phrased")
    assert play.path == ["CALL_PLANNER", "CALL_EXECUTOR", "CALL_RESPONSE_AGENT", "COMPLETE"]
    assert play.state.outstanding == {}


def test_a_question_is_asked_back_with_all_that_was_said() -> None:
    play = sql().returns(VAGUE)
    assert (play.where, play.asked.about, play.asked.question) == ("clarifying", "question", "by revenue?")
    assert play.state.waiting == play.asked
    play.says({"text": "by revenue"})
    assert (play.where, play.call.arguments["clarifications"]) == ("planning", ["by revenue"])
    play.returns(VAGUE).says({"text": "of this year"})
    assert play.call.arguments["clarifications"] == ["by revenue", "of this year"]


def test_the_clarification_limit_is_a_guard() -> None:
    play = sql()
    for _ in range(3):
        play.returns(VAGUE).says({"text": "hm"})
    play.returns(VAGUE)
    assert (play.where, play.path[-1]) == ("given_up", "GIVE_UP")
    assert play.opened.passed_over == ("ask_back",)
    blocked = play.opened.blocked["ASK_CLARIFICATION"]
    assert (blocked.clause, blocked.value, blocked.held) == ("taken.ASK_CLARIFICATION < 3", 3, False)


def test_blocked_actions_say_which_clause_failed() -> None:
    play = sql().returns(VAGUE)
    assert {action: (r.clause, r.value, r.seen) for action, r in play.opened.blocked.items()} == {
        "CALL_EXECUTOR": ("last.status == answerable", "needs_clarification", True)
    }
    play = sql().fails(error="boom").fails(error="boom")
    assert {action: (r.clause, r.value, r.seen) for action, r in play.opened.blocked.items()} == {
        "ASK_CLARIFICATION": ("returned == ok", "failed", True),
        "CALL_EXECUTOR": ("last.status == answerable", None, False),
    }


def test_fails_makes_an_output_a_failure() -> None:
    play = sql().returns(PLAN).returns(BAD_SQL)
    assert (play.path[-1], play.where, play.opened.verdict.reason) == (
        "RETRY_PLANNING",
        "planning",
        "the SQL did not run",
    )
    assert play.call.arguments["error"] == "no such column"
    assert "table" not in play.state.results


def test_a_failed_replan_does_not_run_the_stale_plan() -> None:
    """The trap: `result.plan` still holds the first plan, `last` what the planner just said, which is nothing."""
    play = sql().returns(PLAN).returns(BAD_SQL)
    assert play.state.results["plan"] == PLAN
    play.fails(error="no model").fails(error="no model")
    assert play.state.last == {"error": "no model", "error_type": "raised"}
    assert "CALL_EXECUTOR" not in play.opened.legal
    assert play.path[-1] == "RETRY_PLANNING"
    play.fails().fails()
    assert (play.where, play.path[-1], play.opened.passed_over) == ("given_up", "GIVE_UP", ("plan_again",))


# --- retries and timeouts


def test_a_retry_is_the_same_call_with_the_same_key() -> None:
    play = sql()
    first = play.call
    play.later(3).fails(error="boom")
    again = play.call
    assert (again.number, again.key, again.call, again.arguments) == (
        first.number,
        first.key,
        first.call,
        first.arguments,
    )
    assert (again.attempt, again.not_before, again.deadline) == (2, START + 3.5, START + 23.5)
    assert play.new(Opened) == [], "a retry is no decision"
    play.fails(error="boom again")
    assert (play.path[-1], play.call.attempt) == ("RETRY_PLANNING", 1)
    assert play.call.number != first.number
    assert play.state.signals["consecutive_errors"] == 1, "one call, however often it was tried"


def test_each_pause_is_twice_as_long() -> None:
    play = Play(machine(PAYMENT), amount=5)
    pauses = []
    for _ in range(2):
        play.fails()
        pauses.append(play.call.not_before - play.at)
    assert pauses == [2.0, 4.0]


@pytest.mark.parametrize(("reason", "kind"), [("raised", "failed"), ("invalid", "failed")])
def test_spent_attempts_are_a_result(reason: str, kind: str) -> None:
    play = sql({**RULES_ONLY, "phases": {"answering": {"steps": {"planning": {"retry": None}}}}})
    play.fails(reason, "no")
    assert (play.state.last, play.path[-1]) == ({"error": "no", "error_type": reason}, "RETRY_PLANNING")
    assert play.opened.blocked["ASK_CLARIFICATION"].value == kind


def test_an_idempotent_call_that_timed_out_is_made_again_then_late() -> None:
    play = sql().overruns()
    assert (play.call.attempt, play.where) == (2, "planning")
    first = play.call
    play.overruns()
    assert play.opened.blocked["ASK_CLARIFICATION"].value == "late"
    assert play.path[-1] == "RETRY_PLANNING"
    assert play.call.key == sql().call.key == first.key or play.call.arguments != first.arguments


def test_time_for_an_attempt_that_is_over_is_late() -> None:
    play = sql()
    old = play.call
    play.fails().later(100)
    play.tell(TimePassed(play.at, old.number, 1))
    assert play.call.attempt == 2
    play.tell(AgentFailed(play.at, old.number, "raised", attempt=1))
    assert play.call.attempt == 2


def test_time_before_the_deadline_changes_nothing() -> None:
    play = sql()
    play.later(19.9).tell(TimePassed(play.at, play.call.number))
    assert play.call.attempt == 1


# --- an outcome that nobody knows


def in_doubt(reason: str = "late") -> Play:
    play = Play(machine(PAYMENT), amount=5)
    return play.overruns() if reason == "late" else play.fails(reason)


@pytest.mark.parametrize("reason", ["late", "cut_off"])
def test_an_unknown_outcome_is_a_persons(reason: str) -> None:
    before = Play(machine(PAYMENT), amount=5).call
    play = in_doubt(reason)
    assert (play.asked.about, play.asked.options, play.asked.number) == (
        "effect",
        ("done", "redo", "unknown"),
        before.number,
    )
    assert play.asked.call == before
    assert play.state.resting
    assert play.new(Opened) == []


def test_done() -> None:
    play = in_doubt().says({"effect": "done", "output": {"ok": True, "receipt": 7}})
    assert (play.where, play.state.results["charge"]) == ("paid", {"ok": True, "receipt": 7})


def test_done_without_an_output() -> None:
    assert in_doubt().says({"effect": "done"}).where == "paid"


def test_done_and_failed() -> None:
    """What the person says is judged as the agent's own output would be."""
    play = in_doubt().says({"effect": "done", "output": {"ok": False}})
    assert (play.path, play.where) == (["AGAIN"], "charging")


def test_nobody_knows_so_the_rules_decide() -> None:
    play = in_doubt().says({"effect": "unknown"})
    assert play.opened.blocked["FINISH"].value == "in_doubt"
    assert (play.path, play.where, play.state.calls) == (["AGAIN"], "charging", {})
    assert play.call.key == Play(machine(PAYMENT), amount=5).call.key, "it was never known, so the key stays"


def test_redo_keeps_the_key() -> None:
    play = in_doubt()
    doubted = play.asked.call
    play.later(500).says({"effect": "redo"})
    assert (play.call.key, play.call.number, play.call.attempt) == (doubted.key, doubted.number, 2)
    assert play.call.deadline == play.at + 30


def test_a_late_result_resolves_the_doubt() -> None:
    play = in_doubt()
    play.returns({"ok": True}, to=play.asked)
    assert play.where == "paid"


@pytest.mark.parametrize("value", [{}, {"effect": "maybe"}, {"effect": None}, {"approve": True}, {"effect": ["done"]}])
def test_anything_else_leaves_it_in_doubt(value: dict[str, Any]) -> None:
    play = in_doubt()
    before = play.asked
    assert play.says(value).asked == before


# --- keys (law 9)


def keys(*told: Any) -> list[str]:
    """The keys of the calls of the bank that this story leads to."""
    play = Play(machine(PAYMENT), amount=5)
    found = [play.call.key]
    for tell in told:
        tell(play)
        found += [call.key for call in play.all(CallAgent)]
    return found


def charged(play: Play) -> Play:
    return play.returns({"ok": False})


def broken(play: Play) -> Play:
    return play.fails().fails().fails()


def late(play: Play) -> Play:
    return play.overruns()


def redo(play: Play) -> Play:
    return play.says({"effect": "redo"})


def cut_off(play: Play) -> Play:
    return play.fails("cut_off")


def cancelled(play: Play) -> Play:
    return play.cancel()


def retried(play: Play) -> Play:
    return play.retry()


@pytest.mark.parametrize(
    ("case", "story", "same"),
    [
        ("a known outcome, then decided again", [charged], False),
        ("a retry of the step", [lambda play: play.fails()], True),
        ("spent retries, then decided again", [broken], False),
        ("timed out, redone", [late, redo], True),
        ("cut off, redone", [cut_off, redo], True),
        ("timed out, redone twice", [late, redo, late, redo], True),
        ("cancelled in the middle, retried, redone", [cancelled, retried, redo], True),
        ("in doubt, cancelled, retried, redone", [late, cancelled, retried, redo], True),
        ("timed out, redone, answered, decided again", [late, redo, charged], False),
        (
            "in doubt, then done and failed",
            [late, lambda play: play.says({"effect": "done", "output": {"ok": False}})],
            False,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_keys(case: str, story: list[Any], same: bool) -> None:
    found = keys(*story)
    assert len(found) > 1
    assert (found[-1] == found[0]) is same


def test_a_late_idempotent_call_keeps_its_key_in_a_new_decision() -> None:
    loop = {"policy": {"classifier": {"complex": None}}}
    play = Play(machine(TRIAGE, loop))
    key = play.call.key
    play.overruns()
    assert (play.path, play.call.key) == (["TRY", "TRY"], key)
    play.fails()
    assert (play.path, play.call.key != key) == (["TRY", "TRY", "TRY"], True)


def test_a_key_names_run_step_agent_and_arguments() -> None:
    given = {"amount": 5}
    key = Play(machine(PAYMENT), **given).call.key
    assert Play(machine(PAYMENT), **given).call.key == key
    assert Play(machine(PAYMENT), run_id="another", **given).call.key != key
    assert Play(machine(PAYMENT), amount=6).call.key != key
    text = PAYMENT.replace("bank", "other_bank")
    assert Play(machine(text), **given).call.key != key


# --- late answers


def test_a_late_answer_costs_and_nothing_else() -> None:
    play = Play(machine(TRIAGE, RULES_ONLY))
    old = play.call
    play.overruns()
    before, call = play.state, play.call
    play.later(2).tell(AgentReturned(play.at, old.number, {"done": True}, usage=Usage(cost_usd=0.5)))
    assert (play.state.usd, play.call, play.new(Opened)) == (0.5, call, [])
    assert (play.state.last, play.state.calls, play.state.memory) == (before.last, before.calls, before.memory)


def test_a_late_answer_after_the_end_costs() -> None:
    play = Play(machine(TRIAGE, RULES_ONLY))
    call = play.call
    play.cancel().later(5).tell(AgentReturned(play.at, call.number, {"done": True}, usage=Usage(cost_usd=0.5)))
    assert (play.state.usd, play.where, play.state.working_s) == (0.5, "cancelled", 0.0)


def test_a_late_word_of_a_person_does_not_reset_the_decisions() -> None:
    play = Play(machine(TRIAGE, RULES_ONLY)).returns({}).returns({})
    assert play.state.decisions == 3
    play.says({"text": "hello?"}, to=AskPerson(99, "question", "asking"))
    assert play.state.decisions == 3


# --- waiting


def cooling() -> Play:
    return review().returns({"text": "draft"}).returns(scored(9.5))


def test_a_timer() -> None:
    play = cooling()
    assert (play.where, play.wait) == ("cooling", Wait(play.wait.number, "cooling", "", START + 60))
    assert play.state.resting
    play.later(59).tell(TimePassed(play.at, play.wait.number))
    assert play.where == "cooling"
    play.overruns()
    assert (play.where, play.opened.route) == ("embargo", "standard")


def test_a_timer_is_no_message() -> None:
    play = cooling()
    play.receives("").receives("released")
    assert play.where == "cooling"


def test_a_timer_is_nothing_unusual() -> None:
    """Under the default classifier a run that paused is as ordinary as before."""
    play = (
        Play(machine(REVIEW, {"policy": {"classifier": None}}))
        .returns({"text": "draft"})
        .returns(scored(9.5))
        .overruns()
    )
    assert (play.where, play.opened.route) == ("embargo", "standard")


def test_a_message() -> None:
    play = cooling().overruns()
    assert (play.where, play.wait.message, play.wait.deadline) == ("embargo", "released", play.at + 3600)
    play.receives("something_else")
    assert play.where == "embargo"
    play.receives("released", {"note": "at last"})
    assert (play.where, play.call.arguments) == ("printing", {"text": "draft", "note": "at last"})


def test_a_message_that_does_not_come() -> None:
    play = cooling().overruns().overruns()
    assert (play.where, play.opened.blocked["PRINT"].value) == ("dropped", "late")


def test_a_question_that_nobody_answers() -> None:
    play = Play(machine(TRIAGE, {**RULES_ONLY, "rules": {"arrived": {"first": {"do": "ASK"}}}}))
    assert play.asked.deadline == START + 3600
    play.overruns()
    assert (play.path, play.state.signals.get("clarifications")) == (["ASK", "TRY"], None)


# --- choosing among agents


def test_the_first_agent_unless_a_rule_says_otherwise() -> None:
    play = review()
    assert (play.opened.point, play.opened.legal, play.opened.rule) == (
        "select_agent",
        ("quick", "careful"),
        "first_listed",
    )
    assert (play.settled.action, play.settled.to, play.call.agent) == ("quick", "writing", "quick")
    play.returns({"text": "draft"}).returns(scored(5.0, notes="more"))
    assert (play.opened.rule, play.call.agent) == ("second_thoughts", "careful")
    assert play.call.arguments == {"topic": "ladders", "notes": "more"}


def test_choosing_an_agent_is_no_iteration() -> None:
    play = review()
    assert (play.state.decisions, play.state.opened, play.path) == (0, 1, [])


# --- convergence


@pytest.mark.parametrize(
    ("case", "scores", "where"),
    [
        ("both converge", scored(9.0, 8.0), "cooling"),
        ("one is too low", scored(8.9, 9.9), "writing"),
        ("the other is too low", scored(9.9, 7.9), "writing"),
        ("one is missing", {"alignment_score": 9.9}, "writing"),
        ("one is text", scored("9.9"), "writing"),
        ("one is a flag", scored(True), "writing"),
        ("one is above its range", scored(11.0), "writing"),
        ("all are missing", {}, "writing"),
    ],
)
def test_leaving_a_phase_needs_convergence(case: str, scores: dict[str, Any], where: str) -> None:
    play = review().returns({"text": "draft"}).returns(scores)
    assert play.where == where
    if where == "writing":
        checked = next(entry for entry in reversed(play.of(Opened)) if entry.point == "next_action")
        assert checked.blocked.keys() == {"COOL", "SHOW"}
        assert checked.passed_over == ("good",)


@pytest.mark.parametrize("scores", [scored(None), scored("9"), scored(99), {}])
def test_an_invalid_score_is_an_anomaly(scores: dict[str, Any]) -> None:
    play = Play(machine(REVIEW, {"policy": {"classifier": None}})).returns({"text": "draft"}).returns(scores)
    checked = next(entry for entry in reversed(play.of(Opened)) if entry.point == "next_action")
    assert (checked.route, [fired.name for fired in checked.fired]) == ("complex", ["anomalous_scores"])


def test_a_score_of_before_does_not_converge_for_a_validator_that_failed() -> None:
    play = review(select_agent=None).returns({"text": "draft"}).returns(scored(8.0)).returns({"text": "better"})
    play.fails()
    checked = next(entry for entry in reversed(play.of(Opened)) if entry.point == "next_action")
    assert {action: (r.value, r.seen) for action, r in checked.blocked.items()} == {
        "COOL": (None, False),
        "SHOW": (None, False),
    }


def test_a_successful_end_needs_convergence_and_a_failing_one_does_not() -> None:
    low = review().returns({"text": "draft"}).returns(scored(1.0))
    checked = next(entry for entry in reversed(low.of(Opened)) if entry.point == "next_action")
    assert "SHOW" in checked.blocked
    assert {"DROP", "WITHDRAW", "REVISE"} <= set(checked.legal)


def test_the_last_phase_has_no_convergence_here() -> None:
    play = cooling().overruns().receives("released").returns({})
    assert play.where == "published"


def test_revising_is_bounded() -> None:
    play = review()
    for _ in range(4):
        play.returns({"text": "draft"}).returns(scored(1.0))
    assert (play.where, play.path.count("REVISE"), play.path[-1]) == ("dropped", 3, "DROP")


# --- from everywhere, and STOP


def test_an_action_from_everywhere_leads_out_of_every_step() -> None:
    found = machine(REVIEW)
    for step in found.definition.steps:
        assert found.take(step, "WITHDRAW") == "withdrawn"
        assert "WITHDRAW" in {move.option.action for move in found.moves[step]}


def test_stop_when_nothing_is_legal() -> None:
    play = Play(machine(PAYMENT, {"actions": {"GIVE_UP": {"guard": ["taken.AGAIN > 99"]}}}), amount=5)
    for _ in range(4):
        play.returns({"ok": False})
    assert (play.path[-1], play.where, play.opened.legal) == (STOP, "unpaid", ())
    assert (play.opened.rule, play.opened.passed_over) == ("", ("again", "no_more"))
    assert play.settled.reason == "no rule holds here whose action is legal"


def test_stop_when_no_rule_holds() -> None:
    changes = {"rules": {"charging": {"done": None, "again": None, "no_more": {"when": ["last.ok == true"]}}}}
    play = Play(machine(PAYMENT, changes), amount=5).returns({"ok": False})
    assert (play.path, play.where, play.opened.legal) == ([STOP], "unpaid", ("AGAIN", "GIVE_UP"))


# --- ends


def test_an_end_gives_its_output_from_results() -> None:
    play = sql().returns(PLAN).returns(ROWS).returns({"text": "one and two"})
    end = play.machine.definition.ends["done"]
    assert end.success
    assert end.output.resolve({"result": play.state.results}) == {
        "sql": "select 1",
        "results": [1, 2],
        "response": "one and two",
    }


def test_an_outcome_may_be_attached_at_any_time() -> None:
    play = sql()
    before = play.state
    play.tell(OutcomeAttached(play.at, 1, success=True, quality=0.9))
    assert play.state == before
    play.cancel().tell(OutcomeAttached(play.at, 0, success=False))
    assert play.where == "cancelled"


def test_artifacts_are_kept_by_name() -> None:
    play = sql()
    play.tell(AgentReturned(play.at, play.call.number, PLAN, artifacts={"plan.pdf": "sha256:1"}))
    play.tell(AgentReturned(play.at, play.call.number, ROWS, artifacts={"rows.csv": "sha256:2"}))
    assert play.state.artifacts == {"plan.pdf": "sha256:1", "rows.csv": "sha256:2"}


def test_a_message_for_nobody_is_late() -> None:
    play = sql()
    before = play.state
    play.tell(MessageReceived(play.at, play.call.number, "released"))
    assert play.state == before


def test_a_journal_folds_to_the_same_state() -> None:
    play = (
        sql().returns(VAGUE).says({"text": "x"}).returns(PLAN).returns(BAD_SQL).returns(PLAN).returns(ROWS).returns({})
    )
    assert fold(play.machine, play.journal) == play.state
    assert [entry.n for entry in play.of(Settled)] == list(range(1, play.state.opened + 1))


# --- taken up again


def test_a_failed_run_is_taken_up_on_the_arguments_its_step_was_entered_with() -> None:
    play = sql().returns({"status": "unanswerable"})
    first = play.state.arguments
    assert play.where == "given_up"
    play.retry()
    assert (play.call.arguments, play.state.decisions) == (first, 0)


def test_a_question_that_was_cut_off_is_asked_again() -> None:
    play = sql().returns({"status": "needs_clarification", "question": "which?"}).cancel().retry()
    assert (play.asked.question, play.asked.arguments) == ("which?", {"question": "which?"})


def test_a_run_cancelled_while_an_approval_was_awaited_repeats_no_effect() -> None:
    play = Play(machine(PAYMENT, {"policy": {"approvals": {"paying": {"entering": "paid"}}}}))
    play.returns({"ok": True})
    assert play.asked.about == "approval"
    play.cancel().retry()
    assert (play.all(CallAgent), play.asked.about) == ([], "approval")


def out_of_time(play: Play) -> Play:
    play.at += 1000
    return play.tell(TimePassed(play.at))


@pytest.mark.parametrize(
    "story", [[cancelled], [late, cancelled], [out_of_time]], ids=["in flight", "in doubt", "stopped by a limit"]
)
def test_a_call_that_may_have_happened_is_put_to_a_person_when_its_run_is_taken_up(story: list[Any]) -> None:
    """The money may be gone already: a retry of the run is no word on that."""
    play = Play(machine(PAYMENT), amount=5)
    for happens in (*story, retried):
        happens(play)
    assert (play.all(CallAgent), play.asked.about, play.state.resting) == ([], "effect", True)
    play.returns({"ok": True}, to=play.asked)
    assert play.where == "paid"


def test_an_idempotent_call_that_may_have_happened_is_made_again_when_its_run_is_taken_up() -> None:
    play = Play(machine(PAYMENT, {"agents": {"bank": {"idempotent": True}}}), amount=5)
    key = play.call.key
    assert play.cancel().retry().call.key == key
