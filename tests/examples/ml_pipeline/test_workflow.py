"""The W document's pipeline on stepladder: every scenario, replayed; every data set; a process that goes away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepladder import Orchestrator, Run, Workflow
from stepladder.app.loading import load_agents
from stepladder.events import AgentReturned, RunResumed
from stepladder.orchestrator import DecisionRecord, fold
from stepladder.prompts import supervisor_prompt
from stepladder.record import Asked
from stepladder.scenarios.file import load_scenario, parse_scenario
from stepladder.scenarios.play import Played, play_async
from stepladder.workflow.lint import lint

ROOT = Path(__file__).parents[3]
HERE = ROOT / "examples" / "ml_pipeline"
WORKFLOW = HERE / "workflow.yaml"
SCENARIOS = {path.stem.removeprefix("ml_pipeline_"): path for path in sorted(ROOT.glob("scenarios/ml_pipeline_*.yaml"))}
BESIDE: dict[str, dict[str, Any]] = {
    "breast_cancer": {},
    "digits": {},
    "diabetes": {},
    "customers.csv": {"target": "left"},
}
"""Data sets that are run beside the scenarios, all at once."""
DATA = {"iris": "iris", "wine": "approved", "machines.csv": "machines", **dict.fromkeys(BESIDE, "")}
"""Every data set that can be learned, and the scenario that does."""
SUPERVISOR = "google:gemini-2.5-flash-lite"
CRITERIA = [
    "score.alignment_score >= 9.0",
    "score.standardization_score >= 8.0",
    "score.compatibility_score >= 8.0",
]


class Watched:
    """The real agents; what each was called for is kept."""

    def __init__(self) -> None:
        self.real, _ = load_agents(HERE / "agents.py")
        self.steps: list[str] = []
        self.prompts: dict[str, str] = {}
        self.agents = {name: self._watched(name) for name in self.real}

    def _watched(self, name: str) -> Any:
        function = self.real[name]

        async def agent(call: Any, **arguments: Any) -> Any:
            self.steps.append(call.step)
            self.prompts[call.prompt_name] = call.prompt
            if asyncio.iscoroutinefunction(function):
                return await function(**arguments)
            return await asyncio.to_thread(function, **arguments)

        return agent


def orchestrator(journal: Path, agents: Any = None, listen: Any = None) -> Orchestrator:
    return Orchestrator(WORKFLOW, agents=agents or Watched().agents, journal=journal, listen=listen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journals")


@pytest.fixture(scope="module")
def plays(folder: Path) -> dict[str, Played]:
    """Every scenario, played once, each with a journal of its own."""

    async def play_all() -> list[Played]:
        return await asyncio.gather(
            *(
                play_async(load_scenario(path), journal=folder / f"{name}.db", run_id=name)
                for name, path in SCENARIOS.items()
            )
        )

    return dict(zip(SCENARIOS, asyncio.run(play_all()), strict=True))


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched()


@pytest.fixture(scope="module")
def runs(folder: Path, watched: Watched, plays: dict[str, Played]) -> dict[str, Run]:
    """A run of every data set; those beside the scenarios share an orchestrator and a journal."""

    async def run_all() -> list[Run]:
        async with orchestrator(folder / "beside.db", watched.agents) as pipeline:
            given = ({"goal": "predict", "dataset": name, **more} for name, more in BESIDE.items())
            found = await asyncio.gather(*(pipeline.run(each, run_id=each["dataset"]) for each in given))
            assert all(run.decisions for run in found)  # read while the journal is open
            return list(found)

    played = {name: plays[scenario].run for name, scenario in DATA.items() if scenario}
    return {**played, **dict(zip(BESIDE, asyncio.run(run_all()), strict=True))}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket is opened")

    monkeypatch.setattr(socket, "socket", refuse)
    return


def decision(played: Played, number: int) -> DecisionRecord:
    return played.run.decisions[number - 1]


# --- the file


def test_the_workflow_has_nothing_to_complain_about() -> None:
    workflow = Workflow.load(WORKFLOW)
    assert lint(workflow.definition, workflow.lines, workflow.prompt_files) == ()


def test_it_has_the_documents_seven_steps_in_two_phases_and_a_person() -> None:
    phases = Workflow.load(WORKFLOW).definition.phases
    assert {name: phase.steps for name, phase in phases.items()} == {
        "plan_development": ("plan", "validate_plan", "revise_plan", "human"),
        "code_implementation": ("write_code", "validate_code", "fix_code", "report"),
    }
    for phase in phases.values():
        assert [str(clause) for clause in phase.converged.clauses] == CRITERIA


# --- scenarios


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_holds(plays: dict[str, Played], name: str) -> None:
    assert plays[name].failures == ()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_decided_again_alike(plays: dict[str, Played], folder: Path, no_network: None, name: str) -> None:
    replayed = orchestrator(folder / f"{name}.db").replay(name)
    assert replayed.divergence is None
    assert (replayed.decisions, replayed.end) == (len(plays[name].run.decisions), plays[name].run.end)


def test_the_validators_judge_what_led_to_plan_and_code(plays: dict[str, Played]) -> None:
    judged = [
        (record.action, said.by, said.success) for record in plays["machines"].run.decisions for said in record.outcomes
    ]
    assert judged == [
        ("REVISE_PLAN", "validate_plan", True),
        ("START_CODING", "validate_code", False),
        ("FIX_CODE", "validate_code", False),
        ("REVISE_PLAN", "validate_plan", True),
        ("START_CODING", "validate_code", False),
        ("REVISE_PLAN", "validate_plan", True),
        ("START_CODING", "validate_code", True),
    ]


def test_a_plan_below_a_criterion_may_not_become_code(plays: dict[str, Played]) -> None:
    blocked = decision(plays["iris"], 2).opened.blocked["START_CODING"]
    assert blocked.clause == "score.standardization_score >= 8.0"
    assert 0 <= blocked.value < 8
    assert "START_CODING" in decision(plays["iris"], 4).opened.legal


def test_a_model_may_override_a_rule(plays: dict[str, Played]) -> None:
    record = decision(plays["coins"], 14)
    [fired] = record.opened.fired
    assert [(reading.clause, reading.value) for reading in fired.readings] == [("convergence_issues == true", True)]
    assert (record.decision_source, record.source) == ("llm_override", "model")
    assert record.programmatic_alternative is not None
    assert record.programmatic_alternative["action"] == "REVISE_PLAN"
    assert "rule replan would do REVISE_PLAN" in record.conflict_reason
    [call] = record.calls
    assert call.asked == SUPERVISOR


def test_a_model_may_agree_with_a_rule_which_then_decides(plays: dict[str, Played]) -> None:
    record = decision(plays["target_unclear"], 1)
    assert (record.decision_source, record.source) == ("agreement", "rule")
    assert record.settled is not None
    assert "age, income, town, left" in record.settled.parameters["question"]  # the rule's question, not the model's


def test_an_outage_changes_who_decides_and_says_so(plays: dict[str, Played]) -> None:
    told = [decision(plays["outage"], number) for number in (14, 18)]
    assert [record.decision_source for record in told] == ["fallback", "fallback"]
    assert [record.settled.fallback for record in told if record.settled] == [
        "supervisor: unreachable",
        "supervisor: late",
    ]


def test_an_approval_is_asked_for_and_may_be_refused(plays: dict[str, Played]) -> None:
    given, refused, after = (
        decision(plays["approved"], 4),
        decision(plays["refused"], 4),
        decision(plays["refused"], 5),
    )
    assert given.settled is not None and given.settled.approval == "plan_agreed"
    assert refused.settled is not None and refused.settled.approval == "plan_agreed"
    reading = after.opened.blocked["START_CODING"]
    assert (reading.clause, reading.value) == ("approval == given", "refused by scenario: too plain")
    assert after.opened.passed_over == ("converged",)


def test_what_a_person_says_changes_the_plan(plays: dict[str, Played]) -> None:
    drafts = plays["refused"].run.state.results["draft"]
    assert [change["section"] for change in drafts["changes"]] == ["model"]


def test_unusable_data_is_named_in_the_failing_end(plays: dict[str, Played]) -> None:
    output = plays["no_such_file"].run.output
    assert output is not None
    assert "no_such_file.csv: found No such file" in output["error"]


def test_the_supervisor_is_told_state_scores_criteria_and_actions(plays: dict[str, Played]) -> None:
    entries = plays["coins"].run.entries
    asked = next(index for index, entry in enumerate(entries) if isinstance(entry, Asked))
    machine = Workflow.load(WORKFLOW).machine
    state = fold(machine, entries[: asked + 1])
    assert state.asking is not None
    prompt = supervisor_prompt(machine, state, state.asking).prompt
    for told in (
        '"phase": "code_implementation"',
        '"criterion": "score.alignment_score >= 9.0"',
        "not_converging: convergence_issues == true",
        "no repair of the code reaches the baseline with this plan",  # the action's use_when
        "Three models in turn gained nothing",  # its example
        "Runs the script and scores it.",  # the step's description
        "beats_baseline",  # the newest finding
    ):
        assert told in prompt, told


# --- every data set


@pytest.mark.parametrize("name", DATA)
def test_a_data_set_is_learned_without_asking_anybody(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    assert run.end == "done", run.explain()
    assert run.output is not None
    assert run.output["score"] > run.output["baseline"] + 0.05
    assert run.output["code"].startswith(f'"""Train {run.output["model"]}')
    assert name in run.output["text"]
    assert {record.source for record in run.decisions} == {"rule"}
    assert {record.opened.route for record in run.decisions} == {"standard"}


def test_each_step_has_its_own_prompt(runs: dict[str, Run], watched: Watched) -> None:
    del runs
    assert set(watched.prompts) == {
        "step1_initial_planner@1",
        "step2_plan_validator@1",
        "step3_revision_planner@1",
        "step4_programmer@1",
        "step5_code_validator@1",
        "step6_code_refinement_programmer@1",
        "step7_reporter@1",
    }
    for name, prompt in watched.prompts.items():
        assert prompt.startswith("You are the "), name
        assert '<data name="' in prompt, name
    assert '"check":' in watched.prompts["step6_code_refinement_programmer@1"]


# --- going on elsewhere


async def cut_in_second_phase(journal: Path) -> list[str]:
    """Start a run and go away as soon as code is being written; the steps that were called."""
    reached, agents = asyncio.Event(), Watched()

    def listen(run: Run, _: Any) -> None:
        if run.phase == "code_implementation":
            reached.set()

    async with orchestrator(journal, agents.agents, listen) as pipeline:
        await pipeline.start({"goal": "predict", "dataset": "wine"}, run_id="cut")
        await asyncio.wait_for(reached.wait(), 60)
    return agents.steps


async def resumed(journal: Path) -> tuple[Run, list[str]]:
    agents = Watched()
    async with orchestrator(journal, agents.agents) as pipeline:
        assert pipeline.get("cut").status == "working"
        run = await pipeline.resume("cut")
        assert run.decisions
        return run, agents.steps


def test_a_run_that_was_cut_off_between_the_phases_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "runs.db"
    before = asyncio.run(cut_in_second_phase(journal))
    assert before[:4] == ["plan", "validate_plan", "revise_plan", "validate_plan"]
    run, after = asyncio.run(resumed(journal))
    assert run.end == "done"
    recorded = [entry for entry in run.entries if isinstance(entry, AgentReturned)]
    assert len(recorded) == 7, "each step's result once"
    assert after in (["write_code", "validate_code", "report"], ["validate_code", "report"])
    assert sum(isinstance(entry, RunResumed) for entry in run.entries) == 1
    assert [record.number for record in run.decisions] == list(range(1, 8))
    assert orchestrator(journal).replay("cut").divergence is None


def test_an_approval_may_be_given_to_another_process(tmp_path: Path) -> None:
    journal, given = tmp_path / "runs.db", {"goal": "predict", "dataset": "iris", "approval": True}

    async def until_asked() -> Run:
        async with orchestrator(journal) as pipeline:
            return await pipeline.run(given, run_id="asked")

    async def approved() -> Run:
        async with orchestrator(journal) as pipeline:
            return await pipeline.answer("asked", {"approve": True}, by="ann")

    waiting = asyncio.run(until_asked()).waiting
    assert waiting is not None
    assert (waiting.about, waiting.options) == ("approval", ("approve", "refuse"))
    assert asyncio.run(approved()).end == "done"


# --- what real data does not bring about


UNUSABLE_PLAN = """
scenario: a validator that lets a bad plan pass does not get it past the programmer
workflow: ml_pipeline
input: {goal: Tell the species, dataset: iris}
script:
  validator:
    - {alignment_score: 10, standardization_score: 10, compatibility_score: 10, passed: true, findings: []}
    - alignment_score: 10
      standardization_score: 7
      compatibility_score: 10
      passed: false
      findings: [{check: section_present, section: acceptance}]
    - {alignment_score: 10, standardization_score: 10, compatibility_score: 10, passed: true, findings: []}
  models: {"google:gemini-2.5-flash-lite": [{$fail: unreachable}]}
expect:
  end: done
  decisions:
    3: {action: REVISE_PLAN, rule: replan, route: hybrid, fired: [just_failed], fallback: true}
    5: {action: REVISE_PLAN, rule: revise, route: standard}
  never: [GIVE_UP]
"""
NO_SCORES = """
scenario: a validator that gives no usable score converges nothing, and that is an anomaly
workflow: ml_pipeline
input: {goal: Tell the species, dataset: iris}
script:
  validator: [{alignment_score: 11, standardization_score: 10, passed: true, findings: []}]
  models: {"google:gemini-2.5-flash-lite": [{action: GIVE_UP, reason: The validator is broken., confidence: 0.9}]}
expect:
  end: given_up
  decisions: {2: {rule: revise, source: model, relation: override, route: complex, fired: [odd_scores]}}
  never: [START_CODING]
"""


@pytest.mark.parametrize("text", [UNUSABLE_PLAN, NO_SCORES])
def test_a_scripted_agent_brings_it_about(text: str) -> None:
    scenario = parse_scenario(text, "inline", ROOT)
    assert asyncio.run(play_async(scenario)).failures == ()
