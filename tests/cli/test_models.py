"""What `models` tells of a journal whose first model is away, over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.rehearsal import FaultServer, parse_script
from tests.app.test_model_limits import FLOW
from tests.cli.desk import Desk

AGENTS = """
from stepladder.llm.openai import OpenAIProvider

AGENTS = {"reader": lambda ticket: {"kind": "complaint"}}
PROVIDERS = {
    name: OpenAIProvider(name=name, api_key="none-needed", base_url="URL/" + name + "/v1", prices={name + ":m": (1, 2)})
    for name in ("first", "second")
}
"""
CHAIN = FLOW.replace('model: "openai:gpt-5-mini"', 'chain: ["first:m", "second:m"]')
AWAY = """
rehearsal: the first is away, then both
faults:
  - {on: "first:*", fault: bad_key}
  - {on: "second:*", fault: overloaded, from_call: 3}
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    made = Desk(tmp_path)
    assert CHAIN != FLOW
    with FaultServer(parse_script(AWAY)) as server:
        made.write(workflow__yaml=CHAIN, agents__py=AGENTS.replace("URL", server.url))
        for number in range(3):
            said = made("run", "workflow.yaml", "--input", "ticket=It broke", "--id", f"t-{number}")
            assert said.code == 0, said.err
    return made


def test_models_are_told_with_what_went_wrong_and_who_stood_in(desk: Desk) -> None:
    told = desk("models", columns=200)
    assert told.code == 0, told.err
    assert "failed     first:m: 3 rejected" in told.out
    assert "look at    first:m: " in told.out
    assert "401" in told.out
    assert "failed     second:m: 1 unavailable" in told.out
    assert "3 asked a model, 1 fell back on the rule (33.3%), 1 unavailable" in told.out
    first, second = desk.json("models")["models"]
    assert (first["model"], first["sent"], first["answered"], first["failed"]) == ("first:m", 3, 0, 1.0)
    assert (second["sent"], second["answered"], second["stood_in"]) == (3, 2, 2)
    assert second["p99_s"] >= second["p50_s"] > 0
    assert second["usd"] > 0


@pytest.mark.parametrize(
    ("bounds", "code", "names"),
    [
        (("failed=0.5", "fallbacks=0.5"), 1, [("first:m", "failed")]),
        (("fallbacks=0.05", "late=0"), 1, [("", "fallbacks")]),
        (("fallbacks=0.4", "p95_s=60", "usd=0.2"), 0, []),
    ],
)
def test_what_is_above_its_bound_is_an_alert(
    desk: Desk, bounds: tuple[str, ...], code: int, names: list[tuple[str, str]]
) -> None:
    given = [word for each in bounds for word in ("--alert", each)]
    assert desk("models", *given).code == code
    found = desk.json("models", *given)["alerts"]
    assert [(each["model"], each["name"]) for each in found] == names


def test_other_workflows_and_older_runs_are_left_out(desk: Desk) -> None:
    assert desk.json("models", "--workflow", "another")["decisions"] == 0
    assert "no model was asked in 0 decisions" in desk("models", "--workflow", "another").out


@pytest.mark.parametrize(
    ("bound", "said"), [("speed=1", "one of failed, late"), ("late=often", "a number from 0"), ("late=-1", "a number")]
)
def test_a_bound_that_is_none_is_refused(desk: Desk, bound: str, said: str) -> None:
    told = desk("models", "--alert", bound)
    assert told.code == 2
    assert said in " ".join(told.err.split())
