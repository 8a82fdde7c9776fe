"""Small definitions that tests share. Each is YAML text, so that a test can show it, and `workflow` builds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from stepladder.orchestrator import Machine
from stepladder.signals import Signal
from stepladder.workflow.build import build
from stepladder.workflow.definition import Definition
from stepladder.workflow.yaml_text import read_yaml


def source(text: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The mapping that the text spells, with `changes` merged into it (None takes a key away)."""
    data, _ = read_yaml(text)
    return merged(data, changes or {})


def workflow(text: str, changes: Mapping[str, Any] | None = None, *, signals: Iterable[Signal] = ()) -> Definition:
    """The definition that the text spells, with `changes` merged into it."""
    return build(source(text, changes), signals=signals)


def machine(text: str, changes: Mapping[str, Any] | None = None, *, signals: Iterable[Signal] = ()) -> Machine:
    """The same, ready to run."""
    return Machine(workflow(text, changes, signals=signals))


def merged(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with `changes`, mapping by mapping; None takes a key away."""
    found = dict(data)
    for key, change in changes.items():
        if change is None:
            found.pop(key, None)
        elif isinstance(change, Mapping) and isinstance(found.get(key), Mapping):
            found[key] = merged(found[key], change)
        else:
            found[key] = change
    return found


TEXT_TO_SQL: Final = """
workflow: text_to_sql
version: 1
input: {question: string}
start: new_query
agents:
  planner:   {idempotent: true, description: Writes one SELECT or says what is missing., output: {status: {enum: [answerable, needs_clarification, unanswerable]}, sql: string, question: string}}
  executor:  {idempotent: true, description: Runs one SELECT read-only., output: {success: boolean, rows: array, error: string}, fails: [success == false]}
  responder: {idempotent: true, description: Says rows in words., output: {text: string}}
phases:
  answering:
    steps:
      new_query:  {}
      planning:   {agent: planner, as: plan, prompt: plan_query@1, timeout_s: 20, retry: {attempts: 2, backoff_s: 0.5}, with: {question: input.question, clarifications: all.answer.text, error: last.error}}
      clarifying: {ask: person, as: answer, with: {question: decision.question}, output: {text: string}}
      executing:  {agent: executor, as: table, timeout_s: 30, with: {sql: result.plan.sql}}
      responding: {agent: responder, as: words, with: {question: input.question, rows: result.table.rows}}
ends:
  done:     {success: true, output: {sql: result.plan.sql, results: result.table.rows, response: result.words.text}}
  given_up: {success: false, output: {reason: decision.because}}
actions:
  CALL_PLANNER:        {from: [new_query, clarifying], to: planning}
  ASK_CLARIFICATION:   {from: planning, to: clarifying, guard: [returned == ok, taken.ASK_CLARIFICATION < 3], parameters: {question: string}}
  RETRY_PLANNING:      {from: [planning, executing], to: planning, guard: [taken.RETRY_PLANNING < 2]}
  CALL_EXECUTOR:       {from: planning, to: executing, guard: [last.status == answerable]}
  CALL_RESPONSE_AGENT: {from: executing, to: responding, guard: [returned == ok]}
  COMPLETE:            {from: responding, to: done, guard: [returned == ok]}
  GIVE_UP:
    - {from: [planning, clarifying], to: given_up}
    - {from: [executing, responding], to: given_up, guard: [returned != ok]}
rules:
  new_query:
    plan_first:  {do: CALL_PLANNER, because: a question needs a plan}
  planning:
    run_plan:    {when: [last.status == answerable], do: CALL_EXECUTOR, because: the plan can be run}
    ask_back:    {when: [last.status == needs_clarification], do: ASK_CLARIFICATION, with: {question: last.question}, because: the question is ambiguous}
    impossible:  {when: [last.status == unanswerable], do: GIVE_UP, because: the database cannot answer it}
    plan_again:  {when: [returned != ok], do: RETRY_PLANNING, because: the planner failed}
    no_plan:     {do: GIVE_UP, because: no usable plan}
  clarifying:
    replan:      {when: [returned == ok], do: CALL_PLANNER, because: the person answered}
    no_answer:   {do: GIVE_UP, because: nobody answered}
  executing:
    phrase:      {when: [returned == ok], do: CALL_RESPONSE_AGENT, because: rows are there}
    repair:      {do: RETRY_PLANNING, because: the SQL did not run}
    irreparable: {do: GIVE_UP, because: the SQL stays broken}
  responding:
    finish:      {when: [returned == ok], do: COMPLETE, because: the answer is phrased}
    no_words:    {do: GIVE_UP, because: the answer could not be phrased}
policy:
  limits: {decisions: 10, usd: 0.20, working_s: 120, then: given_up}
  classifier:
    complex: {failing: [error_count > 2], person_asked: [human_intervention_required == true], odd_scores: [validation_anomalies > 0]}
    hybrid:  {just_failed: [consecutive_errors > 0], same_call: [repeated_calls >= 2]}
  rungs:
    supervisor: {model: "google:gemini-2.5-flash-lite", prompt: supervisor@1, deadline_s: 5, accept: {agrees: [agrees == true], sure: [confidence >= 0.7]}}
    panel:      {models: ["openai:a", "google:b", "openai:c"], quorum: 2, deadline_s: 8}
    person:     {deadline_s: 86400}
  routes:
    hybrid:  {ask: [supervisor], reconcile: model_wins}
    complex: {ask: [supervisor, panel, person], reconcile: model_wins}
  on_invalid: rule
  on_low_confidence: next_rung
"""  # noqa: E501
"""The workflow of the design, complete."""

PAYMENT: Final = """
workflow: payment
start: charging
agents:
  bank: {output: {ok: boolean}, fails: [ok == false]}
phases:
  paying:
    steps:
      charging: {agent: bank, as: charge, timeout_s: 30, retry: {attempts: 3, backoff_s: 2}, with: {amount: input.amount}}
ends: {paid: {success: true}, unpaid: {success: false}}
actions:
  FINISH:  {from: charging, to: paid, guard: [returned == ok]}
  AGAIN:   {from: charging, to: charging, guard: [taken.AGAIN < 3]}
  GIVE_UP: {from: charging, to: unpaid}
rules:
  charging:
    done:    {when: [returned == ok], do: FINISH, because: the bank took it}
    again:   {do: AGAIN, because: the bank did not take it}
    no_more: {do: GIVE_UP, because: the bank refuses}
policy:
  classifier: {}
  limits: {working_s: 1000}
"""  # noqa: E501
"""An agent whose call must not be made twice: not idempotent, with a timeout and retries."""

REVIEW: Final = """
workflow: review
start: writing
agents:
  quick: {idempotent: true}
  careful: {idempotent: true}
  validator: {idempotent: true, scores: {alignment_score: [0, 10], standardization_score: [0, 10]}}
  press: {idempotent: true}
phases:
  drafting:
    converged: [score.alignment_score >= 9.0, score.standardization_score >= 8.0]
    steps:
      writing:  {agent: [quick, careful], as: draft, with: {topic: input.topic, notes: result.check.notes}}
      checking: {agent: validator, as: check, with: {text: result.draft.text}}
  publishing:
    steps:
      cooling:  {wait: {seconds: 60}}
      embargo:  {wait: {message: released, deadline_s: 3600}, as: release}
      printing: {agent: press, with: {text: result.draft.text, note: result.release.note}}
ends:
  published: {success: true}
  shown:     {success: true}
  dropped:   {success: false}
  withdrawn: {success: false}
actions:
  CHECK:    {from: writing, to: checking, guard: [returned == ok]}
  REVISE:   {from: checking, to: writing, guard: [taken.REVISE < 3]}
  COOL:     {from: checking, to: cooling}
  SHOW:     {from: checking, to: shown}
  HOLD:     {from: cooling, to: embargo}
  PRINT:    {from: embargo, to: printing, guard: [returned == ok]}
  PUBLISH:  {from: printing, to: published, guard: [returned == ok]}
  DROP:     {from: [checking, embargo, printing], to: dropped}
  WITHDRAW: {from: "*", to: withdrawn}
rules:
  writing:
    check:  {do: CHECK, because: a draft is checked}
  checking:
    good:   {do: COOL, because: the draft converges}
    revise: {do: REVISE, because: the draft does not converge yet}
    drop:   {do: DROP, because: it will not converge}
  cooling:
    hold:   {do: HOLD, because: the embargo comes next}
  embargo:
    print:  {when: [returned == ok], do: PRINT, because: it is released}
    drop:   {do: DROP, because: nobody released it}
  printing:
    finish: {when: [returned == ok], do: PUBLISH, because: it is printed}
    drop:   {do: DROP, because: the press failed}
select_agent:
  writing:
    second_thoughts: {when: [taken.REVISE >= 1], do: careful, because: the quick one did not do}
policy:
  classifier: {}
  limits: {then: dropped}
"""
"""Phases with convergence, a choice of agents, a timer, a message, `from: "*"`."""

TRIAGE: Final = """
workflow: triage
start: arrived
agents:
  worker: {idempotent: true, output: {done: boolean}}
phases:
  work:
    steps:
      arrived: {}
      trying:  {agent: worker, timeout_s: 10}
      asking:  {ask: person, deadline_s: 3600, output: {text: string}}
ends: {solved: {success: true}, closed: {success: false}}
actions:
  TRY:   {from: [arrived, trying, asking], to: trying, parameters: {how: {type: string, default: plain}, tone: {type: string, default: mild}}, significant: [how]}
  ASK:   {from: [arrived, trying], to: asking}
  CLOSE: {from: [arrived, trying, asking], to: closed}
  SOLVE: {from: [trying, asking], to: solved, guard: [returned == ok]}
rules:
  arrived: {first: {do: TRY, because: trying costs nothing}}
  trying:
    solved: {when: [last.done == true], do: SOLVE, because: it is done}
    again:  {do: TRY, because: it may work next time}
  asking: {retry: {do: TRY, because: somebody answered}}
policy:
  limits: {decisions: 12, usd: 1.0, working_s: 600}
  classifier: {complex: {every: [decisions >= 0]}}
  rungs:
    first:  {model: "scripted:first", deadline_s: 5}
    second: {model: "scripted:second", deadline_s: 5}
    panel:  {models: ["scripted:a", "scripted:b", "scripted:c"], quorum: 2, deadline_s: 8}
    person: {deadline_s: 600}
  routes:
    complex: {ask: [first, second]}
"""  # noqa: E501
"""Several legal actions in every step, an endless loop in the rules, and a ladder that is always asked."""
