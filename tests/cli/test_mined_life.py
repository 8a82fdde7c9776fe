"""The whole life of a mined rule, on the example pipelines: mined, accepted in shadow, promoted, and retired when the
model changes its mind.

Agents and model have a script; workflow file, journal and commands are the real ones.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stepladder import Orchestrator, Workflow
from stepladder.decision.point import audited
from stepladder.drivers import ManualClock
from stepladder.evaluation.accepted import mined_in
from stepladder.llm import ModelRequest, ScriptedProvider
from tests.cli.desk import Desk
from tests.cli.test_recommend import run_as_told

EXAMPLES = Path(__file__).parents[2] / "examples"


class Quota(Exception):
    """Nothing is left of it for today."""


class Busy(Exception):
    """It may pass."""


class Pipeline(NamedTuple):
    """An example with agents that fail in two ways, and what a model says to the one and to the other."""

    folder: str
    agents: Mapping[str, Callable[..., Any]]
    inputs: tuple[Mapping[str, Any], Mapping[str, Any]]
    marks: str
    says: tuple[str, str]
    step: str


def broken_sql(question: str, clarifications: Any, error: Any) -> dict[str, Any]:
    """A query of a table or a column that is not there; a sound one when told so."""
    asked = "SELECT 1" if error else f"SELECT {question.split(maxsplit=1)[0]}"
    return {"status": "answerable", "sql": asked, "question": "", "reason": ""}


def query(sql: str) -> dict[str, Any]:
    """What SQLite says to these."""
    error = {"SELECT table": "no such table: parcels", "SELECT column": "no such column: colour"}.get(sql, "")
    return {"success": not error, "rows": [], "error": error, "truncated": False, "elapsed_ms": 1.0}


def draft(goal: str, dataset: str, target: Any, advice: Any) -> dict[str, Any]:
    """It fails, one way or the other."""
    raise Quota("no quota") if dataset == "large" else Busy("try again")


TEXT_TO_SQL = Pipeline(
    "text_to_sql",
    {"planner": broken_sql, "executor": query, "responder": lambda question, rows, truncated: {"text": "none"}},
    ({"question": "table"}, {"question": "column"}),
    "no such table",
    ("GIVE_UP", "RETRY_PLANNING"),
    "executing",
)
ML_PIPELINE = Pipeline(
    "ml_pipeline",
    {
        "planner": draft,
        **dict.fromkeys(("validator", "programmer", "code_validator", "reporter"), lambda **_: {}),
    },
    ({"goal": "g", "dataset": "large"}, {"goal": "g", "dataset": "small"}),
    "Quota",
    ("GIVE_UP", "RETRY"),
    "plan",
)


def played(pipeline: Pipeline, desk: Desk, runs: int, prefix: str, *, changed: bool = False) -> int:
    """So many runs more in the journal; how often the model was asked. `changed`: it says the opposite now, in runs in
    which it is asked all the same."""
    asked = 0
    ids = (f"{prefix}{number:05}" for number in count())
    taken = islice((each for each in ids if audited(each) or not changed), runs)

    def model(request: ModelRequest) -> Mapping[str, Any]:
        nonlocal asked
        asked += 1
        first = (pipeline.marks in request.prompt) != changed
        return {"action": pipeline.says[not first], "reason": "as it looks", "confidence": 0.9}

    async def body() -> None:
        clock, providers = ManualClock(), {"google": ScriptedProvider([model] * runs * 6)}
        workflow = Workflow.load(desk.folder / "workflow.yaml")
        journal = str(desk.folder / "stepladder.db")
        clock.move(86_400 * ord(prefix))
        async with Orchestrator(
            workflow, journal=journal, agents=pipeline.agents, providers=providers, clock=clock
        ) as many:
            for number, run_id in enumerate(taken):
                clock.move(60)
                given = dict(pipeline.inputs[number % 2])
                field = "question" if "question" in given else "goal"
                given[field] = f"{given[field]} {prefix}{number}"
                await many.run(given, run_id=run_id)

    asyncio.run(body())
    return asked


def fates(desk: Desk, *more: str) -> set[str]:
    """What the review says of the rules."""
    return {each["fate"] for each in desk.json("mine", "--review", "workflow.yaml", *more)["rules"]}


@pytest.mark.parametrize("pipeline", [TEXT_TO_SQL, ML_PIPELINE], ids=lambda each: each.folder)
def test_mined_accepted_promoted_and_retired(pipeline: Pipeline, desk: Desk) -> None:
    for each in ("workflow.yaml", "prompts"):
        source = EXAMPLES / pipeline.folder / each
        shutil.copytree(source, desk.folder / each) if source.is_dir() else shutil.copy(source, desk.folder / each)
    written = (desk.folder / "workflow.yaml").read_text()
    before = played(pipeline, desk, 60, "a")

    proposals = desk.json("mine")["proposals"]
    assert {each["action"] for each in proposals} == set(pipeline.says)
    assert {each["step"] for each in proposals} == {pipeline.step}
    numbers = ",".join(str(each["number"]) for each in proposals)
    assert desk("mine", "--accept", numbers, "--into", "workflow.yaml").code == 0
    assert desk("check", "workflow.yaml").code == 0
    assert fates(desk) == {"wait"}, "the evidence that it was mined from counts no more"

    assert played(pipeline, desk, 104, "b") > before, "in shadow everybody is asked as before"
    recommended = desk.json("recommend")["recommendations"]
    promoting = next(each for each in recommended if "can decide alone: promote it" in each["says"])
    told = run_as_told(desk, promoting["command"])
    assert (told.code, "promote" in told.out) == (0, True), told.err
    assert not any(each.shadow for each in mined_in((desk.folder / "workflow.yaml").read_text()))
    assert desk("check", "workflow.yaml").code == 0

    assert played(pipeline, desk, 40, "c") < before / 4, "fewer are asked"
    assert fates(desk) == {"keep"}

    played(pipeline, desk, 16, "d", changed=True)
    retiring = desk.json("recommend")["recommendations"]
    assert any("no longer does what models choose: retire it" in each["says"] for each in retiring)
    assert fates(desk, "--apply") == {"retire"}
    assert (desk.folder / "workflow.yaml").read_text() == written, "nothing is left of them"
    assert desk("replay", "--all").code == 0
