"""The command line with a journal in a database: the same commands, and no password in anything it says or writes."""

from __future__ import annotations

import re

import psycopg
import pytest

from stepladder.cli.memory import Setup, recall, remember
from tests.cli.desk import Desk
from tests.postgres import Postgres


@pytest.fixture
def address(postgres: Postgres) -> str:
    """With a password, which the server does not ask for."""
    return postgres.new_database().replace("postgres@", "postgres:hunter2@")


def test_a_run_from_its_start_to_its_end(sql: Desk, address: str) -> None:
    env = {"STEPLADDER_JOURNAL": address}
    told = [
        sql("runs", env=env),
        sql("run", "text_to_sql.yaml", "--input", "question=best", "--id", "q-1", env=env),
        sql("show", "q-1", env=env),
        sql("answer", "q-1", "--text", "by revenue", env=env),
        sql("runs", env=env),
        sql("replay", "--all", env=env),
        sql("run", "text_to_sql.yaml", "--input", "question=other", "--id", "q-1", env=env),
        sql("show", "no-such-run", "--json", env=env),
        sql("check", "text_to_sql.yaml", "--against", address, "--json"),
        sql("diagram", "--run", "q-1", env=env),
    ]
    assert [each.code for each in told] == [4, 3, 0, 0, 0, 0, 2, 4, 0, 0]
    shown = address.replace(":hunter2", "")
    assert f"no journal {shown}" in told[0].err
    assert f"--journal '{shown}'" in told[1].out
    assert "There are 42 customers." in told[3].out
    assert shown in told[7].err
    assert not list(sql.folder.glob("*.db"))
    assert "hunter2" not in "".join(each.out + each.err for each in told)
    assert "hunter2" not in (sql.folder / "stepladder.started.jsonl").read_text()


def test_what_was_changed_is_found_and_what_is_old_is_pruned(sql: Desk, address: str) -> None:
    env = {"STEPLADDER_JOURNAL": address}
    for run_id in ("q-1", "q-2", "q-3"):
        sql("run", "text_to_sql.yaml", "--input", "question=How many?", "--id", run_id, env=env)
    assert sql("head", "-o", "head.json", env=env).code == 0
    assert "hunter2" not in (sql.folder / "head.json").read_text()
    assert sql("verify", "--head", "head.json", env=env).code == 0

    pruned = sql("prune", "--older-than", "0s", "--payloads", "--export", "kept", env=env)
    assert (pruned.code, "pruned 3 runs" in pruned.out, "MB" in pruned.out) == (0, True, False)
    assert len(list((sql.folder / "kept").iterdir())) == 3
    assert [row["pruned"] for row in sql.json("runs", env=env)["runs"]] == [True] * 3
    assert sql("replay", "q-1", env=env).code == 4
    assert sql("verify", "--head", "head.json", env=env).code == 0

    with psycopg.connect(address) as db:
        db.execute("DELETE FROM stepladder.turns WHERE run = 2 AND seq = (SELECT max(seq) FROM stepladder.turns)")
        db.execute("UPDATE stepladder.turns SET body = replace(body, 'rule', 'tool') WHERE run = 3")
    told = sql("verify", "--head", "head.json", env=env)
    assert told.code == 1
    assert {"q-2", "q-3"} <= set(re.findall(r"q-\d", told.out))
    assert "q-1" not in told.out

    removed = sql("prune", "--older-than", "0s", "--runs", env=env)
    assert (removed.code, "pruned 1 run" in removed.out) == (1, True), "what is not as it was written is left"
    assert sql("show", "q-1", env=env).code == 4
    assert sql("run", "text_to_sql.yaml", "--input", "question=x", "--id", "q-1", env=env).code == 4


def test_scenarios_are_kept_there(sql: Desk, address: str) -> None:
    sql.write(
        good__yaml="scenario: direct\nworkflow: text_to_sql.yaml\ninput: {question: How many?}\n"
        "script: {planner: [{status: unanswerable}]}\nexpect: {end: given_up}\n"
    )
    assert sql("play", "good.yaml", "--journal", address).code == 0
    (run,) = sql.json("runs", "--journal", address)["runs"]
    assert run["end"] == "given_up"


@pytest.mark.parametrize(
    ("journal", "said"),
    [
        (
            "postgresql://ada:hunter2@/runs?host=/nowhere",
            "postgresql://ada@/runs?host=/nowhere: found Operational",
        ),
        ("postgresql://ada:hunter2@one@two/runs", "an address that cannot be read"),
        ("postgres://ada:/hunter2@db/runs", "an address that cannot be read"),
    ],
)
@pytest.mark.parametrize("json", [False, True])
def test_a_server_that_cannot_be_had(sql: Desk, journal: str, said: str, json: bool) -> None:
    for command in (["runs"], ["show", "last"], ["run", "text_to_sql.yaml", "--input", "question=x"]):
        told = sql("--debug", *command, "--journal", journal, *(["--json"] if json else []))
        assert told.code == 2
        assert said in told.err
        assert "hunter2" not in told.out + told.err


def test_what_is_remembered_belongs_to_one_journal(desk: Desk) -> None:
    one, two = "postgresql://ada:hunter2@db/one", "postgresql://db/two"
    setup = Setup(desk.folder / "w.yaml", None, {"size": "3"})
    remember(one, "r", setup)
    found = recall("postgresql://ada@db/one", "r")
    assert found is not None
    assert (found.workflow.name, found.options) == ("w.yaml", {"size": "3"})
    assert recall(two, "r") is None
    remember(two, "r", Setup(desk.folder / "v.yaml"))
    again = recall(one, "r")
    assert again is not None
    assert again.workflow.name == "w.yaml"
