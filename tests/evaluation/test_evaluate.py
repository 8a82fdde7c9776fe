"""Evaluating a policy: figures worked out by hand, intervals, landmarks, references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from stepladder.errors import DefinitionError
from stepladder.evaluation.agent_policy import DEFAULT, load_policy, of_clauses, parse_policy
from stepladder.evaluation.evaluate import evaluate
from stepladder.evaluation.landmarks import auroc_at
from stepladder.evaluation.outcomes import Escalations, figures_of
from stepladder.evaluation.steps import steps_of
from stepladder.scenarios.recording import Afterwards, Identity, Outcome, Recording
from stepladder.scenarios.recording_line import new_step
from tests.evaluation.recordings import DATA, needs_data, runs_of


def run(name: str, errors: list[int], length: int, success: bool, key: str = "") -> Recording:
    """A run of results, of which those at these places are errors."""
    steps = tuple(
        new_step(i, "env", "tool_result", f"result {i}", tool="t", is_error=i in errors) for i in range(length)
    )
    return Recording(name, "s", "f", "d", key or name, steps, Identity(model="m"), Afterwards(Outcome(success)))


FOUR = [run("a", [0], 4, False), run("b", [3], 4, False), run("c", [2], 4, True), run("d", [], 4, True)]
ANY_ERROR = of_clauses("any error", {"errors": ["error_count > 0"]})


def test_figures_by_hand() -> None:
    read = steps_of(FOUR)
    group = evaluate(read.steps, read.truth, ANY_ERROR).evaluations[0].groups[0]
    values = {name: figure.value for name, figure in group.figures.items()}
    assert values == {
        "runs": 4,
        "failures": 2,
        "escalated": 0.5,  # a at its first step, c at its third; b only at its last, which does not count
        "precision": 0.5,
        "recall": 0.5,
        "recall_by_75": 0.5,
        "false_escalations": 0.5,
        "complex_steps": round(4 / 12, 4),
        "lift": 1.0,
        "ceiling": 1.0,
        "near_label": None,
    }


def test_references() -> None:
    read = steps_of(FOUR)
    report = evaluate(read.steps, read.truth, ANY_ERROR)
    share = {each.policy: each.groups[0].figures["escalated"].value for each in report.evaluations}
    assert share["never"] == 0
    assert share["always"] == 1
    assert share["random, as often"] == 0.5
    assert share["error_count > 2"] == 0
    random = report.evaluations[1].groups[0].figures
    assert (random["recall"].value, random["lift"].value) == (0.5, 1.0)


def test_at_random_among_runs_of_unknown_end() -> None:
    """Half of the runs whose end is known fail, whatever the others do: so does what is drawn at random."""
    unknown = [replace(run(f"u{i}", [0], 4, True), after=Afterwards()) for i in range(8)]
    read = steps_of([*FOUR, *unknown])
    random = evaluate(read.steps, read.truth, ANY_ERROR).evaluations[1].groups[0].figures
    assert random["precision"].value == 0.5
    assert random["recall"].value == round(10 / 12, 4)
    nobody = steps_of(unknown)
    figures = evaluate(nobody.steps, nobody.truth, ANY_ERROR).evaluations[1].groups[0].figures
    assert {name: figures[name].value for name in ("precision", "recall", "false_escalations", "lift")} == {
        "precision": None,
        "recall": None,
        "false_escalations": None,
        "lift": None,
    }


def test_the_same_call_counts_calls_and_not_what_they_say() -> None:
    """Three times the same result of calls that nobody knows is no call three times; a call counts when it is made."""

    def calls(name: str, pages: list[int], *, ours: str = "tool_call") -> Recording:
        made = tuple(new_step(i, "a", ours, tool="look", args={"page": page}) for i, page in enumerate(pages))
        return Recording(name, "s", "f", "d", name, made, Identity(), Afterwards(Outcome(False)))

    same = tuple(new_step(i, "env", "tool_result", "nothing") for i in range(6))
    results = Recording("results", "s", "f", "d", "results", same, Identity(), Afterwards(Outcome(True)))
    runs = [calls("yes", [1, 2, 1, 1, 5]), calls("last", [1, 2, 1, 1]), calls("no", [1, 2, 1, 2, 3]), results]
    read = steps_of([*runs, calls("ours", [1, 1, 1, 1], ours="decision")])
    assert read.steps.same_call.tolist()[:9] == [1, 1, 2, 3, 3, 1, 1, 2, 3]
    figures = evaluate(read.steps, read.truth, ANY_ERROR).evaluations[-1]
    assert (figures.policy, figures.groups[0].figures["escalated"].value) == ("same call >= 3", 0.2)


def test_one_split_key_has_no_interval() -> None:
    read = steps_of([run(f"a{i}", [0], 9, i % 2 == 0, "one") for i in range(10)])
    group = evaluate(read.steps, read.truth, ANY_ERROR).evaluations[0].groups[0]
    assert (group.figures["precision"].value, group.figures["precision"].low) == (0.5, None)
    assert (group.landmarks[0].auroc.value, group.landmarks[0].auroc.low) == (0.5, None)


@pytest.mark.parametrize("name", ["score", "score.reward"])
def test_the_score_of_an_oracle_is_refused(name: str) -> None:
    """In a workflow `score` is what its agents gave; in recordings it is what somebody knew who judged the turn."""
    with pytest.raises(DefinitionError, match="only after the run"):
        parse_policy(f"policy: {{classifier: {{complex: {{good: [{name} > 0]}}}}}}")


def test_intervals_go_by_split_key() -> None:
    """Ten copies of a run under one key say no more than one."""
    one = [run(f"a{i}", [0], 4, i % 2 == 0, f"k{i}") for i in range(10)]
    copied = [run(f"a{i}-{copy}", [0], 4, i % 2 == 0, f"k{i}") for i in range(10) for copy in range(10)]

    def width(runs: list[Recording]) -> float:
        read = steps_of(runs)
        codes, _ = ANY_ERROR.routes(read.steps)
        figure = figures_of(Escalations.of(read.steps, codes == 2), read.truth, np.arange(len(runs)))["precision"]
        assert figure.low is not None
        assert figure.high is not None
        return figure.high - figure.low

    assert width(copied) == pytest.approx(width(one), abs=0.02)


def test_landmarks_compare_within_model_and_family() -> None:
    runs = [run(f"g{i}", [0] if i < 3 else [], 6, i >= 3) for i in range(6)]
    read = steps_of(runs)
    score = read.steps.column("error_count")
    figure, count = auroc_at(read.steps, read.truth, score, 4, np.arange(6))
    assert (figure.value, count) == (1.0, 6)
    figure, count = auroc_at(read.steps, read.truth, score, 6, np.arange(6))
    assert (figure.value, count) == (None, 0)  # at their last step runs are over


def test_landmarks_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    runs = [each for each in runs_of(80) if each.identity.model == "model 0"]
    read = steps_of(runs)
    score = read.steps.column("needless_calls")
    figure, _ = auroc_at(read.steps, read.truth, score, 8, np.arange(len(runs)))
    there = np.flatnonzero(read.steps.length > 8)
    wanted = metrics.roc_auc_score(read.truth.failed[there], score[read.steps.first[there] + 7])
    assert figure.value == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    "clause",
    [
        "outcome.success == false",
        "n_steps > 10",
        "model == 'gpt-4'",
        "split_key == 'x'",
        "failure.step > 1",
        "success == false",
        "termination == max_steps",
        "judges.verdict == 1",
        "level > 2",
        "known_after.success == false",
        "flags.was_success == false",
        "last.flags.was_success == false",
        "joined_success == false",
        "nosuch > 1",
    ],
)
def test_a_policy_that_reads_what_it_must_not_is_refused(clause: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_policy(f'policy: {{classifier: {{complex: {{leak: ["{clause}"]}}}}}}', "leak.yaml")
    assert clause.partition(" ")[0] in str(caught.value)


def test_a_scorecard_that_reads_what_it_must_not_is_refused() -> None:
    text = "policy: {risk: {terms: {n_steps: {cuts: [10], points: [0, 1]}}}}"
    with pytest.raises(DefinitionError, match="only after the run"):
        parse_policy(text, "leak.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "policy: {risk: {terms: {error_count: {cuts: [1], points: [0]}}}}",
        "policy: {risk: {terms: {error_count: {cuts: [2, 1], points: [0, 1, 2]}}}}",
        "policy: {classifier: {complex: {x: [risk.value > 0.5]}}}",
        "policy: {classifier: {complex: {x: [error_count]}}}",
        "policy: {clasifier: {}}",
        "[]",
    ],
)
def test_a_policy_that_cannot_be_used(text: str) -> None:
    with pytest.raises(DefinitionError):
        parse_policy(text)


def test_domains_have_their_own_clauses() -> None:
    text = (
        "policy: {classifier: {complex: {e: [error_count > 0]}}, by_domain: {other: {complex: {e: [error_count > 9]}}}}"
    )
    policy = parse_policy(text)
    read = steps_of([*runs_of(30), *runs_of(30, domain="other")])
    codes, _ = policy.routes(read.steps)
    escalated = read.steps.begins(codes == 2) >= 0
    assert escalated[:30].any()
    assert not escalated[30:].any()


def test_the_policy_that_ships_can_be_read() -> None:
    assert load_policy(DEFAULT).names()


@needs_data
def test_the_references_on_the_development_data() -> None:
    """What the data's own table says: error_count > 2 is 4%, .77, .07; the same call 14%, .66, .22, .16."""
    from stepladder.evaluation.steps import read_steps

    read = read_steps([Path(DATA) / "tau.dev.jsonl.gz"], ["error_count", "steps_taken", "consecutive_errors"])
    report = evaluate(read.steps, read.truth, of_clauses("errors", {"e": ["error_count > 2"]}))
    figures = report.evaluations[0].groups[0].figures
    assert figures["escalated"].value == pytest.approx(0.04, abs=0.005)
    assert figures["precision"].value == pytest.approx(0.77, abs=0.01)
    assert figures["recall"].value == pytest.approx(0.07, abs=0.01)
    same = {name: each.value for name, each in report.evaluations[-1].groups[0].figures.items()}
    assert same["escalated"] == pytest.approx(0.145, abs=0.01)
    assert same["precision"] == pytest.approx(0.66, abs=0.02)
    assert same["recall"] == pytest.approx(0.22, abs=0.01)
    assert same["recall_by_75"] == pytest.approx(0.16, abs=0.01)
