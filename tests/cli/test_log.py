# ruff: noqa: E501 - a row is a case
"""The run log, from journals made by hand."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from stepladder.cli.log import RunLog
from stepladder.cli.tell import clarification_limit, who
from stepladder.commands import AskModel
from stepladder.events import AgentFailed, AgentReturned, OutcomeAttached, PolicyChanged, RunResumed
from stepladder.record import Opened, Settled, Verdict
from tests.example_workflows import PAYMENT, REVIEW, TEXT_TO_SQL, TRIAGE, machine, workflow
from tests.orchestrator.play import Play

SHADOW = {"policy": {"routes": {"complex": {"ask": ["first"], "reconcile": "shadow"}}}}
PANEL = {"policy": {"routes": {"complex": {"ask": ["panel"]}}}}
APPROVAL = {"policy": {"classifier": {"complex": None}, "approvals": {"sure": {"entering": "solved"}}}}


def log_of(play: Play) -> str:
    console = Console(file=StringIO(), width=100, markup=False, highlight=False)
    RunLog(play.machine, console).write(play.journal)
    return console.file.getvalue()  # type: ignore[attr-defined]


def sql(**given: Any) -> Play:
    return Play(machine(TEXT_TO_SQL), question="How many?", **given)


def checked() -> Play:
    """A review whose draft is good: the timer runs."""
    return Play(machine(REVIEW)).returns({"text": "x"}).returns({"alignment_score": 9.5, "standardization_score": 9})


TOLD: dict[str, tuple[Callable[[], Play], list[str]]] = {
    "a call is late and made again": (
        lambda: sql().overruns(),
        ["late    planner  no result in time", "again   attempt 2 in 0.50 s, under the same key"],
    ),
    "a call that must not be made twice is in doubt": (
        lambda: Play(machine(PAYMENT)).overruns(),
        ["late    bank  no result in time", "doubt   nobody knows whether it was done; a person has to say"],
    ),
    "a doubt is settled": (
        lambda: Play(machine(PAYMENT)).overruns().says({"effect": "redo"}),
        ["answer  effect: effect redo  by ada"],
    ),
    "a doubt is settled by the result itself": (
        lambda: Play(machine(PAYMENT)).overruns().tell(AgentReturned(1100.0, 1, {"ok": True})),
        ["ok      bank 0.00 s  ok true"],
    ),
    "a result nobody awaits": (
        lambda: (play := sql()).cancel("no use").tell(AgentReturned(play.at + 1, 1, {}, elapsed_s=7.0)),
        ["cancelled by ada: no use", "late    a result that nobody awaits, 7.00 s"],
    ),
    "a failure nobody awaits": (
        lambda: (play := sql()).cancel().tell(AgentFailed(play.at + 1, 1, "raised", "gone")),
        ["late    a failure that nobody awaits: gone"],
    ),
    "an unusable result": (lambda: sql().fails("invalid", "no sql"), ["failed  planner 0.00 s  invalid: no sql"]),
    "a judgement": (
        lambda: (
            Play(machine(REVIEW, {"phases": {"drafting": {"steps": {"checking": {"judges": "writing"}}}}}))
            .returns()
            .returns()
            .returns()
            .returns({"alignment_score": 9, "standardization_score": 5})
        ),
        ["judges  decision 3: quality 0.7, failure"],
    ),
    "a failing result": (
        lambda: sql().returns({"status": "answerable", "sql": "x"}).returns({"success": False, "error": "no table"}),
        ["failed  executor 0.00 s  success false, error no table"],
    ),
    "an agent that costs": (
        lambda: sql().returns({"status": "unanswerable"}, cost=0.0123),
        ["ok      planner 0.00 s $0.012  status unanswerable"],
    ),
    "an agent is chosen": (
        lambda: Play(machine(REVIEW)),
        ["        writing  select_agent", "quick   rule first_listed"],
    ),
    "a timer and a message": (
        lambda: checked().overruns().receives("released", {"note": "go"}),
        ["time    the wait is over", "message released  note go"],
    ),
    "no message in time": (lambda: checked().overruns().overruns(), ["late    no message released in time"]),
    "nobody answers in time": (
        lambda: Play(machine(TRIAGE, {"policy": {"routes": {"complex": {"ask": ["person"]}}}})).overruns(),
        ["late    nobody answered the decision in time", "instead of a model: person"],
    ),
    "models climb": (
        lambda: Play(machine(TRIAGE)).breaks("unavailable").answers({"action": "ASK", "reason": "hm"}, cost=0.5),
        [
            " 1/12   arrived  complex: every",
            "asks    first (scripted:first)",
            "says    first failed: ",
            "asks    second (scripted:second)",
            "says    second accepted ASK  0.00 s $0.50",
            "ASK -> asking   model, over rule first",
        ],
    ),
    "an answer that is none": (lambda: Play(machine(TRIAGE)).answers("nonsense"), ["says    first invalid: the answer is not"]),
    "a shadow differs": (
        lambda: (play := Play(machine(TRIAGE, SHADOW))).answers({"action": "ASK", "reason": "x"}, to=play.model),
        ["asks    first (scripted:first) in shadow", "shadow  decision 1: first differs: ASK"],
    ),
    "an approval": (
        lambda: Play(machine(TRIAGE, APPROVAL)).returns({"done": True}).says({"approve": False, "reason": "not yet"}),
        ["needs   the approval sure of a person", "answer  approval: approve false, reason not yet  by ada"],
    ),
    "a limit": (
        lambda: Play(machine(PAYMENT, {"policy": {"limits": {"decisions": 1}}})).fails().fails().fails().fails().fails().fails(),
        ["STOP -> unpaid   limit", "because limit of 1 decision reached"],
    ),
    "what somebody did with it": (
        lambda: sql()
        .tell(RunResumed(1001.0))
        .tell(PolicyChanged(1002.0, "abc"))
        .tell(OutcomeAttached(1003.0, success=True))
        .cancel()
        .retry(),
        ["resumed by another process", "policy abc decides from here on", "how it turned out was noted", "taken up again by ada"],
    ),
    "a run that begins with an effect": (lambda: Play(machine(PAYMENT)), [" run  run of payment, begins in charging"]),
}  # fmt: skip


@pytest.mark.parametrize(("made", "lines"), TOLD.values(), ids=TOLD)
def test_the_log_tells(made: Callable[[], Play], lines: list[str]) -> None:
    text = log_of(made())
    for line in lines:
        assert line in text


def test_the_count_begins_anew_when_a_person_has_answered() -> None:
    play = sql().returns({"status": "needs_clarification", "question": "by what?"}).says({"text": "revenue"})
    text = log_of(play)
    assert [line.split()[0] for line in text.splitlines() if "clarifications" in line] == ["1/10", "2/10", "1/10"]
    assert "clarifications 1/3" in text


LIMITS = {
    "one action, one limit": (TEXT_TO_SQL, {}, {"ASK_CLARIFICATION"}, 3),
    "or equal": (
        TEXT_TO_SQL,
        {"actions": {"ASK_CLARIFICATION": {"guard": ["taken.ASK_CLARIFICATION <= 3"]}}},
        {"ASK_CLARIFICATION"},
        4,
    ),
    "no limit": (TRIAGE, {}, {"ASK"}, 0),
    "nobody is asked": (PAYMENT, {}, set(), 0),
}


@pytest.mark.parametrize(("text", "changes", "actions", "limit"), LIMITS.values(), ids=LIMITS)
def test_the_limit_of_clarifications_is_read_from_the_guards(
    text: str, changes: dict[str, Any], actions: set[str], limit: int
) -> None:
    assert clarification_limit(workflow(text, changes)) == (actions, limit)


WHO = {
    "a rule": (Settled(1, "A", "b"), False, "rule first"),
    "a rule, and a model agrees": (Settled(1, "A", "b", relation="agreement"), False, "rule first, a model agrees"),
    "a rule against a scripted model": (Settled(1, "A", "b", relation="kept"), True, "rule first, against a scripted model"),
    "a model": (Settled(1, "A", "b", source="model", relation="override"), False, "model, over rule first"),
    "a scripted model": (Settled(1, "A", "b", source="model", relation="override"), True, "scripted model, over rule first"),
    "a panel": (Settled(1, "A", "b", source="panel"), False, "panel"),
    "a person": (Settled(1, "A", "b", source="person", relation="override"), False, "person, over rule first"),
    "a limit": (Settled(1, "STOP", "b", source="limit"), False, "limit"),
}  # fmt: skip


@pytest.mark.parametrize(("settled", "scripted", "told"), WHO.values(), ids=WHO)
def test_who(settled: Settled, scripted: bool, told: str) -> None:
    assert who(settled, Opened(1, "s", ("A",), Verdict("A"), "first"), scripted=scripted) == told


def test_who_without_a_rule() -> None:
    assert who(Settled(1, "STOP", "b"), Opened(1, "s", (), Verdict("STOP"))) == "built-in STOP"


def test_a_panel_votes() -> None:
    play = Play(machine(TRIAGE, PANEL))
    for model in play.all(AskModel)[:2]:
        play.answers({"action": "ASK", "reason": "all say so"}, to=model)
    text = log_of(play)
    assert "asks    panel (scripted:a, scripted:b, scripted:c)" in text
    assert text.count("says    panel vote ASK") == 2
    assert "ASK -> asking   panel, over rule first" in text
