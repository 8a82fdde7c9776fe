"""What a model is told about a run: its facts as data blocks, cut to a budget. No time, cost or run id among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from stepladder.clauses import Fired, Reading
from stepladder.prompts.data import SMALLEST, Block, allot, data_block, one_line
from stepladder.prompts.interfaces import what_happens
from stepladder.state import RunState
from stepladder.values import to_json
from stepladder.workflow.definition import Definition, PersonEffect

BUDGET: Final = 12_000
"""Characters of run data in a prompt, unless told otherwise."""
UNSAID: Final = frozenset({"budget_used", "time_used", "rule_margin", "situation", "decisions"})
"""Signals about money, time and the rules: models are asked without them, and cached verdicts do not depend on them."""
TOLD_ELSEWHERE: Final = frozenset(
    {
        "score",
        "trend",
        "validation_anomalies",
        "convergence_issues",
        "error_count",
        "consecutive_errors",
        "repeated_calls",
        "repeated_results",
        "human_intervention_required",
        "clarifications",
    }
)
WEIGHTS: Final = {"last_result": 4, "latest_results": 3, "input": 2}
"""Shares of the budget; every other block has 1."""


class Posed(msgspec.Struct, frozen=True):
    """The question as a model may see it: where each legal action leads, and why it is asked. No rule, no verdict."""

    step: str
    options: dict[str, str]
    point: str = "next_action"
    route: str = ""
    fired: tuple[Fired, ...] = ()


def context_blocks(definition: Definition, state: RunState, posed: Posed, budget: int = BUDGET) -> tuple[Block, ...]:
    """The facts there are, the most important first."""
    facts = {name: value for name, make in SECTIONS.items() if (value := make(definition, state, posed)) is not None}
    sizes = [len(to_json(value, indent=1)) for value in facts.values()]
    shares = allot(sizes, [WEIGHTS.get(name, 1) for name in facts], budget)
    return tuple(
        data_block(name, value, max(share, SMALLEST))
        for (name, value), share in zip(facts.items(), shares, strict=True)
    )


def _workflow_state(definition: Definition, state: RunState, posed: Posed) -> dict[str, Any]:
    step = definition.steps[posed.step]
    purpose = one_line(str(definition.source.get("description") or ""))
    told = {
        "workflow": definition.name,
        **({"workflow_purpose": purpose} if purpose else {}),
        "phase": step.phase,
        "phases": list(definition.phases),
        "step": posed.step,
        **({"step_purpose": one_line(step.description)} if step.description else {}),
        "step_does": what_happens(definition, posed.step),
        "returned": state.returned,
        "visits_of_this_step": state.visits.get(posed.step, 0),
        "clarification_count": _clarifications(definition, state),
    }
    why = _why(posed)
    return {**told, "asked_because": why} if why else told


def _clarifications(definition: Definition, state: RunState) -> int:
    """How often a person was asked a question."""
    asking = (step.name for step in definition.steps.values() if isinstance(step.effect, PersonEffect))
    return sum(state.visits.get(name, 0) for name in asking)


def _why(posed: Posed) -> list[str]:
    said = [f"route {posed.route}"] if posed.route not in ("", "standard") else []
    for fired in posed.fired:
        seen = [str(reading) for reading in fired.readings if _sayable(reading)]
        if seen:
            said.append(f"{fired.name}: {', '.join(seen)}")
    return said


def _sayable(reading: Reading) -> bool:
    return reading.clause.split(" ")[0].split(".")[0] not in UNSAID


def _last_result(_: Definition, state: RunState, __: Posed) -> dict[str, Any] | None:
    return state.last if state.returned is not None else None


def _input(_: Definition, state: RunState, __: Posed) -> dict[str, Any]:
    return state.input


def _latest_results(_: Definition, state: RunState, __: Posed) -> dict[str, Any] | None:
    """The latest success under each name, newest first, without the one that was just returned."""
    names = reversed(state.results)
    shown = {name: state.results[name] for name in names if state.results[name] is not state.last}
    return shown or None


def _errors(_: Definition, state: RunState, __: Posed) -> dict[str, Any]:
    told: dict[str, Any] = _signals(state, ("error_count", "consecutive_errors", "repeated_calls", "repeated_results"))
    if state.returned not in (None, "ok"):
        told["last_error"] = state.last.get("error", state.returned)
    return told or {"errors": "none recorded"}


def _scores(_: Definition, state: RunState, __: Posed) -> dict[str, Any] | None:
    scores, trend = _mapping(state.signals.get("score")), _mapping(state.signals.get("trend"))
    told: dict[str, Any] = {
        name: {"value": value, "change": trend[name]} if name in trend else {"value": value}
        for name, value in scores.items()
    }
    if told or state.signals.get("validation_anomalies"):
        told.update(_signals(state, ("validation_anomalies",)))
    return told or None


def _convergence(definition: Definition, state: RunState, posed: Posed) -> dict[str, Any] | None:
    converged = definition.phases[definition.steps[posed.step].phase].converged
    told: dict[str, Any] = _signals(state, ("convergence_issues",))
    if converged:
        readings = converged.readings(_facts(state, posed))
        told["phase_converged"] = all(reading.held for reading in readings)
        told["criteria"] = [_criterion(reading) for reading in readings if _sayable(reading)]
    return told or None


def _criterion(reading: Reading) -> dict[str, Any]:
    seen = {"value": reading.value} if reading.seen else {"value": "missing"}
    return {"criterion": reading.clause, **seen, "met": reading.held}


def _facts(state: RunState, posed: Posed) -> dict[str, Any]:
    known = {"input": state.input, "last": state.last, "result": state.results, "all": state.collected}
    counts = {"taken": state.taken, "visits": state.visits, "step": posed.step, "decisions": state.decisions}
    returned = {"returned": state.returned} if state.returned is not None else {}
    return {**known, **counts, **returned, **state.signals}


def _approval(_: Definition, state: RunState, __: Posed) -> dict[str, Any] | None:
    told: dict[str, Any] = _signals(state, ("human_intervention_required", "clarifications"))
    if state.refused:
        told["refused_in_this_visit"] = list(state.refused.values())
    return told or None


def _other_signals(_: Definition, state: RunState, __: Posed) -> dict[str, Any] | None:
    return _signals(state, (name for name in state.signals if name not in UNSAID | TOLD_ELSEWHERE)) or None


def _signals(state: RunState, names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := state.signals.get(name)) is not None}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


SECTIONS: Final[dict[str, Callable[[Definition, RunState, Posed], dict[str, Any] | None]]] = {
    "current_workflow_state": _workflow_state,
    "last_result": _last_result,
    "error_history": _errors,
    "validation_scores": _scores,
    "convergence_status": _convergence,
    "human_approval_status": _approval,
    "signals": _other_signals,
    "input": _input,
    "latest_results": _latest_results,
}
"""The blocks of the context, in their order."""
