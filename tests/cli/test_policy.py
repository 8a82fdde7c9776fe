"""run and resume under a policy file."""

from __future__ import annotations

import pytest

from stepladder.events import PolicyChanged
from stepladder.journal import entries_in
from stepladder.journal.sqlite import SqliteJournal
from tests.cli.desk import Desk

FILE = "text_to_sql.yaml"
HASTY = """
rules:
  planning:
    never_mind: {do: GIVE_UP, because: nobody has time}
"""
STRICT = "policy: {limits: {decisions: 1, then: given_up}, classifier: {}}"


@pytest.fixture
def policies(sql: Desk) -> Desk:
    rules = "  new_query: {plan: {do: CALL_PLANNER}}\n  clarifying: {stop: {do: GIVE_UP, because: nobody waits}}\n"
    sql.write(hasty__yaml=HASTY + rules, strict__yaml=STRICT)
    return sql


def changes(desk: Desk, run_id: str) -> list[str]:
    journal = SqliteJournal(desk.folder / "stepladder.db")
    try:
        entries = entries_in(journal.turns(run_id))
    finally:
        journal.close()
    return [entry.policy_hash for entry in entries if isinstance(entry, PolicyChanged)]


def test_a_run_under_a_policy_file(policies: Desk) -> None:
    own = policies.json("run", FILE, "-i", "question=How many?", "--id", "own")
    said = policies.json("run", FILE, "-i", "question=How many?", "--id", "hasty", "--policy", "hasty.yaml")
    assert (said["end"], said["reason"]) == ("given_up", "nobody has time")
    assert said["workflow_hash"] == own["workflow_hash"]
    assert said["policy_hash"] != own["policy_hash"]
    assert policies("replay", "--all").out == "2 runs: 6 decisions, 0 divergences\n"
    assert changes(policies, "hasty") == []


def test_what_the_file_does_not_replace_stays(policies: Desk) -> None:
    said = policies.json("run", FILE, "-i", "question=How many?", "--policy", "strict.yaml")
    assert (said["end"], said["sources"]) == ("given_up", {"rule": 1, "limit": 1})


def test_the_policy_is_remembered_for_later_commands(policies: Desk) -> None:
    assert policies("run", FILE, "-i", "question=best", "--id", "r").code == 3
    assert policies("resume", "r", "--policy", "hasty.yaml").code == 3
    assert len(changes(policies, "r")) == 1
    said = policies.json("answer", "r", "--text", "by revenue")
    assert (said["end"], said["reason"]) == ("given_up", "nobody waits")
    assert len(changes(policies, "r")) == 1
    assert policies("replay", "r").code == 0


def test_naming_the_workflow_again_brings_its_own_policy_back(policies: Desk) -> None:
    own = policies.json("run", FILE, "-i", "question=best", "--id", "own")["policy_hash"]
    policies.write(calm__yaml="policy: {limits: {decisions: 50, then: given_up}, classifier: {}}")
    calm = policies.json("run", FILE, "-i", "question=best", "--id", "r", "--policy", "calm.yaml")["policy_hash"]
    assert policies.json("resume", "r")["policy_hash"] == calm
    assert policies.json("resume", "r", "--workflow", FILE)["policy_hash"] == own
    assert [run["policy_hash"] for run in policies.json("resume", "--all", "--policy", "calm.yaml")["runs"]] == [
        calm
    ] * 2
    assert changes(policies, "r") == [own, calm]
    assert policies("replay", "--all").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agents: {}", "p.yaml:1: agents: found key 'agents'; expected one of: policy, prompts, rules, select_agent"),
        ("policy: {limit: {}}", "p.yaml:1: policy.limit: found key 'limit'; expected one of"),
        ("\nrules:\n  planning: {x: {do: GIVE_IN}}", "p.yaml:3: rules.planning.x.do: found action 'GIVE_IN'; expected"),
        ("", "p.yaml:1: top level: found nothing"),
    ],
)
def test_a_bad_policy_file_is_refused_before_anything_begins(sql: Desk, text: str, said: str) -> None:
    sql.write(p__yaml=text)
    told = sql("run", FILE, "-i", "question=best", "--policy", "p.yaml")
    assert told.code == 2
    assert said in told.err
    assert sql.run_ids() == []
