"""Workflows that wait for every kind of thing, and their agents."""

from __future__ import annotations

from tests.example_workflows import PAYMENT, REVIEW, TRIAGE

DECISION = TRIAGE.replace("    complex: {ask: [first, second]}", "    complex: {ask: [person]}")
"""Every decision of which there is a choice is put to a person."""
APPROVAL = TRIAGE.replace("policy:\n", "policy:\n  mode: programmatic\n").replace(
    "  rungs:", "  approvals: {sure: {entering: solved}}\n  rungs:"
)
"""A person has to agree before the run is solved."""
DOUBT = PAYMENT.replace("timeout_s: 30", "timeout_s: 0.05").replace("workflow: payment", "workflow: doubt")
"""A call that must not be made twice, and times out."""
MESSAGE = REVIEW.replace("wait: {seconds: 60}", "wait: {seconds: 0.01}").replace(
    "workflow: review", "workflow: message"
)
"""A message is waited for, after a timer."""
FORM = """
workflow: form
start: asking
phases:
  all:
    steps:
      asking: {ask: person, as: form, output: {name: string, age: integer, keen: {type: boolean, default: true}}}
ends: {in: {success: true, output: {name: result.form.name, age: result.form.age}}, out: {success: false}}
actions:
  ACCEPT: {from: asking, to: in, guard: [returned == ok]}
  REFUSE: {from: asking, to: out}
rules:
  asking:
    accept: {when: [returned == ok], do: ACCEPT, because: they told us}
    refuse: {do: REFUSE, because: they did not}
policy: {classifier: {}, limits: {then: out}}
"""
"""A person fills in a form; there is no agent."""

WAITING_AGENTS = """
import time

def worker():
    return {"done": True}

def bank(amount=None):
    time.sleep(0.2)
    return {"ok": True}

def quick(topic=None, notes=None):
    return {"text": "draft"}

careful = quick

def validator(text=None):
    return {"alignment_score": 9.5, "standardization_score": 9}

def press(text=None, note=None):
    return {"printed": note}

"""


def agents(*names: str) -> str:
    """An agents file with these."""
    return WAITING_AGENTS + "AGENTS = {" + ", ".join(f"{name!r}: {name}" for name in names) + "}\n"
