"""Rehearsals from end to end: real agents or scripted ones, real HTTP, the official SDKs."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stepladder.cli.commands import app
from stepladder.errors import InputError
from stepladder.orchestrator import Machine
from stepladder.record import Opened, Settled, Verdict
from stepladder.rehearsal import parse_script, rehearse
from stepladder.rehearsal.watching import Effects, illegal_actions

WORKFLOW = """
workflow: desk
input: {ticket: string}
start: reading
agents: {reader: {}, sender: {}}
phases:
  work:
    steps:
      reading: {agent: reader, with: {ticket: input.ticket}}
      sending: {agent: sender, with: {ticket: input.ticket}}
ends: {sent: {success: true}, dropped: {success: false}}
actions:
  SEND: {from: reading, to: sending}
  READ: {from: reading, to: reading, guard: [taken.READ < 3]}
  DONE: {from: sending, to: sent}
  DROP: {from: [reading, sending], to: dropped}
rules:
  reading: {send: {do: SEND, because: it was read}}
  sending: {done: {do: DONE, because: it was sent}}
policy:
  limits: {usd: 0.5, then: dropped}
  classifier: {complex: {always: [decisions >= 0]}}
  rungs:
    first:  {model: "google:gemini-2.5-flash-lite", deadline_s: 0.6}
    second: {model: "openai:gpt-5-mini", deadline_s: 0.6}
  routes: {complex: {ask: [first, second]}}
"""
AGENTS = """
def agents():
    return {"reader": lambda ticket: {"read": ticket}, "sender": sender}

async def sender(ticket, call):
    return {"sent": call.key}
"""
READ_FIRST = {"action": "READ", "reason": "once more", "confidence": 0.9}
ONE_OF_EACH = ("reset", "billed_late", "drip", "rate_limited", "gateway", "truncated", "illegal", "no_usage")
DROP = {"action": "DROP", "reason": "spam", "confidence": 0.9}


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "w.yaml").write_text(WORKFLOW)
    (tmp_path / "agents.py").write_text(AGENTS)
    return tmp_path


def script(*faults: dict[str, Any], **more: Any) -> Any:
    given = {"rehearsal": "r", "input": {"ticket": "t"}, "faults": list(faults), **more}
    return parse_script(json.dumps(given))


ANSWERS = {"google:gemini-2.5-flash-lite": [READ_FIRST, DROP], "openai:gpt-5-mini": [DROP]}


def test_what_changes_when_the_first_provider_is_away(desk: Path) -> None:
    found = rehearse(desk / "w.yaml", script({"on": "google:*", "fault": "error"}, answers=ANSWERS))
    assert found.sound
    assert (found.healthy.ends, found.faulty.ends) == ({"dropped": 1}, {"dropped": 1})
    assert (found.healthy.decisions, found.faulty.decisions) == (2, 1)
    (changed,) = found.changed
    assert (changed.decision, changed.healthy, changed.faulty) == (1, "READ by model", "DROP by model")
    assert found.faulty.faults["error"] >= 1
    assert found.faulty.ledger_usd >= found.faulty.billed_usd > 0


def test_when_all_are_away_the_rules_decide_and_no_effect_is_repeated(desk: Path) -> None:
    found = rehearse(desk / "w.yaml", script({"fault": "reset"}, answers=ANSWERS), runs=3)
    assert found.sound
    assert found.faulty.ends == {"sent": 3}
    assert found.faulty.fallbacks == found.faulty.decisions == 6
    assert {each.faulty for each in found.changed} == {"SEND by rule"}
    assert found.changed[0].run == 1
    assert all("first: " in each.cause and "second: " in each.cause for each in found.changed)


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_no_family_makes_a_run_act_illegally_or_loses_money(desk: Path, family: str) -> None:
    found = rehearse(desk / "w.yaml", script({"fault": family}))
    assert found.sound, found
    assert found.faulty.ends.keys() <= {"sent", "dropped"}
    assert not found.unbooked_usd


def test_a_compatible_server_of_any_name_is_rehearsed_as_itself(desk: Path) -> None:
    (desk / "w.yaml").write_text(WORKFLOW.replace("google:gemini-2.5-flash-lite", "my claude:sonnet"))
    answers = {"my claude:sonnet": [READ_FIRST, DROP], "openai:gpt-5-mini": [DROP]}
    found = rehearse(desk / "w.yaml", script({"on": "my claude:*", "fault": "overloaded"}, answers=answers))
    assert found.sound
    assert found.guessed == ("my claude:sonnet",)
    assert found.changed[0].healthy == "READ by model"
    assert found.changed[0].faulty == "DROP by model", "the other server is well"


def test_a_scripted_model_cannot_be_away(desk: Path) -> None:
    (desk / "w.yaml").write_text(WORKFLOW.replace("google:gemini-2.5-flash-lite", "scripted:x"))
    with pytest.raises(InputError, match="a provider that can be away"):
        rehearse(desk / "w.yaml", script())


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"faults": [{"fault": "reset"}, {"on": "gogle:*", "fault": "reset"}]}, "faults.1.on: found 'gogle:*'"),
        ({"answers": {"google:*": [DROP]}}, "answers.google:*: found 'google:*'"),
        ({"answers": {"openai:gpt-5": [DROP]}}, "did you mean openai:gpt-5-mini?"),
    ],
)
def test_a_script_about_no_model_of_the_workflow_is_refused(desk: Path, told: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError, match="a model that is asked: one of: google:gemini") as caught:
        rehearse(desk / "w.yaml", parse_script(json.dumps({"rehearsal": "r", "input": {"ticket": "t"}, **told})))
    assert where in str(caught.value)


def test_a_repeated_effect_is_seen() -> None:
    import asyncio

    from stepladder.drivers.agents import AgentCall

    effects = Effects()

    async def agent(x: int) -> int:
        if x < 0:
            raise ValueError("no")
        return x

    async def calls() -> None:
        watched = effects.around("a", agent)
        for key, x in (("k", -1), ("k", 1), ("l", 1)):  # a retry after a failure is none
            with contextlib.suppress(ValueError):
                await watched(x=x, call=AgentCall("r", "s", "a", key, 1))
        assert effects.repeated == 0
        await watched(x=1, call=AgentCall("r", "s", "a", "k", 2))
        assert (effects.repeated, effects.calls["a"]) == (1, 4)

    asyncio.run(calls())


@pytest.mark.parametrize(
    ("action", "to", "why"),
    [
        ("SEND", "sending", ""),
        ("DONE", "sent", "legal were"),
        ("SEND", "sent", "leads to sending"),
        ("STOP", "sent", "STOP"),
    ],
)
def test_an_illegal_action_is_seen(action: str, to: str, why: str) -> None:
    from stepladder.app.loading import Workflow

    machine: Machine = Workflow.parse(WORKFLOW).machine
    entries = (Opened(1, "reading", ("SEND", "DROP"), Verdict("SEND")), Settled(1, action, to))
    found = illegal_actions(machine, "r", entries)
    assert [why in each.why for each in found] == ([True] if why else [])


def test_the_command_says_what_differs_and_leaves_with_its_code(desk: Path) -> None:
    faults = {"rehearsal": "all away", "faults": [{"fault": "overloaded"}], "answers": ANSWERS}
    (desk / "f.yaml").write_text(json.dumps(faults))
    args = ["rehearse", str(desk / "w.yaml"), "--faults", str(desk / "f.yaml"), "-i", "ticket=x"]
    told = CliRunner().invoke(app, args)
    assert told.exit_code == 0, told.output
    assert "changed    decision 1 in reading: READ by model, now SEND by rule" in told.output
    assert "0 illegal actions, 0 repeated effects, 0 replays that differ, the ledger covers the bill" in told.output
    told = CliRunner().invoke(app, [*args, "--json"])
    found = json.loads(told.stdout)
    assert (found["sound"], found["faulty"]["ends"]) == (True, {"sent": 1})


def test_a_bad_script_is_one_error_with_its_place(desk: Path) -> None:
    (desk / "f.yaml").write_text("rehearsal: r\nfaults:\n  - {fault: overloadet}\n")
    told = CliRunner().invoke(app, ["rehearse", str(desk / "w.yaml"), "--faults", str(desk / "f.yaml")])
    assert told.exit_code == 2
    assert "f.yaml:3" in told.output
    assert "overloaded" in told.output
