"""The W document's interface: its tables, its classifier against its own code, and what no model can bring about."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder import ScriptedProvider, SqliteJournal
from stepladder.app.w_document import (
    CONVERGENCE,
    DESCRIPTIONS,
    NEXT,
    OUTCOMES,
    HybridWorkflowOrchestrator,
    make_orchestration_decision,
)
from stepladder.clauses import ClauseError
from stepladder.errors import DefinitionError
from stepladder.llm import Late, ScriptRanDry, Unavailable

MODEL: Final = "scripted:supervisor"
TYPES: Final = {"agent_invocation", "phase_transition", "workflow_complete", "human_intervention"}
HUMAN: Final = OUTCOMES["REQUEST_HUMAN"]

CONVERGED: Final = {"alignment_score": 9.5, "standardization_score": 8.5, "compatibility_score": 8.5}
SCORES: Final[dict[str, Any]] = {
    "converged": CONVERGED,
    "not converged": {**CONVERGED, "alignment_score": 5.0},
    "one missing": {"alignment_score": 9.5, "standardization_score": 8.5},
    "one null": {**CONVERGED, "compatibility_score": None},
    "one as text": {**CONVERGED, "standardization_score": "8.5"},
    "one a flag": {**CONVERGED, "standardization_score": True},
    "none": {},
    "a list": [9.5, 8.5, 8.5],
    "null": None,
}


def decided(state: Any, *answers: Any, **changed: Any) -> dict[str, Any]:
    """One decision, with a model that gives these answers (none: without a model)."""
    asked = {"model": MODEL, "providers": {"scripted": ScriptedProvider(answers)}} if answers else {}
    return asyncio.run(make_orchestration_decision(state, **asked, **changed))


def state(phase: object, step: object, scores: object = CONVERGED, **more: Any) -> dict[str, Any]:
    return {"current_phase": phase, "current_step": step, "validation_scores": scores, **more}


# --- what follows what

VALIDATOR_2: Final = ("agent_invocation", "validator", "step2_plan_validator_prompt_template.md", 2, None)
PLANNER_3: Final = ("agent_invocation", "planner", "step3_revision_planner_prompt_template.md", 3, None)
PROGRAMMER_4: Final = ("phase_transition", "programmer", "step4_programmer_prompt_template.md", 4, "phase_2")
VALIDATOR_5: Final = ("agent_invocation", "validator", "step5_code_validator_prompt_template.md", 5, None)
PROGRAMMER_6: Final = ("agent_invocation", "programmer", "step6_code_refinement_programmer_prompt_template.md", 6, None)
DONE_7: Final = ("workflow_complete", None, None, 7, None)

FOLLOWS: Final = {
    ("phase_1", 1): (VALIDATOR_2, VALIDATOR_2),
    ("phase_1", 2): (PROGRAMMER_4, PLANNER_3),
    ("phase_1", 3): (VALIDATOR_2, VALIDATOR_2),
    ("phase_2", 4): (VALIDATOR_5, VALIDATOR_5),
    ("phase_2", 5): (DONE_7, PROGRAMMER_6),
    ("phase_2", 6): (VALIDATOR_5, VALIDATOR_5),
}
"""What follows each step of the document: where the scores converge, and where they do not."""


def fields(decision: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(
        decision.get(name) for name in ("decision_type", "target_agent", "template", "step_number", "next_phase")
    )


@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("place", FOLLOWS, ids=lambda place: f"{place[0]} step {place[1]}")
def test_what_follows_each_step(place: tuple[str, int], scores: str) -> None:
    decision = decided(state(*place, SCORES[scores]))
    assert fields(decision) == FOLLOWS[place][scores != "converged"]
    assert decision["decision_source"] == "programmatic"
    assert (decision["programmatic_alternative"], decision["conflict_reason"]) == (None, "")
    assert decision["reason"]


@pytest.mark.parametrize("place", FOLLOWS, ids=lambda place: f"{place[0]} step {place[1]}")
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_of_json_goes_to_a_person(place: tuple[str, int], score: float) -> None:
    decision = decided(state(*place, {**CONVERGED, "alignment_score": score}))
    assert decision["decision_type"] == "human_intervention"
    assert decision["decision_source"] == "safe_decision"
    assert "alignment_score" in decision["reason"]


def test_the_tables_cover_each_other() -> None:
    assert set(NEXT) == set(FOLLOWS)
    assert set(OUTCOMES) == set(DESCRIPTIONS)
    assert {action for actions in NEXT.values() for action in actions} | {"REQUEST_HUMAN"} == set(OUTCOMES)
    assert {outcome["decision_type"] for outcome in OUTCOMES.values()} == TYPES


def w_converges(scores: Mapping[str, float]) -> bool:
    """`_check_phase_1_convergence`, as the document has it."""
    return (
        scores.get("alignment_score", 0) >= 9.0
        and scores.get("standardization_score", 0) >= 8.0
        and scores.get("compatibility_score", 0) >= 8.0
    )


AROUND: Final = {"just below": -math.inf, "at": None, "just above": math.inf}


@pytest.mark.parametrize("where", list(itertools.product(AROUND, repeat=3)), ids=", ".join)
def test_the_thresholds_of_convergence(where: tuple[str, str, str]) -> None:
    scores = {name: beside(at, each) for (name, at), each in zip(CONVERGENCE.items(), where, strict=True)}
    decision = decided(state("phase_1", 2, scores))
    assert fields(decision) == (PROGRAMMER_4 if w_converges(scores) else PLANNER_3)
    assert w_converges(scores) == ("just below" not in where)


def beside(at: float, where: str) -> float:
    toward = AROUND[where]
    return at if toward is None else math.nextafter(at, toward)


def test_whole_numbers_are_scores_as_well() -> None:
    assert fields(decided(state("phase_2", 5, {name: int(at) for name, at in CONVERGENCE.items()}))) == DONE_7
    assert fields(decided(state("phase_2", 5, dict.fromkeys(CONVERGENCE, 10**400)))) == DONE_7


def test_other_thresholds() -> None:
    scores = {"recall": 0.8}
    assert fields(decided(state("phase_1", 2, scores), convergence={"recall": 0.8})) == PROGRAMMER_4
    assert fields(decided(state("phase_1", 2, scores), convergence={"recall": 0.81})) == PLANNER_3
    with pytest.raises(ClauseError):
        decided(state("phase_1", 2), convergence={"recall": "high"})


# --- the classifier


def w_standard(workflow_state: Mapping[str, Any]) -> bool:
    """`_is_standard_progression`, as the document has it."""
    return (
        workflow_state.get("error_count", 0) == 0
        and workflow_state.get("human_intervention_required", False) == False  # noqa: E712
        and workflow_state.get("unusual_patterns", []) == []
    )


def w_complex(workflow_state: Mapping[str, Any]) -> bool:
    """`_requires_complex_reasoning`, as the document has it."""
    return bool(
        workflow_state.get("error_count", 0) > 2
        or workflow_state.get("human_intervention_required", False)
        or workflow_state.get("validation_anomalies", []) != []
        or workflow_state.get("convergence_issues", False)
    )


def w_route(workflow_state: Mapping[str, Any]) -> str:
    """The document's classification, complex first."""
    if w_complex(workflow_state):
        return "complex"
    return "standard" if w_standard(workflow_state) else "hybrid"


ABSENT: Final = object()
SIGNS: Final[dict[str, list[Any]]] = {
    "error_count": [ABSENT, 0, 1, 2, 3, 4],
    "human_intervention_required": [ABSENT, False, True],
    "validation_anomalies": [ABSENT, [], ["a score fell"], ["two", "of them"]],
    "convergence_issues": [ABSENT, False, True],
    "unusual_patterns": [ABSENT, [], ["the same plan again"]],
}


def every_state() -> Iterator[dict[str, Any]]:
    for values in itertools.product(*SIGNS.values()):
        yield {name: value for name, value in zip(SIGNS, values, strict=True) if value is not ABSENT}


def test_the_classifier_is_the_documents_with_complex_first() -> None:
    async def compared() -> None:
        orchestrator = HybridWorkflowOrchestrator()
        for each in every_state():
            decision = await orchestrator.make_orchestration_decision(state("phase_1", 1, **each))
            assert decision["route"] == w_route(each), each
            if not w_standard(each):  # both orders agree where the document's does not hide anything
                assert (decision["route"] == "complex") == w_complex(each)

    asyncio.run(compared())


@pytest.mark.parametrize(
    ("case", "more", "route"),
    [
        ("anomalies that the document's order hides", {"error_count": 0, "validation_anomalies": ["a"]}, "complex"),
        ("not converging, hidden as well", {"error_count": 0, "convergence_issues": True}, "complex"),
        ("anomalies as a number", {"validation_anomalies": 2}, "complex"),
        ("anomalies: none, as a number", {"validation_anomalies": 0}, "standard"),
        ("anomalies: none, as null", {"validation_anomalies": None}, "standard"),
        ("anomalies as a flag", {"validation_anomalies": True}, "complex"),
        ("anomalies by name", {"validation_anomalies": {"alignment": "fell"}}, "complex"),
        ("anomalies as text", {"validation_anomalies": "fell"}, "complex"),
        ("a fraction of an anomaly", {"validation_anomalies": 0.5}, "complex"),
        ("patterns as a number", {"unusual_patterns": 1}, "hybrid"),
        ("a fraction of a pattern", {"unusual_patterns": 0.3}, "hybrid"),
        ("error_count as null", {"error_count": None}, "standard"),
        ("error_count as a float", {"error_count": 3.0}, "complex"),
    ],
)
def test_signs_in_other_shapes(case: str, more: dict[str, Any], route: str) -> None:
    assert decided(state("phase_1", 1, **more))["route"] == route, case


@pytest.mark.parametrize(
    ("step", "scores", "route"),
    [
        (2, {**CONVERGED, "alignment_score": None}, "complex"),
        (2, {**CONVERGED, "alignment_score": "9.5"}, "complex"),
        (2, {}, "complex"),
        (2, CONVERGED, "standard"),
        (1, {}, "standard"),
        (3, {**CONVERGED, "alignment_score": None}, "standard"),
    ],
)
def test_a_validation_without_its_scores_is_an_anomaly(step: int, scores: dict[str, Any], route: str) -> None:
    assert decided(state("phase_1", step, scores))["route"] == route


def test_a_validation_that_gave_no_scores_at_all_is_standard_and_does_not_converge() -> None:
    decision = decided({"current_phase": "phase_1", "current_step": 2})
    assert (fields(decision), decision["route"]) == (PLANNER_3, "standard")


# --- a model beside the rules

LEGAL_COMPLEX: Final = state("phase_1", 2, error_count=3)
ILLEGAL: Final = [
    {"action": "DROP_TABLE"},
    {"action": "COMPLETE"},
    {"action": "VALIDATE_PLAN"},
    {"action": "begin_phase_2"},
    {"decision_type": "phase_transition"},
    {"action": "START_PHASE_2", "confidence": 2},
    [],
    "not JSON",
    "",
]


@pytest.mark.parametrize("more", [{"error_count": 1}, {"error_count": 3}], ids=["hybrid", "complex"])
def test_a_model_that_agrees(more: dict[str, Any]) -> None:
    decision = decided(state("phase_1", 2, **more), {"action": "START_PHASE_2", "reason": "it has converged"})
    assert fields(decision) == PROGRAMMER_4
    assert decision["decision_source"] == "agreement"
    assert decision["reason"] == "the plan meets the convergence criteria"
    assert (decision["programmatic_alternative"], decision["conflict_reason"]) == (None, "")


@pytest.mark.parametrize("more", [{"error_count": 1}, {"error_count": 3}], ids=["hybrid", "complex"])
def test_a_model_that_overrules(more: dict[str, Any]) -> None:
    decision = decided(state("phase_1", 2, **more), {"action": "REVISE_PLAN", "reason": "the scores look odd"})
    assert fields(decision) == PLANNER_3
    assert (decision["decision_source"], decision["reason"]) == ("llm_override", "the scores look odd")
    assert decision["programmatic_alternative"] == {
        **OUTCOMES["START_PHASE_2"],
        "reason": "the plan meets the convergence criteria",
    }
    for said in ("REVISE_PLAN", "the scores look odd", "START_PHASE_2", "the plan meets the convergence criteria"):
        assert said in decision["conflict_reason"]


def test_a_model_may_always_ask_for_a_person() -> None:
    decision = decided(LEGAL_COMPLEX, {"action": "REQUEST_HUMAN", "reason": "this is odd"})
    assert fields(decision) == fields(HUMAN)
    assert decision["decision_source"] == "llm_override"
    assert decision["decision_id"]


@pytest.mark.parametrize("answer", [Late, Unavailable, lambda _: 1 / 0, *ILLEGAL], ids=str)
def test_without_an_answer_that_counts_the_rule_stands(answer: Any) -> None:
    decision = decided(LEGAL_COMPLEX, answer)
    assert fields(decision) == PROGRAMMER_4
    assert (decision["decision_source"], decision["route"]) == ("fallback", "complex")
    assert decision["programmatic_alternative"] is None


@pytest.mark.parametrize(
    ("case", "changed", "more", "source", "expected"),
    [
        ("standard: nobody is asked", {}, {}, "programmatic", PROGRAMMER_4),
        ("the rule wins", {"reconcile": "rule_wins"}, {"error_count": 3}, "programmatic", PROGRAMMER_4),
        ("in shadow", {"reconcile": "shadow"}, {"error_count": 3}, "programmatic", PROGRAMMER_4),
        ("programmatic", {"mode": "programmatic"}, {"error_count": 3}, "programmatic", PROGRAMMER_4),
        ("llm", {"mode": "llm"}, {}, "llm_override", PLANNER_3),
        ("another classifier", {"classifier": {}}, {"error_count": 3}, "programmatic", PROGRAMMER_4),
    ],
)
def test_settings(
    case: str, changed: dict[str, Any], more: dict[str, Any], source: str, expected: tuple[Any, ...]
) -> None:
    decision = decided(state("phase_1", 2, **more), {"action": "REVISE_PLAN"}, **changed)
    assert (decision["decision_source"], fields(decision)) == (source, expected), case


def test_a_model_is_told_the_state_and_what_the_document_names() -> None:
    provider = ScriptedProvider([{"action": "START_PHASE_2"}])
    told = state("phase_1", 2, error_count=3, error_history=["a timeout in step 2"], human_approval_status="pending")
    asyncio.run(make_orchestration_decision(told, model=MODEL, providers={"scripted": provider}))
    (request,) = provider.requests
    for said in ("a timeout in step 2", "pending", "standardization_score", "START_PHASE_2", "Have the planner revise"):
        assert said in request.prompt + request.system
    assert "FIX_CODE" not in request.prompt


def test_a_script_that_is_too_short_fails() -> None:
    async def asked_twice() -> None:
        orchestrator = HybridWorkflowOrchestrator(
            model=MODEL, providers={"scripted": ScriptedProvider([{"action": "START_PHASE_2"}])}
        )
        await orchestrator.make_orchestration_decision(LEGAL_COMPLEX)
        with pytest.raises(ScriptRanDry):
            await orchestrator.make_orchestration_decision(LEGAL_COMPLEX)

    asyncio.run(asked_twice())


def test_settings_that_cannot_be_used_raise_at_once() -> None:
    with pytest.raises(DefinitionError):
        HybridWorkflowOrchestrator(classifier={"complex": {"odd": ["eror_count > 1"]}})
    with pytest.raises(DefinitionError):
        HybridWorkflowOrchestrator(model=MODEL, reconcile="person_on_conflict")


def test_decisions_are_recorded_and_decide_the_same_again(tmp_path: Path) -> None:
    async def recorded() -> None:
        journal = SqliteJournal(tmp_path / "decisions.db")
        provider = ScriptedProvider([{"action": "REVISE_PLAN", "reason": "odd"}])
        orchestrator = HybridWorkflowOrchestrator(model=MODEL, providers={"scripted": provider}, journal=journal)
        told = await orchestrator.make_orchestration_decision(LEGAL_COMPLEX)
        kept = orchestrator.point.get(told["decision_id"])
        assert (kept.action, kept.record.decision_source) == ("REVISE_PLAN", "llm_override")
        assert orchestrator.point.replay(told["decision_id"])
        await orchestrator.close()
        journal.close()

    asyncio.run(recorded())


# --- states that cannot be decided on


class Unreadable(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["current_phase"])

    def __len__(self) -> int:
        return 1


def deep() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(100):
        found = {"in": found}
    return found


def endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


BAD_STATES: Final[dict[str, Any]] = {
    "nothing in it": {},
    "no step": {"current_phase": "phase_1"},
    "no phase": {"current_step": 1},
    "an unknown phase": state("phase_3", 1),
    "a phase of another kind": state(1, 1),
    "a phase that is a list": state(["phase_1"], 1),
    "a phase that is a mapping": state({}, 1),
    "a step of the other phase": state("phase_1", 5),
    "step 0": state("phase_1", 0),
    "step 7": state("phase_2", 7),
    "a step as text": state("phase_1", "1"),
    "a step that is a flag": state("phase_1", True),
    "half a step": state("phase_1", 1.5),
    "a step that is a list": state("phase_1", [1]),
    "errors as text": state("phase_1", 1, error_count="many"),
    "errors as a list": state("phase_1", 1, error_count=["a"]),
    "half an error": state("phase_1", 1, error_count=0.5),
    "errors that are a flag": state("phase_1", 1, error_count=True),
    "a set": state("phase_1", 1, seen={1, 2}),
    "bytes": state("phase_1", 1, seen=b"\xff"),
    "an object": state("phase_1", 1, seen=object()),
    "a function": state("phase_1", 1, seen=print),
    "NaN": state("phase_1", 1, seen=math.nan),
    "half a character": state("phase_1", 1, seen="\ud800"),
    "a key that is no text": {**state("phase_1", 1), 1: 2},
    "too deep": state("phase_1", 1, seen=deep()),
    "endless": state("phase_1", 1, seen=endless()),
    "an integer too long to write": state("phase_1", 1, seen=10**5000),
    "None": None,
    "a number": 5,
    "text": "phase_1",
    "a list": [1, 2],
    "a mapping that cannot be read": Unreadable(),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_a_state_that_cannot_be_decided_on_goes_to_a_person(case: str) -> None:
    decision = decided(BAD_STATES[case], {"action": "COMPLETE"}, mode="llm")
    assert decision.items() >= HUMAN.items()
    assert decision["decision_source"] == "safe_decision"
    assert decision["reason"]


def test_pairs_are_a_mapping_as_well() -> None:
    assert fields(decided(list(state("phase_1", 1).items()))) == VALIDATOR_2


# --- laws

JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
SCORE: Final = st.one_of(JSON, st.floats(0, 10), st.sampled_from([7.9, 8, 8.0, 8.999, 9, 9.0, 10]))
SCORED: Final = JSON | st.dictionaries(st.sampled_from(list(CONVERGENCE)), SCORE)
PLACES: Final = st.sampled_from(list(NEXT))
STATES: Final = st.builds(
    lambda place, known, more: {**more, "current_phase": place[0], "current_step": place[1], **known},
    PLACES,
    st.fixed_dictionaries(
        {},
        optional={
            "current_phase": JSON,
            "current_step": JSON | st.integers(0, 8),
            "validation_scores": SCORED,
            "error_count": JSON | st.integers(0, 4),
            **dict.fromkeys(set(SIGNS) - {"error_count"}, JSON),
        },
    ),
    st.dictionaries(st.text(max_size=8), JSON, max_size=2),
)
ANSWERS: Final = st.one_of(
    st.sampled_from([{"action": action, "reason": "so"} for action in OUTCOMES]),
    st.sampled_from(ILLEGAL),
    st.sampled_from([Late, Unavailable]),
    st.dictionaries(st.sampled_from(["action", "reason", "confidence", "parameters", "next_state"]), JSON),
    st.text(max_size=20),
)


@settings(max_examples=300)
@given(STATES | st.dictionaries(st.text(max_size=8), JSON), ANSWERS)
def test_any_json_is_decided_on(told: dict[str, Any], answer: Any) -> None:
    decision = decided(told, answer)
    assert decision["decision_type"] in TYPES
    assert isinstance(decision["reason"], str)
    if decision["decision_source"] == "safe_decision":
        assert decision["decision_type"] == "human_intervention"


@settings(max_examples=300)
@given(STATES, ANSWERS, st.sampled_from(["hybrid", "llm"]))
def test_no_model_goes_on_from_what_has_not_converged(told: dict[str, Any], answer: Any, mode: str) -> None:
    decision = decided(told, answer, mode=mode)
    if decision["decision_type"] in ("phase_transition", "workflow_complete"):
        assert all(is_at_least(told["validation_scores"].get(name), at) for name, at in CONVERGENCE.items())
    alternative = decision.get("programmatic_alternative")
    assert alternative is None or alternative["decision_type"] in TYPES


def is_at_least(score: object, at: float) -> bool:
    return isinstance(score, (int, float)) and not isinstance(score, bool) and score >= at


@given(st.sampled_from([("phase_1", 2), ("phase_2", 5)]), st.sampled_from(list(CONVERGENCE)), ANSWERS, st.booleans())
def test_one_score_too_low_is_enough(place: tuple[str, int], low: str, answer: Any, errors: bool) -> None:
    scores = {**CONVERGED, low: math.nextafter(CONVERGENCE[low], 0.0)}
    decision = decided(state(*place, scores, error_count=3 if errors else 0), answer, mode="llm")
    assert decision["decision_type"] in ("agent_invocation", "human_intervention")
