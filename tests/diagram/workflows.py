"""Definitions for tests of pictures: a larger one of two phases, and any valid one."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from stepladder.workflow.build import build
from stepladder.workflow.definition import Definition

TWO_PHASES: Final = """
workflow: ml_pipeline
version: 3
input: {goal: string}
start: profiling
agents:
  profiler: {idempotent: true, output: {rows: integer}}
  planner: {idempotent: true, output: {plan: string}}
  validator: {idempotent: true, output: {alignment_score: number}, scores: {alignment_score: [0, 10]}}
  programmer: {output: {code: string}}
  small_programmer: {output: {code: string}}
  tester: {idempotent: true, output: {passed: boolean}, fails: [passed == false]}
phases:
  planning:
    converged: [score.alignment_score >= 9.0]
    steps:
      profiling: {agent: profiler, with: {goal: input.goal}}
      drafting: {agent: planner, with: {goal: input.goal}}
      checking_plan: {agent: validator, with: {plan: result.drafting.plan}}
      asking_owner: {ask: person, with: {question: "'Is this plan right?'"}, output: {text: string}}
  building:
    steps:
      coding: {agent: [programmer, small_programmer], with: {plan: result.drafting.plan}}
      testing: {agent: tester, with: {code: result.coding.code}}
      waiting_for_review: {wait: {message: reviewed}}
ends:
  shipped: {success: true}
  given_up: {success: false}
  rejected: {success: false}
actions:
  DRAFT_PLAN: {from: profiling, to: drafting, guard: [returned == ok]}
  CHECK_PLAN: {from: drafting, to: checking_plan, guard: [returned == ok]}
  REVISE: {from: [checking_plan, asking_owner], to: drafting, guard: [taken.REVISE < 5]}
  ASK_OWNER: {from: [checking_plan, testing], to: asking_owner, guard: [taken.ASK_OWNER < 3]}
  START_CODING: {from: [checking_plan, asking_owner], to: coding}
  RUN_TESTS: {from: coding, to: testing, guard: [returned == ok]}
  FIX_CODE: {from: [testing, waiting_for_review], to: coding, guard: [taken.FIX_CODE < 4]}
  TRY_AGAIN: {from: coding, to: coding, guard: [returned != ok, taken.TRY_AGAIN < 2]}
  REQUEST_REVIEW: {from: testing, to: waiting_for_review, guard: [returned == ok]}
  SHIP: {from: waiting_for_review, to: shipped, guard: [last.approved == true]}
  REJECT: {from: waiting_for_review, to: rejected}
  GIVE_UP: {from: "*", to: given_up}
policy: {limits: {then: given_up}}
"""

NASTY: Final = st.text(max_size=30) | st.sampled_from(
    [
        '"]; end',
        "</title><script>alert(1)</script>",
        "]]>",
        "&lt;&#0;",
        "%%{init: {}}%%",
        "`# --> x",
        "\x00\x0b\ufffe",
        "end\nsubgraph x",
    ]
)
NAMES: Final = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,14}", fullmatch=True)
EFFECTS: Final = st.sampled_from(
    [
        {},
        {"agent": ["worker"]},
        {"agent": ["worker", "other"]},
        {"ask": "person"},
        {"wait": {"seconds": 5}},
        {"wait": {"message": "go"}},
    ]
)
GUARDS: Final = st.sampled_from(
    [[], ["returned == ok"], ["last.text == '<\"&#>]]-->'", "taken.{0} < 3"], ["last.long == " + "x" * 90]]
)


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """Any valid workflow, with texts that try to break out."""
    names = draw(st.lists(NAMES, min_size=2, max_size=9, unique_by=str.lower))
    cut = draw(st.integers(1, len(names) - 1))
    steps, ends = names[:cut], names[cut:]
    parts = draw(st.integers(1, min(3, len(steps))))
    phases: dict[str, Any] = {}
    for number in range(parts):
        inner = steps[number * len(steps) // parts : (number + 1) * len(steps) // parts]
        phases[f"phase_{number}"] = {
            "steps": {step: {**draw(EFFECTS), "description": draw(NASTY)} for step in inner},
            "converged": draw(st.sampled_from([[], ["last.x == '\"<'"]])),
        }
    actions: dict[str, list[dict[str, Any]]] = {}
    for action in draw(st.lists(NAMES, min_size=1, max_size=7, unique=True).filter(lambda found: "STOP" not in found)):
        sources = draw(st.lists(st.sampled_from(steps), min_size=1, max_size=4, unique=True))
        actions[action] = [
            {
                "from": [source],
                "to": draw(st.sampled_from(names)),
                "guard": [clause.format(action) for clause in draw(GUARDS)],
                "description": draw(NASTY),
            }
            for source in sources
        ]
    data = {
        "workflow": draw(NAMES),
        "start": draw(st.sampled_from(steps)),
        "agents": {"worker": {}, "other": {"description": draw(NASTY)}},
        "phases": phases,
        "ends": {end: {"success": number > 0} for number, end in enumerate(ends)},
        "actions": actions,
    }
    return build(data)
