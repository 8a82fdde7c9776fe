"""The one workload that every peer runs: its state, its agents, its two questions and its expected path.

    plan -> validate -> (revise -> validate) twice -> code -> check -> (fix -> check) once -> done

The agents do nothing but return the part of the state that changes, so what is left to measure is the framework:
taking a step, carrying about 1 KB of state through it, and deciding which step comes next. Each agent also adds its own
name to `trail`, which travels in the state like everything else; a peer that loses or repeats a step, or drops an
update, therefore ends with a wrong trail and fails the benchmark.
"""

from collections.abc import Callable
from typing import Any, TypedDict


class State(TypedDict):
    """What is carried from step to step; about 1 KB when encoded as JSON."""

    question: str
    tables: dict[str, dict[str, str]]
    glossary: dict[str, str]
    limits: dict[str, float]
    plan: list[str]
    plan_score: float
    revisions: int
    code: str
    failed_checks: int
    fixes: int
    trail: list[str]


Agent = Callable[[State], dict[str, Any]]

EXPECTED = [
    *("plan", "validate", "revise", "validate", "revise", "validate"),
    *("code", "check", "fix", "check"),
    "done",
]
STEPS = len(EXPECTED) - 1
"""Agent steps in a run. `done` is where the last decision leads, and has no agent."""

ACCEPTED = 0.8
"""A plan is revised as long as its score is lower than this."""

SCORES = (0.4, 0.65, 0.9)
"""The validator's score after 0, 1 and 2 revisions."""

FAILED_CHECKS = (2, 0)
"""What the checker finds after 0 and 1 fixes."""

PLAN = ["join orders to customers", "sum the paid amounts per customer", "keep the ten largest"]
CODE = (
    "SELECT c.name, SUM(o.amount) AS revenue FROM customers c JOIN orders o ON o.customer_id = c.id "
    "WHERE o.paid_at >= '2025-01-01' GROUP BY c.name ORDER BY revenue DESC LIMIT 10"
)


def start() -> State:
    """The state in which a run begins: a new dict each time, whose nested values nobody changes."""
    return {
        "question": "Which ten customers brought in the most revenue since January, and how much was it each?",
        "tables": TABLES,
        "glossary": GLOSSARY,
        "limits": {"rows": 1000, "seconds": 30, "cost_usd": 0.25, "revisions": 3, "fixes": 3},
        "plan": [],
        "plan_score": 0.0,
        "revisions": 0,
        "code": "",
        "failed_checks": 0,
        "fixes": 0,
        "trail": [],
    }


TABLES = {
    "customers": {"id": "integer primary key", "name": "text not null", "country": "text", "since": "date"},
    "orders": {
        "id": "integer primary key",
        "customer_id": "integer references customers",
        "amount": "numeric(12, 2)",
        "paid_at": "timestamp",
    },
    "refunds": {"order_id": "integer references orders", "amount": "numeric(12, 2)", "reason": "text"},
}

GLOSSARY = {
    "revenue": "paid orders less refunds, in the currency of the order, counted on the day of payment",
    "customer": "whoever placed at least one order; trial accounts do not count",
}


def plan(state: State) -> dict[str, Any]:
    return {"plan": PLAN, "trail": [*state["trail"], "plan"]}


def validate(state: State) -> dict[str, Any]:
    return {"plan_score": SCORES[state["revisions"]], "trail": [*state["trail"], "validate"]}


def revise(state: State) -> dict[str, Any]:
    return {"revisions": state["revisions"] + 1, "trail": [*state["trail"], "revise"]}


def code(state: State) -> dict[str, Any]:
    return {"code": CODE, "trail": [*state["trail"], "code"]}


def check(state: State) -> dict[str, Any]:
    return {"failed_checks": FAILED_CHECKS[state["fixes"]], "trail": [*state["trail"], "check"]}


def fix(state: State) -> dict[str, Any]:
    return {"fixes": state["fixes"] + 1, "trail": [*state["trail"], "fix"]}


AGENTS: dict[str, Agent] = {
    "plan": plan,
    "validate": validate,
    "revise": revise,
    "code": code,
    "check": check,
    "fix": fix,
}


def needs_revision(state: State) -> bool:
    """Asked after `validate`: yes leads to `revise`, no to `code`."""
    return state["plan_score"] < ACCEPTED


def needs_fix(state: State) -> bool:
    """Asked after `check`: yes leads to `fix`, no to `done`."""
    return state["failed_checks"] > 0


def finish() -> State:
    """The state in which a run ends."""
    state = start()
    for step in EXPECTED[:-1]:
        state.update(AGENTS[step](state))
    return state
