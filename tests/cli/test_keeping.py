"""verify, head and prune on the command line, and what the other commands say of pruned runs."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.desk import Desk

FILE = "text_to_sql.yaml"


@pytest.fixture
def runs(sql: Desk) -> Desk:
    """done and failed have ended, open waits."""
    sql("run", FILE, "-i", "question=How many?", "--id", "done")
    sql("run", FILE, "-i", "question=unanswerable", "--id", "failed")
    sql("run", FILE, "-i", "question=best", "--id", "open")
    return sql


def change(desk: Desk, statement: str) -> None:
    with sqlite3.connect(desk.folder / "stepladder.db") as db:
        db.execute(statement)


def test_a_journal_as_it_was_written(runs: Desk) -> None:
    told = runs("verify")
    assert (told.code, told.out) == (0, "3 runs, 24 entries: as it was written\n")
    assert runs("verify", "last").out == "1 run, 6 entries: as it was written\n"
    assert runs.json("verify")["findings"] == []


def test_a_changed_turn_is_one_line(runs: Desk) -> None:
    change(runs, "UPDATE turns SET body = replace(body, 'How many?', 'How few?') WHERE run = 1")
    told = runs("verify")
    assert (told.code, told.out.splitlines()[0]) == (
        1,
        "done  entry 1  was changed after it was written: its digest does not fit",
    )
    assert told.out.splitlines()[1] == "3 runs, 24 entries: 1 finding"
    told = runs("verify", "--json")
    assert (told.code, [(each["run"], each["entry"]) for each in told.json["findings"]]) == (1, [("done", 1)])
    assert runs("verify", "open").code == 0


def test_a_head_is_kept_elsewhere(runs: Desk) -> None:
    digest = json.loads(runs("head").out)["digest"]
    assert len(digest) == 64
    told = runs("head", "-o", "kept.json")
    kept = json.loads(Path("kept.json").read_text())
    assert kept["digest"] in told.out
    assert kept["runs"]["open"]["entries"] == 6
    assert runs("verify", "--head", "kept.json").code == 0
    runs("answer", "open", "--text", "by revenue")
    assert runs("verify", "--head", "kept.json").code == 0
    for table in ("turns", "inbox"):
        change(runs, f"DELETE FROM {table} WHERE run = 2")
    change(runs, "DELETE FROM runs WHERE number = 2")
    assert runs("verify").code == 0
    told = runs("verify", "--head", "kept.json")
    assert (told.code, "failed  was removed" in told.out) == (1, True)
    assert runs("verify", "failed", "--head", "kept.json").code == 1


REFUSED = {
    "no journal": (("verify", "-j", "none.db"), 4, "no journal none.db"),
    "no such run": (("verify", "nobody"), 4, "'nobody'"),
    "a file that is none": (("verify", "-j", FILE), 2, "file is not a database"),
    "a head of a file that is none": (("head", "-j", FILE), 2, "file is not a database"),
    "no head": (("verify", "--head", "none.json"), 2, "no such file"),
    "a head that is none": (("verify", "--head", FILE), 2, "expected a stepladder-head 1"),
    "no degree": (("prune", "--older-than", "1d"), 2, "either --payloads or --runs"),
    "both degrees": (("prune", "--older-than", "1d", "--runs", "--payloads"), 2, "either --payloads or --runs"),
    "no age": (("prune", "--runs"), 2, "--older-than"),
    "an age that is none": (("prune", "--older-than", "30", "--runs"), 2, "such as 30d"),
    "a state that is none": (("prune", "--older-than", "1d", "--runs", "--state", "waiting"), 2, "succeeded"),
    "a folder that is a file": (("prune", "--older-than", "1d", "--runs", "--export", FILE), 2, "--export"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(runs: Desk, name: str) -> None:
    args, code, said = REFUSED[name]
    told = runs(*args)
    assert told.code == code
    assert said in told.err


def test_payloads_are_pruned_and_the_record_stays(runs: Desk) -> None:
    assert runs("prune", "--older-than", "30d", "--payloads").out.startswith("pruned 0 runs\n")
    told = runs("prune", "--older-than", "0s", "--payloads", "--dry-run")
    assert told.out.splitlines() == ["done", "failed", "2 runs would be pruned"]
    told = runs("prune", "--older-than", "0s", "--payloads", "--state", "succeeded", "--json")
    assert (told.json["runs"], told.json["left"], told.json["dry_run"]) == (["done"], {}, False)
    assert "done (pruned)" in runs("runs").out
    assert runs.json("show", "done")["output"] is None
    assert "its input, its output" in runs("show", "done").out
    assert "the plan can be run" in runs("show", "done", "--decision", "2").out
    assert "payloads_pruned" in runs("show", "done", "--entries").out
    assert runs.json("export", "done")["run"]["pruned"]
    assert runs("diagram", "--run", "done").code == 0
    assert runs("verify").out == "3 runs, 25 entries, 1 without payloads: as it was written\n"


def test_a_pruned_run_is_refused_by_name_where_its_past_is_needed(runs: Desk) -> None:
    runs("prune", "--older-than", "0s", "--payloads")
    for args in (
        ("replay", "done"),
        ("show", "done", "--log"),
        ("resume", "done"),
        ("retry", "failed"),
        ("outcome", "done", "--success"),
    ):
        told = runs(*args)
        assert told.code == 4, args
        assert "was pruned: its payloads" in told.err, args
    told = runs("replay", "--all")
    assert (told.code, told.out) == (0, "open: 2 decisions, 0 divergences, 2 runs pruned\n")
    assert runs.json("replay", "--all")["pruned"] == ["done", "failed"]
    assert "cannot be compared: run 'done': was pruned" in runs("check", FILE, "--against", "stepladder.db").out
    runs("prune", "--older-than", "0s", "--runs")
    for args in (("replay", "done"), ("show", "done"), ("run", FILE, "-i", "question=How many?", "--id", "done")):
        told = runs(*args)
        assert told.code == 4, args
        assert "was pruned: nothing is left but its id" in told.err, args


def test_runs_are_exported_before_they_are_removed(runs: Desk) -> None:
    runs("run", FILE, "-i", "question=How many?", "--id", "a/b ../c")
    whole = runs.json("export", "done")
    prune = ("prune", "--older-than", "0s", "--export", "archive")
    assert runs(*prune, "--payloads").code == 0
    assert runs(*prune, "--runs").code == 0, "what was exported is not replaced by less"
    assert sorted(path.name for path in Path("archive").iterdir()) == ["a%2Fb ..%2Fc.json", "done.json", "failed.json"]
    assert json.loads(Path("archive/done.json").read_text()) == whole
    assert runs.run_ids() == ["open"]


def test_a_run_that_cannot_be_exported_is_left(runs: Desk) -> None:
    change(runs, "DELETE FROM definitions")
    told = runs("prune", "--older-than", "0s", "--runs", "--export", "archive")
    assert told.code == 1
    assert "run 'done': cannot be exported and is left as it is" in told.out
    assert len(runs.run_ids()) == 3
