"""What is simulated: every kind of step, effect, wait and rung, in small workflows."""

from __future__ import annotations

from typing import Any, Final

from stepladder.app.loading import Workflow
from tests.example_workflows import PAYMENT, TEXT_TO_SQL, TRIAGE, source

JOURNEY: Final = """
workflow: journey
input: {topic: string}
start: fetching
agents:
  fetcher:  {idempotent: true}
  parser:   {idempotent: true, output: {good: boolean}, fails: [good == false]}
  bank:     {output: {ok: boolean}}
  reporter: {idempotent: true}
phases:
  way:
    steps:
      fetching:  {agent: fetcher, as: page, timeout_s: 30, retry: {attempts: 3, backoff_s: 2}, with: {topic: input.topic}}
      parsing:   {agent: parser, as: facts, timeout_s: 20, retry: {attempts: 2, backoff_s: 0.5}, with: {page: result.page.page}}
      asking:    {ask: person, as: wish, with: {question: "'How many?'"}, output: {count: integer}, deadline_s: 900}
      embargo:   {wait: {message: released, deadline_s: 600}, as: release}
      cooling:   {wait: {seconds: 10}}
      charging:  {agent: bank, as: charge, timeout_s: 30, retry: {attempts: 2, backoff_s: 1}, with: {count: result.wish.count}}
      reporting: {agent: reporter, as: report, timeout_s: 30, with: {charge: result.charge.ok}}
ends:
  there: {success: true, output: {count: result.wish.count, charged: result.charge.ok}}
  lost:  {success: false}
actions:
  PARSE:  {from: fetching, to: parsing, guard: [returned == ok]}
  AGAIN:  {from: [fetching, parsing, charging], to: fetching, guard: [taken.AGAIN < 3]}
  ASK:    {from: parsing, to: asking, guard: [returned == ok]}
  HOLD:   {from: [parsing, asking], to: embargo}
  COOL:   {from: embargo, to: cooling, guard: [returned == ok]}
  CHARGE: {from: [asking, cooling], to: charging, guard: [taken.CHARGE < 2]}
  REPORT: {from: charging, to: reporting, guard: [returned == ok]}
  ARRIVE: {from: reporting, to: there, guard: [returned == ok]}
  LOSE:   {from: "*", to: lost}
rules:
  fetching:  {parse: {do: PARSE}, again: {do: AGAIN}, lose: {do: LOSE}}
  parsing:   {ask: {do: ASK}, again: {do: AGAIN}, lose: {do: LOSE}}
  asking:    {hold: {when: [returned == ok], do: HOLD}, charge: {do: CHARGE}, lose: {do: LOSE}}
  embargo:   {cool: {do: COOL}, lose: {do: LOSE}}
  cooling:   {charge: {do: CHARGE}, lose: {do: LOSE}}
  charging:  {report: {do: REPORT}, again: {do: AGAIN}, lose: {do: LOSE}}
  reporting: {arrive: {do: ARRIVE}, lose: {do: LOSE}}
policy:
  limits: {decisions: 15, usd: 0.5, working_s: 200, then: lost}
  classifier:
    complex: {fetched: [step == fetching]}
    hybrid: {parsed: [step == parsing], cool: [step == cooling]}
  rungs:
    first:  {model: "scripted:first", deadline_s: 5, accept: {sure: [confidence >= 0.5]}}
    panel:  {models: ["scripted:a", "scripted:b", "scripted:c"], quorum: 2, deadline_s: 8}
    person: {deadline_s: 300}
  routes:
    complex: {ask: [first, panel, person], reconcile: model_wins}
    hybrid:  {ask: [panel], reconcile: shadow, rollout: {share: 0.5, reconcile: model_wins}}
  on_low_confidence: next_rung
  approvals:
    money: {entering: charging, deadline_s: 400}
"""  # noqa: E501

SOURCES: Final[dict[str, dict[str, Any]]] = {
    "journey": source(JOURNEY),
    "payment": source(PAYMENT, {"input": {"amount": "number"}, "policy": {"limits": {"working_s": 100}}}),
    "text_to_sql": source(TEXT_TO_SQL),
    "triage": source(
        TRIAGE,
        {
            "policy": {
                "limits": {"working_s": 100, "no_progress": {"escalate": None, "end": None}},
                "routes": {"complex": {"ask": ["first", "panel", "person"]}},
                "approvals": {"eyes": {"entering": "trying", "when": ["taken.TRY == 2"], "deadline_s": 20}},
            }
        },
    ),
}
WORKFLOWS: Final = {name: Workflow.define(data) for name, data in SOURCES.items()}
INPUTS: Final[dict[str, dict[str, Any]]] = {
    "journey": {"topic": "owls"},
    "text_to_sql": {"question": "how many?"},
    "triage": {},
    "payment": {"amount": 5},
}
SYNCHRONOUS: Final = ("parser", "bank", "executor")
"""The agents that run in threads."""
OUTPUTS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "fetcher": ({"page": "a"}, {"page": "b"}),
    "parser": ({"good": True}, {"good": True}, {"good": False}),
    "bank": ({"ok": True}, {"ok": True}, {"ok": False}),
    "reporter": ({},),
    "planner": (
        {"status": "answerable", "sql": "select 1"},
        {"status": "answerable", "sql": "select 2"},
        {"status": "needs_clarification", "question": "which?"},
        {"status": "unanswerable"},
    ),
    "executor": ({"success": True, "rows": [1]}, {"success": True, "rows": []}, {"success": False, "error": "no"}),
    "responder": ({"text": "one"},),
    "worker": ({"done": False}, {"done": False}, {"done": True}),
}
"""What the agents give when nothing is wrong."""
ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "journey": {"count": 3},
    "text_to_sql": {"text": "all"},
    "triage": {"text": "go on"},
}
"""What people say to the workflows' questions."""
