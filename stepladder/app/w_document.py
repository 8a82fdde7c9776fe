"""The W document's own interface (workflow-orchestrator-implementation-analysis): its field names in and out.

    decision = await make_orchestration_decision({"current_phase": "phase_1", "current_step": 2, ...}, model="openai:x")

The state's fields: current_phase (phase_1, phase_2), current_step (1 to 6), validation_scores {alignment_score,
standardization_score, compatibility_score}, error_count, human_intervention_required, validation_anomalies,
convergence_issues, unusual_patterns; further fields are context for the model. The seven steps: 1 plan, 2 validate the
plan, 3 revise it, 4 write code, 5 validate it, 6 fix it, 7 done.

The classifier is the document's, tested complex first: it tests for standard progression first, which hides anomalies
at zero errors. Its thresholds of convergence are 9.0, 8.0 and 8.0; a score that is missing or not a number never
converges.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from stepladder.app.decision_point import DecisionPoint
from stepladder.app.lone import Decision
from stepladder.clauses import Condition
from stepladder.errors import InputError, StepladderError
from stepladder.journal import Journal
from stepladder.llm import Provider, ScriptRanDry
from stepladder.record import Mode
from stepladder.rules import rule
from stepladder.values import is_number, plain

CONVERGENCE: Final = {"alignment_score": 9.0, "standardization_score": 8.0, "compatibility_score": 8.0}
"""The shipped convergence criteria, on scores of 0 to 10."""
CLASSIFIER: Final = {
    "complex": {
        "many_errors": ["error_count > 2"],
        "person_wanted": ["human_intervention_required == true"],
        "anomalies": ["validation_anomalies > 0"],
        "not_converging": ["convergence_issues == true"],
    },
    "hybrid": {"some_errors": ["error_count > 0"], "unusual": ["unusual_patterns > 0"]},
}
SIGNALS: Final[dict[str, Any]] = {
    "phase": ("phase_1", "phase_2"),
    "step": int,
    "converged": bool,
    "error_count": int,
    "human_intervention_required": bool,
    "validation_anomalies": int,
    "convergence_issues": bool,
    "unusual_patterns": int,
}


def _invoke(agent: str, template: str, step: int) -> dict[str, Any]:
    return {"decision_type": "agent_invocation", "target_agent": agent, "template": template, "step_number": step}


OUTCOMES: Final[dict[str, dict[str, Any]]] = {
    "VALIDATE_PLAN": _invoke("validator", "step2_plan_validator_prompt_template.md", 2),
    "REVISE_PLAN": _invoke("planner", "step3_revision_planner_prompt_template.md", 3),
    "START_PHASE_2": {
        "decision_type": "phase_transition",
        "next_phase": "phase_2",
        **{"target_agent": "programmer", "template": "step4_programmer_prompt_template.md", "step_number": 4},
    },
    "VALIDATE_CODE": _invoke("validator", "step5_code_validator_prompt_template.md", 5),
    "FIX_CODE": _invoke("programmer", "step6_code_refinement_programmer_prompt_template.md", 6),
    "COMPLETE": {"decision_type": "workflow_complete", "step_number": 7},
    "REQUEST_HUMAN": {"decision_type": "human_intervention", "target_agent": "human"},
}
"""What each action means in the document's words."""
DESCRIPTIONS: Final = {
    "VALIDATE_PLAN": "Have the validator score the plan.",
    "REVISE_PLAN": "Have the planner revise the plan.",
    "START_PHASE_2": "The plan has converged: go on to writing code.",
    "VALIDATE_CODE": "Have the validator check the code.",
    "FIX_CODE": "Have the programmer fix the code.",
    "COMPLETE": "The code has converged: the workflow is done.",
    "REQUEST_HUMAN": "Stop and let a person decide.",
}
NEXT: Final[dict[tuple[str, int], tuple[str, ...]]] = {
    ("phase_1", 1): ("VALIDATE_PLAN",),
    ("phase_1", 2): ("START_PHASE_2", "REVISE_PLAN"),
    ("phase_1", 3): ("VALIDATE_PLAN",),
    ("phase_2", 4): ("VALIDATE_CODE",),
    ("phase_2", 5): ("COMPLETE", "FIX_CODE"),
    ("phase_2", 6): ("VALIDATE_CODE",),
}
CONVERGED_ONLY: Final = frozenset({"START_PHASE_2", "COMPLETE"})
RULES: Final = [
    rule("START_PHASE_2", when=["converged == true"], because="the plan meets the convergence criteria"),
    rule("REVISE_PLAN", because="the plan does not meet the convergence criteria"),
    rule("COMPLETE", when=["converged == true"], because="the code meets the convergence criteria"),
    rule("FIX_CODE", because="the code does not meet the convergence criteria"),
    rule("VALIDATE_PLAN", because="a plan was written or revised"),
    rule("VALIDATE_CODE", because="code was written or fixed"),
    rule("REQUEST_HUMAN", because="nothing else is legal"),
]


class HybridWorkflowOrchestrator:
    """The W document's orchestrator on a decision point.

    Arguments as for `DecisionPoint`; without a model it is programmatic.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        mode: str = "hybrid",
        reconcile: Mode = "model_wins",
        convergence: Mapping[str, float] = CONVERGENCE,
        classifier: Mapping[str, Mapping[str, Iterable[str]]] = CLASSIFIER,
        providers: Mapping[str, Provider] | None = None,
        journal: Journal | str | Path | None = None,
    ) -> None:
        self._converged = Condition(f"{name} >= {at}" for name, at in convergence.items())
        self.point = DecisionPoint(
            "next_action",
            rules=RULES,
            signals=SIGNALS,
            model=model,
            mode=mode if model else "programmatic",
            reconcile=reconcile,
            classifier=classifier,
            actions={action: {"description": text} for action, text in DESCRIPTIONS.items()},
            providers=providers,
            journal=journal,
        )

    async def make_orchestration_decision(self, workflow_state: Mapping[str, Any]) -> dict[str, Any]:
        """What to do next, in the document's field names: decision_type, target_agent, template, step_number,
        next_phase; decision_source, programmatic_alternative, conflict_reason; reason, route, decision_id.

        A state that cannot be decided on gives a human_intervention decision with the cause, recorded nowhere else.

        Raises:
            ScriptRanDry: a scripted provider has no answer left; a test that is too short must fail.
        """
        try:
            state = _taken_in(workflow_state)
            facts = self._facts(state)
            legal = self._legal(facts)
            decision = await self.point.decide(facts, legal=legal, context=_context(state, facts))
        except ScriptRanDry:
            raise
        except (StepladderError, TypeError, ValueError) as error:
            return {**OUTCOMES["REQUEST_HUMAN"], "decision_source": "safe_decision", "reason": str(error)}
        return _told(decision)

    async def close(self) -> None:
        """Let go of providers and journal."""
        await self.point.close()

    def _facts(self, state: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "phase": state.get("current_phase"),
            "step": state.get("current_step"),
            "converged": self._converged.holds(_scores(state)),
            "error_count": state.get("error_count", 0),
            "human_intervention_required": bool(state.get("human_intervention_required", False)),
            "validation_anomalies": _count(state.get("validation_anomalies")) + _missing(state, self._converged),
            "convergence_issues": bool(state.get("convergence_issues", False)),
            "unusual_patterns": _count(state.get("unusual_patterns")),
        }

    @staticmethod
    def _legal(facts: Mapping[str, Any]) -> list[str]:
        here = NEXT.get((facts["phase"], facts["step"]))
        if here is None:
            raise ValueError(f"Unknown phase or step: {facts['phase']!r}, {facts['step']!r}")
        return [each for each in here if facts["converged"] or each not in CONVERGED_ONLY] + ["REQUEST_HUMAN"]


async def make_orchestration_decision(workflow_state: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """One decision on the W document's state; `settings` as for `HybridWorkflowOrchestrator`."""
    orchestrator = HybridWorkflowOrchestrator(**settings)
    try:
        return await orchestrator.make_orchestration_decision(workflow_state)
    finally:
        await orchestrator.close()


def _taken_in(workflow_state: Mapping[str, Any]) -> dict[str, Any]:
    try:
        given = dict(workflow_state)
    except Exception as error:  # somebody's own mapping
        found = f"a {type(workflow_state).__name__} ({type(error).__name__}: {error})"
        raise InputError("workflow_state", "", found, "a mapping of fields") from error
    state: dict[str, Any] = plain(given, "workflow_state")
    return state


def _scores(state: Mapping[str, Any]) -> dict[str, Any]:
    scores = state.get("validation_scores")
    return dict(scores) if isinstance(scores, Mapping) else {}


def _missing(state: Mapping[str, Any], converged: Condition) -> int:
    """Scores that a validation should have given and did not; only validating steps have any."""
    if state.get("current_step") not in (2, 5) or "validation_scores" not in state:
        return 0
    scores = _scores(state)
    return sum(not is_number(scores.get(clause.signal)) for clause in converged.clauses)


def _count(value: object) -> int:
    """The document's lists count their entries; numbers and flags are taken as they are, a fraction as one more."""
    if isinstance(value, (list, tuple, dict, str)):
        return len(value)
    return math.ceil(value) if isinstance(value, (int, float)) else 0


def _context(state: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "current_workflow_state": dict(state),
        "validation_scores": _scores(state),
        "convergence_status": {"converged": facts["converged"], "issues": facts["convergence_issues"]},
        "error_history": state.get("error_history", []),
        "human_approval_status": state.get("human_approval_status"),
    }


def _told(decision: Decision) -> dict[str, Any]:
    record = decision.record
    alternative = record.programmatic_alternative
    return {
        **OUTCOMES[decision.action],
        "reason": decision.reason,
        "decision_source": record.decision_source,
        "programmatic_alternative": alternative
        and {**OUTCOMES[alternative["action"]], "reason": alternative["reason"]},
        "conflict_reason": record.conflict_reason,
        "route": record.opened.route,
        "decision_id": decision.id,
    }
