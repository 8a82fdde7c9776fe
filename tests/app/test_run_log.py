"""The run log: one line for each decision, failure and end, whatever the run's data holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from loguru import logger

from stepladder import ScriptedProvider, log_run
from stepladder.app.orchestrator import Orchestrator
from stepladder.app.run import Run
from stepladder.llm import Unavailable
from tests.app.cast import OWLS, Cast, talk
from tests.drivers.desk import LADDER, ONE, go, workflow

NASTY = "{0} {name!r} {} {{ }} {__class__} %s %(x)d <red>red</red> \x1b[31m\x07"
FORGED = "fine\n[run] ended in done after 0.00 s\r\nand so on"


class Heard(list[dict[str, Any]]):
    """The log's records."""

    @property
    def lines(self) -> list[str]:
        return [each["message"] for each in self]

    @property
    def levels(self) -> list[str]:
        return [each["level"].name for each in self]

    def of(self, words: str) -> dict[str, Any]:
        (found,) = [each for each in self if words in each["message"]]
        return found


@pytest.fixture
def heard() -> Iterator[Heard]:
    found = Heard()
    number = logger.add(lambda message: found.append(message.record), format="{message}", level=0)
    yield found
    logger.remove(number)


async def one(agent: Any, x: Any = 1, changes: Mapping[str, Any] | None = None) -> Run:
    async with Orchestrator(workflow(ONE, changes), agents={"worker": agent}, listen=log_run) as orchestrator:
        return await orchestrator.run({"x": x}, run_id="run")


async def ladder(*answers: Any, changes: Mapping[str, Any] | None = None) -> Run:
    models = {"scripted": ScriptedProvider(answers)}
    text = workflow(LADDER, changes)
    async with Orchestrator(text, agents={"worker": worked}, providers=models, listen=log_run) as orchestrator:
        return await orchestrator.run({"x": 1}, run_id="run")


def worked(x: Any) -> dict[str, Any]:
    return {"y": x}


def failing(x: Any) -> dict[str, Any]:
    raise ValueError(x)


def test_a_decision_and_the_end(heard: Heard) -> None:
    run = go(one(worked))
    took = f"{run.state.working_s:.2f}"
    assert heard.lines == [
        "[run] run started",
        "[run] decision 1 in working (standard): FINISH -> done, by rule: it is made",
        f"[run] ended in done after {took} s: it is made",
    ]
    assert set(heard.levels) == {"INFO"}


def test_bound_fields(heard: Heard) -> None:
    go(one(worked))
    assert all(each["extra"]["run_id"] == "run" and each["extra"]["usd"] == 0.0 for each in heard)
    assert heard.of("decision 1")["extra"] == {
        **{"run_id": "run", "usd": 0.0, "step": "working"},
        **{"decision": 1, "action": "FINISH", "source": "rule"},
    }
    assert heard.of("ended in")["extra"] == {"run_id": "run", "usd": 0.0, "end": "done"}


def test_an_agent_that_fails(heard: Heard) -> None:
    go(one(failing, x="no ink"))
    assert heard.lines[1] == "[run] agent raised: no ink"
    assert heard.levels == ["INFO", "WARNING", "INFO", "INFO"]
    assert "GIVE_UP -> failed, by rule: it could not be made" in heard.lines[2]


def test_every_attempt_that_fails_is_a_line(heard: Heard) -> None:
    steps = {"phases": {"work": {"steps": {"working": {"retry": {"attempts": 3}}}}}}
    go(one(failing, x="no ink", changes=steps))
    assert heard.lines.count("[run] agent raised: no ink") == 3


def test_a_decision_of_a_model_names_its_own_step_and_route(heard: Heard) -> None:
    """It was opened in an earlier turn, and the run has moved on when it is settled."""
    go(ladder({"action": "AGAIN", "confidence": 0.9, "reason": "once more"}, {"action": "CLOSE", "confidence": 0.9}))
    decisions = [line for line in heard.lines if "decision" in line]
    assert decisions == [
        "[run] decision 1 in trying (complex): AGAIN -> trying, by model: once more",
        "[run] decision 2 in trying (complex): CLOSE -> closed, by model",
    ]
    assert heard.of("decision 2")["extra"]["step"] == "trying"


def test_a_model_that_fails_and_the_fallback(heard: Heard) -> None:
    go(ladder(Unavailable))
    assert heard.lines[1].startswith("[run] model first unavailable: ")
    assert heard.levels[1] == "WARNING"
    assert heard.lines[2].startswith(
        "[run] decision 1 in trying (complex): SOLVE -> solved, by rule (fallback: first: "
    )
    assert heard.lines[2].endswith(": one try is enough")


def test_a_person_a_message_and_a_cancellation(heard: Heard) -> None:
    async def played() -> None:
        async with talk(listen=log_run) as (orchestrator, _, _):
            await orchestrator.run(OWLS, run_id="run")
            await orchestrator.answer("run", {"text": "more"})
            await orchestrator.cancel("run", reason="too {late}", by="grace")

    go(played())
    assert [line.partition(" by ")[0] for line in heard.lines] == [
        "[run] run started",
        "[run] decision 1 in drafting (standard): ASK -> asking,",
        "[run] decision 2 in asking (standard): REVISE -> drafting,",
        "[run] decision 3 in drafting (standard): HOLD -> embargo,",
        "[run] run cancelled",
        "[run] ended in cancelled after 0.00 s: too {late}",
    ]


def test_a_run_that_is_retried_starts_and_ends_again(heard: Heard) -> None:
    async def played() -> None:
        cast = Cast()
        cast.failing = [RuntimeError("no ink")]
        async with talk(cast, listen=log_run) as (orchestrator, _, _):
            await orchestrator.run(OWLS, run_id="run")
            await orchestrator.retry("run")
            await orchestrator.cancel("run")

    go(played())
    assert "[run] run retried" in heard.lines
    assert [line.split(" after ")[0] for line in heard.lines if "ended in" in line] == [
        "[run] ended in dropped",
        "[run] ended in cancelled",
    ]


def test_what_comes_after_the_end_does_not_end_it_again(heard: Heard) -> None:
    async def played() -> None:
        async with Orchestrator(workflow(ONE), agents={"worker": worked}, listen=log_run) as orchestrator:
            await orchestrator.run({"x": 1}, run_id="run")
            await orchestrator.outcome("run", success=False, note="it broke later")

    go(played())
    assert sum("ended in" in line for line in heard.lines) == 1


def test_an_answer_in_shadow_does_not_end_it_again(heard: Heard) -> None:
    routes = {"policy": {"routes": {"complex": {"ask": ["first"], "reconcile": "shadow"}}}}
    go(ladder({"action": "CLOSE", "confidence": 0.9}, changes=routes))
    assert sum("ended in" in line for line in heard.lines) == 1
    assert [line.partition(": ")[2] for line in heard.lines if "decision" in line] == [
        "SOLVE -> solved, by rule: one try is enough"
    ]


@pytest.mark.parametrize("text", [NASTY, FORGED, "{", "}", "{0.__class__}"])
def test_what_agents_say_does_no_harm(heard: Heard, text: str) -> None:
    go(one(failing, x=text))
    lines = heard.lines
    assert len(lines) == 4, "one line for each"
    assert all("\n" not in line and line.startswith("[run] ") and line.isprintable() for line in lines)
    for word in text.split():
        if word.isprintable():
            assert word in lines[1]


@pytest.mark.parametrize("text", [NASTY, FORGED])
def test_what_models_and_people_say_does_no_harm(heard: Heard, text: str) -> None:
    go(ladder({"action": "CLOSE", "confidence": 0.9, "reason": text}))
    assert len(heard.lines) == 3
    assert all(line.isprintable() for line in heard.lines)
    assert "ended in closed" in heard.lines[-1]


def test_structured_sinks_get_it_as_well() -> None:
    lines: list[str] = []
    number = logger.add(lines.append, serialize=True)
    try:
        go(one(failing, x=NASTY))
    finally:
        logger.remove(number)
    records = [json.loads(line)["record"] for line in lines]
    assert [each["extra"]["run_id"] for each in records] == ["run"] * 4
    assert "{name!r}" in records[1]["message"]
