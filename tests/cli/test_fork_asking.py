"""`fork --ask`: models are asked over real HTTP for what is not on record; nothing else is done, and caps hold."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.desk import Desk
from tests.llm.loopback import Loopback, answer
from tests.llm.wires import OPENAI_OK

KEY = "sk-loopback-0123456789"
WORKFLOW = """\
workflow: sorting
input: {kind: string}
start: looking
agents:
  looker: {idempotent: true, output: {kind: string}}
  seller: {output: {sold: boolean}}
phases:
  main:
    steps:
      looking: {agent: looker, with: {kind: input.kind, again: taken.AGAIN}}
      selling: {agent: seller, with: {kind: input.kind}}
ends: {kept: {success: true}, thrown: {success: false}}
actions:
  AGAIN: {from: looking, to: looking, guard: [taken.AGAIN < 3]}
  SELL: {from: looking, to: selling}
  KEEP: {from: [looking, selling], to: kept}
  THROW: {from: [looking, selling], to: thrown}
rules:
  looking: {keep: {do: KEEP, because: nothing speaks against it}}
  selling: {keep: {do: KEEP, because: it is sold}}
policy:
  limits: {then: thrown}
  classifier: {}
"""
ASKING = """\
policy:
  limits: {then: thrown}
  money: {day_usd: 1.0, prices: {"openai:gpt-5-mini": [0.25, 2.0]}}
  classifier: {hybrid: {always: [returned == ok]}}
  rungs: {first: {model: "openai:gpt-5-mini"}}
  routes: {hybrid: {ask: [first]}}
"""
AGENTS = """
calls = []

def looker(kind, again=0):
    calls.append(kind)
    return {"kind": kind}

def agents():
    return {"looker": looker, "seller": lambda kind: calls.append("sold") or {"sold": True}}
"""
RUNS = 6
CAP = "0.0041"
"""US dollars: enough for some of the runs, for what one may cost at most is held until it is settled."""


class Model:
    """Answers on the wire: THROW, or what was said."""

    def __init__(self) -> None:
        self.said = "THROW"
        self.server = Loopback(self.act)

    def act(self, connection: socket.socket) -> None:
        content = json.dumps({"action": self.said, "reason": "so it seems", "confidence": 0.9})
        body: dict[str, Any] = json.loads(json.dumps(OPENAI_OK))
        body["choices"][0]["message"]["content"] = content
        answer(200, body)(connection)


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    with model.server:
        yield model


@pytest.fixture
def runs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    desk.write(workflow__yaml=WORKFLOW, asking__yaml=ASKING, agents__py=AGENTS)
    for number in range(RUNS):
        assert desk("run", "workflow.yaml", "-i", f"kind=k{number}", "--id", f"r{number}").code == 0
    return desk


def test_models_are_asked_now_and_what_follows_is_live(runs: Desk, model: Model) -> None:
    before = runs.json("show", "r0")
    said = runs.json("fork", "r0", "--policy", "asking.yaml", "--ask", "--base-url", model.server.url)
    assert [(each["action"], each["source"], each["label"]) for each in said["steps"]] == [("THROW", "model", "live")]
    assert (said["differs"], said["end"], said["asked"], said["was_asked"]) == (1, "thrown", 1, 0)
    assert said["usd"] > 0
    assert len(model.server.requests) == 1
    assert runs.json("show", "r0") == before, "the run is as it was"
    by_run = runs.json("costs", "--by", "run")
    assert "fork:r0" in json.dumps(by_run), "what was spent is in the ledger"
    assert KEY not in json.dumps(said)


def test_without_the_word_nobody_is_asked(runs: Desk, model: Model) -> None:
    said = runs.json("fork", "r0", "--policy", "asking.yaml", "--base-url", model.server.url)
    assert [each["label"] for each in said["steps"]] == ["unknown"]
    assert said["missing"] == "what openai:gpt-5-mini says to decision 1"
    assert model.server.requests == []


def test_no_effect_is_made(runs: Desk, model: Model) -> None:
    """The model wants to sell; nobody sold on record, and the fork ends there, whatever is on the command line."""
    model.said = "SELL"
    asking = ("--policy", "asking.yaml", "--ask", "--base-url", model.server.url)
    for more in ((), ("--live", "--agents", "agents.py")):
        said = runs.json("fork", "r1", *asking, *more)
        assert [(each["action"], each["label"]) for each in said["steps"]] == [("SELL", "live")]
        assert (said["end"], said["missing"]) == ("", "what seller gives in selling")


def test_agents_come_from_the_record_or_are_called_where_that_was_asked_for_too(runs: Desk, model: Model) -> None:
    model.said = "AGAIN"
    asking = ("--policy", "asking.yaml", "--ask", "--base-url", model.server.url)
    said = runs.json("fork", "r1", *asking)
    assert said["missing"] == "what looker gives in looking"
    both = runs.json("fork", "r1", *asking, "--live", "--agents", "agents.py")
    assert [each["action"] for each in both["steps"]] == ["AGAIN", "AGAIN", "AGAIN", "KEEP"]
    assert {each["label"] for each in both["steps"]} == {"live"}


def test_a_population_with_intervals(runs: Desk, model: Model) -> None:
    asking = ("--policy", "asking.yaml", "--ask", "--base-url", model.server.url)
    said = runs.json("fork", "--all", *asking)
    assert (said["runs"], said["changed"], said["known"], said["labels"]) == (RUNS, RUNS, RUNS, {"live": RUNS})
    assert (said["was_success"], said["success"]) == (1.0, [0.0, 0.0])
    assert (said["ends"]["difference"], said["ends"]["low"] < -0.4) == (-1.0, True)
    assert said["asked"]["difference"] == 1.0
    told = runs("fork", "--all", *asking)
    assert f"{RUNS} live, $" in told.out


def test_the_cap_is_for_all_of_them_together(runs: Desk, model: Model) -> None:
    asking = ("--policy", "asking.yaml", "--ask", "--base-url", model.server.url)
    one = runs.json("fork", "r0", *asking)["usd"]
    asked = len(model.server.requests)
    told = runs("fork", "--all", *asking, "--usd", CAP, "--json")
    said = json.loads(told.out)
    assert 0 < len(model.server.requests) - asked < RUNS
    assert said["labels"] == {"live": len(model.server.requests) - asked, "unknown": RUNS - said["labels"]["live"]}
    assert said["usd"] == pytest.approx(one * said["labels"]["live"])
    assert f"the cap of ${CAP} is reached" in told.err
    assert said["success"][0] < said["success"][1], "what was not asked is not known"


def test_the_caps_of_the_policy_hold_too(runs: Desk, model: Model) -> None:
    runs.write(asking__yaml=ASKING.replace("day_usd: 1.0", "day_usd: 0.000001"))
    told = runs("fork", "r0", "--policy", "asking.yaml", "--ask", "--base-url", model.server.url, "--json")
    assert model.server.requests == []
    assert json.loads(told.out)["missing"] == "what openai:gpt-5-mini says to decision 1"
    assert "not asked: openai:gpt-5-mini: " in told.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("fork", "r0", "--action", "THROW", "--usd", "1"), "--usd is what --ask may cost"),
        (("fork", "r0", "--action", "THROW", "--ask", "--usd", "-1"), "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_asked(runs: Desk, args: tuple[str, ...], said: str) -> None:
    told = runs(*args)
    assert told.code == 2
    assert said in told.err


def test_a_model_without_a_key_is_not_asked_and_that_is_said(
    runs: Desk, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    told = runs("fork", "r0", "--policy", "asking.yaml", "--ask", "--json")
    assert json.loads(told.out)["steps"][0]["label"] == "unknown"
    assert "not asked: openai:gpt-5-mini" in told.err
