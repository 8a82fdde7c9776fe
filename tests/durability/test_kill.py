"""A run survives the death of its process anywhere: another one finishes it as if nothing had happened.

What was recorded is never done again. What was in flight is done again under the same key, or, where that is not
allowed, put to a person.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from stepladder.app.journals import open_journal
from tests.durability.child import PLACES, RUN, recorded

CHILD: Final = Path(__file__).with_name("child.py")


def journal_of(folder: Path) -> str:
    """The journal of the runs in this folder: on a server, where the folder names one."""
    server = folder / "server"
    return server.read_text() if server.exists() else str(folder / "runs.db")


def child(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), journal_of(folder), str(folder / "keys"), *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, wrong = process.communicate(timeout=30)
    assert process.returncode == 0, wrong
    found: dict[str, Any] = json.loads(said)
    return found


def killed(process: subprocess.Popen[str]) -> None:
    _, wrong = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL, f"it lived on\n{wrong}"


def keys(folder: Path) -> list[str]:
    file = folder / "keys"
    return file.read_text().split("\n")[:-1] if file.exists() else []


@pytest.fixture(params=["sqlite", "postgres"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a run is worked on."""
    if request.param == "postgres":
        (tmp_path / "server").write_text(request.getfixturevalue("postgres").new_database())
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run comes to that nobody kills."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = finished(child(folder))
    assert (run["end"], run["output"]) == ("there", {"count": 3, "charged": True})
    assert [source for _, _, source, _ in run["settled"]].count("model") == 1
    called = [line.split()[0] for line in keys(folder)]
    assert called == ["fetcher", "parser", "flaky", "fetcher", "parser", "bank", "reporter"]
    assert len(set(keys(folder))) == 7
    return run


def only_what_was_not_recorded(folder: Path, known: set[str], before: list[str]) -> None:
    """No call whose result was recorded was made again; the rest at most once more, under its key."""
    after = keys(folder)[len(before) :]
    assert not {line.split()[1] for line in after} & known
    assert max(Counter(keys(folder)).values()) <= 2
    twice = {line.split()[1] for line, times in Counter(keys(folder)).items() if times > 1}
    assert not twice & known
    names = [line.split()[0] for line in dict.fromkeys(keys(folder))]
    assert [name for name in names if name != "bank"] == ["fetcher", "parser", "flaky", "fetcher", "parser", "reporter"]


def same(run: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    assert run["settled"] == undisturbed["settled"]
    assert (run["end"], run["output"]) == (undisturbed["end"], undisturbed["output"])
    assert run["divergence"] is None
    assert run["started"] == 1


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_a_named_place(folder: Path, undisturbed: dict[str, Any], place: str) -> None:
    killed(child(folder, "--die", place))
    before, known = keys(folder), recorded(journal_of(folder))
    run = finished(child(folder, "--doubt", "redo" if "before its effect" in place else "done"))
    same(run, undisturbed)
    only_what_was_not_recorded(folder, known, before)
    assert Counter(keys(folder))[next(line for line in keys(folder) if line.startswith("bank"))] == 1
    assert ("RunResumed" in run["kinds"]) == (place not in RESTING)


RESTING: Final = (
    "while waiting for a person",
    "after an answer was put",
    "after an answer was taken",
    "while waiting for a time",
    "at the end",
)


@pytest.mark.parametrize(
    "place", ["after the effect before returning", "in the middle of a panel", "in the bank after its effect"]
)
def test_killed_again_and_again_at_the_same_place(tmp_path: Path, undisturbed: dict[str, Any], place: str) -> None:
    for _ in range(3):
        process = child(tmp_path, "--die", place, "--doubt", "redo")
        killed(process)
    run = finished(child(tmp_path, "--doubt", "done"))
    same(run, undisturbed)


def test_killed_at_each_place_in_turn(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """One run, sixteen deaths."""
    for place in PLACES:
        process = child(tmp_path, "--die", place, "--doubt", "done")
        process.communicate(timeout=30)
        assert process.returncode in (-signal.SIGKILL, 0)
    run = finished(child(tmp_path))
    same(run, undisturbed)


@pytest.mark.parametrize(("doubt", "charges"), [("done", 1), ("redo", 2)])
def test_an_effect_in_doubt_is_put_to_a_person(
    tmp_path: Path, undisturbed: dict[str, Any], doubt: str, charges: int
) -> None:
    killed(child(tmp_path, "--die", "in the bank after its effect"))
    resting = finished(child(tmp_path, "--verb", "resume", "--no-answer"))
    assert (resting["waiting"], resting["end"]) == ("effect", "")
    assert sum(line.startswith("bank") for line in keys(tmp_path)) == 1, "it is not called again by itself"
    run = finished(child(tmp_path, "--verb", "resume", "--doubt", doubt))
    same(run, undisturbed)
    bank = [line for line in keys(tmp_path) if line.startswith("bank")]
    assert (len(bank), len(set(bank))) == (charges, 1), "redone under the same key"


def test_an_answer_given_by_another_process_while_the_first_is_dead(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    killed(child(tmp_path, "--die", "while waiting for a person"))
    run = finished(child(tmp_path, "--verb", "resume"))
    same(run, undisturbed)
    assert run["kinds"].count("PersonAnswered") == 1


def test_an_answer_that_was_put_and_not_taken_is_taken_once_by_the_next(
    folder: Path, undisturbed: dict[str, Any]
) -> None:
    killed(child(folder, "--die", "after an answer was put"))
    journal = open_journal(journal_of(folder))
    assert len(journal.inbox(RUN)) == 1
    run = finished(child(folder, "--verb", "resume", "--no-answer"))
    same(run, undisturbed)
    assert run["kinds"].count("PersonAnswered") == 1
    assert list(journal.inbox(RUN)) == []
    journal.close()


def test_two_processes_that_resume_the_same_run_at_once(folder: Path, undisturbed: dict[str, Any]) -> None:
    killed(child(folder, "--die", "in the middle of a model ask"))
    before, known = keys(folder), recorded(journal_of(folder))
    found = [finished(each) for each in [child(folder, "--verb", "resume") for _ in range(3)]]
    assert all("is being worked on by process" in each["conflict"] for each in found if "conflict" in each)
    assert sum(each.get("end") == "there" for each in found) >= 1
    run = finished(child(folder, "--verb", "resume"))
    same(run, undisturbed)
    assert not {line.split()[1] for line in keys(folder)[len(before) :]} & known
